"""What goes wrong around a running server: each time one clear line, nothing good lost, and it goes on where it can."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from acceptance.processes import (
    PATIENCE_S,
    Running,
    descriptors,
    environment,
    evertick,
    fetch,
    get,
    post,
    running,
)
from evertick.simulator.serve import base_urls
from servers import Server, postgres_server


def quotes_of(server: Running, url: str) -> dict[str, dict]:
    found = server.until(lambda: get(f"{url}/api/v1/indices")["quotes"], "quotes")
    return {q["id"]: q for q in found}


def leased(server: Running, url: str, job: str) -> None:
    server.until(lambda: get(f"{url}/api/v1/jobs/{job}")["state"] == "leased", "report under way")


def ended(server: Running, url: str, job: str) -> dict:
    server.until(lambda: get(f"{url}/api/v1/jobs/{job}")["state"] in ("done", "failed"), "end of the report")
    return get(f"{url}/api/v1/jobs/{job}")


def problem(url: str, **headers: str) -> dict:
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(url, **headers)
    with refused.value as answer:
        assert answer.headers["Content-Type"] == "application/problem+json"
        return json.load(answer)


def talk(url: str, request: str) -> bytes:
    """Send raw bytes and read until the server closes."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE_S) as connection:
        answer = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(request.encode())
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                answer += piece
    return answer


# --- what is there before the start ----------------------------------------------------------------------------------


def one_line(answer: subprocess.CompletedProcess[str], says: str) -> None:
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert says in answer.stderr
    assert answer.stderr.count("\n") == 1, answer.stderr


@pytest.mark.parametrize("command", [["serve"], ["poll"], ["db", "upgrade"]])
def test_a_file_in_the_place_of_the_data_folder(folder: Path, against: Mapping[str, str], command: list[str]) -> None:
    folder.mkdir()
    (folder / "evertick-data").write_text("mine")
    one_line(evertick(*command, cwd=folder, env=against), "DATA_DIR")
    assert (folder / "evertick-data").read_text() == "mine"


def test_a_data_folder_that_may_not_be_written(folder: Path, against: Mapping[str, str]) -> None:
    """Also for root, who may write everywhere until that right is taken away."""
    (folder / "evertick-data").mkdir(parents=True, mode=0o555)
    without = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    for command, says in ((["serve"], "may not be written"), (["doctor"], "may not be written")):
        answer = subprocess.run(
            [*without, sys.executable, "-m", "evertick", *command],
            cwd=folder, env=environment(**against), capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert answer.returncode == 1
        assert says in answer.stdout + answer.stderr
        assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(("newer", "says"), [(False, "evertick db restore"), (True, "newer Evertick")])
def test_a_database_that_cannot_be_used_is_left_as_it_is(
    folder: Path, against: Mapping[str, str], newer: bool, says: str
) -> None:
    file = folder / "evertick-data" / "evertick.db"
    file.parent.mkdir(parents=True)
    if newer:
        assert evertick("db", "upgrade", cwd=folder, env=against).returncode == 0
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
    else:
        file.write_bytes(b"no database at all" * 1000)
    before = file.read_bytes()
    one_line(evertick("serve", cwd=folder, env=against), says)
    assert file.read_bytes() == before


# --- disks and databases ---------------------------------------------------------------------------------------------


def test_a_log_on_a_full_disk_and_a_damaged_board_file(folder: Path, against: Mapping[str, str]) -> None:
    data = folder / "evertick-data"
    data.mkdir(parents=True)
    (data / "board.json").write_text('{"quotes": [1,')
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "evertick", "serve"],
            cwd=folder, env=environment(**against, EVERTICK_INDICES_EVERY="1s"), stdout=full, stderr=full,
        )  # fmt: skip
    server = Running.__new__(Running)
    server.process, server.log = process, data / "server.json"
    try:
        server.until(lambda: server.log.is_file(), "server")
        url = server.address()
        first = get(f"{url}/api/v1/indices")["as_of"]
        quotes_of(server, url)
        server.until(lambda: get(f"{url}/api/v1/indices")["as_of"] != first, "another refresh")
        report = ended(server, url, post(f"{url}/api/v1/reports")["id"])
        assert report["state"] == "done"
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


def test_a_database_that_another_program_locks(folder: Path, against: Mapping[str, str]) -> None:
    with running("serve", cwd=folder, env={**against, "EVERTICK_INDICES_EVERY": "1s"}) as server:
        url = server.address()
        known = quotes_of(server, url)
        other = sqlite3.connect(folder / "evertick-data" / "evertick.db", isolation_level=None)
        with contextlib.closing(other):
            other.execute("BEGIN IMMEDIATE")
            refused = problem(f"{url}/api/v1/reports")  # after the five seconds that a lock is waited for
            assert refused["status"] == 503
            assert "locked" in refused["detail"]
            assert "Close the other program" in refused["hint"]
            assert fetch(f"{url}/")[0] == 200
            assert quotes_of(server, url).keys() == known.keys()
        assert ended(server, url, post(f"{url}/api/v1/reports")["id"])["state"] == "done"
        assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.output


def test_postgresql_stops_during_a_report_and_returns(
    folder: Path, against: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with postgres_server(tmp_path_factory.mktemp("pg")) as postgres:
        environment = {
            **against,
            "EVERTICK_INDICES_EVERY": "1s",
            "EVERTICK_DATABASE_URL": f"postgresql://evertick:hunter2@127.0.0.1:{postgres.port}/postgres",
        }
        with running("serve", cwd=folder, env=environment) as server:
            url = server.address()
            known = quotes_of(server, url)
            job = post(f"{url}/api/v1/reports")["id"]
            leased(server, url, job)
            postgres.kill()
            server.until(lambda: fetch(f"{url}/readyz")[0] == 503, "not ready")
            assert quotes_of(server, url).keys() == known.keys()
            assert problem(f"{url}/api/v1/indices/refresh")["status"] == 503
            postgres.start()
            assert ended(server, url, job)["state"] == "done"
            assert [r["slot"] for r in get(f"{url}/api/v1/reports")["items"]] == [job]
            before = get(f"{url}/api/v1/indices")["as_of"]
            server.until(lambda: get(f"{url}/api/v1/indices")["as_of"] != before, "another refresh")
            assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.output
    assert "hunter2" not in server.output


def test_a_server_that_slept_through_its_lease_publishes_nothing(
    tmp_path: Path, against: Mapping[str, str], postgres_database: str
) -> None:
    environment = {**against, "EVERTICK_DATABASE_URL": postgres_database, "EVERTICK_LEASE": "2"}
    environment["EVERTICK_JOB_ATTEMPTS"] = "9"  # so short a lease may be lost to a busy machine too
    with running("serve", cwd=tmp_path / "a", env=environment) as sleeper:
        a = sleeper.address()
        quotes_of(sleeper, a)
        job = post(f"{a}/api/v1/reports")["id"]
        leased(sleeper, a, job)
        sleeper.process.send_signal(signal.SIGSTOP)
        with running("serve", cwd=tmp_path / "b", env=environment) as server:
            b = server.address()
            done = ended(server, b, job)
            assert done["state"] == "done", (done, server.output)
            sleeper.process.send_signal(signal.SIGCONT)
            sleeper.until(lambda: "lease" in sleeper.output, "notice of the lost lease")
            assert post(f"{a}/api/v1/indices/refresh")["quotes"]
            assert [r["slot"] for r in get(f"{a}/api/v1/reports")["items"]] == [job]
            assert ended(server, b, job)["state"] == "done"
            assert server.stop(signal.SIGTERM) == sleeper.stop(signal.SIGTERM) == 0
    assert "Traceback" not in sleeper.output + server.output


def test_redis_with_another_type_in_our_key(folder: Path, against: Mapping[str, str], redis_url: str) -> None:
    import redis

    with redis.Redis.from_url(redis_url) as other:
        other.delete("evertick:market_indices")
        other.lpush("evertick:market_indices", "x")
        with running("serve", cwd=folder, env={**against, "EVERTICK_REDIS_URL": redis_url}) as server:
            quotes_of(server, server.address())
            assert json.loads(other.get("evertick:market_indices"))["quotes"]
            assert server.stop(signal.SIGTERM) == 0
    assert "another type" in server.output
    assert "Traceback" not in server.output


def test_redis_that_refuses_our_password(
    folder: Path, against: Mapping[str, str], redis_process: Server, redis_url: str
) -> None:
    import redis

    wrong = f"redis://:hunter2@127.0.0.1:{redis_process.port}/0"
    with redis.Redis.from_url(redis_url) as admin:
        admin.config_set("requirepass", "another")
        try:
            with running("serve", cwd=folder, env={**against, "EVERTICK_REDIS_URL": wrong}) as server:
                url = server.address()
                server.until(lambda: fetch(f"{url}/readyz")[0] == 503, "not ready")
                said = fetch(f"{url}/readyz")[2].decode() + json.dumps(problem(f"{url}/api/v1/indices/refresh"))
                assert "refuses the user or password" in said
                assert "REDIS_URL" in said
                assert fetch(f"{url}/")[0] == fetch(f"{url}/healthz")[0] == 200
                assert server.stop(signal.SIGTERM) == 0
            assert "hunter2" not in said + server.output
            assert "Traceback" not in server.output
        finally:
            admin.config_set("requirepass", "")


# --- providers -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def faults(upstream: str, *rules: str) -> Iterator[None]:
    def put(rules: tuple[str, ...]) -> None:
        body = json.dumps({"faults": rules}).encode()
        request = urllib.request.Request(
            f"{upstream}/control/faults", data=body, headers={"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()

    put(rules)
    try:
        yield
    finally:
        put(())


def test_no_fault_of_a_provider_puts_a_wrong_price_in_the_place_of_a_right_one(tmp_path: Path) -> None:
    with running("simulate", "--port", "0", "--speed", "0", cwd=tmp_path / "simulator") as simulator:
        upstream = simulator.address()
        environment = {
            "EVERTICK_PORT": "0",
            "EVERTICK_ROLES": "web,work",  # no schedule: a refresh is ours alone
            **{f"EVERTICK_SOURCES__{name.upper()}__BASE_URL": base for name, base in base_urls(upstream).items()},
        }
        with running("serve", cwd=tmp_path / "desk", env=environment) as server:
            url = server.address()
            well = post(f"{url}/api/v1/indices/refresh")
            prices = {q["id"]: q["price"] for q in well["quotes"]}
            assert len(prices) >= 120
            for kind in ("404", "truncated", "wrongtype", "nan", "zero", "negative",
                         "retyped", "misaligned", "shell", "scale", "future", "stale", "partial", "cut"):  # fmt: skip
                with faults(upstream, f"all={kind}"):
                    answer = post(f"{url}/api/v1/indices/refresh")
                # What stands in may have yesterday's fixing: near the price, and never a thousandfold.
                found = {q["id"]: q["price"] for q in answer["quotes"]}
                assert found == pytest.approx(prices, rel=0.3, abs=0.3), kind
                resting = {s["name"]: s["error"] for s in answer["sources"] if s["state"] == "resting"}
                # Each fault met every source that has something to say now: at a weekend that is not all of them.
                awake = {s["name"] for s in well["sources"] if s["state"] == "ok"}
                assert "coingecko" in awake
                assert not resting.keys() & awake, (kind, resting)
                # A run that goes well, before any source has failed in three.
                well = post(f"{url}/api/v1/indices/refresh")

            def recovered() -> bool:
                states = {s["state"] for s in post(f"{url}/api/v1/indices/refresh")["sources"]}
                return "ok" in states and states <= {"ok", "idle", "off"}

            server.until(recovered, "recovery")
    assert "Traceback" not in server.output


# --- ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_report_hands_its_slot_back(folder: Path, against: Mapping[str, str], number: int) -> None:
    with running("serve", cwd=folder, env=against) as server:
        url = server.address()
        quotes_of(server, url)
        job = post(f"{url}/api/v1/reports")["id"]
        leased(server, url, job)
        assert server.stop(number) == 0
    assert "Traceback" not in server.output
    with contextlib.closing(sqlite3.connect(folder / "evertick-data" / "evertick.db")) as database:
        found = database.execute("SELECT state, attempts, owner FROM slots WHERE id = ?", (job,)).fetchone()
        assert found == ("due", 0, None)
        assert database.execute("SELECT count(*) FROM reports WHERE state = 'published'").fetchone() == (0,)


def test_the_stream_after_the_last_place_is_refused_and_the_end_waits_for_none(
    folder: Path, against: Mapping[str, str]
) -> None:
    with running("serve", cwd=folder, env=against) as server, contextlib.ExitStack() as stack:
        url = server.address()
        quotes_of(server, url)
        host, port = url.removeprefix("http://").split(":")
        for _ in range(200):
            client = stack.enter_context(socket.create_connection((host, int(port)), PATIENCE_S))
            client.sendall(f"GET /api/v1/indices/stream HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert client.recv(12) == b"HTTP/1.1 200"
        status, headers, body = fetch(f"{url}/api/v1/indices/stream")
        assert (status, headers["content-type"]) == (503, "application/problem+json")
        assert "200 places" in json.loads(body)["detail"]
        assert get(f"{url}/healthz")
        assert server.stop(signal.SIGINT) == 0
    assert "Traceback" not in server.output


# --- callers ---------------------------------------------------------------------------------------------------------


def test_hostile_requests_are_refused_and_leave_nothing_behind(folder: Path, against: Mapping[str, str]) -> None:
    with running("serve", cwd=folder, env=against) as server:
        url = server.address()
        quotes_of(server, url)
        before = len(get(f"{url}/api/v1/slots?limit=100")["items"])
        open_before = len(descriptors(server.process.pid))
        ours = url.removeprefix("http://")
        assert talk(url, "GET / HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n")[9:12] == b"421"
        for header in ("Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"):
            request = f"POST /api/v1/reports HTTP/1.1\r\nHost: {ours}\r\n{header}\r\nConnection: close\r\n\r\n"
            assert talk(url, request)[9:12] == b"403", header
        assert talk(url, f"GET / HTTP/1.1\r\nHost: {ours}\r\nX: {'x' * 100_000}\r\n\r\n")[9:12] == b"431"
        body = f"POST /api/v1/reports HTTP/1.1\r\nHost: {ours}\r\nContent-Length: 1048576\r\n\r\n"
        assert talk(url, body)[9:12] == b"413"
        assert talk(url, "\x16\x03\x01 this is no HTTP\r\n\r\n")[9:12] == b"400"
        deleting = talk(url, f"DELETE /api/v1/indices HTTP/1.1\r\nHost: {ours}\r\nConnection: close\r\n\r\n")
        assert deleting[9:12] == b"405"
        assert re.search(rb"(?i)\r\nallow: .*GET", deleting)
        assert len(get(f"{url}/api/v1/slots?limit=100")["items"]) == before
        server.until(lambda: len(descriptors(server.process.pid)) <= open_before + 1, "closed connections")
    assert "Traceback" not in server.output


def test_no_secret_is_shown_anywhere(folder: Path, against: Mapping[str, str]) -> None:
    token, key = "the-token-of-this-test", "the-key-of-this-test"
    hidden = {
        **against,
        "EVERTICK_API_TOKEN": token,
        "EVERTICK_LOG_LEVEL": "debug",
        "EVERTICK_SOURCES__YAHOO__API_KEY": key,
        "EVERTICK_SOURCES__COINGECKO__BASE_URL": f"http://127.0.0.1:1/api?x_cg_demo_api_key={key}",
        "EVERTICK_SOURCES__ALTERNATIVE__BASE_URL": f"http://user:{key}@127.0.0.1:1/fng",
    }
    with running("serve", cwd=folder, env=hidden) as server:
        url = server.address()
        quotes_of(server, url)
        shown = json.dumps(post(f"{url}/api/v1/indices/refresh", Authorization=f"Bearer {token}"))
        for path in ("/", "/memory", "/api/v1/sources", "/api/v1/slots", "/api/v1/memory", "/metrics", "/readyz"):
            status, _, body = fetch(f"{url}{path}", Accept="text/html")
            assert status == 200, path
            shown += body.decode()
        checked = evertick("doctor", "--json", cwd=folder, env=hidden)
        shown += checked.stdout + checked.stderr + server.output
    assert "coingecko" in shown
    assert token not in shown
    assert key not in shown


def test_commands_are_not_led_astray_by_what_a_dead_server_left(folder: Path, against: Mapping[str, str]) -> None:
    """The number of its process may be another's by now: in a container it surely is."""

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *args: object) -> None: ...

    with running("serve", cwd=folder, env=against) as server:
        quotes_of(server, server.address())
        # The quotes are shown first and then written down.
        server.until((folder / "evertick-data" / "board.json").exists, "the board's file")
        left = folder / "evertick-data" / "server.json"
        shutil.copy(left, folder / "left.json")
        server.kill()
    with http.server.HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        told = json.loads((folder / "left.json").read_text())
        told |= {"pid": os.getpid(), "url": f"http://127.0.0.1:{other.server_port}"}
        for content in (json.dumps(told), '{"pid": 1e400, "url": 5}', "\0"):
            left.write_text(content)
            answer = evertick("board", "--json", cwd=folder, env=against)
            assert answer.returncode == 0, answer.stderr
            assert json.loads(answer.stdout)["quotes"]
        other.shutdown()

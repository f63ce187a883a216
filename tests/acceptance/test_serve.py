"""`evertick serve` from outside: restarts, kills, wrong settings, two servers, and the commands beside it."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest

from acceptance.processes import Running, descriptors, evertick, fetch, get, post, running
from servers import Server, redis_server


def first_report(server: Running, url: str) -> dict:
    return server.until(lambda: get(f"{url}/api/v1/reports")["items"], "report")[0]


def test_quotes_reports_and_receipts_survive_a_kill(folder: Path, against: Mapping[str, str]) -> None:
    with running("serve", cwd=folder, env={**against, "EVERTICK_REPORT_ON_START": "true"}) as server:
        url = server.address()
        before = first_report(server, url)
        quotes = {q["id"]: q["as_of"] for q in get(f"{url}/api/v1/indices")["quotes"]}
        server.until((folder / "evertick-data" / "board.json").exists, "the board's file")
        server.kill()

    # No provider answers now: what was saved is what there is.
    dead = {k: v.replace("127.0.0.1", "127.0.0.2") for k, v in against.items()}
    with running("serve", cwd=folder, env=dead) as server:
        url = server.address()
        assert get(f"{url}/api/v1/reports/{before['id']}")["parts"] == before["parts"]
        document = post(f"{url}/api/v1/indices/refresh")
        states = {s["state"] for s in document["sources"]}
        assert "failing" in states
        assert not states & {"ok", "partial"}
        assert {q["id"]: q["as_of"] for q in document["quotes"]} == quotes, "good data was lost or overwritten"
        jobs = {r["job"] for r in get(f"{url}/api/v1/memory/receipts?limit=100")["items"]}
        assert {"refresh_indices", "report", "save_report"} <= jobs
        assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.output


def test_a_report_that_a_kill_cut_off_is_made_once_and_whole(folder: Path, against: Mapping[str, str]) -> None:
    environment = {**against, "EVERTICK_REPORT_ON_START": "true", "EVERTICK_LEASE": "2"}
    with running("serve", cwd=folder, env=environment) as server:
        url = server.address()

        def under_way() -> bool:
            return any(s["job"] == "report" and s["state"] == "leased" for s in get(f"{url}/api/v1/slots")["items"])

        server.until(under_way, "report under way")
        server.kill()
    with sqlite3.connect(folder / "evertick-data" / "evertick.db") as database:
        assert database.execute("SELECT count(*) FROM reports WHERE state = 'published'").fetchone() == (0,)

    with running("serve", cwd=folder, env=environment) as server:
        url = server.address()
        report = first_report(server, url)
        slots = server.until(lambda: get(f"{url}/api/v1/slots?job=report&state=done")["items"], "finished slot")
        assert [s["result"]["report"] for s in slots] == [report["id"]]
        for language in report["languages"]:
            status, _, body = fetch(f"{url}/reports/{report['id']}/{language}")
            assert status == 200
            assert body.rstrip().endswith(b"</html>")
        assert len(get(f"{url}/api/v1/reports")["items"]) == 1


def test_commands_beside_a_running_server_use_it(folder: Path, against: Mapping[str, str]) -> None:
    with running("serve", cwd=folder, env=against) as server:
        server.until(lambda: get(f"{server.address()}/readyz"), "readiness")
        polled = json.loads(evertick("poll", "--json", cwd=folder, env=against).stdout)
        assert len(polled["quotes"]) >= 120
        made = evertick("report", "make", "--json", cwd=folder, env=against)
        assert made.returncode == 0, made.stderr
        report = json.loads(made.stdout)
        listed = json.loads(evertick("report", "list", "--json", cwd=folder, env=against).stdout)
        assert [r["id"] for r in listed["items"]] == [report["id"]]
        exported = evertick("report", "export", "latest", "--to", "out", cwd=folder, env=against)
        assert exported.returncode == 0, exported.stderr
        page = (folder / "out" / f"evertick-{report['id']}" / "vi.html").read_text()
        assert 'href="css.css"' in page
        assert "/assets/" not in page
        now = json.loads(evertick("memory", "--json", cwd=folder, env=against).stdout)["now"]
        assert now["pid"] == server.process.pid
        plan = json.loads(evertick("schedule", "list", "--json", cwd=folder, env=against).stdout)
        assert {s["job"] for s in plan["schedules"]} == {"refresh_indices", "update_bars", "report", "housekeeping"}
        for command in (["poll"], ["board"], ["report", "list"], ["report", "show"], ["memory"], ["schedule", "list"]):
            answer = evertick(*command, cwd=folder, env=against)
            assert answer.returncode == 0, answer.stderr
            assert answer.stdout.strip()
        backup = evertick("db", "backup", "copy.db", cwd=folder, env=against)
        assert backup.returncode == 0, backup.stderr
        refused = evertick("db", "restore", "copy.db", cwd=folder, env=against)
        assert refused.returncode == 1
        assert "a server runs" in refused.stderr


def test_commands_without_a_server_do_the_work_themselves(folder: Path, against: Mapping[str, str]) -> None:
    folder.mkdir()
    polled = evertick("poll", "--json", cwd=folder, env=against)
    assert polled.returncode == 0, polled.stderr
    assert len(json.loads(polled.stdout)["quotes"]) >= 120
    assert json.loads(evertick("board", "--json", cwd=folder, env=against).stdout)["quotes"]
    made = evertick("report", "make", "--json", cwd=folder, env=against)
    assert made.returncode == 0, made.stderr
    shown = evertick("report", "show", "--json", cwd=folder, env=against)
    assert json.loads(shown.stdout)["id"] == json.loads(made.stdout)["id"]
    checked = evertick("doctor", "--json", cwd=folder, env=against)
    assert checked.returncode == 0, checked.stdout


def test_two_servers_on_one_data_folder(folder: Path, against: Mapping[str, str]) -> None:
    with running("serve", cwd=folder, env=against) as server:
        server.until(lambda: get(f"{server.address()}/healthz"), "server")
        second = evertick("serve", cwd=folder, env=against)
        assert second.returncode == 1
        assert "in use by process" in second.stderr
        assert "Traceback" not in second.stderr
        assert get(f"{server.address()}/healthz")


def test_a_port_in_use(folder: Path, against: Mapping[str, str]) -> None:
    folder.mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answer = evertick("serve", cwd=folder, env={**against, "EVERTICK_PORT": str(taken.getsockname()[1])})
    assert answer.returncode == 2
    assert "cannot listen on" in answer.stderr


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("EVERTICK_INDICES_EVERY", "0", "0"),
        ("EVERTICK_INDICES_EVERY", "often", "often"),
        ("EVERTICK_REPORT_EVERY", "6h..3h", "6h..3h"),
        ("EVERTICK_LOCALES", "xx", "xx"),
        ("EVERTICK_HOST", "0.0.0.0", "API_TOKEN"),
        ("EVERTICK_INDICES_EVRY", "3m", "did you mean"),
        ("EVERTICK_DATABASE_URL", "mysql://root:hunter2@db/x", "DATABASE_URL"),
    ],
)
def test_impossible_settings_stop_the_start(folder: Path, name: str, value: str, says: str) -> None:
    folder.mkdir()
    answer = evertick("serve", cwd=folder, env={name: value})
    assert answer.returncode == 2
    assert says in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "hunter2" not in answer.stderr
    assert not (folder / "evertick-data" / "evertick.db").exists(), "something was started"


@pytest.mark.parametrize("arguments", [["--port", "x"], ["--nothing"]])
def test_wrong_usage(folder: Path, arguments: list[str]) -> None:
    folder.mkdir()
    assert evertick("serve", *arguments, cwd=folder).returncode == 2


def test_connections_and_descriptors_do_not_grow(
    folder: Path, against: Mapping[str, str], redis_process: Server, redis_url: str, postgres_database: str
) -> None:
    import redis

    environment = {
        **against,
        "EVERTICK_INDICES_EVERY": "1s",
        "EVERTICK_REDIS_URL": redis_url,
        "EVERTICK_DATABASE_URL": postgres_database,
    }
    with running("serve", cwd=folder, env=environment) as server, redis.Redis.from_url(redis_url) as observer:
        url = server.address()

        def done(job: str, n: int) -> bool:
            return len(list(get(f"{url}/api/v1/memory/receipts?limit=100&job={job}")["items"])) >= n

        def report() -> None:
            made = post(f"{url}/api/v1/reports")["id"]
            server.until(lambda: get(f"{url}/api/v1/jobs/{made}")["state"] == "done", "report")

        report()
        server.until(lambda: done("refresh_indices", 5), "warm-up")
        fds, clients = len(descriptors(server.process.pid)), len(observer.client_list())
        pools = get(f"{url}/api/v1/memory")["connections"]
        while not done("refresh_indices", 20):  # beside those of the schedule
            post(f"{url}/api/v1/indices/refresh")
        report()
        report()
        assert done("save_report", 3)
        # A pool may have needed a few more at a time, for good; what leaks would be one more for each of 17 runs.
        more = 8
        assert len(descriptors(server.process.pid)) <= fds + more
        assert len(observer.client_list()) <= clients + more
        server.until(lambda: get(f"{url}/api/v1/memory")["connections"] <= pools + more, "pools as they were")
        kept = [
            r
            for r in get(f"{url}/api/v1/memory/receipts?limit=100")["items"]
            if r["outcome"] == "ok" and not r["overlapped"]
        ]
        assert max(r["fds_delta"] for r in kept[:10]) <= 12  # the pools, as far as they were not open yet
        assert json.loads(observer.get("evertick:market_indices"))["quotes"]
        assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.output


def test_redis_goes_and_comes_back(folder: Path, against: Mapping[str, str], tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis:
        environment = {
            **against,
            "EVERTICK_INDICES_EVERY": "1s",
            "EVERTICK_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0",
        }
        with running("serve", cwd=folder, env=environment) as server:
            url = server.address()
            server.until(lambda: get(f"{url}/api/v1/indices")["quotes"], "snapshot")
            redis.kill()
            server.until(lambda: fetch(f"{url}/readyz")[0] == 503, "not ready")
            assert fetch(f"{url}/healthz")[0] == 200
            status, _, body = fetch(f"{url}/api/v1/indices")
            assert status == 200
            assert json.loads(body)["quotes"], "what was known is shown with its age while Redis is away"
            board = next(c for c in json.loads(fetch(f"{url}/readyz")[2])["checks"] if c["name"] == "board")
            assert not board["ok"]
            assert "Redis" in board["detail"]
            redis.start()
            server.until(lambda: fetch(f"{url}/readyz")[0] == 200, "ready again")
            server.until(lambda: get(f"{url}/api/v1/indices")["quotes"], "snapshot again")
            assert server.stop(signal.SIGTERM) == 0


def test_a_token_guards_what_changes_something(folder: Path, against: Mapping[str, str]) -> None:
    token = "a-token-for-this-test"
    with running("serve", cwd=folder, env={**against, "EVERTICK_API_TOKEN": token}) as server:
        url = server.address()
        server.until(lambda: get(f"{url}/healthz"), "server")
        assert fetch(f"{url}/api/v1/indices")[0] == 200
        with pytest.raises(Exception, match="401"):
            post(f"{url}/api/v1/indices/refresh")
        assert post(f"{url}/api/v1/indices/refresh", Authorization=f"Bearer {token}")["quotes"]
        assert evertick("poll", "--json", cwd=folder, env={**against, "EVERTICK_API_TOKEN": token}).returncode == 0
        assert server.stop() == 0
    assert token not in server.output

"""Two replicas of the pages behind the nginx site of deploy/, and a worker: one server to whoever looks from outside."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance.load import load
from acceptance.processes import Running, fetch, get, post, running
from servers import free_port

SITE = Path(__file__).parents[2] / "deploy" / "nginx" / "evertick.conf"
TOKEN = "a-token-for-all-replicas"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Replica:
    """One that can be stopped and started again on its port."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder, self.environment = folder, environment
        self.process: Running

    def start(self) -> None:
        arguments = ("serve", "--roles", "web,schedule", "--port", str(self.port), "--data", str(self.folder))
        self.process = Running(*arguments, cwd=self.folder, env=self.environment)
        self.process.until(lambda: fetch(f"{self.url}/readyz")[0] == 200, "readiness")

    def restart(self) -> None:
        assert self.process.stop(signal.SIGTERM) == 0
        assert "Traceback" not in self.process.output
        self.start()


@dataclass
class Deployment:
    replicas: tuple[Replica, Replica]
    worker: Running
    front: str
    """The address of nginx."""


@contextlib.contextmanager
def nginx(folder: Path, replicas: tuple[Replica, Replica]) -> Iterator[str]:
    """The site as it is delivered, but for its ports."""
    port = free_port()
    site = SITE.read_text().replace("listen 80;", f"listen 127.0.0.1:{port};")
    for place, replica in zip(("127.0.0.1:8001", "127.0.0.1:8002"), replicas, strict=True):
        assert site.count(f"server {place} ") == 1
        site = site.replace(f"server {place} ", f"server 127.0.0.1:{replica.port} ")
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{site}\n}}\n"
    )
    program = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    assert program, "nginx is missing; make test installs it"
    process = subprocess.Popen(
        [program, "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                if fetch(f"{url}/healthz")[0] == 200:
                    break
            assert process.poll() is None and time.monotonic() < deadline, (folder / "error.log").read_text()
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def deployment(
    tmp_path: Path, against: Mapping[str, str], postgres_database: str, redis_url: str
) -> Iterator[Deployment]:
    shared = {
        **{name: value for name, value in against.items() if name != "EVERTICK_PORT"},
        "EVERTICK_MODE": "distributed",
        "EVERTICK_DATABASE_URL": postgres_database,
        "EVERTICK_REDIS_URL": redis_url,
        "EVERTICK_API_TOKEN": TOKEN,
    }
    replicas = (Replica(tmp_path / "a", shared), Replica(tmp_path / "b", shared))
    with contextlib.ExitStack() as stack:
        for replica in replicas:
            replica.start()
            stack.callback(lambda r=replica: r.process.stop(signal.SIGTERM))
        worker = stack.enter_context(running("worker", "--data", str(tmp_path / "w"), cwd=tmp_path / "w", env=shared))
        stack.callback(lambda: worker.stop(signal.SIGTERM))
        (tmp_path / "nginx").mkdir()
        front = stack.enter_context(nginx(tmp_path / "nginx", replicas))
        replicas[0].process.until(lambda: get(f"{front}/api/v1/indices")["quotes"], "quotes")
        yield Deployment(replicas, worker, front)


class Stream:
    """The events of one stream as they come."""

    def __init__(self, url: str, event: str) -> None:
        self._coming: queue.Queue[Any] = queue.Queue()
        self._answer = urllib.request.urlopen(urllib.request.Request(url), timeout=60)
        self._event = event
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        name = ""
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            for line in self._answer:
                field, _, value = line.decode().rstrip("\n").partition(": ")
                name = value if field == "event" else name
                if field == "data" and name == self._event:
                    self._coming.put(json.loads(value))
        self._coming.put(None)

    def next(self) -> Any:
        return self._coming.get(timeout=60)

    def rest(self) -> list[Any]:
        """All events up to the end of the stream."""
        return list(iter(self.next, None))


def signed_in(url: str) -> tuple[str, str]:
    """``(cookie, csrf)`` of a session made on this replica."""
    form = urllib.parse.urlencode({"token": TOKEN}).encode()

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: Any) -> None:
            return None

    try:
        urllib.request.build_opener(Stay).open(f"{url}/login", form, timeout=20)
    except urllib.error.HTTPError as answer:
        assert answer.code in (302, 303)
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
    status, _, page = fetch(f"{url}/", Cookie=cookie)
    assert status == 200
    return cookie, page.decode().partition('data-csrf="')[2].partition('"')[0]


@pytest.mark.long
def test_replicas_are_one_server(deployment: Deployment) -> None:
    a, b = (replica.url for replica in deployment.replicas)
    front = deployment.front

    # The board, and its events: a refresh asked for on one shows on the other, and through nginx without waiting.
    streams = [Stream(f"{url}/api/v1/indices/stream", "indices") for url in (b, front)]
    before = [stream.next()["as_of"] for stream in streams]
    refreshed = post(f"{a}/api/v1/indices/refresh", **BEARER)
    for stream, old in zip(streams, before, strict=True):
        assert old < refreshed["as_of"] <= stream.next()["as_of"]
    assert get(f"{b}/api/v1/indices")["as_of"] >= refreshed["as_of"]

    # A report asked for on one, made by the worker, is live on the other.
    job = post(f"{a}/api/v1/reports", **BEARER)
    told = Stream(f"{b}/api/v1/jobs/{job['id']}/stream", "job").rest()
    assert told[-1]["state"] == "done" and told[-1]["result"]["report"]
    shares = [event["progress"]["done"] for event in told if event["progress"]]
    assert len(set(shares)) >= 2 and shares == sorted(shares), "progress while it runs elsewhere"
    report = told[-1]["result"]["report"]
    page = f"/reports/{report}/vi"
    stored = [fetch(f"{url}{page}", **{"Accept-Encoding": "gzip"}) for url in (a, b, front)]
    assert {status for status, _, _ in stored} == {200} and len({body for _, _, body in stored}) == 1
    tags = {(headers["etag"], headers["content-encoding"]) for _, headers, _ in stored}
    ((tag, coding),) = tags
    assert coding == "gzip" and not tag.startswith("W/"), "as it is stored, also through nginx"
    assert fetch(f"{front}{page}", **{"Accept-Encoding": "gzip", "If-None-Match": tag})[0] == 304
    assert fetch(f"{front}/metrics")[0] == 404

    # A session made on one is one on the other.
    cookie, csrf = signed_in(a)
    assert csrf
    assert post(f"{b}/api/v1/indices/refresh", Cookie=cookie, **{"X-CSRF-Token": csrf})["as_of"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(f"{b}/api/v1/indices/refresh", Cookie=cookie[:-3] + "xxx", **{"X-CSRF-Token": csrf})
    assert refused.value.code == 401

    # A rolling restart under load: nobody notices, whoever changes something neither.
    posts: list[str] = []
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            try:
                pinned = post(f"{front}/api/v1/reports/{report}/pin", **BEARER)
                posts.append("" if pinned["pinned"] else str(pinned))
            except (OSError, http.client.HTTPException) as error:
                posts.append(repr(error))
            done.wait(0.02)

    changing = threading.Thread(target=change, daemon=True)
    with load(front, ["/", "/api/v1/indices", page, "/reports", "/healthz"], clients=6) as asked:
        changing.start()
        for replica in deployment.replicas:
            asked_before, changed_before = asked.answered, len(posts)
            replica.restart()

            def well(asked_before: int = asked_before, changed_before: int = changed_before) -> bool:
                return asked.answered > asked_before + 50 and len(posts) > changed_before + 10

            deployment.worker.until(well, "answers after the restart")
        done.set()
        changing.join(60)
    assert asked.failed == []
    assert [p for p in posts if p] == []
    assert "Traceback" not in deployment.worker.output

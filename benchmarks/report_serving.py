"""How fast stored reports are served, beside nginx, and how long others wait while a report is made: parts of benchmarks/reports.py."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from row import Row
from serve import latencies, p99

from acceptance.processes import Running, fetch, get, post
from evertick.simulator import base_urls

GROUP = "reports"
CONNECTIONS = 8
P99_TIMES = 5.0

LUA = """
local paths = {%s}
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", paths[n %% #paths + 1])
end
"""

NGINX = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  types {{ text/html html; }}
  server {{
    listen 127.0.0.1:{port};
    root {folder}/www;
    gzip_static on;
    etag on;
  }}
}}
"""


# --- stored pages beside nginx ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Site:
    url: str
    paths: Sequence[str]
    etag: str


def serving(folder: Path, reports: Sequence[str], quick: bool) -> Iterator[Row]:
    """``folder`` holds the database with ``reports``."""
    if shutil.which("nginx") is None:
        yield Row(GROUP, "stored pages", None, None, "1/s", "nginx", note="run: apt-get install nginx-light")
        return
    seconds = 1 if quick else 5
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(evertick(folder, reports))
        theirs = stack.enter_context(nginx(folder / "nginx", ours))
        by = "wrk" if shutil.which("wrk") else "threads of Python; install wrk"
        for what, paths, tag, aim in (
            ("hot: one page again and again", 1, False, 0.8),
            (f"cold: {len(ours.paths)} pages in turn", len(ours.paths), False, 0.4),
            ("If-None-Match, unchanged", 1, True, None),
        ):
            both: list[list[float]] = [[], []]
            for _ in range(1 if quick else 3):
                for place, site in enumerate((ours, theirs)):
                    both[place].append(load(folder, site, paths, seconds, site.etag if tag else None))
            mine, others = (round(statistics.median(rates), 1) for rates in both)
            yield Row(
                GROUP,
                what,
                mine,
                others,
                "1/s",
                "nginx with gzip_static",
                aim,
                True,
                f"{CONNECTIONS} connections, {by}",
            )


@contextlib.contextmanager
def evertick(folder: Path, reports: Sequence[str]) -> Iterator[Site]:
    """A server over the database in ``folder`` that serves and makes nothing."""
    environment = {
        "EVERTICK_PORT": "0", "EVERTICK_ROLES": "web", "EVERTICK_DATA_DIR": str(folder),
        "EVERTICK_DATABASE_URL": f"sqlite:///{folder / 'evertick.db'}", "EVERTICK_MEMORY_LIMIT": "1G",
    }  # fmt: skip
    server = Running("serve", cwd=folder / "serve", env=environment)
    try:
        url = server.address()
        server.until(lambda: get(f"{url}/healthz"), "health")
        paths = [f"/reports/{id}/{language}" for id in reports for language in ("vi", "en")]
        status, headers, _ = fetch(url + paths[0], **{"Accept-Encoding": "gzip"})
        if status != 200:
            raise RuntimeError(f"{paths[0]} answered {status}")
        yield Site(url, paths, headers["etag"])
    finally:
        server.kill()


@contextlib.contextmanager
def nginx(folder: Path, ours: Site) -> Iterator[Site]:
    """The same bytes from files."""
    www = folder / "www"
    www.mkdir(parents=True)
    for n, path in enumerate(ours.paths):
        _, _, body = fetch(ours.url + path, **{"Accept-Encoding": "gzip"})
        (www / f"{n}.html.gz").write_bytes(body)
        (www / f"{n}.html").write_text("")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = "user root;" if os.getuid() == 0 else ""  # its worker is to read a folder that is ours alone
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, user=user))
    process = subprocess.Popen(
        ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)], stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(100):
            with contextlib.suppress(OSError):
                _, headers, body = fetch(f"{url}/0.html", **{"Accept-Encoding": "gzip"})
                break
            time.sleep(0.05)
        if not body:
            raise RuntimeError("nginx does not serve the stored bytes")
        yield Site(url, [f"/{n}.html" for n in range(len(ours.paths))], headers["ETag"])
    finally:
        process.terminate()
        process.wait(10)


def load(folder: Path, site: Site, paths: int, seconds: int, etag: str | None) -> float:
    """Requests a second over keep-alive connections."""
    asked = site.paths[:paths]
    if shutil.which("wrk") is None:
        return by_python(site.url, asked, seconds, etag)
    script = folder / "paths.lua"
    script.write_text(LUA % ", ".join(f'"{path}"' for path in asked))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-H", "Accept-Encoding: gzip", "-s", str(script)]
    if etag:
        command += ["-H", f"If-None-Match: {etag}"]
    said = subprocess.run([*command, site.url], capture_output=True, text=True, check=True).stdout
    if wrong := re.search(r"Non-2xx or 3xx responses: (\d+)", said):
        raise RuntimeError(f"{site.url}: {wrong[0]}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None:
        raise RuntimeError(said)
    return float(found[1])


def by_python(url: str, paths: Sequence[str], seconds: int, etag: str | None) -> float:
    end = time.monotonic() + seconds
    counts = [0] * CONNECTIONS

    def ask(place: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        headers = {"Accept-Encoding": "gzip"} | ({"If-None-Match": etag} if etag else {})
        while time.monotonic() < end:
            connection.request("GET", paths[(place + counts[place]) % len(paths)], headers=headers)
            connection.getresponse().read()
            counts[place] += 1

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


# --- who waits while a report is made --------------------------------------------------------------------------------


def latency(folder: Path, quick: bool) -> Iterator[Row]:
    with contextlib.ExitStack() as stack:
        simulator = Running("simulate", "--port", "0", cwd=folder / "simulator")
        stack.callback(simulator.kill)
        urls = base_urls(simulator.address())
        sources = {f"EVERTICK_SOURCES__{name.upper()}__BASE_URL": url for name, url in urls.items()}
        server = Running(
            "serve", cwd=folder / "desk", env={"EVERTICK_PORT": "0", "EVERTICK_MEMORY_LIMIT": "1G", **sources}
        )
        stack.callback(server.kill)
        url = server.address()
        server.until(lambda: get(f"{url}/readyz"), "readiness")
        server.until(lambda: get(f"{url}/api/v1/indices")["quotes"], "quotes")
        made(server, url)  # the first one fetches two years of bars of every instrument
        idle = latencies(url, lambda n: n >= (300 if quick else 1_500))
        busy: list[float] = []
        for _ in range(1 if quick else 3):
            job = post(f"{url}/api/v1/reports")
            state = {"state": "due"}

            def over(n: int, job: dict[str, str] = job, state: dict[str, str] = state) -> bool:
                if n % 20 == 0:
                    state.update(get(f"{url}/api/v1/jobs/{job['id']}"))
                return state["state"] in ("done", "failed")

            busy += latencies(url, over)
    yield Row(
        GROUP, "p99 of GET /api/v1/indices during a report", round(p99(busy) * 1000, 2), round(p99(idle) * 1000, 2), "ms",
        "the same while nothing runs", P99_TIMES,
        note=f"{len(busy)} requests, the longest {max(busy) * 1000:.1f} ms; median {statistics.median(busy) * 1000:.2f}",
    )  # fmt: skip


def made(server: Running, url: str) -> None:
    job = post(f"{url}/api/v1/reports")
    server.until(lambda: get(f"{url}/api/v1/jobs/{job['id']}")["state"] in ("done", "failed"), "report")

"""Measures a running ``evertick serve`` from outside: start, memory at rest, growth over many runs, latency, descriptors.

    .venv/bin/python benchmarks/serve.py                       embedded: SQLite, embedded board
    .venv/bin/python benchmarks/serve.py --servers             with a Redis and a PostgreSQL of its own
    .venv/bin/python benchmarks/serve.py --refreshes 60 --reports 2 --rest 10      a short look

The upstream is the bundled simulator in a process of its own. Prints a table and, with ``--json FILE``, the same as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from row import Row

from acceptance.processes import Running, descriptors, get, post
from evertick.simulator import base_urls
from servers import postgres_server, redis_server

IMPORTS = (
    "import asyncio, ssl, uvloop, httptools, structlog, pydantic_settings, fastapi, uvicorn, httpx2, stamina, aiolimiter, "
    "aiosqlite, sqlalchemy.ext.asyncio, jinja2, babel.numbers, isal.igzip, prometheus_client"
)
SERVERS = ", redis.asyncio, psycopg"


def rss(pid: int) -> int:
    return status(pid, "VmRSS")


def status(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    raise KeyError(field)


def bare_import(with_servers: bool) -> int:
    """RSS of a process that imports the same libraries and does nothing, after a collection and a trim."""
    import subprocess

    trim = "; import gc, ctypes; gc.collect(); ctypes.CDLL(None).malloc_trim(0)"
    tell = "; print(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1])"
    code = IMPORTS + (SERVERS if with_servers else "") + trim + tell
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) << 10


class Client:
    """One keep-alive connection, so that what is timed is the server."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)

    def time(self, path: str) -> float:
        began = time.perf_counter()
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}")
        return time.perf_counter() - began


def latencies(url: str, until: Any, pause: float = 0.002) -> list[float]:
    client = Client(url)
    found = []
    while not until(len(found)):
        found.append(client.time("/api/v1/indices"))
        time.sleep(pause)
    return found


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)] if values else float("nan")


def count(url: str, job: str) -> int:
    """Runs of a job so far, from the metrics."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return int(
        sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith("evertick_job_runs_total") and f'job="{job}"' in line
        )
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--servers", action="store_true", help="with Redis and PostgreSQL")
    options.add_argument("--refreshes", type=int, default=480)
    options.add_argument("--reports", type=int, default=8)
    options.add_argument("--rest", type=float, default=60, help="seconds after the start at which RSS is read")
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    with contextlib.ExitStack() as stack:
        figures = measure(stack, chosen)
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value}")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


GROUP = "serve"
STEADY_MB = {False: 85.0, True: 105.0}
"""The limits of docs/explanation/memory.md, embedded and with servers."""


def rows(quick: bool) -> Iterator[Row]:
    for servers in (False, True):
        chosen = argparse.Namespace(
            servers=servers, refreshes=60 if quick else 120, reports=2 if quick else 4, rest=10 if quick else 60
        )
        with contextlib.ExitStack() as stack:
            found = measure(stack, chosen)
        mode = found["mode"]
        resting, bare = found[f"rss_mb_after_{chosen.rest:g}s"], found["rss_mb_of_bare_imports"]
        yield Row(
            GROUP,
            f"{mode}: RSS {chosen.rest:g} s after the start",
            resting,
            bare,
            "MiB",
            "importing the same libraries",
            1.1,
        )
        yield Row(
            GROUP, f"{mode}: RSS {chosen.rest:g} s after the start", resting, STEADY_MB[servers], "MiB", "limit", 1.0
        )
        yield Row(GROUP, f"{mode}: start to ready", found["ready_s"], 2.0, "s", "limit", 1.0)
        last = found[f"rss_mb_after_{chosen.refreshes}_refreshes_{chosen.reports}_reports"]
        first = found["rss_mb_after_50_refreshes_2_reports"]
        yield Row(
            GROUP, f"{mode}: RSS after {chosen.refreshes} refreshes, {chosen.reports} reports", last, first, "MiB",
            "after 50 refreshes, 2 reports", 1.02, note=f"heap {found['heap_growth_kb']:+} KB, descriptors {found['descriptors_growth']:+}",
        )  # fmt: skip
        peaks = found["report_peak_above_before_mb"]
        if peaks:
            yield Row(
                GROUP,
                f"{mode}: peak of a report above the level before",
                max(peaks),
                5.0,
                "MiB",
                "limit",
                1.0,
                note=f"{found['report_mb']} MB stored",
            )
        for when in ("idle", "during_report"):
            what = f"{mode}: p99 of GET /api/v1/indices, {when.replace('_', ' a ')}"
            yield Row(
                GROUP, what, found[f"indices_p99_ms_{when}"], found["indices_p50_ms_idle"], "ms", "its median, idle"
            )
        if found["redis_clients"]:
            before, after = found["redis_clients"]
            yield Row(GROUP, f"{mode}: Redis clients at the end", after, before, "", "after 50 refreshes", 1.0)


def measure(stack: contextlib.ExitStack, chosen: argparse.Namespace) -> dict[str, Any]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    mb = lambda n: round(n / (1 << 20), 2)  # noqa: E731
    simulator = Running("simulate", "--port", "0", cwd=folder / "simulator")
    stack.callback(simulator.kill)
    upstream = simulator.address()
    environment = {
        "EVERTICK_PORT": "0",
        "EVERTICK_INDICES_EVERY": "1s",
        "EVERTICK_REPORT_EVERY": f"{max(2, chosen.refreshes // max(chosen.reports, 1))}s",
        "EVERTICK_LOG_FORMAT": "json",
        **{f"EVERTICK_SOURCES__{name.upper()}__BASE_URL": url for name, url in base_urls(upstream).items()},
    }
    clients = None
    if chosen.servers:
        import redis

        redis_process = stack.enter_context(redis_server(folder))
        postgres = stack.enter_context(postgres_server(folder))
        environment["EVERTICK_REDIS_URL"] = f"redis://127.0.0.1:{redis_process.port}/0"
        environment["EVERTICK_DATABASE_URL"] = f"postgresql://evertick@127.0.0.1:{postgres.port}/postgres"
        observer = stack.enter_context(redis.Redis.from_url(environment["EVERTICK_REDIS_URL"]))
        clients = lambda: len(observer.client_list()) - 1  # noqa: E731

    # Once to make the database; what is timed is the start of a server that has run before, at the usual intervals.
    usual = {**environment, "EVERTICK_INDICES_EVERY": "3m", "EVERTICK_REPORT_EVERY": "3h..6h"}
    first = Running("serve", cwd=folder / "desk", env=usual)
    stack.callback(first.kill)
    first.until(lambda: get(f"{first.address()}/readyz"), "readiness")
    first.stop()
    began = time.perf_counter()
    server = Running("serve", cwd=folder / "desk", env=usual)
    stack.callback(server.kill)
    url = server.address()
    server.until(lambda: get(f"{url}/readyz"), "readiness")
    ready = time.perf_counter() - began
    pid = server.process.pid
    time.sleep(max(0, chosen.rest - ready))
    figures: dict[str, Any] = {
        "mode": "Redis + PostgreSQL" if chosen.servers else "embedded",
        "ready_s": round(ready, 2),
        f"rss_mb_after_{chosen.rest:g}s": mb(rss(pid)),
        "rss_mb_of_bare_imports": mb(bare_import(chosen.servers)),
    }

    idle = latencies(url, lambda n: n >= 1500)
    job = post(f"{url}/api/v1/reports")
    state = {"state": "due"}

    def over(n: int) -> bool:
        if n % 10 == 0:
            state.update(get(f"{url}/api/v1/jobs/{job['id']}"))
        return state["state"] in ("done", "failed")

    # The first report fetches two years of bars for every instrument; the second is the usual one.
    latencies(url, over)
    job = post(f"{url}/api/v1/reports")
    state["state"] = "due"
    busy = latencies(url, over)
    # At the usual intervals nothing runs beside these, so that what a report keeps can be told.
    for _ in range(3):
        ordered = post(f"{url}/api/v1/reports")
        server.until(lambda: get(f"{url}/api/v1/jobs/{ordered['id']}")["state"] == "done", "report")  # noqa: B023
    alone = [r for r in get(f"{url}/api/v1/memory/receipts?limit=3&job=save_report")["items"] if not r["overlapped"]]
    figures |= {
        "indices_p50_ms_idle": round(statistics.median(idle) * 1000, 2),
        "indices_p99_ms_idle": round(p99(idle) * 1000, 2),
        "indices_p99_ms_during_report": round(p99(busy) * 1000, 2),
        "indices_max_ms_during_report": round(max(busy) * 1000, 2),
        "requests_during_report": len(busy),
        "report_retained_heap_bytes": [r["retained"] for r in alone],
        "report_peak_above_before_mb": [mb(r["peak_rss"] - r["rss_before"]) for r in alone],
    }
    server.stop()

    server = Running("serve", cwd=folder / "desk", env=environment)
    stack.callback(server.kill)
    url = server.address()
    pid = server.process.pid
    wait(server, url, 50, 2)
    rss_before, fds_before = rss(pid), len(descriptors(pid))
    heap_before = get(f"{url}/api/v1/memory")["heap"]
    clients_before = clients() if clients else None
    wait(server, url, chosen.refreshes, chosen.reports)
    time.sleep(2)
    rss_after, fds_after = rss(pid), len(descriptors(pid))
    heap_after = get(f"{url}/api/v1/memory")["heap"]
    latest = get(f"{url}/api/v1/reports?limit=1")["items"][0]
    figures |= {
        "rss_mb_after_50_refreshes_2_reports": mb(rss_before),
        f"rss_mb_after_{chosen.refreshes}_refreshes_{chosen.reports}_reports": mb(rss_after),
        "rss_growth_mb": round((rss_after - rss_before) / (1 << 20), 3),
        "heap_growth_kb": round((heap_after - heap_before) / 1024, 1),
        "descriptors_growth": fds_after - fds_before,
        "redis_clients": None if clients is None else [clients_before, clients()],
        "report_mb": round(latest["size"] / 1e6, 2),
        "report_s": latest["duration_s"],
    }
    figures["exit_code"] = server.stop()
    return figures


def wait(server: Running, url: str, refreshes: int, reports: int) -> None:
    while count(url, "refresh_indices") < refreshes or count(url, "save_report") < reports:
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended:\n{server.output[-4000:]}")
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{count(url, 'refresh_indices')} refreshes, {count(url, 'save_report')} reports ")
            sys.stderr.flush()
        time.sleep(1)


if __name__ == "__main__":
    main()

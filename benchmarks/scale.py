"""How it grows: instruments, archived reports, readers and stream clients, from few to very many; plotted.

    make scale                                          all four, about 20 minutes, into docs/figures/
    make scale ARGS="--only streams --only readers"     some of them; the others in scale.json stay
    make scale ARGS="--quick --out /tmp"                a short look

instruments  a refresh of so many synthetic instruments from the simulator into Redis (sources.py), and one report of so many with two
             years of bars by the real workflow in a process that made one before (market.py). Seconds of a report are CPU seconds.
archive      a database of so many published reports: one real report of 10 instruments, copied with all its rows and bytes under other
             ids and times. Then ``evertick serve`` is started on it: time to ready, pages of 20 and 50, one report, RSS, bytes on the disk.
readers      so many readers over kept connections, each asking for all quotes once in two seconds, measured from the moment that the
             question was due. First the server as it is (1,000 connections), then with that limit lifted (scale_server.py).
streams      so many clients of the event stream; how long an update takes from the first of them to the last. As it is (200 places),
             then lifted.

Servers, clients and simulator share the machine. RSS is the server's. Writes scale.json and an SVG for each curve.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from scale_load import Crowd, quantile, readers
from scale_plot import drawn, slope
from serve import Client, status

from acceptance.processes import Running, environment, get, post, running
from evertick.simulator import base_urls

HERE = Path(__file__).resolve().parent
MB = 1 << 20
NAMES = ("instruments", "archive", "readers", "streams")
INSTRUMENTS = (10, 100, 407, 1_000, 4_000, 10_000, 40_000)
REPORTS = (10, 100, 1_000, 10_000, 100_000)
SHORT = gzip.compress(b"<!doctype html><title>A short page</title>", mtime=0)
SHORT_META = {"size": 42, "stored": len(SHORT), "sha256": hashlib.sha256(SHORT).hexdigest()}
WHOLE = 10_000
"""Of so many the pages are copied whole; those beyond hold a short page each, or the largest would take the disk: 170 KB a report."""
CLIENTS = (1, 10, 100, 200, 500, 1_000, 2_000)
LIFTED = "20000", "20000"
OUT = HERE.parent / "docs" / "figures"


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


# --- instruments -----------------------------------------------------------------------------------------------------


def instruments(quick: bool) -> Iterator[dict[str, Any]]:
    import uvloop
    from sources import refresh, silence

    from servers import redis_server

    silence()
    for count in INSTRUMENTS[:4] if quick else INSTRUMENTS:
        with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as server:
            one = uvloop.run(refresh(count, 5 if count <= 1_000 else 2, f"redis://127.0.0.1:{server.port}/0"))
            found = {"count": count} | {k: one[k] for k in ("quotes", "requests")}
            found |= {"refresh_ms": one["ms"], "bare_ms": one["bare_ms"], "refresh_cpu_ms": one["cpu_ms"]["ours"]}
            command = [sys.executable, str(HERE / "market.py")]
            subprocess.run([*command, "prepare", name, str(count)], check=True)
            made = subprocess.run([*command, "make", name, str(count), "1"], check=True, stdout=subprocess.PIPE)
        run = json.loads(made.stdout)["runs"][0]
        yield found | {
            "report_cpu_s": run["cpu"], "report_s": run["seconds"], "peak_mb": run["peak"] / MB, "steady_mb": run["steady"] / MB,
            "html_mb": run["html"] / 1e6, "stored_mb": run["stored"] / 1e6,
        }  # fmt: skip


# --- archived reports ------------------------------------------------------------------------------------------------


def archive(quick: bool) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        data.mkdir()
        subprocess.run([sys.executable, str(HERE / "market.py"), "prepare", str(data), "10"], check=True)
        subprocess.run(
            [sys.executable, str(HERE / "market.py"), "make", str(data), "10", "1"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        file, before = data / "evertick.db", (0, 0)
        for count in REPORTS[:3] if quick else REPORTS:
            whole = count <= WHOLE
            stored = multiply(file, count, whole=whole)
            size = file.stat().st_size
            found = {"count": count, "stored_kb": stored / 1024, "disk_mb": size / MB if whole else None}
            if not whole:
                found["kb_a_report_without_its_pages"] = (size - before[1]) / 1024 / (count - before[0])
            before = count, size
            yield found | served(Path(name), data)


def multiply(file: Path, count: int, *, whole: bool) -> float:
    """Copies the newest report until there are ``count``, three hours between two; returns the stored bytes of one."""
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        columns = {
            t: [row[1] for row in db.execute(f"PRAGMA table_info({t})")] for t in ("reports", "report_parts", "slots")
        }
        id, slot, meta, created, stored = db.execute(
            "SELECT id, slot, meta, created, stored FROM reports WHERE state = 'published' ORDER BY created DESC LIMIT 1"
        ).fetchone()
        have = db.execute("SELECT count(*) FROM reports").fetchone()[0]
        first = db.execute("SELECT min(seq) FROM report_parts WHERE report = ?", [id]).fetchone()[0]
        plain = json.loads(meta)
        if not whole:
            plain["parts"] = [part if part["asset"] else part | SHORT_META for part in plain["parts"]]
            plain["facts"] = plain["facts"] and plain["facts"] | SHORT_META
        db.execute("BEGIN")
        for n in range(have, count):
            at = created - n * 10_800_000_000
            when = datetime.fromtimestamp(at / 1e6, UTC)
            new = f"copy-{when:%Y%m%dT%H%M%S}-{n:06}"
            changed = json.dumps(plain | {"id": new, "slot": f"{slot}-{n}", "created": when.isoformat()})
            copy(
                db,
                "reports",
                columns,
                id,
                {"id": new, "slot": f"{slot}-{n}", "created": at, "published": at, "meta": changed},
            )
            copy(
                db,
                "report_parts",
                columns,
                id,
                {"report": new} | ({} if whole else {"body": SHORT}),
                "" if whole else f" AND seq = {first}",
            )
            copy(db, "slots", columns, slot, {"id": f"{slot}-{n}", "due": at, "started": at, "finished": at})
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return float(stored)


def copy(
    db: sqlite3.Connection,
    table: str,
    columns: Mapping[str, Sequence[str]],
    key: str,
    changed: Mapping[str, Any],
    more: str = "",
) -> None:
    names = ", ".join(columns[table])
    values = ", ".join("?" if name in changed else name for name in columns[table])
    given = [changed[name] for name in columns[table] if name in changed]
    of = "report" if table == "report_parts" else "id"
    db.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE {of} = ?{more}", [*given, key])


def served(folder: Path, data: Path) -> dict[str, Any]:
    """What a server on that database needs to start, and to answer."""
    from evertick.sources.listing import sources

    env = {f"EVERTICK_SOURCES__{s.name.upper()}__ENABLED": "false" for s in sources()} | {
        "EVERTICK_PORT": "0", "EVERTICK_DATA_DIR": str(data), "EVERTICK_DATABASE_URL": f"sqlite:///{data / 'evertick.db'}",
        "EVERTICK_ROLES": "web", "EVERTICK_MEMORY_LIMIT": "1G",
    }  # fmt: skip
    began = time.perf_counter()
    with running("serve", cwd=folder / "serve", env=env) as server:
        url = server.address()
        server.until(lambda: get(f"{url}/healthz"), "health")
        ready = time.perf_counter() - began
        pid, client = server.process.pid, Client(url)
        found = {"start_s": ready, "start_cpu_s": cpu_s(pid), "first_list_ms": client.time("/reports") * 1e3}

        def asked(name: str, path: str, times: int = 100) -> None:
            before = cpu_s(pid)
            taken = [client.time(path) for _ in range(times)]
            found[f"{name}_ms"] = quantile(taken, 0.5) * 1e3
            found[f"{name}_cpu_ms"] = (cpu_s(pid) - before) / times * 1e3

        asked("list", "/reports")
        asked("api_list", "/api/v1/reports?limit=50")
        page, cursor = get(f"{url}/api/v1/reports?limit=50"), None
        for _ in range(20):  # twenty pages on, as far as there are any
            if page["next"] is None:
                break
            cursor = page["next"]
            page = get(f"{url}/api/v1/reports?limit=50&cursor={cursor}")
        if cursor:
            asked("deep_list", f"/api/v1/reports?limit=50&cursor={cursor}")
        last = page["items"][-1]
        asked("read", f"/reports/{last['id']}/{last['languages'][0]}", 40)
        return found | {"rss_mb": status(pid, "VmRSS") / MB}


# --- readers and streams ---------------------------------------------------------------------------------------------


@contextmanager
def server(lifted: bool) -> Iterator[tuple[Running, str]]:
    """One with the quotes of the whole universe, which refreshes when it is told to."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        simulator = stack.enter_context(running("simulate", "--port", "0", cwd=folder / "simulator"))
        env = {f"EVERTICK_SOURCES__{n.upper()}__BASE_URL": u for n, u in base_urls(simulator.address()).items()} | {
            "EVERTICK_PORT": "0", "EVERTICK_INDICES_EVERY": "12h", "EVERTICK_REPORT_EVERY": "90d", "EVERTICK_MEMORY_LIMIT": "4G",
            "EVERTICK_LOG_LEVEL": "warning",
        }  # fmt: skip
        if lifted:
            one = Lifted(cwd=folder / "desk", env=env)
            stack.callback(one.kill)
        else:
            one = stack.enter_context(running("serve", cwd=folder / "desk", env=env))
        file = folder / "desk" / "evertick-data" / "server.json"
        one.until(file.exists, "a start")
        url = json.loads(file.read_text())["url"]
        one.until(lambda: get(f"{url}/api/v1/indices")["quotes"], "quotes")
        job = post(f"{url}/api/v1/reports")  # the first report adds some MiB for good
        one.until(lambda: get(f"{url}/api/v1/jobs/{job['id']}")["state"] in ("done", "failed"), "report")
        yield one, url


class Lifted(Running):
    def __init__(self, *, cwd: Path, env: Mapping[str, str]) -> None:
        cwd.mkdir(parents=True, exist_ok=True)
        self.log = cwd / "log.txt"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "scale_server.py"), *LIFTED],
                cwd=cwd, env=environment(**env), stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip


def reading(quick: bool) -> Iterator[dict[str, Any]]:
    for lifted in (False, True):
        with server(lifted) as (one, url):
            for count in counts(quick, lifted, below=1_000):
                seconds = 4 if quick else 10
                cpu = cpu_s(one.process.pid)
                found = asyncio.run(readers(url, count, seconds))
                found["server_cpu"] = (cpu_s(one.process.pid) - cpu) / seconds
                yield (
                    {"count": count, "lifted": lifted}
                    | found
                    | {
                        "rss_mb": status(one.process.pid, "VmRSS") / MB,
                        "peak_mb": status(one.process.pid, "VmHWM") / MB,
                    }
                )


def counts(quick: bool, lifted: bool, below: int) -> Sequence[int]:
    """With the limit lifted only what is near it and beyond."""
    every = CLIENTS[:5] if quick else CLIENTS
    return tuple(n for n in every if n >= below) if lifted else every


def cpu_s(pid: int) -> float:
    """Processor seconds of all its threads, to the microsecond; other work on the machine does not lengthen them."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def streaming(quick: bool) -> Iterator[dict[str, Any]]:
    for lifted in (False, True):
        with server(lifted) as (one, url):
            for count in counts(quick, lifted, below=200):
                yield {"count": count, "lifted": lifted} | asyncio.run(crowd(one, url, count, 2 if quick else 3))


async def crowd(one: Running, url: str, count: int, updates: int) -> dict[str, Any]:
    pid = one.process.pid
    before = status(pid, "VmRSS")
    clients = Crowd(url)
    try:
        await clients.gather(count)
        await asyncio.sleep(3 if count > 200 else 1)  # the first document has come to all
        resting = status(pid, "VmRSS")
        late: list[float] = []
        spans: list[float] = []
        cpu = cpu_s(pid)
        for _ in range(updates):
            clients.events.clear()
            await asyncio.sleep(1.1)  # a snapshot is of a second
            began = time.monotonic()
            await asyncio.to_thread(post, f"{url}/api/v1/indices/refresh")
            until = time.monotonic() + 30
            while max(map(len, clients.events.values()), default=0) < clients.open and time.monotonic() < until:
                await asyncio.sleep(0.01)
            times = max(clients.events.values(), key=len, default=[])
            if times:
                late += [at - min(times) for at in times]
                spans.append(max(times) - min(times))
        return {
            "open": clients.open, "refused": clients.refused, "broken": clients.broken,
            "reached": len(late) / updates, "late_p50_ms": quantile(late, 0.5) * 1e3, "late_p99_ms": quantile(late, 0.99) * 1e3,
            "last_ms": max(spans, default=float("nan")) * 1e3, "cpu_ms_an_update": (cpu_s(pid) - cpu) / updates * 1e3,
            "rss_mb": resting / MB, "peak_mb": status(pid, "VmHWM") / MB, "kb_a_client": (resting - before) / 1024 / max(1, clients.open),
            "took_s": time.monotonic() - began,
        }  # fmt: skip
    finally:
        await clients.disperse()
        await asyncio.sleep(1)


# --- all of it -------------------------------------------------------------------------------------------------------

PLAYED: Mapping[str, Callable[[bool], Iterator[dict[str, Any]]]] = {
    "instruments": instruments,
    "archive": archive,
    "readers": reading,
    "streams": streaming,
}
CURVES: Mapping[str, tuple[str, str, str, Mapping[str, str]]] = {
    "instruments-time": ("instruments", "Processor time by instruments", "CPU seconds", {"a refresh": "refresh_cpu_ms", "a report": "report_cpu_s"}),
    "instruments-size": ("instruments", "Size and memory by instruments", "MB", {"HTML made": "html_mb", "stored": "stored_mb", "peak of the report": "peak_mb"}),
    "archive-time": ("archive", "Processor time by archived reports", "CPU ms", {"start to ready": "start_cpu_s", "page of 20": "list_cpu_ms", "API, 50": "api_list_cpu_ms", "20 pages on": "deep_list_cpu_ms", "one report": "read_cpu_ms"}),
    "archive-size": ("archive", "Memory and disk by archived reports", "MB", {"RSS": "rss_mb", "database": "disk_mb"}),
    "readers-time": ("readers", "Answers by readers", "ms", {"p50": "p50_ms", "p99": "p99_ms"}),
    "readers-size": ("readers", "RSS by readers", "MB", {"RSS": "rss_mb", "highest": "peak_mb"}),
    "streams-time": ("streams", "An update by stream clients", "ms", {"half of them have it": "late_p50_ms", "the last has it": "last_ms"}),
    "streams-size": ("streams", "Memory by stream clients", "MB", {"RSS": "rss_mb", "highest": "peak_mb"}),
}  # fmt: skip
FACTORS = {"refresh_cpu_ms": 1e-3, "start_cpu_s": 1e3}
"""To bring two figures of a curve to its unit."""


def points(found: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    """The last measured of each count: where the limit is lifted, that one."""
    by_count = {one["count"]: one[key] for one in found if one.get(key) is not None}
    return [(float(x), float(y) * FACTORS.get(key, 1.0)) for x, y in sorted(by_count.items())]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=NAMES, action="append")
    options.add_argument("--quick", action="store_true")
    options.add_argument("--out", type=Path, default=OUT)
    chosen = options.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two thousand connections here, and in the server
    chosen.out.mkdir(parents=True, exist_ok=True)
    file = chosen.out / "scale.json"
    document: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for name in chosen.only or NAMES:
        say(f"{name} …")
        began, found = time.monotonic(), []
        for one in PLAYED[name](chosen.quick):
            found.append({k: round(v, 4) if isinstance(v, float) else v for k, v in one.items()})
            say("  " + "  ".join(f"{k} {v}" for k, v in found[-1].items()))
            document[name] = told(chosen, found, began)
            write(chosen.out, file, document)  # at once: the largest counts take minutes, and may be interrupted
    print(table(document))


def told(chosen: argparse.Namespace, found: Sequence[Mapping[str, Any]], began: float) -> dict[str, Any]:
    return {
        "points": found, "seconds": round(time.monotonic() - began, 1), "load_average": os.getloadavg(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "quick": chosen.quick, "machine": machine(),
    }  # fmt: skip


def machine() -> dict[str, Any]:
    from evertick.soak.machine import machine as seen

    return dict(seen())


def write(out: Path, file: Path, document: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(document, indent=1) + "\n")
    (out / "scale.txt").write_text(table(document) + "\n")
    across = {"archive": "archived reports", "streams": "stream clients"}
    for curve, (name, title, unit, lines) in CURVES.items():
        drawing = (
            {label: points(document[name]["points"], key) for label, key in lines.items()} if name in document else {}
        )
        if any(y > 0 for line in drawing.values() for _, y in line):  # the first client waits for nobody
            (out / f"scale-{curve}.svg").write_text(drawn(title, across.get(name, name), unit, drawing))


def table(document: Mapping[str, Any]) -> str:
    lines = []
    for name, title, unit, curves in CURVES.values():
        if name not in document:
            continue
        lines += ["", f"{title} ({unit}; in brackets the power of the count by which it grows from the point before)"]
        for label, key in curves.items():
            seen = points(document[name]["points"], key)
            powers = {x2: power for _, x2, power in slope(seen)}
            cells = (f"{x:,.0f}: {y:.3g}" + (f" [{powers[x]:+.2f}]" if x in powers else "") for x, y in seen)
            lines.append(f"  {label:<22}" + "  ".join(cells))
    return "\n".join(lines[1:])


if __name__ == "__main__":
    main()

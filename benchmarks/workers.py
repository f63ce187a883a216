"""Measures a deployment: jobs and reports a second by workers, memory of each process, takeover after kill -9, duplicates.

    .venv/bin/python benchmarks/workers.py                        everything, about 20 minutes
    .venv/bin/python benchmarks/workers.py --quick                a short look
    .venv/bin/python benchmarks/workers.py --only takeover --json workers.json

PostgreSQL and Redis are real, of its own, on the same machine and beside the workers on its cores; PostgreSQL with
fsync off. *Jobs* write one row in a transaction that checks their lease, in worker processes of the tests; *reports* are
made by ``evertick worker`` for desks of 60 instruments in two languages, with the simulator as every provider.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import psycopg
from row import Row

from acceptance.processes import children, get, running
from evertick.archive import Archive, open_archive
from evertick.archive.migrate import upgrade
from evertick.model import SystemClock
from evertick.simulator import base_urls
from evertick.universe import BUILT_IN
from integration.jobs.crew import Crew, Worker, effects, make_effects
from servers import Server, postgres_server, redis_server

SCRIPT = Path(__file__).resolve().parent.parent / "tests" / "integration" / "jobs" / "engine_worker.py"
GROUP = "workers"
LIMIT_MB = 105
"""What a process with Redis and PostgreSQL may hold, see docs/explanation/memory.md."""
TAKEOVER_S = 30.0
LEASE_S = 20.0
"""The default of the distributed mode."""


@contextlib.contextmanager
def postgres() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="evertick-postgres-") as folder, postgres_server(Path(folder)) as server:
        yield server


def database(server: Server, name: str) -> str:
    address = f"postgresql://evertick@127.0.0.1:{server.port}"
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    upgrade(f"{address}/{name}")
    return f"{address}/{name}"


@contextlib.asynccontextmanager
async def deployment(server: Server, name: str) -> AsyncIterator[tuple[Archive, Crew]]:
    url = database(server, name)
    async with open_archive(url, SystemClock()) as archive:
        await make_effects(archive)
        crew = Crew(url, SCRIPT)
        try:
            yield archive, crew
        finally:
            await crew.disband()


async def start(crew: Crew, role: str, **options: Any) -> Worker:
    return await crew.launch(json.dumps({"roles": [role], "lease_s": LEASE_S, **options}))


def rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise KeyError(pid)


# --- jobs a second ---------------------------------------------------------------------------------------------------


async def jobs_a_second(server: Server, workers: int, jobs: int) -> float:
    """``jobs`` slots that are all due, each of a job of its own."""
    async with deployment(server, f"jobs_{workers}") as (archive, crew):
        now = SystemClock().now()
        for n in range(jobs):
            await archive.ledger.submit("default", f"work{n}", {}, now)
        for _ in range(workers):
            await start(crew, "work", jobs=jobs)
        began = time.monotonic()
        await start(crew, "schedule", jobs=jobs)
        while True:
            done = len(await effects(archive))
            if done == jobs:
                return jobs / (time.monotonic() - began)
            await asyncio.sleep(0.1)


# --- takeover --------------------------------------------------------------------------------------------------------


async def takeovers(server: Server, tries: int, lease_s: float) -> list[float]:
    """Seconds from kill -9 of the worker that runs a job to the start of the job on another. Four at a time."""
    found: list[float] = []
    async with deployment(server, f"takeover_{tries}") as (archive, crew):
        await start(crew, "schedule", jobs=tries, lease_s=lease_s)

        async def one(number: int) -> None:
            slot = await archive.ledger.submit("default", f"work{number}", {"first": 600}, SystemClock().now())
            holder = await started(slot.id, 1)
            at = time.monotonic()
            holder.signal(signal.SIGKILL)
            await started(slot.id, 2)
            found.append(time.monotonic() - at)

        async def started(slot: str, token: int) -> Worker:
            while True:
                for worker in crew.workers:
                    if any(e["slot"] == slot and e["token"] == token for e in worker.events("started")):
                        return worker
                await asyncio.sleep(0.02)

        for first in range(0, tries, 4):
            numbers = range(first, min(first + 4, tries))
            alive = sum(w.process.returncode is None for w in crew.workers) - 1
            for _ in range(2 * len(numbers) - alive):
                await start(crew, "work", jobs=tries, lease_s=lease_s, concurrency=1)
            await asyncio.gather(*(one(number) for number in numbers))
    return found


# --- duplicates ------------------------------------------------------------------------------------------------------


async def duplicates(server: Server, slots: int, jobs: int) -> dict[str, int]:
    """Four schedulers plan ``jobs`` schedules of one second until so many slots were run."""
    async with deployment(server, "duplicates") as (archive, crew):
        workers = [await start(crew, "work", jobs=jobs - 1) for _ in range(2)]
        schedulers = [await start(crew, "schedule", jobs=jobs - 1, every="1s") for _ in range(4)]

        def published() -> list[str]:
            return [e["slot"] for w in workers for e in w.events("ended") if e["how"] == "published"]

        while len(published()) < slots:
            await asyncio.sleep(0.5)
        for scheduler in schedulers:
            scheduler.signal(signal.SIGTERM)
            await scheduler.ended()
        await asyncio.sleep(2)
        runs = Counter(published())
        async with archive.engine.connect() as connection:
            rows = await connection.exec_driver_sql("SELECT job, due FROM slots")
            dues = Counter((row.job, row.due) for row in rows)
    return {
        "slots": len(runs),
        "run twice": sum(n - 1 for n in runs.values()),
        "due times twice": sum(n - 1 for n in dues.values()),
    }


# --- reports ---------------------------------------------------------------------------------------------------------


def desks(folder: Path, count: int) -> Path:
    """Settings with ``count`` desks of 60 instruments each, none of which is due by itself."""
    ids = [line.split(",")[0] for line in BUILT_IN.read_text().splitlines() if line.count(",") >= 8][1:61]
    lines = []
    for n in range(count):
        lines += ["[[desk]]", f'id = "d{n}"', f"instruments = {json.dumps(ids)}", 'report_every = "90d"']
    file = folder / "evertick.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


async def reports_a_second(server: Server, workers: int, reports: int) -> tuple[float, list[float]]:
    """Reports a second, and the RSS in MB of each worker afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "redis").mkdir()
        url = database(server, f"reports_{workers}")
        file = desks(folder, reports)
        with redis_server(folder / "redis") as redis, running("simulate", "--port", "0", cwd=folder / "sim") as sim:
            address = await asyncio.to_thread(sim.address)
            env = {f"EVERTICK_SOURCES__{n.upper()}__BASE_URL": u for n, u in base_urls(address).items()} | {
                "EVERTICK_MODE": "distributed", "EVERTICK_DATABASE_URL": url, "EVERTICK_PORT": "0",
                "EVERTICK_REDIS_URL": f"redis://127.0.0.1:{redis.port}/0", "EVERTICK_CONFIG": str(file),
            }  # fmt: skip
            with (
                running("serve", "--roles", "web,schedule", cwd=folder / "web", env=env) as web,
                running("worker", "--processes", str(workers), cwd=folder / "work", env=env) as work,
            ):
                page = await asyncio.to_thread(web.address)
                await asyncio.to_thread(web.until, lambda: get(f"{page}/api/v1/indices")["quotes"], "quotes")
                async with open_archive(url, SystemClock()) as archive:
                    # The first report fetches the bars that all have in common; it is not counted.
                    await made(archive, ["d0"])
                    began = time.monotonic()
                    await made(archive, [f"d{n}" for n in range(1, reports)])
                    took = time.monotonic() - began
                held = [rss_mb(pid) for pid in children(work.process.pid)]
                return (reports - 1) / took, held


async def made(archive: Archive, names: Sequence[str]) -> None:
    """Ask for the reports and wait until all are made. Looks seldom, and at all at once: it measures on the same cores."""
    slots = [await archive.ledger.submit(name, "report", {}, SystemClock().now()) for name in names]
    waiting = {slot.id for slot in slots}
    while waiting:
        await asyncio.sleep(0.25)
        async with archive.engine.connect() as connection:
            rows = await connection.exec_driver_sql(
                "SELECT id, state, error FROM slots WHERE job = 'report' AND state NOT IN ('due', 'leased')"
            )
            for row in rows:
                if row.state != "done":
                    raise RuntimeError(f"{row.id}: {row.error}")
                waiting.discard(row.id)


# --- rows ------------------------------------------------------------------------------------------------------------

PARTS = ("jobs", "reports", "takeover", "duplicates")


def rows(quick: bool, only: Sequence[str] = PARTS) -> Iterator[Row]:
    """Every row as soon as it is measured."""
    cores = f"{os.cpu_count()} cores, servers on the same"
    with postgres() as server:
        if "jobs" in only:
            alone = None
            for workers in (1, 2) if quick else (1, 2, 4):
                rate = asyncio.run(jobs_a_second(server, workers, 200 if quick else 1_000))
                alone = alone or rate
                yield Row(
                    GROUP, f"jobs a second, {workers} workers", rate, alone, "1/s", "one worker", None, True, cores
                )
        if "reports" in only:
            alone = None
            for workers in (1,) if quick else (1, 2, 4):
                rate, held = asyncio.run(reports_a_second(server, workers, 4 if quick else 40))
                alone = alone or rate
                yield Row(
                    GROUP, f"reports a second, {workers} workers", rate, alone, "1/s", "one worker", None, True, cores
                )
                note = "limit of a process with Redis and PostgreSQL"
                yield Row(GROUP, f"RSS of a worker, largest of {workers}", max(held), LIMIT_MB, "MB", note, 1.0)
        if "takeover" in only:
            tries, lease_s = (2, 4.0) if quick else (20, LEASE_S)
            found = asyncio.run(takeovers(server, tries, lease_s))
            note = f"{tries} tries, lease {lease_s:g} s, median {sorted(found)[len(found) // 2]:.1f} s"
            yield Row(GROUP, "takeover after kill -9, worst", max(found), TAKEOVER_S, "s", "aim", 1.0, note=note)
        if "duplicates" in only:
            counted = asyncio.run(duplicates(server, 300 if quick else 10_000, 20 if quick else 60))
            for what in ("run twice", "due times twice"):
                name = f"{what}, 4 schedulers"
                yield Row(GROUP, name, counted[what], counted["slots"], "slots", "slots run", 0.0)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--only", choices=PARTS, action="append")
    options.add_argument("--json", type=Path)
    chosen = options.parse_args()
    found = []
    for row in rows(chosen.quick, chosen.only or PARTS):
        found.append(row)
        met = {True: "ok", False: "MISSED", None: ""}[row.met]
        print(
            f"{row.what:<42} {row.ours:>10.2f} {row.unit:<6} {row.against} {row.theirs:g}  {met}  {row.note}",
            flush=True,
        )
    if chosen.json:
        chosen.json.write_text(json.dumps([row.as_json() for row in found], indent=2) + "\n")


if __name__ == "__main__":
    main()

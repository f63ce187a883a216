"""10,000 jobs that are all due: through our ledger and runner, and through APScheduler with its two kinds of stores.

Each in a process of its own, on a SQLite file (APScheduler's other store: in memory), until every job has run once; the jobs do nothing.
Ours are rows that are claimed under a lease and carry a receipt each, of 500 desks that each have 20 waiting, as many as the ledger takes; APScheduler's are one-off ``date`` jobs
(3.x, in .venv/peers; imported beside our SQLAlchemy). Peak is the high-water mark of RSS above that before the jobs were known.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from row import Row

GROUP = "jobs"
PEERS = Path(__file__).resolve().parent.parent / ".venv" / "peers"
MB = 1 << 20
STORES = {"memory": "APScheduler 3, memory store", "sqlalchemy": "APScheduler 3, SQLAlchemy store on SQLite"}


def rows(quick: bool) -> Iterator[Row]:
    count = 1_000 if quick else 10_000
    if not (PEERS / "bin" / "python").exists():
        yield Row(GROUP, f"{count:,} due jobs", None, None, "s", "APScheduler", note="run: make .venv/peers")
        return
    for store, against in STORES.items():
        few = count if store == "memory" else count // 5  # it commits twice for each job, which takes minutes
        ours, theirs = _child("ours", few), _child(store, few)
        note = f"run once: ours {ours['once']:,}, theirs {theirs['once']:,}"
        yield Row(GROUP, f"{few:,} due jobs, run", ours["seconds"], theirs["seconds"], "s", against, note=note)
        yield Row(GROUP, f"{few:,} jobs, handed in", ours["submit_s"], theirs["submit_s"], "s", against)
        yield Row(GROUP, f"{few:,} jobs, processor in all", ours["cpu"], theirs["cpu"], "CPU s", against)
        yield Row(
            GROUP, f"{few:,} jobs, peak RSS above the start", ours["peak"] / MB, theirs["peak"] / MB, "MiB", against
        )


def _child(way: str, count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, __file__, way, str(count), folder],
            capture_output=True,
            text=True,
            check=False,
            timeout=1_800,
        )
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# --- in a process of its own -----------------------------------------------------------------------------------------


def _measured(found: dict[str, Any], submit_s: float, run_s: float, cpu: float, start: int) -> dict[str, Any]:
    from evertick.memory.gauge import peak_rss

    return found | {
        "submit_s": submit_s,
        "seconds": run_s,
        "cpu": time.process_time() - cpu,
        "peak": (peak_rss() or 0) - start,
    }


async def _ours(count: int, folder: Path) -> dict[str, Any]:
    from evertick import logs
    from evertick.archive import open_archive
    from evertick.archive.ledger import WAITING_LIMIT
    from evertick.archive.migrate import upgrade
    from evertick.jobs.heartbeat import Heartbeat
    from evertick.jobs.runner import JobContext, JobSpec, Runner
    from evertick.memory import Gauge, Keeper, settle
    from evertick.memory.gauge import reset_peak, rss
    from evertick.model import SystemClock

    logs.configure(level="critical")
    url = f"sqlite:///{folder / 'evertick.db'}"
    upgrade(url)
    clock, ran = SystemClock(), dict.fromkeys(range(count), 0)
    ended = asyncio.Event()
    left = count

    async def job(context: JobContext) -> None:
        nonlocal left
        ran[context.params["n"]] += 1
        left -= 1
        if left == 0:
            ended.set()

    async with open_archive(url, clock) as archive:
        keeper = Keeper(Gauge(), sink=archive.receipts.add)
        desks = [f"d{n}" for n in range(count // WAITING_LIMIT)]
        specs = [JobSpec("work", job, desk=desk) for desk in desks]
        settle(keeper.gauge.allocator)
        reset_peak()
        start, cpu, began = rss() or 0, time.process_time(), time.perf_counter()
        due = clock.now() - timedelta(seconds=1)
        for n in range(count):
            await archive.ledger.submit(desks[n % len(desks)], "work", {"n": n}, due)
        middle = time.perf_counter()
        async with (
            Heartbeat(archive.ledger.renewals(), clock) as heartbeat,
            Runner(specs, archive.ledger, keeper.keep, clock, heartbeat=heartbeat),
        ):
            await ended.wait()
        over = time.perf_counter()
        return _measured({"once": sum(n == 1 for n in ran.values())}, middle - began, over - middle, cpu, start)


RAN: dict[int, int] = {}
"""Filled by `_job`, which APScheduler wants to find by its name."""


def _job(n: int) -> None:
    RAN[n] = RAN.get(n, 0) + 1


def _apscheduler(store: str, count: int, folder: Path) -> dict[str, Any]:
    sys.path += [str(p) for p in (PEERS / "lib").glob("python3*/site-packages")]
    import logging

    from apscheduler.events import EVENT_JOB_EXECUTED
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    from evertick.memory.gauge import reset_peak, rss

    logging.disable(logging.CRITICAL)

    async def play() -> dict[str, Any]:
        scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None})
        if store == "sqlalchemy":
            scheduler.add_jobstore("sqlalchemy", url=f"sqlite:///{folder / 'jobs.db'}")
        ended = asyncio.Event()
        left = count

        def one(event: Any) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                ended.set()

        scheduler.add_listener(one, EVENT_JOB_EXECUTED)
        scheduler.start(paused=True)
        reset_peak()
        start, cpu, began = rss() or 0, time.process_time(), time.perf_counter()
        due = datetime.now(UTC) - timedelta(seconds=1)
        for n in range(count):
            scheduler.add_job("jobs:_job", "date", run_date=due, args=(n,))
        middle = time.perf_counter()
        scheduler.resume()
        await ended.wait()
        over = time.perf_counter()
        scheduler.shutdown(wait=False)
        ran = sys.modules["jobs"].RAN
        return _measured({"once": sum(n == 1 for n in ran.values())}, middle - began, over - middle, cpu, start)

    return asyncio.run(play())


def main() -> None:
    way, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    found = asyncio.run(_ours(count, folder)) if way == "ours" else _apscheduler(way, count, folder)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()

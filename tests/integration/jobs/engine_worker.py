"""A process of a deployment for the tests, as worker.py beside it: told by argv, it schedules, works, or both.

argv: URL of the database, name, then options as JSON: ``roles``, ``lease_s``, ``max_run_s``, ``every``, ``grace_s``,
``concurrency``, ``seconds`` of work of a run, ``clock_off`` (seconds of this machine's wall clock), ``jobs`` (how many jobs ``work0``, ``work1`` … beside ``work``),
``desks`` (how many desks ``d0``, ``d1`` … that each have the job ``work``, one of which at a time in this process).
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import evertick.archive.clock
from evertick.archive import open_archive
from evertick.archive.clock import DatabaseClock
from evertick.archive.database import connection_of_engine
from evertick.jobs.engine.enqueuer import Enqueuer
from evertick.jobs.engine.queue import open_queue
from evertick.jobs.engine.worker import EngineRunner
from evertick.jobs.heartbeat import Heartbeat
from evertick.jobs.runner import JobSpec
from evertick.jobs.schedule import parse
from evertick.jobs.scheduler import Scheduler
from integration.jobs.worker import keep, say, work_of

DEFAULTS: dict[str, Any] = {
    "roles": ["schedule", "work"], "lease_s": 2.0, "max_run_s": 60, "every": None, "grace_s": 0.0, "concurrency": 2, "jobs": 0, "desks": 0, "seconds": 0.0, "clock_off": 0,
}  # fmt: skip


def set_clock(off: float) -> None:
    """Everything in this process that reads the wall clock reads one that is off by so much: SAQ, and ours until it asks."""
    right = time.time

    class Off(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=off)

    time.time = lambda: right() + off
    evertick.archive.clock.datetime = Off  # type: ignore[misc]


async def main(url: str, name: str, options: dict[str, Any]) -> None:
    given = DEFAULTS | options
    set_clock(given["clock_off"])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clock = DatabaseClock()
    async with AsyncExitStack() as stack:
        archive = await stack.enter_async_context(open_archive(url, clock))
        await stack.enter_async_context(clock.kept(archive.engine))
        queue = await stack.enter_async_context(open_queue(*connection_of_engine(url), clock))
        schedule = parse(given["every"], "UTC") if given["every"] else None
        run = work_of(archive, name, given["seconds"])
        specs = [
            JobSpec(job, run, attempts=5, max_run_s=given["max_run_s"], schedule=schedule, retry_s=0.1)
            for job in ("work", *(f"work{n}" for n in range(given["jobs"])))
        ]
        specs += [JobSpec("work", run, desk=f"d{n}", one_at_a_time=True) for n in range(given["desks"])]
        lease_s = given["lease_s"]
        heartbeat = Heartbeat(archive.ledger.renewals(), clock, lease_s, grace_s=1.0)
        enqueuer = Enqueuer(specs, archive.handout, queue, clock, lease_s=lease_s, every_s=0.2)
        runner = EngineRunner(
            specs, archive.ledger, keep, clock, name, given["concurrency"], heartbeat=heartbeat,
            handout=archive.handout, queue=queue, enqueuer=enqueuer,
        )  # fmt: skip
        if "work" in given["roles"]:
            await stack.enter_async_context(heartbeat)
            await stack.enter_async_context(runner)
        if "schedule" in given["roles"]:
            await stack.enter_async_context(enqueuer)
            await stack.enter_async_context(Scheduler(specs, archive.ledger, clock, enqueuer.wake))
        say("ready")
        await stop.wait()
        await runner.drain(given["grace_s"])
    say("stopped")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}))

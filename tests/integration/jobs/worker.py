"""A worker process for the tests: runs the job ``work`` of the ledger at argv[1], and says what happens as JSON lines.

What the job does is in its parameters: ``seconds`` of work, and in the first attempt only ``first`` seconds more and
``block`` seconds of a call that blocks the loop; ``poison`` fails it always. Its effect is one row in ``effects``, written as a report is
published: under a key that comes from the slot, in a transaction that checks the lease.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text

from evertick.archive import Archive, open_archive
from evertick.errors import Fenced
from evertick.jobs.heartbeat import Heartbeat
from evertick.jobs.runner import JobContext, JobSpec, Runner
from evertick.jobs.schedule import parse
from evertick.jobs.scheduler import Scheduler
from evertick.model import SystemClock


def say(event: str, **more: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, "at": time.monotonic(), **more}) + "\n")
    sys.stdout.flush()


@asynccontextmanager
async def keep(job: str, component: str, slot: str | None) -> AsyncIterator[None]:
    yield


async def publish(archive: Archive, job: JobContext, owner: str) -> None:
    async with archive.engine.begin() as connection:
        lock = " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
        held = text(f"SELECT 1 FROM slots WHERE id = :id AND token = :token AND state = 'leased'{lock}")
        if await connection.scalar(held, {"id": job.slot.id, "token": job.slot.token}) is None:
            raise Fenced("the lease went to another worker")
        row = text("INSERT INTO effects (slot, token, owner) VALUES (:id, :token, :owner) ON CONFLICT DO NOTHING")
        await connection.execute(row, {"id": job.slot.id, "token": job.slot.token, "owner": owner})


def work_of(archive: Archive, name: str, seconds: float = 0.0) -> Callable[[JobContext], Awaitable[Mapping[str, Any]]]:
    """The job, for a process of that name; ``seconds`` of work where its parameters say nothing."""

    async def work(job: JobContext) -> Mapping[str, Any]:
        about = {"slot": job.slot.id, "token": job.slot.token}
        say("started", **about)
        try:
            if job.params.get("poison"):
                raise ValueError("poisoned")
            if job.slot.attempts == 1:
                time.sleep(float(job.params.get("block", 0)))
                await asyncio.sleep(float(job.params.get("first", 0)))
            for _ in range(int(float(job.params.get("seconds", seconds)) * 20)):
                await asyncio.sleep(0.05)
            await publish(archive, job, name)
        except BaseException as error:
            say("ended", how=type(error).__name__, **about)
            raise
        say("ended", how="published", **about)
        return {"by": name}

    return work


async def main(url: str, name: str, lease_s: float, max_run_s: float, every: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clock = SystemClock()
    async with open_archive(url, clock) as archive:
        schedule = parse(every, "UTC") if every != "-" else None
        specs = [
            JobSpec("work", work_of(archive, name), attempts=5, max_run_s=max_run_s, schedule=schedule, retry_s=0.1)
        ]
        heartbeat = Heartbeat(archive.ledger.renewals(), clock, lease_s, grace_s=1.0)
        async with (
            heartbeat,
            Runner(specs, archive.ledger, keep, clock, name, heartbeat=heartbeat, poll_s=0.1) as runner,
            Scheduler(specs, archive.ledger, clock, runner.wake),
        ):
            say("ready")
            await stop.wait()
    say("stopped")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), sys.argv[5]))

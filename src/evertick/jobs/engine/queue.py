"""SAQ's queue on PostgreSQL, with three things of ours: the time of the database, who may be given what, and calm.

* The times in its rows are the database's, so that no machine sweeps away what another is working on because their clocks
  differ.
* A worker that has no room, or not the memory for some jobs, takes none of them out of the queue.
* While the database is away it is asked once a second, and that is said once.

It looks for work by asking (``poll_s``), not by LISTEN: with LISTEN every job that is handed in wakes every worker, a
restart of PostgreSQL ends the listening for good (SAQ 0.26), and PgBouncer cannot pass it on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from saq.job import Job, Status
from saq.queue.postgres import PostgresQueue

from evertick.jobs.waiting import Health
from evertick.model import Clock, Slot

NAME = "evertick"
FUNCTION = "slot"
CONNECTIONS = 3
"""At most: one that looks for work, one for the run that tells it lives, one for what ended."""
HEARTBEAT_S = 6
RETRIES = 5
_DAY_S = 86_400
_TIMES = ("queued", "started", "touched", "completed")
FAILURES = (psycopg.Error, PoolTimeout, OSError)
"""What SAQ's calls raise while the database is away."""

Ranks = tuple[int, int]
"""From and to, both included."""
EVERY: Ranks = (0, 32_767)


def key(slot: Slot) -> str:
    """One lease of one slot: what was handed out for an earlier one is another job of SAQ."""
    return f"{slot.id}@{slot.token}"


class SlotQueue(PostgresQueue):
    """``admitted`` says which ranks this process takes now, ``None``: nothing."""

    def __init__(self, pool: AsyncConnectionPool[Any], clock: Clock) -> None:
        super().__init__(pool=pool, name=NAME)
        self._clock = clock
        self._health = Health("asking the engine for work")
        self.admitted: Callable[[], Ranks | None] = lambda: EVERY

    async def hand_in(self, slot: Slot, rank: int) -> None:
        """Put a slot into the queue; one that is there already stays as it is."""
        await self.enqueue(
            Job(
                FUNCTION,
                key=key(slot),
                kwargs={"desk": slot.desk, "job": slot.job, "slot": slot.id, "token": slot.token},
                priority=rank,
                # The order within a rank. A day early, so that it waits on no machine whose own clock is slow.
                scheduled=max(1, int(slot.due.timestamp()) - _DAY_S),
                timeout=0,  # the runner's own limit ends a run
                heartbeat=HEARTBEAT_S,
                retries=RETRIES,
                ttl=-1,  # what has ended is in the ledger
            )
        )

    async def drop(self, job: Job) -> None:
        await self.finish(job, Status.ABORTED, error="nobody holds its lease")

    def silent_s(self, job: Job) -> float:
        """Seconds since its worker last said that it lives."""
        return time.time() - job.touched / 1000

    async def _dequeue(self) -> None:
        ranks = self.admitted()
        if ranks is None:
            return
        self._priorities = ranks
        # One at a time: what runs once in a process would otherwise be taken as often as tasks wait for work.
        others = max(0, self._waiting - 1)
        self._waiting -= others
        try:
            await super()._dequeue()
        except FAILURES as error:
            self._health.failed(error)
            await self._clock.sleep(1.0)
        else:
            self._health.well()
        finally:
            self._waiting += others

    async def settled(self) -> None:
        """Wait until what was taken out of the queue is with its tasks. Nothing more is taken where `admitted` says so."""
        async with self._dequeue_lock:
            pass
        while not self._job_queue.empty():  # noqa: ASYNC110 - SAQ has no event for it
            await asyncio.sleep(0)

    async def _notify(self, key: str, connection: Any = None) -> None:
        """Nobody listens."""

    def serialize(self, job: Job) -> bytes:
        row, ahead = job.to_dict(), self._ahead_ms()
        return json.dumps({name: v + ahead if name in _TIMES and v else v for name, v in row.items()}).encode()

    def deserialize(self, payload: Any, status: Status | str | None = None) -> Job | None:
        job = super().deserialize(payload, status)
        if job is not None and not isinstance(payload, dict):  # a dict: a copy of what is in this process
            ahead = self._ahead_ms()
            for name in _TIMES:
                if getattr(job, name):
                    setattr(job, name, getattr(job, name) - ahead)
        return job

    def _ahead_ms(self) -> int:
        """How far the database's time is ahead of this machine's, which SAQ reads."""
        return round(1000 * (self._clock.now().timestamp() - time.time()))


@asynccontextmanager
async def open_queue(conninfo: str, options: Mapping[str, Any], clock: Clock) -> AsyncIterator[SlotQueue]:
    """The queue in the database at ``conninfo``, with connections of its own that are closed with the block.

    Its tables (``saq_…``) are made by SAQ where they are missing.
    """
    for name in ("saq", "psycopg.pool"):  # they repeat themselves while the database is away; `Health` says it once
        logging.getLogger(name).setLevel(logging.CRITICAL)
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        conninfo,
        min_size=1,
        max_size=CONNECTIONS,
        timeout=5.0,
        max_lifetime=1800.0,
        reconnect_timeout=5.0,
        kwargs=dict(options),
        check=AsyncConnectionPool.check_connection,
        open=False,
        name="evertick engine",
    )
    queue = SlotQueue(pool, clock)
    try:
        await pool.open()
        await queue.connect()
        yield queue
    finally:
        await queue.disconnect()
        await pool.close()

"""The distributed mode: any number of processes on one PostgreSQL and one Redis, jobs carried by SAQ.

The time is the database's. Processes with the role ``schedule`` or ``web`` hand slots to the engine, those with ``work``
run them. Imported by `evertick.app` in this mode only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from evertick.archive import Archive
from evertick.archive.clock import DatabaseClock
from evertick.archive.database import connection_of_engine
from evertick.jobs.engine.enqueuer import Enqueuer
from evertick.jobs.engine.queue import SlotQueue, open_queue
from evertick.jobs.engine.worker import EngineRunner
from evertick.jobs.heartbeat import Heartbeat
from evertick.jobs.runner import JobSpec, Keep, Runner
from evertick.model import Clock


class Distributed:
    def __init__(self, roles: Sequence[str], clock: Clock | None = None) -> None:
        self._roles = roles
        self.clock: Clock = clock or DatabaseClock()
        self.owns_folder = "web" in roles
        """Commands find a server by its folder; workers share theirs."""
        self._queue: SlotQueue | None = None
        self._enqueuer: Enqueuer | None = None

    @asynccontextmanager
    async def joined(self, archive: Archive) -> AsyncIterator[None]:
        """On the database's time, with the queue open, inside the block."""
        async with AsyncExitStack() as stack:
            if isinstance(self.clock, DatabaseClock):
                await stack.enter_async_context(self.clock.kept(archive.engine))
            where, options = connection_of_engine(archive.url)
            self._queue = await stack.enter_async_context(open_queue(where, options, self.clock))
            yield

    def runner(
        self,
        specs: Sequence[JobSpec],
        archive: Archive,
        keep: Keep,
        heartbeat: Heartbeat,
        gate: Callable[[str], str | None],
        poll_s: float,
    ) -> Runner:
        assert self._queue is not None
        self._enqueuer = Enqueuer(
            specs, archive.handout, self._queue, self.clock, lease_s=heartbeat.lease_s, every_s=poll_s
        )
        return EngineRunner(
            specs,
            archive.ledger,
            keep,
            self.clock,
            heartbeat=heartbeat,
            # What is submitted here runs elsewhere: the memory of this process holds none of it back.
            gate=gate if "work" in self._roles else lambda job: None,
            handout=archive.handout,
            queue=self._queue,
            enqueuer=self._enqueuer,
        )

    @asynccontextmanager
    async def working(self, archive: Archive, runner: Runner, heartbeat: Heartbeat) -> AsyncIterator[None]:
        """Whatever of running jobs is the part of this process, inside the block."""
        assert self._enqueuer is not None
        async with AsyncExitStack() as stack:
            if "work" in self._roles:
                await stack.enter_async_context(heartbeat)
                await stack.enter_async_context(runner)
            if tuple(self._roles) != ("work",):
                await stack.enter_async_context(self._enqueuer)
            yield

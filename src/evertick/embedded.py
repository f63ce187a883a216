"""The embedded mode: one process, which has the data folder for itself and claims its slots from the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from evertick.archive import Archive
from evertick.archive.database import is_sqlite
from evertick.jobs.heartbeat import Heartbeat
from evertick.jobs.runner import JobSpec, Keep, Runner
from evertick.model import Clock, SystemClock


class Embedded:
    def __init__(self, roles: Sequence[str], clock: Clock | None = None) -> None:
        self._roles = roles
        self.clock = clock or SystemClock()
        self.owns_folder = True

    @asynccontextmanager
    async def joined(self, archive: Archive) -> AsyncIterator[None]:
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
        return Runner(specs, archive.ledger, keep, self.clock, heartbeat=heartbeat, gate=gate, poll_s=poll_s)

    @asynccontextmanager
    async def working(self, archive: Archive, runner: Runner, heartbeat: Heartbeat) -> AsyncIterator[None]:
        """Whatever of running jobs is the part of this process, inside the block."""
        async with AsyncExitStack() as stack:
            if "work" in self._roles:
                if is_sqlite(archive.url):
                    await archive.ledger.reclaim(self.clock.now())  # the lock of the folder says that nobody else lives
                await stack.enter_async_context(heartbeat)
                await stack.enter_async_context(runner)
            yield

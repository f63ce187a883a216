"""From the ledger into the queue: whatever is ready and not in the queue is handed in.

There is no second way into the queue. A slot that was just written is found because somebody rings (`Enqueuer.wake`), one
whose handing-in failed is found at the next look a second later, so a failure needs no repair of its own. Any number of
processes may look at once: a key is in the queue once.

A lease that ran out is believed only by a process that has reached the database for as long as a lease lasts: after the
database was away for everybody, those who work get the time to renew before anybody takes over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import structlog
from saq.job import Status

from evertick.jobs.engine.queue import SlotQueue, key
from evertick.jobs.runner import JobSpec
from evertick.jobs.slots import Job
from evertick.jobs.waiting import Alarm, Health, Looping
from evertick.model import Clock, Slot, SlotState

log = structlog.get_logger()

RECHECK_S = 3.0
"""After so long it is looked whether what was handed in is still in the queue."""
LOST_S = 20.0
"""A job that SAQ calls active, whose worker is silent for so long and whose slot nobody leased, was lost on the way."""
AWAY_S = 5.0
"""A look that comes so much later than the one before it was held up by the database."""


class Handout(Protocol):
    """`evertick.archive.handout.Handout`. Raises `ArchiveError`."""

    async def ready(self, now: datetime, *, over: bool = True, job: Job | None = None) -> Sequence[Slot]: ...

    async def take(
        self, owner: str, slot: str, token: int, allowed: int, now: datetime, lease_s: float
    ) -> Slot | None: ...


class Enqueuer(Looping):
    """``async with`` it to look every second. Not entered it looks when told to."""

    def __init__(
        self,
        specs: Sequence[JobSpec],
        handout: Handout,
        queue: SlotQueue,
        clock: Clock,
        *,
        lease_s: float,
        every_s: float = 1.0,
    ) -> None:
        self._ranks: Mapping[Job, int] = {spec.key: spec.rank for spec in specs}
        self._handout = handout
        self._queue = queue
        self._clock = clock
        self._lease_s = lease_s
        self._every_s = every_s
        self._alarm = Alarm(clock)
        self._health = Health("handing jobs to the engine")
        self._handed: dict[str, float] = {}
        """Keys that are in the queue, and when that was last seen."""
        self._well_since: float | None = None
        self._well_at = 0.0

    def wake(self) -> None:
        """A slot was written: look now."""
        self._alarm.ring()

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - the loop outlives the database; logged once
                self._health.failed(error)
                self._well_since = None
            else:
                self._health.well()
            await self._alarm.wait(self._every_s)

    async def look(self, job: Job | None = None) -> int:
        """Hand in what is ready; with ``job`` of that job only. Returns how many that were."""
        over = job is None and self._steady()
        ready = await self._handout.ready(self._clock.now(), over=over, job=job)
        keys = {key(slot): slot for slot in ready}
        now = self._clock.monotonic()
        if job is None:
            self._handed = {name: at for name, at in self._handed.items() if name in keys}
        ask = [name for name in keys if now - self._handed.get(name, float("-inf")) >= RECHECK_S]
        handed = 0
        for name, found in zip(ask, await self._queue.jobs(ask) if ask else (), strict=True):
            slot = keys[name]
            if found is not None and found.status is Status.ACTIVE and self._queue.silent_s(found) > LOST_S:
                log.warning("the engine lost a job, handed in anew", slot=slot.id)
                await self._queue.drop(found)
                found = None
            if found is None:
                await self._queue.hand_in(slot, self._ranks.get((slot.desk, slot.job), 0))
                handed += 1
                if slot.state is SlotState.LEASED:
                    log.warning("lease ran out, slot handed to another worker", slot=slot.id, owner=slot.owner)
            if job is None:
                self._handed[name] = now
        if job is None:
            self._well_at = self._clock.monotonic()
        return handed

    def _steady(self) -> bool:
        now = self._clock.monotonic()
        if self._well_since is None or now - self._well_at > AWAY_S + self._every_s:
            self._well_since = self._well_at = now
        return now - self._well_since >= self._lease_s

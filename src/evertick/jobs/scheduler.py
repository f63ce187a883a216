"""Asks the ledger at every due time what is owed, for ever. Any number of processes may do so at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from evertick.jobs.runner import JobSpec
from evertick.jobs.slots import Ledger
from evertick.jobs.waiting import Alarm, Health, Looping
from evertick.model import Clock, SlotState

log = structlog.get_logger()

LONGEST_S = 30.0
"""The longest sleep: a wall clock that was changed is noticed within it."""
SHORTEST_S = 0.05


class Scheduler(Looping):
    """``async with`` it, or await `run`. ``wake`` is told when there is something to run."""

    def __init__(
        self, specs: Sequence[JobSpec], ledger: Ledger, clock: Clock, wake: Callable[[], None] = lambda: None
    ) -> None:
        self._specs = [spec for spec in specs if spec.schedule is not None]
        self._ledger = ledger
        self._clock = clock
        self._wake = wake
        self._alarm = Alarm(clock)
        self._health = Health("scheduling")
        self._tidied = False

    async def run(self) -> None:
        while True:
            nap = LONGEST_S
            try:
                nap = await self.look()
            except Exception as error:  # noqa: BLE001 - the loop outlives the database; logged once
                self._health.failed(error)
                nap = 1.0
            else:
                self._health.well()
            await self._alarm.wait(nap)

    async def look(self) -> float:
        """Hand out what is due; returns the seconds until it is worth looking again."""
        if not self._tidied:
            await self._ledger.keep_schedules([(spec.desk, spec.name) for spec in self._specs])
            self._tidied = True
        for spec in self._specs:
            await self._plan(spec)
        now = self._clock.now()
        ours = {(spec.desk, spec.name) for spec in self._specs}
        soonest = [due for desk, job, _, due in await self._ledger.next_due() if (desk, job) in ours]
        return _nap(min(soonest, default=None), now)

    async def _plan(self, spec: JobSpec) -> None:
        assert spec.schedule is not None
        made = await self._ledger.plan(
            spec.desk, spec.name, str(spec.schedule), spec.schedule, self._clock.now(), first_now=spec.first_now
        )
        due = [slot for slot in made if slot.state == SlotState.DUE]
        for slot in due:
            if slot.coalesced:
                log.info("missed slots coalesced", job=spec.name, missed=slot.coalesced, slot=slot.id)
        if due:
            self._wake()


def _nap(soonest: datetime | None, now: datetime) -> float:
    if soonest is None:
        return LONGEST_S
    return min(LONGEST_S, max(SHORTEST_S, (soonest - now).total_seconds()))

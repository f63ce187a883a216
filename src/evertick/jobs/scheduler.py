"""Asks the ledger at every due time what is owed, for ever. Any number of processes may do so at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from evertick.jobs.runner import JobSpec
from evertick.jobs.slots import Ledger
from evertick.jobs.waiting import Alarm, Health, Looping
from evertick.model import Clock, Slot, SlotState

log = structlog.get_logger()

LONGEST_S = 30.0
"""The longest sleep: a wall clock that was changed is noticed within it."""
SHORTEST_S = 0.05
AGAIN_S = 1.0, 10.0
"""After a failure; doubled with each that follows, to the second."""
WHOLE = timedelta(minutes=10)
"""After so long every schedule is looked at, not only those that are due: another process may have changed some."""


class Scheduler(Looping):
    """``async with`` it, or await `run`. ``wake`` is told when there is something to run."""

    def __init__(
        self, specs: Sequence[JobSpec], ledger: Ledger, clock: Clock, wake: Callable[[], None] = lambda: None
    ) -> None:
        self._specs = {spec.key: spec for spec in specs if spec.schedule is not None}
        self._ledger = ledger
        self._clock = clock
        self._wake = wake
        self._alarm = Alarm(clock)
        self._health = Health("scheduling")
        self._tidied = False
        self._looked: datetime | None = None
        self._whole_at: datetime | None = None

    async def run(self) -> None:
        again, longest = AGAIN_S
        while True:
            try:
                nap = await self.look()
            except Exception as error:  # noqa: BLE001 - the loop outlives the database; logged once
                self._health.failed(error)
                self._whole_at = None
                nap, again = again, min(longest, again * 2)
            else:
                again = AGAIN_S[0]
                self._health.well()
            await self._alarm.wait(nap)

    async def look(self) -> float:
        """Hand out what is due; returns the seconds until it is worth looking again.

        Costs two small queries while nothing is due, whatever the number of schedules.
        """
        if not self._tidied:
            await self._ledger.keep_schedules(list(self._specs))
            self._tidied = True
        now = self._clock.now()
        if self._whole(now):
            owed = await self._changed(now)
            self._whole_at = now
            following = None
        else:
            due, following = await self._ledger.outlook(now)
            owed = [self._specs[key] for key in due if key in self._specs]
        self._looked = now
        made = [slot for spec in owed for slot in await self._plan(spec)]
        self._tell_missed([slot for slot in made if slot.coalesced])
        if following is None or owed:
            now = self._clock.now()
            due, following = await self._ledger.outlook(now)
            if any(key in self._specs for key in due):
                return SHORTEST_S
        return _nap(following, now)

    def _whole(self, now: datetime) -> bool:
        """At the start, after a failure, when the clock was put back, and now and then."""
        if self._whole_at is None or self._looked is None:
            return True
        return now < self._looked or now - self._whole_at >= WHOLE

    async def _changed(self, now: datetime) -> Sequence[JobSpec]:
        """Of all schedules those that have something to be written: due, new, changed, or ahead of a clock that was put back."""
        standing = await self._ledger.standing()
        return [spec for key, spec in self._specs.items() if _owes(spec, standing.get(key), now)]

    async def _plan(self, spec: JobSpec) -> Sequence[Slot]:
        """Write what ``spec`` owes; returns the slots to be run."""
        assert spec.schedule is not None
        made = await self._ledger.plan(
            spec.desk, spec.name, str(spec.schedule), spec.schedule, self._clock.now(), first_now=spec.first_now
        )
        due = [slot for slot in made if slot.state == SlotState.DUE]
        if due:
            self._wake()
        return due

    @staticmethod
    def _tell_missed(slots: Sequence[Slot]) -> None:
        """One line, also after a downtime in which a thousand desks missed theirs."""
        if slots:
            missed = sum(slot.coalesced for slot in slots)
            names = ",".join(sorted({slot.job for slot in slots}))
            log.info("missed slots coalesced", job=names, missed=missed, slots=len(slots), first=slots[0].id)


def _owes(spec: JobSpec, known: tuple[str, datetime, datetime] | None, now: datetime) -> bool:
    assert spec.schedule is not None
    return known is None or spec.schedule.plan(known, now, seed=f"{spec.desk}.{spec.name}") is not None


def _nap(soonest: datetime | None, now: datetime) -> float:
    if soonest is None:
        return LONGEST_S
    return min(LONGEST_S, max(SHORTEST_S, (soonest - now).total_seconds()))

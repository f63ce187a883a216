"""A clock that goes when told, and a ledger in memory that can be told to fail."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from evertick.errors import ArchiveUnavailable, EvertickError, Fenced, NotFound
from evertick.jobs.schedule import Schedule
from evertick.jobs.slots import Held
from evertick.model import Page, Slot, SlotState, slot_id

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


async def settle() -> None:
    """Let everything that can go on without time passing go on."""
    for _ in range(60):
        await asyncio.sleep(0)


class VirtualClock:
    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._passed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    async def sleep(self, seconds: float) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._passed + max(0.0, seconds), next(self._numbers), waiting))
        await waiting

    def set_back(self, seconds: float) -> None:
        """As an administrator does with the wall clock."""
        self._start -= timedelta(seconds=seconds)

    @property
    def sleeping(self) -> int:
        return sum(not waiting.done() for *_, waiting in self._sleepers)

    async def advance(self, seconds: float) -> None:
        until = self._passed + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            when, _, waiting = heapq.heappop(self._sleepers)
            if not waiting.done():
                self._passed = max(self._passed, when)
                waiting.set_result(None)
                await settle()
        self._passed = until


class MemoryLedger:
    """The ledger of one process in a dict. ``fail`` scripts failures: the next calls of that name raise these, in order."""

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self.schedules: dict[tuple[str, str], tuple[str, datetime, datetime]] = {}
        self.fail: dict[str, list[Exception]] = {}
        self.calls: list[str] = []
        self.kept: list[tuple[str, str]] | None = None

    def away(self, call: str, times: int) -> None:
        self.fail[call] = [ArchiveUnavailable("the database is away") for _ in range(times)]

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if self.fail.get(call):
            raise self.fail[call].pop(0)

    def put(self, slot: Slot) -> Slot:
        self.slots[slot.id] = slot
        return slot

    async def plan(
        self, desk: str, job: str, spec: str, schedule: Schedule, now: datetime, *, first_now: bool = False
    ) -> list[Slot]:
        self._called("plan")
        plan = schedule.plan(self.schedules.get((desk, job)), now, seed=f"{desk}.{job}", first_now=first_now)
        if plan is None:
            return []
        self.schedules[desk, job] = (spec, plan.anchor, plan.next_due)
        if plan.newest is None:
            return []
        missed = [Slot(slot_id(desk, job, due), desk, job, due, SlotState.MISSED) for due in plan.missed]
        newest = Slot(slot_id(desk, job, plan.newest), desk, job, plan.newest, coalesced=plan.coalesced)
        return [self.put(slot) for slot in [*missed, newest]]

    async def submit(
        self, desk: str, job: str, params: Mapping[str, Any], now: datetime, trigger: str = "manual"
    ) -> Slot:
        self._called("submit")
        while slot_id(desk, job, now) in self.slots:
            now += timedelta(microseconds=1)
        return self.put(Slot(slot_id(desk, job, now), desk, job, now, trigger=trigger, params=params))

    async def claim(
        self, owner: str, jobs: Mapping[tuple[str, str], int], now: datetime, lease_s: float
    ) -> Slot | None:
        self._called("claim")
        leased = {(s.desk, s.job) for s in self.slots.values() if s.state == SlotState.LEASED}
        for slot in sorted(self.slots.values(), key=lambda s: s.due):
            key = (slot.desk, slot.job)
            free = slot.state == SlotState.DUE and slot.due <= now and (slot.not_before or now) <= now
            if free and key in jobs and key not in leased:
                until = now + timedelta(seconds=lease_s)
                return self.put(
                    slot.with_(state=SlotState.LEASED, owner=owner, token=slot.token + 1, attempts=slot.attempts + 1,
                               lease_until=until, not_before=None)
                )  # fmt: skip
        return None

    def steal(self, slot: str) -> None:
        """Another worker takes it over."""
        self.slots[slot] = self.slots[slot].with_(token=self.slots[slot].token + 1, owner="another")

    def _held(self, slot: Slot) -> Slot:
        now = self.slots[slot.id]
        if now.token != slot.token or now.state != SlotState.LEASED:
            raise Fenced("held by another")
        return now

    async def progress(self, slot: Slot, progress: Mapping[str, Any]) -> None:
        self._called("progress")
        self.put(self._held(slot).with_(progress=progress))

    async def finish(
        self,
        slot: Slot,
        state: SlotState,
        now: datetime,
        *,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
        retry_at: datetime | None = None,
    ) -> Slot:
        self._called("finish")
        held = self._held(slot).with_(owner=None, lease_until=None, error=error)
        if retry_at is not None:
            return self.put(held.with_(state=SlotState.DUE, not_before=retry_at))
        return self.put(held.with_(state=state, finished=now, result=result))

    async def release(self, slot: Slot) -> Slot:
        self._called("release")
        held = self._held(slot)
        return self.put(held.with_(state=SlotState.DUE, owner=None, lease_until=None, attempts=held.attempts - 1))

    async def disown(self, owner: str, held: Sequence[str]) -> int:
        self._called("disown")
        lost = [s for s in self.slots.values() if s.state == SlotState.LEASED and s.owner == owner and s.id not in held]
        for slot in lost:
            self.put(slot.with_(state=SlotState.DUE, owner=None, lease_until=None, attempts=slot.attempts - 1))
        return len(lost)

    async def reclaim(self, now: datetime) -> int:
        raise NotImplementedError

    async def get(self, slot: str) -> Slot:
        self._called("get")
        if slot not in self.slots:
            raise NotFound(f"there is no job '{slot}'")
        return self.slots[slot]

    async def list(
        self, limit: int = 20, cursor: str | None = None, job: str | None = None, state: str | None = None
    ) -> Page[Slot]:
        return Page(list(self.slots.values())[:limit])

    async def outlook(self, now: datetime) -> tuple[Sequence[tuple[str, str]], datetime | None]:
        self._called("outlook")
        due = [key for key, (_, _, at) in self.schedules.items() if at <= now]
        return due, min((at for _, _, at in self.schedules.values() if at > now), default=None)

    async def standing(self) -> Mapping[tuple[str, str], tuple[str, datetime, datetime]]:
        self._called("standing")
        return dict(self.schedules)

    async def next_due(self, desks: Collection[str] | None = None) -> Sequence[tuple[str, str, str, datetime]]:
        self._called("next_due")
        return [(*key, spec, due) for key, (spec, _, due) in self.schedules.items()]

    async def keep_schedules(self, jobs: Collection[tuple[str, str]]) -> int:
        self.kept = list(jobs)
        return 0

    async def prune(self, older_than: datetime) -> int:
        raise NotImplementedError

    def renewals(self) -> ScriptedRenewals:
        return ScriptedRenewals()


class ScriptedRenewals:
    """Counts; answers with what is ``lost`` and raises what is in ``errors``, one a call."""

    def __init__(self) -> None:
        self.renewed: list[tuple[Held, ...]] = []
        self.lost: set[Held] = set()
        self.errors: list[Exception] = []
        self.opened = self.closed = 0

    def open(self) -> None:
        self.opened += 1

    def renew(self, held: Collection[Held], until: datetime) -> set[Held]:
        if self.errors:
            raise self.errors.pop(0)
        self.renewed.append(tuple(held))
        return self.lost & set(held)

    def close(self) -> None:
        self.closed += 1


class ScriptedKeep:
    """Stands for the memory keeper: remembers what it was told and what it saw of the run's end."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str | None, str]] = []

    @asynccontextmanager
    async def __call__(self, job: str, component: str, slot: str | None) -> AsyncIterator[None]:
        try:
            yield
        except BaseException as error:
            self.seen.append((job, component, slot, type(error).__name__))
            raise
        self.seen.append((job, component, slot, "ok"))


__all__ = ["START", "EvertickError", "MemoryLedger", "ScriptedKeep", "ScriptedRenewals", "VirtualClock", "settle"]

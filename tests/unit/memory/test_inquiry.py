from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from evertick.errors import ArchiveUnavailable, JobRefused
from evertick.memory.growth import Verdict
from evertick.memory.inquiry import Inquiry

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
GROWING = Verdict("growing", "growing 30 MB a day", None, START + timedelta(days=5))


class StepClock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Kept:
    def __init__(self) -> None:
        self.saved: list[tuple[datetime, str, Mapping[str, Any]]] = []
        self.fails = False

    async def save_diagnosis(self, at: datetime, process: str, body: Mapping[str, Any]) -> None:
        if self.fails:
            raise ArchiveUnavailable("away")
        self.saved.append((at, process, body))

    async def diagnoses(self, limit: int = 10) -> Sequence[tuple[datetime, str, Mapping[str, Any]]]:
        return self.saved[::-1][:limit]


async def soon() -> None:
    await asyncio.sleep(0)


def inquiry(store: Kept, clock: StepClock | None = None, run_ended: Any = soon) -> Inquiry:
    return Inquiry(run_ended, store, "host/1/1", clock or StepClock(), lambda: {"database": 1})


async def done(one: Inquiry) -> None:
    while one.since is not None:
        await asyncio.sleep(0.01)


async def test_it_ends_by_itself_and_is_stored() -> None:
    store = Kept()
    one = inquiry(store)
    one.start(runs=2)
    assert one.since == START
    with pytest.raises(JobRefused, match="since 12:00"):
        one.start()
    await done(one)
    ((at, process, body),) = store.saved
    assert (at, process) == (START, "host/1/1")
    assert (body["runs"], body["complete"], body["pools"]) == (2, True, {"database": 1})
    one.start(runs=1)
    await done(one)
    assert len(store.saved) == 2


@pytest.mark.parametrize("full_at", [None, START + timedelta(days=15)])
async def test_growth_that_leaves_time_is_not_traced(full_at: datetime | None) -> None:
    assert not await inquiry(Kept()).consider(Verdict("growing", "growing 0.5 MB a day", None, full_at))
    assert await inquiry(Kept()).consider(Verdict("growing", "growing 9 MB a day", None, START + timedelta(days=13)))


async def test_growth_begins_one_and_then_ever_more_seldom_another() -> None:
    store, clock = Kept(), StepClock()
    one = inquiry(store, clock)
    assert not await one.consider(Verdict("flat", "flat", None))
    assert await one.consider(GROWING)
    assert not await one.consider(GROWING), "one is on"
    await done(one)
    clock.at += timedelta(hours=23)
    assert not await one.consider(GROWING)
    clock.at += timedelta(hours=2)
    assert await one.consider(GROWING)
    await done(one)
    days = 0
    for _ in range(70):
        clock.at += timedelta(days=1)
        days += 1
        if await one.consider(GROWING):
            await done(one)
            break
    assert days == 3, "twice the 25 hours that it had waited before"
    for _ in range(80):
        clock.at += timedelta(days=1)
        if await one.consider(GROWING):
            await done(one)
    assert 5 <= len(store.saved) <= 8, "three months of growth are not a diagnosis a day"


async def test_a_store_that_fails_is_logged() -> None:
    store = Kept()
    store.fails = True
    one = inquiry(store)
    with capture_logs() as logs:
        one.start(runs=1)
        await done(one)
    assert [entry["event"] for entry in logs] == ["memory diagnosis", "memory diagnosis failed"]


async def test_closing_ends_it() -> None:
    store = Kept()
    one = inquiry(store, run_ended=asyncio.Event().wait)
    one.start()
    await asyncio.sleep(0)
    await one.close()
    assert one.since is None
    assert store.saved == []
    await one.close()

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from evertick.errors import ArchiveUnavailable
from evertick.memory.budget import Budget, State
from evertick.memory.gauge import Gauge, Sample
from evertick.memory.watch import EVERY_S, HELD, PENDING, Watch
from evertick.model import MemorySample, WebReceipt

MB = 1 << 20
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class StepClock:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class Levels(Gauge):
    """Measures what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.rss: int | None = 80 * MB

    def sample(self) -> Sample:
        return Sample(heap=10 * MB, blocks=1000, rss=self.rss, fds=20, tasks=5, threads=3, connections=2)


class Kept:
    def __init__(self) -> None:
        self.samples: list[MemorySample] = []
        self.receipts: list[WebReceipt] = []
        self.fails = False

    async def add(self, samples: Sequence[MemorySample], receipts: Sequence[WebReceipt] = ()) -> None:
        if self.fails:
            raise ArchiveUnavailable("the database is away")
        self.samples += samples
        self.receipts += receipts

    def of(self, step_s: int) -> list[MemorySample]:
        return [s for s in self.samples if s.step_s == step_s]


async def looked(watch: Watch, clock: StepClock, times: int) -> None:
    for _ in range(times):
        await watch.look()
        await clock.sleep(EVERY_S)


async def test_looks_are_stored_by_the_minute_and_thinned() -> None:
    clock, store, gauge = StepClock(), Kept(), Levels()
    watch = Watch(gauge, 256 * MB, clock, store, process="host/1/1")
    await looked(watch, clock, 5)
    assert store.samples == []
    gauge.rss = 100 * MB
    await looked(watch, clock, 115)
    assert [len(store.of(step)) for step in (10, 60, 600)] == [120, 20, 2]
    first = store.of(60)[0]
    assert (first.rss, first.rss_max, first.at) == (80 * MB, 100 * MB, START + timedelta(seconds=50))
    assert store.of(600)[0].rss_max == 100 * MB
    assert {s.process for s in store.samples} == {"host/1/1"}
    assert {s.budget for s in store.samples} == {256 * MB}
    assert first.pss is not None


async def test_what_stays_in_memory_is_bounded() -> None:
    clock = StepClock()
    watch = Watch(Levels(), 256 * MB, clock)
    await looked(watch, clock, 2 * HELD)
    assert len(watch.recent) == HELD
    assert len(watch._pending) <= PENDING


async def test_a_store_that_fails_costs_nothing_but_what_is_too_old() -> None:
    clock, store = StepClock(), Kept()
    watch = Watch(Levels(), 256 * MB, clock, store)
    store.fails = True
    with capture_logs() as logs:
        await looked(watch, clock, 60)
    assert [entry["event"] for entry in logs] == ["memory timeline not stored"]
    store.fails = False
    await looked(watch, clock, 6)
    assert [len(store.of(step)) for step in (10, 60, 600)] == [66, 11, 1]
    assert len({(s.step_s, s.at) for s in store.samples}) == len(store.samples)


async def test_the_budget_is_weighed_and_its_changes_are_told_once() -> None:
    clock, gauge = StepClock(), Levels()
    told: list[State] = []

    async def changed(budget: Budget) -> None:
        told.append(budget.state)

    watch = Watch(gauge, 100 * MB, clock, changed=changed)
    with capture_logs() as logs:
        for rss, looks in ((60, 3), (75, 5), (95, 4), (60, 5)):
            gauge.rss = rss * MB
            await looked(watch, clock, looks)
    assert told == [State.TIGHT, State.OVER, State.OK]
    assert [entry["event"] for entry in logs] == ["memory tight", "memory over", "memory ok"]
    assert "75 MB of 100 MB" in logs[0]["reason"]
    assert watch.budget.state is State.OK


async def test_restarts_of_earlier_processes_count() -> None:
    clock, gauge = StepClock(), Levels()
    gauge.rss = 95 * MB
    recent = [START - timedelta(minutes=m) for m in (50, 20, 3)]
    watch = Watch(gauge, 100 * MB, clock, restarts=recent)
    await looked(watch, clock, 3)
    assert watch.budget.state is State.OVER
    assert not watch.budget.restart_due


async def test_it_looks_by_itself_and_stores_the_rest_at_the_end() -> None:
    clock, store = StepClock(), Kept()
    watch = Watch(Levels(), 256 * MB, clock, store)
    async with watch.watching():
        while len(watch.recent) < 8:
            await asyncio.sleep(0)
    assert len(store.of(10)) == len(watch.recent) >= 8
    assert all(t.get_name() != "memory watch" for t in asyncio.all_tasks())


async def test_what_cannot_be_measured_is_none() -> None:
    clock, store, gauge = StepClock(), Kept(), Levels()
    gauge.rss = None
    watch = Watch(gauge, 256 * MB, clock, store)
    await looked(watch, clock, 6)
    assert store.of(60)[0].rss is None
    assert store.of(60)[0].rss_max is None
    assert watch.budget.state is State.OK

"""Following a slot, at home and elsewhere."""

from __future__ import annotations

import asyncio

import pytest

from evertick.errors import NotFound
from evertick.jobs.events import Events
from evertick.model import Slot, SlotState
from unit.jobs.scripted import START, MemoryLedger, VirtualClock, settle

SLOT = Slot("report.default.x", "default", "report", START, SlotState.LEASED, token=1)


def told(done: float) -> Slot:
    return SLOT.with_(progress={"done": done})


class Reader:
    def __init__(self, events: Events) -> None:
        self.seen: list[Slot] = []
        self.go = asyncio.Event()
        self.go.set()
        self.task = asyncio.create_task(self._read(events))

    async def _read(self, events: Events) -> None:
        async with events.follow(SLOT.id) as updates:
            async for slot in updates:
                self.seen.append(slot)
                await self.go.wait()

    @property
    def done(self) -> list[float | None]:
        return [(s.progress or {}).get("done") for s in self.seen]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.put(SLOT)
    return ledger


@pytest.fixture
def events(ledger: MemoryLedger, clock: VirtualClock) -> Events:
    return Events(ledger.get, clock)


async def test_what_happens_here_is_seen_at_once_and_the_end_ends_it(events: Events) -> None:
    readers = [Reader(events), Reader(events)]
    await settle()
    for slot in (told(0.1), told(0.1), told(0.6), SLOT.with_(state=SlotState.DONE)):
        events.publish(slot)
        await settle()
    for reader in readers:
        await reader.task
        assert reader.done == [None, 0.1, 0.6, None]
        assert reader.seen[-1].state == SlotState.DONE
    assert events._followers == {}


async def test_a_slow_reader_skips_to_the_newest(events: Events) -> None:
    reader = Reader(events)
    reader.go.clear()
    await settle()
    for n in range(100):
        events.publish(told(n / 100))
    events.publish(SLOT.with_(state=SlotState.FAILED))
    reader.go.set()
    await reader.task
    assert len(reader.seen) == 2


async def test_what_happens_elsewhere_is_seen_by_looking(
    events: Events, ledger: MemoryLedger, clock: VirtualClock
) -> None:
    reader = Reader(events)
    await clock.advance(3)
    ledger.put(told(0.5))
    await clock.advance(1.1)
    ledger.away("get", 3)
    await clock.advance(3)
    ledger.put(SLOT.with_(state=SlotState.DONE))
    await clock.advance(2)
    await reader.task
    assert [s.state for s in reader.seen] == [SlotState.LEASED, SlotState.LEASED, SlotState.DONE]
    assert ledger.calls.count("get") <= 9


async def test_progress_does_not_go_back_to_what_was_written_last(
    events: Events, ledger: MemoryLedger, clock: VirtualClock
) -> None:
    ledger.put(told(0.2))
    reader = Reader(events)
    await settle()
    events.publish(told(0.7))
    await clock.advance(5)
    assert reader.done == [0.2, 0.7]
    ledger.put(SLOT.with_(token=2, progress=None))  # a new attempt starts again
    await clock.advance(1.1)
    assert reader.done == [0.2, 0.7, None]
    reader.task.cancel()
    await asyncio.wait([reader.task])
    assert events._followers == {}


async def test_one_that_is_not_there_cannot_be_followed(events: Events) -> None:
    with pytest.raises(NotFound):
        async with events.follow("report.default.none"):
            raise AssertionError("entered")
    assert events._followers == {}

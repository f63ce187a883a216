"""The clock that jumps: whoever sleeps by it wakes in order, and it jumps only when all that is awaited sleeps."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from evertick.soak.clock import VirtualClock

START = datetime(2026, 10, 12, tzinfo=UTC)


class Still:
    """Real time that stands, so that only jumps move the clock."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START, Still())


async def test_sleepers_wake_when_their_time_has_come_and_not_before(clock: VirtualClock) -> None:
    woke: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woke.append(f"{name} at {clock.passed:g}")

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 20.0), ("early", 10.0)):
            group.create_task(sleeper(name, seconds), name=name)
        await clock.quiet(lambda: {"late", "early"})
        assert clock.next_waking() == 10.0
        clock.jump(10.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert woke == ["early at 10"]
        clock.jump(25.0)
    assert woke == ["early at 10", "late at 25"]
    assert clock.now() == START + timedelta(seconds=25)
    assert clock.next_waking() is None


async def test_it_is_not_quiet_while_somebody_works(clock: VirtualClock) -> None:
    done = asyncio.Event()

    async def worker() -> None:
        await done.wait()
        await clock.sleep(5)

    task = asyncio.create_task(worker(), name="worker")
    quiet = asyncio.create_task(clock.quiet(lambda: {"worker"}))
    await asyncio.sleep(0.01)
    assert not quiet.done()
    done.set()
    await asyncio.wait_for(quiet, 5)
    assert clock.sleeping() == {"worker"}
    task.cancel()


async def test_a_cancelled_sleeper_is_nobody_to_wait_for(clock: VirtualClock) -> None:
    task = asyncio.create_task(clock.sleep(5), name="gone")
    await clock.quiet(lambda: {"gone"})
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert clock.sleeping() == set()
    assert clock.next_waking() is None


async def test_between_jumps_it_passes_as_the_clock_of_the_system_does() -> None:
    real = Still()
    clock = VirtualClock(START, real)
    clock.jump(100.0)
    real.at += 2.5
    assert clock.monotonic() == 102.5
    clock.jump(50.0)  # never backwards
    assert clock.monotonic() == 102.5


async def test_who_sleeps_while_nobody_jumps_wakes_all_the_same() -> None:
    clock = VirtualClock(START)
    await asyncio.wait_for(clock.sleep(0.01), 5)


def test_the_time_of_day_alone_can_be_set(clock: VirtualClock) -> None:
    clock.shift(-3600)
    assert clock.now() == START - timedelta(hours=1)
    assert clock.monotonic() == 0.0

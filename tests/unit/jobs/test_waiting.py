"""Alarms, health and loops."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from evertick.errors import ArchiveUnavailable
from evertick.jobs.waiting import Alarm, Health, Looping
from unit.jobs.scripted import VirtualClock, settle


async def test_an_alarm_sleeps_to_the_end_when_nobody_rings() -> None:
    clock = VirtualClock()
    waiting = asyncio.create_task(Alarm(clock).wait(10))
    await clock.advance(9.9)
    assert not waiting.done()
    await clock.advance(0.2)
    assert await waiting is False


async def test_a_ring_ends_the_wait_and_leaves_the_task_uncancelled() -> None:
    clock = VirtualClock()
    alarm = Alarm(clock)
    waiting = asyncio.create_task(alarm.wait(10))
    await settle()
    alarm.ring()
    alarm.ring()
    assert await waiting is True
    assert waiting.cancelling() == 0


async def test_a_ring_before_the_wait_is_kept_once() -> None:
    clock = VirtualClock()
    alarm = Alarm(clock)
    alarm.ring()
    assert await alarm.wait(10) is True
    waiting = asyncio.create_task(alarm.wait(10))
    await clock.advance(11)
    assert await waiting is False


@pytest.mark.parametrize("ring_first", [True, False])
async def test_a_cancellation_is_never_taken_for_a_ring(ring_first: bool) -> None:
    alarm = Alarm(VirtualClock())
    waiting = asyncio.create_task(alarm.wait(10))
    await settle()
    if ring_first:
        alarm.ring()
    waiting.cancel()
    alarm.ring()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_ring_within_a_time_limit_does_not_end_the_limit() -> None:
    alarm = Alarm(VirtualClock())

    async def twice() -> list[bool]:
        async with asyncio.timeout(30):
            return [await alarm.wait(10), await alarm.wait(10)]

    waiting = asyncio.create_task(twice())
    for _ in range(2):
        await settle()
        alarm.ring()
    assert await waiting == [True, True]


def test_a_row_of_failures_is_logged_once_and_its_end_once() -> None:
    health = Health("claiming jobs")
    with capture_logs() as logs:
        health.well()
        for _ in range(5):
            health.failed(ArchiveUnavailable("away"))
        health.well()
        health.well()
        health.failed(ValueError("ours"))
    assert [entry["event"] for entry in logs] == [
        "claiming jobs failing",
        "claiming jobs recovered",
        "claiming jobs failing",
    ]
    assert logs[0]["error"] == "away"
    assert "exc_info" in logs[2]


async def test_a_loop_lasts_as_long_as_its_block() -> None:
    class Loop(Looping):
        ran = ended = 0

        async def run(self) -> None:
            self.ran += 1
            try:
                await asyncio.sleep(3600)
            finally:
                self.ended += 1

    async with Loop() as loop:
        await settle()
        assert (loop.ran, loop.ended) == (1, 0)
    assert loop.ended == 1

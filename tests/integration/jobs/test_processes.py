"""Real worker processes on one ledger: killed, stopped, hanging, many at once. Over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from evertick.archive import Archive
from evertick.jobs.heartbeat import HUNG
from evertick.model import SlotState
from integration.jobs.crew import (
    Crew,
    assert_no_overlap,
    assert_published_once,
    effects,
    finished,
    make_effects,
    submit,
)

MANUAL = 10
"""Slots of ours beside those that the crew schedules."""


@pytest.fixture
async def crew(url: str, archive: Archive) -> AsyncIterator[Crew]:
    await make_effects(archive)
    crew = Crew(url)
    yield crew
    await crew.disband()


async def test_what_a_killed_worker_ran_is_taken_over_and_takes_effect_once(archive: Archive, crew: Crew) -> None:
    first = await crew.start()
    slot = await submit(archive, first=600)
    await first.until(lambda w: w.events("started"))
    await crew.start()
    first.signal(signal.SIGKILL)
    done = await finished(archive, slot)
    assert (done.state, done.attempts, done.token, done.result) == (SlotState.DONE, 2, 2, {"by": "w1"})
    assert await effects(archive) == [(slot.id, 2, "w1")]


async def test_a_stopped_worker_is_fenced_and_cancelled_when_it_wakes(archive: Archive, crew: Crew) -> None:
    first = await crew.start()
    slot = await submit(archive, first=600, seconds=3)
    await first.until(lambda w: w.events("started"))
    first.signal(signal.SIGSTOP)
    second = await crew.start()
    await second.until(lambda w: w.events("started"))
    first.signal(signal.SIGCONT)  # both run it now, the first without knowing better
    await first.until(lambda w: w.events("ended"))
    assert first.events("ended")[0]["how"] == "CancelledError"
    done = await finished(archive, slot)
    assert (done.state, done.token, done.result) == (SlotState.DONE, 2, {"by": "w1"})
    assert await effects(archive) == [(slot.id, 2, "w1")]
    again = await submit(archive)  # the first is well, and works on
    second.signal(signal.SIGSTOP)
    assert (await finished(archive, again)).result == {"by": "w0"}


async def test_a_call_that_blocks_the_loop_does_not_cost_the_lease(archive: Archive, crew: Crew) -> None:
    first = await crew.start(lease_s=3.0)
    slot = await submit(archive, block=5)
    await first.until(lambda w: w.events("started"))
    second = await crew.start(lease_s=3.0)
    done = await finished(archive, slot)
    assert (done.attempts, done.result) == (1, {"by": "w0"})
    assert second.events("started") == []


async def test_a_loop_that_hangs_ends_its_process_and_the_slot_goes_on(archive: Archive, crew: Crew) -> None:
    first = await crew.start(max_run_s=1.0)
    slot = await submit(archive, block=3600)
    await first.until(lambda w: w.events("started"))
    assert await first.ended() == HUNG
    assert b"job hangs" in first.log
    await crew.start()
    done = await finished(archive, slot)
    assert (done.state, done.attempts, done.result) == (SlotState.DONE, 2, {"by": "w1"})
    assert await effects(archive) == [(slot.id, 2, "w1")]


async def test_a_worker_that_is_told_to_stop_hands_its_slot_back(archive: Archive, crew: Crew) -> None:
    first = await crew.start(lease_s=300)
    slot = await submit(archive, seconds=60)
    await first.until(lambda w: w.events("started"))
    first.signal(signal.SIGTERM)
    assert await first.ended() == 0
    back = await archive.ledger.get(slot.id)
    assert (back.state, back.attempts, back.owner) == (SlotState.DUE, 0, None)


async def test_many_schedulers_and_workers_run_each_slot_once_though_they_are_killed(
    archive: Archive, crew: Crew
) -> None:
    """Three processes schedule and work every second; two are killed on the way, and one comes in their place."""
    workers = [await crew.start(every="1s") for _ in range(3)]
    for number in range(MANUAL):
        await submit(archive, seconds=0.1 * (number % 3))
    await workers[0].until(lambda w: len(w.events("ended")) >= 2)
    workers[0].signal(signal.SIGKILL)
    workers.append(await crew.start(every="1s"))
    await workers[1].until(lambda w: len(w.events("ended")) >= 3)
    workers[1].signal(signal.SIGKILL)
    async with asyncio.timeout(60):
        while True:
            slots = (await archive.ledger.list(1000)).items
            manual = [s for s in slots if s.trigger == "manual"]
            if len(manual) == MANUAL and all(s.state == SlotState.DONE for s in manual):
                break
            await asyncio.sleep(0.1)
    await crew.disband()
    slots = (await archive.ledger.list(1000)).items
    done = {s.id for s in slots if s.state == SlotState.DONE}
    published = {slot for slot, _, _ in await effects(archive)}
    assert done <= published
    # Who was disbanded between publishing and finishing left a slot that the next start would finish.
    cut_off = {s.id for s in slots if s.state in (SlotState.LEASED, SlotState.DUE)}
    assert published - done <= cut_off
    assert_published_once(crew, more_than=MANUAL)
    assert not [s for s in slots if s.state == SlotState.FAILED]
    assert_no_overlap(crew)
    planned = sorted(s.due for s in slots if s.trigger == "schedule")
    assert {round((b - a).total_seconds(), 3) for a, b in pairwise(planned)} == {1.0}, "a due time is missing or twice"

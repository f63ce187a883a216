"""The runner, the scheduler and the heartbeat together on both databases, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from evertick.archive import Archive, open_archive
from evertick.errors import NotFound
from evertick.jobs.heartbeat import Heartbeat
from evertick.jobs.runner import JobContext, JobSpec, Runner
from evertick.jobs.schedule import parse
from evertick.jobs.scheduler import Scheduler
from evertick.model import Slot, SlotState, SystemClock

CLOCK = SystemClock()


@asynccontextmanager
async def keep(job: str, component: str, slot: str | None) -> AsyncIterator[None]:
    yield


@dataclass
class Work:
    ran: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0

    async def __call__(self, job: JobContext) -> Mapping[str, Any]:
        self.ran.append(job.slot.id)
        self.running += 1
        self.most = max(self.most, self.running)
        await job.progress(0.5, "half", "một nửa")
        await asyncio.sleep(float(job.params.get("seconds", 0.01)))
        self.running -= 1
        return {"n": len(self.ran)}


@dataclass
class Floor:
    archive: Archive
    runner: Runner
    work: Work


@asynccontextmanager
async def opened(archive: Archive, *, every: str | None = None, lease_s: float = 30) -> AsyncIterator[Floor]:
    work = Work()
    schedule = parse(every, "UTC") if every else None
    specs = [JobSpec("work", work, schedule=schedule, retry_s=0.1), JobSpec("other", work)]
    ledger = archive.ledger
    async with (
        Heartbeat(ledger.renewals(), CLOCK, lease_s) as heartbeat,
        Runner(specs, ledger, keep, CLOCK, heartbeat=heartbeat, poll_s=0.1) as runner,
        Scheduler(specs, ledger, CLOCK, runner.wake),
    ):
        yield Floor(archive, runner, work)


@pytest.fixture
async def floor(archive: Archive) -> AsyncIterator[Floor]:
    async with opened(archive) as floor:
        yield floor


async def test_run_now_comes_back_with_what_the_job_left(floor: Floor) -> None:
    slots = await asyncio.gather(*(floor.runner.run_now("work", {"seconds": 0.2}) for _ in range(4)))
    assert {s.id for s in slots} == {slots[0].id}
    assert (slots[0].state, slots[0].result) == (SlotState.DONE, {"n": 1})
    assert await floor.archive.ledger.get(slots[0].id) == slots[0]


async def test_a_submitted_job_can_be_followed_to_its_end(floor: Floor, archive: Archive) -> None:
    slot = await floor.runner.submit("work", {"seconds": 0.3})
    seen: list[Slot] = []
    async with floor.runner.updates(slot.id) as updates:
        async for now in updates:
            seen.append(now)
    assert seen[-1].state == SlotState.DONE
    assert {"done": 0.5, "stage": "half", "text": "một nửa"} in [s.progress for s in seen]
    with pytest.raises(NotFound):
        async with floor.runner.updates("work.default.none"):
            raise AssertionError("entered")


async def test_a_hundred_slots_of_two_jobs_run_once_and_never_beside_themselves(floor: Floor) -> None:
    async def hand_in(job: str) -> list[str]:
        ids = []
        for n in range(50):
            slot = await floor.runner.submit(job, {"seconds": 0, "n": n})
            ids.append(slot.id)
            while len(ids) - sum(i in floor.work.ran for i in ids) > 15:
                await asyncio.sleep(0.01)
        return ids

    async with asyncio.timeout(60):
        handed_in = [*(await asyncio.gather(hand_in("work"), hand_in("other")))]
        ids = handed_in[0] + handed_in[1]
        while len(floor.work.ran) < len(ids) or floor.runner.running:
            await asyncio.sleep(0.05)
    assert sorted(floor.work.ran) == sorted(ids)
    assert floor.work.most <= 2
    states = {s.state for s in (await floor.archive.ledger.list(200)).items}
    assert states == {SlotState.DONE}


async def test_a_schedule_of_a_second_hands_out_every_second(archive: Archive) -> None:
    async with opened(archive, every="1s") as floor, asyncio.timeout(60):
        while len(floor.work.ran) < 4:
            await asyncio.sleep(0.05)
    due = sorted(s.due for s in (await archive.ledger.list(100)).items)
    assert {(b - a).total_seconds() for a, b in pairwise(due)} == {1.0}
    assert [row[:3] for row in await archive.ledger.next_due()] == [("default", "work", "1s")]


async def test_a_restart_after_a_kill_takes_its_slot_back_at_once(archive: Archive) -> None:
    """Embedded: the lock of the data folder proves that nobody else lives, so nothing waits for the lease."""
    slot = await archive.ledger.submit("default", "work", {}, CLOCK.now())
    killed = await archive.ledger.claim("before", {("default", "work"): 4}, CLOCK.now(), 3600)
    assert killed is not None
    assert await archive.ledger.reclaim(CLOCK.now()) == 1
    async with opened(archive) as floor, asyncio.timeout(30):
        while (now := await archive.ledger.get(slot.id)).state != SlotState.DONE:
            await asyncio.sleep(0.02)
        assert floor.work.ran == [slot.id]
    assert (now.attempts, now.token) == (2, 2)


async def test_shutdown_hands_back_and_the_next_start_goes_on(archive: Archive) -> None:
    async with opened(archive) as floor, asyncio.timeout(30):
        slot = await floor.runner.submit("work", {"seconds": 60})
        while not floor.work.ran:
            await asyncio.sleep(0.01)
    back = await archive.ledger.get(slot.id)
    assert (back.state, back.attempts, back.owner) == (SlotState.DUE, 0, None)


async def test_connections_cut_again_and_again_lose_nothing(postgres_database: str) -> None:
    """PostgreSQL drops every connection, the heartbeat's too, while slots are run: each is done, none is failed."""
    from evertick.archive.migrate import upgrade

    upgrade(postgres_database)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with capture_logs():
        async with (
            open_archive(postgres_database, CLOCK) as archive,
            opened(archive, lease_s=1.5) as floor,
            asyncio.timeout(90),
        ):
            ids = [(await floor.runner.submit("work", {"seconds": 0.2})).id for _ in range(15)]
            for _ in range(8):
                await asyncio.sleep(0.4)
                with psycopg.connect(postgres_database, autocommit=True) as connection:
                    connection.execute(cut)
            while True:
                states = [(await archive.ledger.get(id)).state for id in ids]
                if set(states) == {SlotState.DONE}:
                    break
                await asyncio.sleep(0.1)
    assert set(ids) == set(floor.work.ran)

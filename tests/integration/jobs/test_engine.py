"""Processes of a deployment on one PostgreSQL, jobs carried by SAQ: killed, stopped, hanging, swept, many at once."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from evertick.archive import Archive, open_archive
from evertick.archive.migrate import upgrade
from evertick.jobs.heartbeat import HUNG
from evertick.jobs.schedule import parse
from evertick.model import Slot, SlotState, SystemClock
from integration.jobs.crew import (
    Crew,
    Worker,
    assert_no_overlap,
    assert_published_once,
    effects,
    finished,
    make_effects,
    submit,
)

SCRIPT = Path(__file__).with_name("engine_worker.py")


@pytest.fixture
def url(postgres_database: str) -> str:
    upgrade(postgres_database)
    return postgres_database


class Deployment(Crew):
    async def schedule(self, **options: Any) -> Worker:
        return await self.launch(json.dumps({"roles": ["schedule"], **options}))

    async def work(self, **options: Any) -> Worker:
        return await self.launch(json.dumps({"roles": ["work"], **options}))


@pytest.fixture
async def crew(url: str, archive: Archive) -> AsyncIterator[Deployment]:
    await make_effects(archive)
    crew = Deployment(url, SCRIPT)
    yield crew
    await crew.disband()


def queued(url: str) -> list[tuple[str, str]]:
    """What stands in SAQ's table: key and status."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT key, status FROM saq_jobs ORDER BY key").fetchall()


async def empty(url: str) -> None:
    async with asyncio.timeout(40):
        while await asyncio.to_thread(queued, url):
            await asyncio.sleep(0.1)


async def test_a_slot_is_handed_in_run_and_gone_from_the_queue(archive: Archive, crew: Deployment, url: str) -> None:
    await crew.schedule()
    worker = await crew.work()
    slots = [await submit(archive, seconds=0.1) for _ in range(4)]
    done = [await finished(archive, slot) for slot in slots]
    assert [(s.state, s.attempts, s.token) for s in done] == [(SlotState.DONE, 1, 1)] * 4
    assert len(worker.events("started")) == 4
    assert_no_overlap(crew)
    await empty(url)


async def test_what_a_worker_cannot_run_at_once_is_there_for_others(
    archive: Archive, crew: Deployment, url: str
) -> None:
    """Two desks' jobs of which a process runs one at a time are delivered together: the second is not kept from others."""
    now = SystemClock().now()
    slots = [await archive.ledger.submit(f"d{n}", "work", {}, now) for n in range(8)]
    await crew.work(desks=8, seconds=0.25)
    await crew.schedule(desks=8)
    kept: Counter[str] = Counter()
    done: dict[str, Slot] = {}
    async with asyncio.timeout(60):
        while len(done) < len(slots):
            active = {key for key, status in await asyncio.to_thread(queued, url) if status == "active"}
            for slot in slots:
                now_is = await archive.ledger.get(slot.id)
                if now_is.state == SlotState.DONE:
                    done[slot.id] = now_is
                elif now_is.state == SlotState.DUE and f"{slot.id}@{now_is.token}" in active:
                    kept[slot.id] += 1
            await asyncio.sleep(0.25)
    assert [slot.attempts for slot in done.values()] == [1] * 8
    assert not [slot for slot, looks in kept.items() if looks > 4], "only SAQ's sweep, after seconds, would free it"
    assert_no_overlap(crew)


async def test_what_a_killed_worker_ran_runs_elsewhere_and_takes_effect_once(
    archive: Archive, crew: Deployment, url: str
) -> None:
    await crew.schedule()
    first = await crew.work()
    slot = await submit(archive, first=600)
    await first.until(lambda w: w.events("started"))
    await crew.work()
    first.signal(signal.SIGKILL)
    done = await finished(archive, slot)
    assert (done.state, done.attempts, done.token, done.result) == (SlotState.DONE, 2, 2, {"by": "w2"})
    assert await effects(archive) == [(slot.id, 2, "w2")]


@pytest.mark.long
async def test_what_sweeps_deliver_again_leases_nothing(archive: Archive, crew: Deployment, url: str) -> None:
    """SAQ's own sweep finds the job of the killed worker, long after the ledger had it run elsewhere."""
    await crew.schedule()
    first = await crew.work()
    slot = await submit(archive, first=600)
    await first.until(lambda w: w.events("started"))
    await crew.work()
    first.signal(signal.SIGKILL)
    await finished(archive, slot)
    assert await asyncio.to_thread(queued, url) == [(f"{slot.id}@0", "active")]
    await empty(url)
    done = await archive.ledger.get(slot.id)
    assert (done.state, done.attempts, len(await effects(archive))) == (SlotState.DONE, 2, 1)


async def test_a_stopped_worker_is_fenced_and_cancelled_when_it_wakes(archive: Archive, crew: Deployment) -> None:
    await crew.schedule()
    first = await crew.work()
    slot = await submit(archive, first=600, seconds=2)
    await first.until(lambda w: w.events("started"))
    first.signal(signal.SIGSTOP)
    second = await crew.work()
    await second.until(lambda w: w.events("started"))
    first.signal(signal.SIGCONT)
    await first.until(lambda w: w.events("ended"))
    assert first.events("ended")[0]["how"] == "CancelledError"
    done = await finished(archive, slot)
    assert (done.state, done.token, done.result) == (SlotState.DONE, 2, {"by": "w2"})
    assert await effects(archive) == [(slot.id, 2, "w2")]
    again = await submit(archive)  # the first is well, and works on
    second.signal(signal.SIGSTOP)
    assert (await finished(archive, again)).state == SlotState.DONE


@pytest.mark.long
async def test_a_running_job_that_is_swept_goes_on_and_is_run_by_nobody_else(
    archive: Archive, crew: Deployment, url: str
) -> None:
    """SAQ's sweep may believe a worker dead that is alive (its issue 277). Here it is told so twice."""
    await crew.schedule()
    first = await crew.work(concurrency=1)
    second = await crew.work()
    slot = await submit(archive, seconds=4)
    async with asyncio.timeout(40):
        while not (running := first.events("started") or second.events("started")):
            await asyncio.sleep(0.02)
    swept = 0
    with psycopg.connect(url, autocommit=True) as connection:
        # As the sweep of another process does with what looks stuck: abort it, then put it back into the queue.
        for status in ("aborting", "queued"):
            await asyncio.sleep(1.2)
            swept += connection.execute("UPDATE saq_jobs SET status = %s", (status,)).rowcount
    done = await finished(archive, slot)
    assert swept > 0
    assert (done.state, done.attempts, done.token) == (SlotState.DONE, 1, 1)
    assert len(first.events("started")) + len(second.events("started")) == 1, running
    assert len(await effects(archive)) == 1
    await empty(url)


@pytest.mark.long
async def test_a_call_that_blocks_the_loop_costs_neither_the_lease_nor_a_second_run(
    archive: Archive, crew: Deployment
) -> None:
    """Nobody tells SAQ for longer than its patience that the worker lives: it is swept, and the lease holds."""
    await crew.schedule()
    first = await crew.work(lease_s=4.0)
    slot = await submit(archive, block=12)
    await first.until(lambda w: w.events("started"))
    second = await crew.work(lease_s=4.0)
    done = await finished(archive, slot)
    assert (done.attempts, done.result) == (1, {"by": "w1"})
    assert second.events("started") == []


@pytest.mark.long
async def test_a_loop_that_hangs_ends_its_process_and_the_slot_goes_on(archive: Archive, crew: Deployment) -> None:
    await crew.schedule()
    first = await crew.work(max_run_s=1.0)
    slot = await submit(archive, block=3600)
    await first.until(lambda w: w.events("started"))
    assert await first.ended() == HUNG
    await crew.work()
    done = await finished(archive, slot)
    assert (done.state, done.attempts, done.result) == (SlotState.DONE, 2, {"by": "w2"})


@pytest.mark.parametrize(
    ("grace_s", "outcome"), [pytest.param(20.0, "finishes", marks=pytest.mark.long), (0.0, "hands back")]
)
async def test_a_worker_that_is_told_to_stop_finishes_or_hands_back(
    archive: Archive, crew: Deployment, url: str, grace_s: float, outcome: str
) -> None:
    await crew.schedule()
    first = await crew.work(grace_s=grace_s, lease_s=300)
    slot = await submit(archive, seconds=1)
    await first.until(lambda w: w.events("started"))
    first.signal(signal.SIGTERM)
    assert await first.ended() == 0
    found = await archive.ledger.get(slot.id)
    if outcome == "finishes":
        assert (found.state, found.attempts) == (SlotState.DONE, 1)
        later = await submit(archive)
        assert (await archive.ledger.get(later.id)).state == SlotState.DUE, "a stopped worker took more"
    else:
        assert (found.state, found.attempts, found.owner) == (SlotState.DUE, 0, None)
    await crew.work()
    assert (await finished(archive, slot)).state == SlotState.DONE
    await empty(url)


@pytest.mark.long
async def test_a_poisoned_job_fails_after_its_attempts_with_growing_waits(archive: Archive, crew: Deployment) -> None:
    await crew.schedule()
    worker = await crew.work()
    bad, good = await submit(archive, poison=True), await submit(archive)
    done = await finished(archive, bad)
    assert (done.state, done.attempts, done.error) == (SlotState.FAILED, 5, "ValueError: poisoned")
    assert (await finished(archive, good)).state == SlotState.DONE, "it stood in nobody's way"
    tries = [said["at"] for said in worker.events("started") if said["slot"] == bad.id]
    assert len(tries) == 5
    assert tries[4] - tries[3] >= 0.4, "0.1 s, doubled thrice, at least half of it"


@pytest.mark.long
async def test_a_job_that_the_engine_lost_is_handed_in_anew(archive: Archive, crew: Deployment, url: str) -> None:
    """A worker is killed between taking a job out of the queue and leasing it; and a queue is emptied by hand."""
    await crew.schedule()
    slot = await submit(archive)
    async with asyncio.timeout(40):
        while not queued(url):
            await asyncio.sleep(0.05)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM saq_jobs")
    await crew.work()
    assert (await finished(archive, slot)).state == SlotState.DONE
    later = await submit(archive)
    stuck = {
        "queue": "evertick", "function": "slot", "key": f"{later.id}@0", "timeout": 0, "started": 1, "touched": 1,
        "kwargs": {"desk": "default", "job": "work", "slot": later.id, "token": 0}, "ttl": -1,
    }  # fmt: skip
    with psycopg.connect(url, autocommit=True) as connection:
        # An empty heartbeat: no sweep of SAQ's would ever take it up.
        connection.execute(
            "INSERT INTO saq_jobs (key, job, queue, status, scheduled) VALUES (%s, %s, 'evertick', 'active', 1) "
            "ON CONFLICT (key) DO UPDATE SET job = excluded.job, status = 'active'",
            (stuck["key"], json.dumps(stuck).encode()),
        )
    assert (await finished(archive, later)).state == SlotState.DONE


@pytest.mark.long
async def test_missed_slots_coalesce_after_downtime(archive: Archive, crew: Deployment) -> None:
    """Nobody lives for 100 s of a schedule of 10 s."""
    every = parse("10s", "UTC")
    now = SystemClock().now()
    await archive.ledger.plan("default", "work", str(every), every, now - timedelta(seconds=100))
    for _ in range(2):
        await crew.schedule(every="10s")
    worker = await crew.work()
    await worker.until(lambda w: w.events("ended"))
    async with asyncio.timeout(40):
        while not (await archive.ledger.list(state=SlotState.DONE)).items:
            await asyncio.sleep(0.05)
    slots = (await archive.ledger.list(100)).items
    run = next(s for s in slots if s.state == SlotState.DONE)
    missed = [s for s in slots if s.state == SlotState.MISSED]
    assert run.coalesced == len(missed) >= 8
    assert max(s.due for s in missed) < run.due


@pytest.mark.long
async def test_many_schedulers_and_workers_run_each_slot_once_though_they_are_killed(
    archive: Archive, crew: Deployment
) -> None:
    """Three schedulers and three workers; one of each is killed on the way."""
    schedulers = [await crew.schedule(every="1s") for _ in range(3)]
    workers = [await crew.work() for _ in range(3)]
    for number in range(12):
        await submit(archive, seconds=0.1 * (number % 3))
    await until_ended(workers, 3)
    schedulers[0].signal(signal.SIGKILL)
    workers[0].signal(signal.SIGKILL)
    async with asyncio.timeout(90):
        while True:
            slots = (await archive.ledger.list(1000)).items
            manual = [s for s in slots if s.trigger == "manual"]
            if len(manual) == 12 and all(s.state == SlotState.DONE for s in manual):
                break
            await asyncio.sleep(0.1)
    for scheduler in schedulers[1:]:
        scheduler.signal(signal.SIGTERM)
        assert await scheduler.ended() == 0
    await crew.disband()
    slots = (await archive.ledger.list(1000)).items
    assert not [s for s in slots if s.state == SlotState.FAILED]
    published = Counter(slot for slot, _, _ in await effects(archive))
    assert {s.id for s in slots if s.state == SlotState.DONE} <= set(published)
    assert set(published.values()) == {1}
    assert_published_once(crew)
    assert_no_overlap(crew)
    planned = sorted(s.due for s in slots if s.trigger == "schedule")
    assert {round((b - a).total_seconds(), 3) for a, b in pairwise(planned)} == {1.0}, "a due time is missing or twice"


async def until_ended(workers: list[Worker], runs: int) -> None:
    async with asyncio.timeout(60):
        while sum(len(w.events("ended")) for w in workers) < runs:
            await asyncio.sleep(0.02)


@pytest.mark.long
async def test_a_takeover_waits_while_the_database_was_away_for_everybody(archive: Archive, crew: Deployment) -> None:
    """A scheduler that has just begun believes no lease to be over until the holders had the time to renew."""
    slot = await submit(archive)
    now = SystemClock().now()
    held = await archive.handout.take("sleeper", slot.id, 0, 5, now - timedelta(minutes=1), 30)
    assert held is not None
    began = time.monotonic()
    await crew.schedule(lease_s=3.0)
    await crew.work(lease_s=3.0)
    done = await finished(archive, slot)
    assert (done.state, done.attempts) == (SlotState.DONE, 2)
    assert time.monotonic() - began >= 3.0


# --- the ledger's side -----------------------------------------------------------------------------------------------


@pytest.fixture
async def archive(url: str) -> AsyncIterator[Archive]:
    async with open_archive(url, SystemClock()) as archive:
        yield archive


async def take(archive: Archive, slot: Slot, token: int, owner: str = "a", **more: Any) -> Slot | None:
    at = SystemClock().now() + more.get("later", timedelta(0))
    return await archive.handout.take(owner, slot.id, token, more.get("allowed", 3), at, 30)


async def test_exactly_one_of_many_takes_a_lease(archive: Archive) -> None:
    slot = await submit(archive)
    taken = await asyncio.gather(*(take(archive, slot, 0, f"w{n}") for n in range(8)))
    assert sum(one is not None for one in taken) == 1
    assert await take(archive, slot, 0) is None
    assert await take(archive, slot, 1) is None, "its lease is good"
    over = await take(archive, slot, 1, "b", later=timedelta(minutes=1))
    assert over is not None
    assert (over.token, over.attempts, over.owner) == (2, 2, "b")


async def test_a_job_that_runs_is_not_taken_a_second_time(archive: Archive) -> None:
    first, second = await submit(archive), await submit(archive)
    now = SystemClock().now() + timedelta(seconds=1)
    assert [s.id for s in await archive.handout.ready(now)] == [first.id]
    held = await take(archive, first, 0)
    assert held is not None
    assert await archive.handout.ready(now) == []
    assert await take(archive, second, 0) is None
    assert [s.id for s in await archive.handout.ready(now + timedelta(minutes=1))] == [first.id], "its lease is over"
    assert await archive.handout.ready(now + timedelta(minutes=1), over=False) == []
    await archive.ledger.finish(held, SlotState.DONE, now)
    assert [s.id for s in await archive.handout.ready(now, job=("default", "work"))] == [second.id]
    assert await archive.handout.ready(now, job=("default", "other")) == []


async def test_a_retry_is_ready_when_its_time_has_come(archive: Archive) -> None:
    slot = await submit(archive)
    held = await take(archive, slot, 0)
    assert held is not None
    now = SystemClock().now()
    await archive.ledger.finish(held, SlotState.FAILED, now, error="no", retry_at=now + timedelta(minutes=1))
    assert await archive.handout.ready(now) == []
    assert [s.token for s in await archive.handout.ready(now + timedelta(minutes=2))] == [1]


async def test_a_slot_whose_processes_all_die_is_given_up(archive: Archive) -> None:
    slot = await submit(archive)
    for n in range(3):
        assert await take(archive, slot, n, later=timedelta(minutes=n)) is not None
    assert await take(archive, slot, 3, later=timedelta(minutes=4)) is None
    gone = await archive.ledger.get(slot.id)
    assert (gone.state, gone.attempts) == (SlotState.FAILED, 3)

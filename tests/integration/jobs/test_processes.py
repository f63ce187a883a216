"""Real worker processes on one ledger: killed, stopped, hanging, many at once. Over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from evertick.archive import Archive
from evertick.jobs.heartbeat import HUNG
from evertick.model import Slot, SlotState, SystemClock

WORKER = Path(__file__).with_name("worker.py")
LEASE_S = 2.0


class Worker:
    """A worker process and all it said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []
        self.log = bytearray()
        assert process.stdout is not None
        self._reader = asyncio.create_task(self._read(process.stdout))

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        async for line in stdout:
            if line.startswith(b"{"):
                self.said.append(json.loads(line))
            else:
                self.log += line

    def events(self, event: str) -> list[dict[str, Any]]:
        return [said for said in self.said if said["event"] == event]

    async def until(self, true: Callable[[Worker], object]) -> None:
        async with asyncio.timeout(40):
            while not true(self):
                assert self.process.returncode is None, f"ended with {self.process.returncode}: {self.log.decode()}"
                await asyncio.sleep(0.02)

    async def ended(self) -> int:
        async with asyncio.timeout(40):
            code = await self.process.wait()
            await self._reader
        return code

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)


class Crew:
    def __init__(self, url: str) -> None:
        self.url = url
        self.workers: list[Worker] = []

    async def start(self, lease_s: float = LEASE_S, max_run_s: float = 60, every: str = "-") -> Worker:
        name = f"w{len(self.workers)}"
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(WORKER), self.url, name, str(lease_s), str(max_run_s), every,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        worker = Worker(process)
        self.workers.append(worker)
        await worker.until(lambda w: w.events("ready"))
        return worker

    async def disband(self) -> None:
        for worker in self.workers:
            if worker.process.returncode is None:
                worker.signal(signal.SIGCONT)
                worker.signal(signal.SIGTERM)
        for worker in self.workers:
            await worker.ended()


@pytest.fixture
async def crew(url: str, archive: Archive) -> AsyncIterator[Crew]:
    async with archive.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE effects (slot TEXT PRIMARY KEY, token INTEGER, owner TEXT)"))
    crew = Crew(url)
    yield crew
    await crew.disband()


async def effects(archive: Archive) -> list[tuple[str, int, str]]:
    async with archive.engine.connect() as connection:
        rows = await connection.execute(text("SELECT slot, token, owner FROM effects"))
        return [(row.slot, row.token, row.owner) for row in rows]


async def submit(archive: Archive, **params: Any) -> Slot:
    return await archive.ledger.submit("default", "work", params, SystemClock().now())


async def finished(archive: Archive, slot: Slot) -> Slot:
    async with asyncio.timeout(40):
        while (now := await archive.ledger.get(slot.id)).state in (SlotState.DUE, SlotState.LEASED):
            await asyncio.sleep(0.05)
    return now


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
    for number in range(12):
        await submit(archive, seconds=0.1 * (number % 3))
    await workers[0].until(lambda w: len(w.events("ended")) >= 2)
    workers[0].signal(signal.SIGKILL)
    workers.append(await crew.start(every="1s"))
    await workers[1].until(lambda w: len(w.events("ended")) >= 6)
    workers[1].signal(signal.SIGKILL)
    async with asyncio.timeout(60):
        while True:
            slots = (await archive.ledger.list(1000)).items
            manual = [s for s in slots if s.trigger == "manual"]
            if len(manual) == 12 and all(s.state == SlotState.DONE for s in manual):
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
    assert_published_once(crew)
    assert not [s for s in slots if s.state == SlotState.FAILED]
    assert_no_overlap(crew)
    planned = sorted(s.due for s in slots if s.trigger == "schedule")
    assert {round((b - a).total_seconds(), 3) for a, b in pairwise(planned)} == {1.0}, "a due time is missing or twice"


def assert_published_once(crew: Crew) -> None:
    """A run comes to publishing twice only where the first was killed before it could write that it had."""
    published = defaultdict(list)
    for worker in crew.workers:
        for said in worker.events("ended"):
            if said["how"] == "published":
                published[said["slot"]].append(worker)
    assert len(published) > 12
    for workers in published.values():
        assert len(workers) == 1 or workers[0].process.returncode == -signal.SIGKILL


def assert_no_overlap(crew: Crew) -> None:
    """Of the runs that came to their end: none began before the one before it had ended (one clock for all processes)."""
    runs: dict[tuple[str, int], dict[str, float]] = defaultdict(dict)
    for worker in crew.workers:
        for said in worker.said:
            if said["event"] in ("started", "ended"):
                runs[said["slot"], said["token"]][said["event"]] = said["at"]
    spans = sorted((run["started"], run["ended"]) for run in runs.values() if "ended" in run)
    for (_, ended), (started, _) in pairwise(spans):
        assert started >= ended - 0.001

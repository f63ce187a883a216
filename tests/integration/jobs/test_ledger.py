"""The ledger over both databases: one suite, real servers."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import insert

from evertick.archive import Archive, open_archive
from evertick.archive.ledger import WAITING_LIMIT, Ledger
from evertick.archive.tables import slots
from evertick.errors import Fenced, JobRefused, NotFound
from evertick.jobs.schedule import parse
from evertick.model import Slot, SlotState, SystemClock, slot_id

HCM = "Asia/Ho_Chi_Minh"
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EVERY = parse("3m", HCM)
JOB = ("default", "refresh")
JOBS = {JOB: 3}


async def due_slot(ledger: Ledger, job: str = "refresh", at: datetime = NOW) -> Slot:
    return await ledger.submit("default", job, {"n": 1}, at)


async def claimed(ledger: Ledger, owner: str = "a", at: datetime = NOW, jobs: dict[Any, int] = JOBS) -> Slot:
    slot = await ledger.claim(owner, jobs, at, 30)
    assert slot is not None
    return slot


# --- planning --------------------------------------------------------------------------------------------------------


async def test_a_first_start_waits_and_then_each_due_time_gives_one_slot(ledger: Ledger) -> None:
    assert await ledger.plan(*JOB, "3m", EVERY, NOW) == []
    assert await ledger.next_due() == [("default", "refresh", "3m", NOW + 3 * MINUTE)]
    assert await ledger.plan(*JOB, "3m", EVERY, NOW + 2 * MINUTE) == []
    (slot,) = await ledger.plan(*JOB, "3m", EVERY, NOW + 3.2 * MINUTE)
    assert (slot.due, slot.state, slot.coalesced) == (NOW + 3 * MINUTE, SlotState.DUE, 0)
    assert await ledger.get(slot.id) == slot
    assert await ledger.plan(*JOB, "3m", EVERY, NOW + 3.3 * MINUTE) == []
    assert (await ledger.next_due())[0][3] == NOW + 6 * MINUTE, "no drift: 3.2 minutes do not count"


async def test_a_first_start_that_wants_to_runs_at_once_and_only_then(ledger: Ledger) -> None:
    (slot,) = await ledger.plan(*JOB, "3m", EVERY, NOW, first_now=True)
    assert slot.due == NOW
    assert await ledger.plan(*JOB, "3m", EVERY, NOW + MINUTE, first_now=True) == []


async def test_a_downtime_gives_one_slot_and_shows_the_missed(ledger: Ledger) -> None:
    await ledger.plan(*JOB, "3m", EVERY, NOW)
    made = await ledger.plan(*JOB, "3m", EVERY, NOW + 13 * MINUTE)
    assert [(s.due, s.state) for s in made] == [
        (NOW + 3 * MINUTE, SlotState.MISSED),
        (NOW + 6 * MINUTE, SlotState.MISSED),
        (NOW + 9 * MINUTE, SlotState.MISSED),
        (NOW + 12 * MINUTE, SlotState.DUE),
    ]
    assert made[-1].coalesced == 3
    assert (await claimed(ledger, at=NOW + 13 * MINUTE)).id == made[-1].id
    assert await ledger.claim("b", JOBS, NOW + 13 * MINUTE, 30) is None


async def test_slots_nobody_came_to_run_are_counted_in_the_newest(ledger: Ledger) -> None:
    await ledger.plan(*JOB, "3m", EVERY, NOW)
    await ledger.plan(*JOB, "3m", EVERY, NOW + 7 * MINUTE)  # 1 missed, 1 due that nobody runs
    manual = await due_slot(ledger, at=NOW + 7 * MINUTE)
    (newest,) = await ledger.plan(*JOB, "3m", EVERY, NOW + 9 * MINUTE)
    assert newest.coalesced == 2
    states = Counter(s.state for s in (await ledger.list()).items)
    assert states == {SlotState.MISSED: 2, SlotState.DUE: 2}
    assert (await ledger.get(manual.id)).state == SlotState.DUE, "what a person asked for is not coalesced away"


async def test_a_run_that_died_and_was_overtaken_failed_for_a_reason(ledger: Ledger) -> None:
    await ledger.plan(*JOB, "3m", EVERY, NOW)
    await ledger.plan(*JOB, "3m", EVERY, NOW + 3 * MINUTE)
    died = await claimed(ledger, at=NOW + 3 * MINUTE)
    await ledger.reclaim(NOW + 7 * MINUTE)  # killed with -9, and started again after the next was due
    await ledger.plan(*JOB, "3m", EVERY, NOW + 7 * MINUTE)
    found = await ledger.get(died.id)
    assert found.state == SlotState.FAILED
    assert "ended before its time" in (found.error or "")


async def test_what_a_clock_running_ahead_called_missed_is_due_when_its_time_comes(ledger: Ledger) -> None:
    times = parse("11:00,14:00,17:00", "UTC")
    await ledger.plan(*JOB, str(times), times, NOW)
    ahead = await ledger.plan(*JOB, str(times), times, NOW + timedelta(hours=9))
    assert [slot.state for slot in ahead] == [SlotState.MISSED, SlotState.MISSED, SlotState.DUE]
    slot = await claimed(ledger, at=NOW + timedelta(hours=9))
    await ledger.finish(slot, SlotState.DONE, NOW + timedelta(hours=9))
    await ledger.plan(*JOB, str(times), times, NOW + MINUTE)  # the clock is put right
    for hours, made in ((2, 1), (5, 1), (8, 0)):  # the last one has run, early, and does not run twice
        at = NOW + timedelta(hours=hours)
        slots = await ledger.plan(*JOB, str(times), times, at)
        assert [(slot.state, slot.due, slot.coalesced) for slot in slots] == [(SlotState.DUE, at, 0)] * made
        if made:
            found = await ledger.get(slots[0].id)
            assert (found.state, found.finished) == (SlotState.DUE, None)
            await ledger.finish(await claimed(ledger, at=at), SlotState.DONE, at)


async def test_a_retry_gives_way_to_the_next_slot_as_failed(ledger: Ledger) -> None:
    await ledger.plan(*JOB, "3m", EVERY, NOW)
    await ledger.plan(*JOB, "3m", EVERY, NOW + 3 * MINUTE)
    slot = await claimed(ledger, at=NOW + 3 * MINUTE)
    await ledger.finish(slot, SlotState.FAILED, NOW + 4 * MINUTE, error="no", retry_at=NOW + 9 * MINUTE)
    (newest,) = await ledger.plan(*JOB, "3m", EVERY, NOW + 6 * MINUTE)
    assert newest.coalesced == 0
    old = await ledger.get(slot.id)
    assert (old.state, old.error, old.finished) == (SlotState.FAILED, "no", NOW + 6 * MINUTE)


async def test_a_slot_that_runs_is_left_alone_by_the_next(ledger: Ledger) -> None:
    await ledger.plan(*JOB, "3m", EVERY, NOW)
    await ledger.plan(*JOB, "3m", EVERY, NOW + 3 * MINUTE)
    slot = await claimed(ledger, at=NOW + 3 * MINUTE)
    await ledger.plan(*JOB, "3m", EVERY, NOW + 6 * MINUTE)
    assert (await ledger.get(slot.id)).state == SlotState.LEASED
    assert await ledger.claim("b", JOBS, NOW + 3.2 * MINUTE, 30) is None, "no job overlaps itself"


async def test_many_planners_at_once_make_each_slot_once(archive: Archive, url: str) -> None:
    async with open_archive(url, SystemClock()) as other:
        ledgers = [archive.ledger, other.ledger] * 3
        made: list[Slot] = []
        for minute in range(0, 60, 2):
            at = NOW + minute * MINUTE
            plans = [ledger.plan(*JOB, "3m", EVERY, at) for ledger in ledgers]
            for found in await asyncio.gather(*plans):
                made += found
    ids = [s.id for s in made]
    assert len(ids) == len(set(ids))
    dues = sorted(s.due for s in made)
    assert {b - a for a, b in pairwise(dues)} == {3 * MINUTE}
    assert len(dues) == 19


async def test_a_changed_spec_recomputes_and_fires_nothing(ledger: Ledger) -> None:
    await ledger.plan(*JOB, "3m", EVERY, NOW)
    assert await ledger.plan(*JOB, "1h", parse("1h", HCM), NOW + 10 * MINUTE) == []
    assert await ledger.next_due() == [("default", "refresh", "1h", NOW + 60 * MINUTE)]


async def test_schedules_that_are_no_longer_wanted_are_forgotten(ledger: Ledger) -> None:
    await ledger.plan("default", "refresh", "3m", EVERY, NOW)
    await ledger.plan("default", "report", "3h", parse("3h", HCM), NOW)
    await ledger.plan("asia", "report", "3h", parse("3h", HCM), NOW)
    assert await ledger.keep_schedules([("default", "refresh"), ("default", "report")]) == 1
    assert [row[:2] for row in await ledger.next_due()] == [("default", "refresh"), ("default", "report")]
    assert await ledger.keep_schedules([]) == 2


# --- submitting ------------------------------------------------------------------------------------------------------


async def test_what_is_submitted_at_one_moment_gets_slots_of_its_own(ledger: Ledger) -> None:
    made = await asyncio.gather(*(due_slot(ledger) for _ in range(5)))
    assert len({s.id for s in made}) == 5
    assert all(s.trigger == "manual" and s.params == {"n": 1} and s.id == slot_id(*JOB, s.due) for s in made)


async def test_a_full_queue_refuses(ledger: Ledger) -> None:
    for _ in range(WAITING_LIMIT):
        await due_slot(ledger)
    with pytest.raises(JobRefused, match="wait already"):
        await due_slot(ledger)
    await due_slot(ledger, job="report")


# --- leases ----------------------------------------------------------------------------------------------------------


async def test_a_claim_leases_the_oldest_due_slot(ledger: Ledger) -> None:
    late = await due_slot(ledger, at=NOW + MINUTE)
    early = await due_slot(ledger, at=NOW)
    await due_slot(ledger, at=NOW + 60 * MINUTE)
    slot = await claimed(ledger, at=NOW + 2 * MINUTE)
    assert slot.id == early.id
    assert (slot.state, slot.owner, slot.token, slot.attempts) == (SlotState.LEASED, "a", 1, 1)
    assert (slot.lease_until, slot.started) == (NOW + 2.5 * MINUTE, NOW + 2 * MINUTE)
    assert await ledger.get(slot.id) == slot
    await ledger.finish(slot, SlotState.DONE, NOW + 2 * MINUTE, result={"quotes": 3})
    assert (await claimed(ledger, at=NOW + 2 * MINUTE)).id == late.id
    assert await ledger.claim("a", {}, NOW + 90 * MINUTE, 30) is None
    assert await ledger.claim("a", {("other", "refresh"): 3}, NOW + 90 * MINUTE, 30) is None


async def test_jobs_and_desks_run_beside_each_other_but_never_beside_themselves(ledger: Ledger) -> None:
    await due_slot(ledger)
    await due_slot(ledger)
    await due_slot(ledger, job="report")
    await ledger.submit("asia", "refresh", {}, NOW)
    jobs = {("default", "refresh"): 3, ("default", "report"): 3, ("asia", "refresh"): 3}
    found = []
    while (slot := await ledger.claim("a", jobs, NOW + MINUTE, 30)) is not None:
        found.append((slot.desk, slot.job))
    assert sorted(found) == [("asia", "refresh"), ("default", "refresh"), ("default", "report")]


async def test_done_is_done(ledger: Ledger) -> None:
    await due_slot(ledger)
    slot = await claimed(ledger)
    done = await ledger.finish(slot, SlotState.DONE, NOW + MINUTE, result={"id": "x"})
    assert (done.state, done.result, done.finished, done.owner) == (SlotState.DONE, {"id": "x"}, NOW + MINUTE, None)
    assert done.lease_until is None
    assert await ledger.claim("b", JOBS, NOW + 90 * MINUTE, 30) is None
    with pytest.raises(Fenced):
        await ledger.finish(slot, SlotState.FAILED, NOW + MINUTE)


async def test_a_retry_waits_for_its_time(ledger: Ledger) -> None:
    await due_slot(ledger)
    slot = await claimed(ledger)
    await ledger.finish(slot, SlotState.FAILED, NOW, error="no answer", retry_at=NOW + MINUTE)
    assert await ledger.claim("a", JOBS, NOW + 0.9 * MINUTE, 30) is None
    again = await claimed(ledger, at=NOW + MINUTE)
    assert (again.attempts, again.token, again.error) == (2, 2, "no answer")


async def test_a_lease_that_ran_out_is_taken_over_and_its_old_owner_fenced(ledger: Ledger) -> None:
    await due_slot(ledger)
    old = await claimed(ledger, "a")
    assert await ledger.claim("b", JOBS, NOW + timedelta(seconds=30), 30) is None, "the lease is still good"
    assert await ledger.claim("a", JOBS, NOW + MINUTE, 30) is None, "nobody takes over from himself"
    new = await claimed(ledger, "b", NOW + MINUTE)
    assert (new.id, new.owner, new.token, new.attempts) == (old.id, "b", 2, 2)
    for attempt in (
        ledger.finish(old, SlotState.DONE, NOW, result={}),
        ledger.progress(old, {"done": 0.5}),
        ledger.release(old),
    ):
        with pytest.raises(Fenced):
            await attempt
    assert await ledger.get(new.id) == new


async def test_a_slot_whose_processes_all_die_is_given_up(ledger: Ledger) -> None:
    await due_slot(ledger)
    at = NOW
    for owner in "abc":
        slot = await claimed(ledger, owner, at)
        at += MINUTE
    behind = await due_slot(ledger, at=NOW + MINUTE)
    following = await claimed(ledger, "d", at)
    assert following.id == behind.id, "the next slot of the job is claimed in the same call"
    gone = await ledger.get(slot.id)
    assert (gone.state, gone.attempts, gone.finished) == (SlotState.FAILED, 3, at)
    assert gone.error is not None
    assert "3 times" in gone.error


async def test_a_released_slot_is_due_at_once_and_the_attempt_does_not_count(ledger: Ledger) -> None:
    await due_slot(ledger)
    slot = await claimed(ledger)
    back = await ledger.release(slot)
    assert (back.state, back.attempts, back.token, back.owner) == (SlotState.DUE, 0, 1, None)
    again = await claimed(ledger, "b")
    assert (again.id, again.attempts, again.token) == (slot.id, 1, 2)
    with pytest.raises(Fenced):
        await ledger.release(slot)


async def test_an_owner_hands_back_what_it_leased_without_knowing(ledger: Ledger) -> None:
    """Else nobody would run it as long as the owner lives: an owner never takes over from itself."""
    await due_slot(ledger)
    await due_slot(ledger, job="report")
    held, lost = await claimed(ledger), await claimed(ledger, jobs={("default", "report"): 3})
    assert await ledger.disown("b", []) == 0
    assert await ledger.disown("a", [held.id]) == 1
    assert (await ledger.get(held.id)).state == SlotState.LEASED
    back = await ledger.get(lost.id)
    assert (back.state, back.attempts, back.owner) == (SlotState.DUE, 0, None)


async def test_the_owner_of_the_folder_frees_every_lease_at_its_start(ledger: Ledger) -> None:
    await due_slot(ledger)
    await due_slot(ledger, job="report")
    old = await claimed(ledger)
    await claimed(ledger, jobs={("default", "report"): 3})
    assert await ledger.reclaim(NOW) == 2
    assert await ledger.reclaim(NOW) == 0
    new = await claimed(ledger, "b")
    assert (new.id, new.attempts, new.token) == (old.id, 2, 2), "the attempt counts: the process may have died of it"
    with pytest.raises(Fenced):
        await ledger.finish(old, SlotState.DONE, NOW)


async def test_progress_is_seen_and_gone_with_the_next_attempt(ledger: Ledger) -> None:
    await due_slot(ledger)
    slot = await claimed(ledger)
    await ledger.progress(slot, {"done": 0.5, "stage": "render", "text": "Việt"})
    assert (await ledger.get(slot.id)).progress == {"done": 0.5, "stage": "render", "text": "Việt"}
    await ledger.finish(slot, SlotState.FAILED, NOW, retry_at=NOW)
    assert (await claimed(ledger)).progress is None


# --- reading ---------------------------------------------------------------------------------------------------------


async def test_what_is_not_there_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match=r"refresh\.default\.x"):
        await ledger.get("refresh.default.x")


async def test_pages_hold_each_slot_once_newest_first(ledger: Ledger) -> None:
    for n in range(7):
        await due_slot(ledger, job="refresh" if n % 2 else "report", at=NOW + n * MINUTE)
    seen, cursor = [], None
    while True:
        page = await ledger.list(3, cursor)
        seen += [s.due for s in page.items]
        if page.next is None:
            break
        await due_slot(ledger, at=NOW + 60 * MINUTE)  # what comes meanwhile does not shift the pages
        cursor = page.next
    assert seen == [NOW + n * MINUTE for n in (6, 5, 4, 3, 2, 1, 0)]
    assert len((await ledger.list(job="report")).items) == 4
    slot = await claimed(ledger, at=NOW + 90 * MINUTE)
    assert [s.id for s in (await ledger.list(state=SlotState.LEASED)).items] == [slot.id]


@pytest.mark.parametrize("cursor", ["x", "bm9wZQ", "W10", "éé", "WyIyMDI2LTExLTIzIiwieCJd", "W251bGwsIDFd"])
async def test_a_strange_cursor_is_refused(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await ledger.list(cursor=cursor)


async def test_pruning_takes_what_ended_and_is_old(ledger: Ledger) -> None:
    await ledger.plan(*JOB, "1m", parse("1m", HCM), NOW)
    await ledger.plan(*JOB, "1m", parse("1m", HCM), NOW + 20 * MINUTE)
    old_and_waiting = await due_slot(ledger, job="report", at=NOW)
    assert await ledger.prune(NOW + 11 * MINUTE) == 10
    left = (await ledger.list(100)).items
    assert old_and_waiting.id in {s.id for s in left}
    assert min(s.due for s in left if s.job == "refresh") == NOW + 11 * MINUTE


@pytest.mark.parametrize("analysed", [False, True])
async def test_claims_do_not_walk_over_the_many_that_ended(archive: Archive, url: str, analysed: bool) -> None:
    from evertick.archive.ledger import _CANDIDATE_POSTGRES, _CANDIDATE_SQLITE, _OPEN_SLOT

    await fill(archive, [JOB], 3000, SlotState.DONE)
    on_sqlite = url.startswith("sqlite")
    candidate = _CANDIDATE_SQLITE if on_sqlite else _CANDIDATE_POSTGRES
    listed = '["default\x1frefresh"]' if on_sqlite else "default\x1frefresh"
    for statement in (
        _OPEN_SLOT.params(me="a", at=NOW, names=["refresh"]),
        candidate.params(me="a", at=NOW, jobs=listed),
    ):
        async with archive.engine.connect() as connection:
            if analysed:
                await connection.exec_driver_sql("ANALYZE")
            compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
            rows = await connection.exec_driver_sql(f"{'EXPLAIN QUERY PLAN' if on_sqlite else 'EXPLAIN'} {compiled}")
            plan = "\n".join(str(row[-1]) for row in rows)
        assert "ix_slots_state_due" in plan
        assert "SCAN slot" not in plan
        assert "Seq Scan" not in plan


async def fill(archive: Archive, jobs: list[tuple[str, str]], each: int, state: SlotState) -> int:
    rows = [
        {"id": slot_id(desk, job, at), "desk": desk, "job": job, "due": at, "state": state, "trigger": "manual", "params": {}}
        for desk, job in jobs
        for at in (NOW - n * MINUTE for n in range(each))
    ]  # fmt: skip
    async with archive.engine.begin() as connection:
        await connection.execute(insert(slots), rows)
    return len(rows)


async def test_the_outlook_tells_what_is_due_and_when_the_next_is(ledger: Ledger) -> None:
    assert await ledger.outlook(NOW) == ([], None)
    for n, desk in enumerate(("asia", "europe", "africa")):
        await ledger.plan(desk, "report", "1h", parse("1h", HCM), NOW - (60 - 10 * n) * MINUTE)
    assert await ledger.outlook(NOW - MINUTE) == ([], NOW)
    assert await ledger.outlook(NOW + 10 * MINUTE) == ([("asia", "report"), ("europe", "report")], NOW + 20 * MINUTE)
    assert await ledger.outlook(NOW + 60 * MINUTE) == (
        [("asia", "report"), ("europe", "report"), ("africa", "report")],
        None,
    )
    assert (await ledger.standing())["asia", "report"] == ("1h", NOW - 60 * MINUTE, NOW)


async def test_a_thousand_desks_are_claimed_in_their_order_and_those_of_others_are_left(ledger: Ledger) -> None:
    desks = {(f"desk-{n}", "report"): 3 for n in range(1000)}
    await ledger.submit("of-others", "report", {}, NOW - MINUTE)
    for n in (700, 20, 999):
        await ledger.submit(f"desk-{n}", "report", {}, NOW + n * timedelta(seconds=0.001))
    order = []
    while (slot := await ledger.claim("a", desks, NOW + MINUTE, 30)) is not None:
        order.append(slot.desk)
    assert order == ["desk-20", "desk-700", "desk-999"]
    assert await ledger.claim("a", {("of-others", "report"): 3}, NOW + MINUTE, 30) is not None, (
        "other jobs, another answer"
    )


# --- many at once ----------------------------------------------------------------------------------------------------


async def test_many_claimers_run_each_of_some_hundred_slots_once(archive: Archive, url: str) -> None:
    """Eight claimers on two pools, four jobs, 300 slots: each runs once, and no job runs beside itself."""
    names = [("default", f"job{n}") for n in range(4)]
    jobs = dict.fromkeys(names, 3)
    total = await fill(archive, names, 75, SlotState.DUE)
    running: Counter[tuple[str, str]] = Counter()
    ran: Counter[str] = Counter()

    async def work(ledger: Ledger, owner: str) -> None:
        while sum(ran.values()) < total:
            slot = await ledger.claim(owner, jobs, NOW, 3600)
            if slot is None:
                await asyncio.sleep(0.005)
                continue
            key = (slot.desk, slot.job)
            running[key] += 1
            assert running[key] == 1, f"{key} runs beside itself"
            await asyncio.sleep(0.001)
            running[key] -= 1
            ran[slot.id] += 1
            await ledger.finish(slot, SlotState.DONE, NOW, result={"by": owner})

    async with open_archive(url, SystemClock()) as other, asyncio.timeout(90):
        owners = [(ledger, f"w{n}") for n, ledger in enumerate([archive.ledger, other.ledger] * 4)]
        await asyncio.gather(*(work(ledger, owner) for ledger, owner in owners))
    assert len(ran) == total
    assert set(ran.values()) == {1}
    assert not (await archive.ledger.list(1, state=SlotState.DUE)).items
    assert not (await archive.ledger.list(1, state=SlotState.LEASED)).items

"""The scheduler on a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from evertick.jobs.runner import JobContext, JobSpec
from evertick.jobs.schedule import parse
from evertick.jobs.scheduler import LONGEST_S, SHORTEST_S, Scheduler, _nap
from evertick.model import SlotState
from unit.jobs.scripted import START, MemoryLedger, VirtualClock, settle

HCM = "Asia/Ho_Chi_Minh"


async def nothing(job: JobContext) -> None: ...


REFRESH = JobSpec("refresh", nothing, schedule=parse("3m", HCM))
REPORT = JobSpec("report", nothing, schedule=parse("3h..6h", HCM), first_now=True)
BY_HAND = JobSpec("by_hand", nothing)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
async def woken(clock: VirtualClock, ledger: MemoryLedger) -> AsyncIterator[list[None]]:
    woken: list[None] = []
    async with Scheduler([REFRESH, REPORT, BY_HAND], ledger, clock, lambda: woken.append(None)):
        await settle()
        yield woken


async def test_each_due_time_is_handed_out_at_once_and_never_drifts(
    clock: VirtualClock, ledger: MemoryLedger, woken: list[None]
) -> None:
    assert ledger.kept == [("default", "refresh"), ("default", "report")]
    await clock.advance(24 * 3600)
    due = [s.due for s in ledger.slots.values() if s.job == "refresh"]
    assert due == [START + n * timedelta(minutes=3) for n in range(1, 481)]
    assert all(s.coalesced == 0 for s in ledger.slots.values())
    reports = sorted(s.due for s in ledger.slots.values() if s.job == "report")
    assert reports[0] == START
    assert 5 <= len(reports) <= 9
    assert len(woken) == len(due) + len(reports)


async def test_a_downtime_of_the_database_is_logged_once_and_made_good(
    clock: VirtualClock, ledger: MemoryLedger, woken: list[None]
) -> None:
    with capture_logs() as logs:
        ledger.away("plan", 343)  # of one to ten seconds each
        await clock.advance(3600)
        await clock.advance(60)
    events = [entry["event"] for entry in logs]
    assert events.count("scheduling failing") == 1
    assert events.count("scheduling recovered") == 1
    assert events.count("missed slots coalesced") == 1
    due = [s for s in ledger.slots.values() if s.job == "refresh" and s.state == SlotState.DUE]
    assert max(s.coalesced for s in due) >= 18


async def test_a_clock_put_back_by_a_day_does_not_stop_the_schedule(
    clock: VirtualClock, ledger: MemoryLedger, woken: list[None]
) -> None:
    await clock.advance(600)
    clock.set_back(86400)
    before = len(ledger.slots)
    await clock.advance(LONGEST_S + 400)
    assert len(ledger.slots) >= before + 2


async def test_leaving_the_block_ends_the_loop(clock: VirtualClock, ledger: MemoryLedger) -> None:
    async with Scheduler([REFRESH], ledger, clock):
        await settle()
    calls = len(ledger.calls)
    await clock.advance(3600)
    assert len(ledger.calls) == calls


async def test_a_look_asks_for_no_schedule_that_is_not_due(clock: VirtualClock, ledger: MemoryLedger) -> None:
    specs = [JobSpec("report", nothing, desk=f"desk-{n}", schedule=parse("1h", HCM, spread=True)) for n in range(200)]
    async with Scheduler(specs, ledger, clock):
        await settle()
        assert ledger.calls.count("plan") == 200
        ledger.calls.clear()
        await clock.advance(3600)
        assert len(ledger.slots) == 200
        assert ledger.calls.count("plan") <= 201, "a due time was asked for more than once"
        assert ledger.calls.count("standing") <= 6


async def test_schedules_of_others_do_not_keep_it_awake(clock: VirtualClock, ledger: MemoryLedger) -> None:
    async with Scheduler([REFRESH], ledger, clock):
        await settle()
        ledger.schedules["gone", "report"] = ("3m", START, START)
        ledger.calls.clear()
        await clock.advance(600)
        assert len(ledger.calls) < 60


def test_naps_are_bounded() -> None:
    assert _nap(None, START) == LONGEST_S
    assert _nap(START - timedelta(hours=1), START) == SHORTEST_S
    assert _nap(START + timedelta(seconds=7), START) == 7
    assert _nap(START + timedelta(days=7), START) == LONGEST_S

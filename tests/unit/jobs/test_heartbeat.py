"""The heartbeat with its real thread and a scripted ledger. Waits have an end, and say nothing about how long they took."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from evertick.errors import ArchiveUnavailable
from evertick.jobs.heartbeat import HUNG, Heartbeat
from evertick.model import Slot, SlotState, SystemClock
from unit.jobs.scripted import START, ScriptedRenewals

SLOT = Slot("report.default.x", "default", "report", START, SlotState.LEASED, token=3)
OTHER = Slot("refresh.default.x", "default", "refresh", START, SlotState.LEASED, token=1)
KEY = (SLOT.id, SLOT.token)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


def nothing() -> None: ...


def never(code: int) -> None:
    raise AssertionError(f"the process would have ended with {code}")


@pytest.fixture
def renewals() -> ScriptedRenewals:
    return ScriptedRenewals()


async def test_it_connects_at_its_start_and_rests_while_nothing_is_held(renewals: ScriptedRenewals) -> None:
    before = threading.active_count()
    async with Heartbeat(renewals, SystemClock(), 0.06, end=never):
        await until(lambda: renewals.opened == 1)
        await asyncio.sleep(0.2)
        assert renewals.renewed == []
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert renewals.closed == 1


async def test_it_renews_what_is_held_until_it_is_dropped(renewals: ScriptedRenewals) -> None:
    async with Heartbeat(renewals, SystemClock(), 0.06, end=never) as heartbeat:
        heartbeat.hold(SLOT, 60, nothing)
        heartbeat.hold(OTHER, 60, nothing)
        await until(lambda: len(renewals.renewed) > 3)
        heartbeat.drop(OTHER)
        await until(lambda: renewals.renewed[-1] == (KEY,))
        heartbeat.drop(SLOT)
        await asyncio.sleep(0.05)
        count = len(renewals.renewed)
        await asyncio.sleep(0.2)
        assert len(renewals.renewed) == count
    assert set(renewals.renewed[0]) == {KEY, (OTHER.id, OTHER.token)}


async def test_a_blocked_loop_keeps_its_leases(renewals: ScriptedRenewals) -> None:
    async with Heartbeat(renewals, SystemClock(), 0.06, end=never) as heartbeat:
        heartbeat.hold(SLOT, 60, nothing)
        deadline = time.monotonic() + 20
        while len(renewals.renewed) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)  # the loop does not turn here
        assert len(renewals.renewed) >= 5
        heartbeat.drop(SLOT)


async def test_a_lost_lease_is_told_once_on_the_loop(renewals: ScriptedRenewals) -> None:
    told: list[str] = []
    async with Heartbeat(renewals, SystemClock(), 0.06, end=never) as heartbeat:
        heartbeat.hold(SLOT, 60, lambda: told.append(threading.current_thread().name))
        heartbeat.hold(OTHER, 60, nothing)
        renewals.lost = {KEY}
        await until(lambda: bool(told))
        await until(lambda: renewals.renewed[-1] == ((OTHER.id, OTHER.token),))
        heartbeat.drop(SLOT)
        heartbeat.drop(OTHER)
    assert told == [threading.current_thread().name]


async def test_a_database_that_is_away_is_logged_once_and_renewing_goes_on(renewals: ScriptedRenewals) -> None:
    renewals.errors = [ArchiveUnavailable("away"), ArchiveUnavailable("away"), ValueError("anything")]
    with capture_logs() as logs:
        async with Heartbeat(renewals, SystemClock(), 0.06, end=never) as heartbeat:
            heartbeat.hold(SLOT, 60, nothing)
            await until(lambda: len(renewals.renewed) > 1)
            heartbeat.drop(SLOT)
    assert [entry["event"] for entry in logs] == ["renewing leases failing", "renewing leases recovered"]


async def test_a_run_that_does_not_end_ends_the_process(renewals: ScriptedRenewals) -> None:
    ended = threading.Event()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    with capture_logs() as logs:
        async with Heartbeat(renewals, SystemClock(), 0.06, grace_s=0.1, end=end) as heartbeat:
            heartbeat.hold(SLOT, 0.1, nothing)
            assert ended.wait(20)  # blocks the loop, as a hung job does
            heartbeat.drop(SLOT)
    assert codes[0] == HUNG
    assert logs[0]["slot"] == SLOT.id


async def test_writing_the_end_may_take_as_long_as_the_database_is_away(renewals: ScriptedRenewals) -> None:
    async with Heartbeat(renewals, SystemClock(), 0.06, grace_s=0.05, end=never) as heartbeat:
        heartbeat.hold(SLOT, 0.05, nothing)
        heartbeat.rest(SLOT)
        await until(lambda: len(renewals.renewed) > 12)
        heartbeat.drop(SLOT)


def test_time_in_which_the_process_was_stopped_is_no_hang(renewals: ScriptedRenewals) -> None:
    codes: list[int] = []
    heartbeat = Heartbeat(renewals, SystemClock(), 30, grace_s=5, end=codes.append)
    heartbeat.hold(SLOT, 10, nothing)
    heartbeat._check_hung(9)
    heartbeat._check_hung(3600)  # the thread itself was away
    assert codes == []
    heartbeat._check_hung(9)
    assert codes == [HUNG]

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from evertick.memory.budget import Budget, State

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LIMIT = 200 << 20


def looked(*percents: float, budget: Budget | None = None) -> Budget:
    """A budget after looks ten seconds apart, in percent of the limit."""
    budget = budget or Budget(LIMIT, START)
    for n, percent in enumerate(percents, 1):
        budget = budget.look(int(LIMIT * percent / 100), START + timedelta(seconds=10 * n))
    return budget


def test_one_high_look_is_a_peak_and_two_are_a_state() -> None:
    assert looked(60, 75).state is State.OK
    assert looked(60, 75, 60, 75).state is State.OK
    tight = looked(60, 75, 76)
    assert tight.state is State.TIGHT
    assert tight.since == START + timedelta(seconds=30)
    assert looked(92, 93).state is State.OVER
    assert looked(75, 75, 91).state is State.TIGHT
    assert looked(75, 75, 91, 92).state is State.OVER


def test_close_to_the_limit_there_is_no_second_look() -> None:
    assert looked(97.5).state is State.OVER


def test_a_state_is_left_well_below_where_it_began() -> None:
    tight = looked(75, 75)
    assert looked(66, 66, 66, 66, budget=tight).state is State.TIGHT
    assert looked(64, 64, budget=tight).state is State.TIGHT
    assert looked(64, 64, 64, budget=tight).state is State.OK
    over = looked(95, 95)
    assert looked(86, 86, 86, budget=over).state is State.OVER
    assert looked(84, 84, 84, budget=over).state is State.TIGHT
    assert looked(10, 10, 10, budget=over).state is State.OK


@given(st.lists(st.floats(66, 69.9), min_size=10, max_size=60))
def test_between_the_two_levels_it_does_not_flap(percents: list[float]) -> None:
    assert looked(*percents).state is State.OK
    assert looked(*percents, budget=looked(75, 75)).state is State.TIGHT


@given(st.lists(st.floats(0, 120), max_size=80))
def test_changes_need_two_looks_and_never_happen_below_their_level(percents: list[float]) -> None:
    budget, changed = Budget(LIMIT, START), -10
    for n, percent in enumerate(percents):
        after = looked(percent, budget=budget)
        if after.state is not budget.state:
            assert n - changed >= 2 or percent >= 97
            changed = n
        if after.state is State.OVER and budget.state is not State.OVER:
            assert percent >= 89.9
        budget = after


def test_what_it_means() -> None:
    ok, tight, over = looked(50), looked(75, 75), looked(95, 95)
    assert (ok.takes_reports, ok.takes_jobs, ok.restart_due) == (True, True, False)
    assert (tight.takes_reports, tight.takes_jobs, tight.restart_due) == (False, True, False)
    assert (over.takes_reports, over.takes_jobs, over.restart_due) == (False, False, True)
    assert ok.reason == "100 MB of 200 MB are in use"
    assert "reports wait until it is below 65%" in tight.reason
    assert "restarts in place" in over.reason


def test_after_three_restarts_in_an_hour_it_stays_and_says_so() -> None:
    restarts = tuple(START - timedelta(minutes=m) for m in (50, 30, 5))
    worn = looked(95, 95, budget=Budget(LIMIT, START, restarts=restarts))
    assert worn.state is State.OVER
    assert (worn.takes_reports, worn.takes_jobs, worn.restart_due) == (False, True, False)
    assert "3 restarts within an hour did not help" in worn.reason
    later = worn.look(int(LIMIT * 0.95), START + timedelta(minutes=11))
    assert later.restart_due, "the oldest of them is more than an hour ago"
    assert len(later.restarts) == 2


def test_where_nobody_can_restart_it_says_what_to_do() -> None:
    stuck = looked(95, 95, budget=Budget(LIMIT, START, restarts_an_hour=0))
    assert (stuck.takes_jobs, stuck.restart_due) == (True, False)
    assert stuck.reason.endswith("raise MEMORY_LIMIT, or restart the server")


def test_what_cannot_be_measured_is_never_tight() -> None:
    blind = Budget(LIMIT, START)
    for n in range(9):
        blind = blind.look(None, START + timedelta(seconds=n))
    assert blind.state is State.OK
    assert "cannot be measured" in blind.reason

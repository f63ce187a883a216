"""The plan of the faults: the same for the same seed, and nothing is left out."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from evertick.simulator.faults import KINDS as WRONG
from evertick.simulator.faults import Faults, parse_fault
from evertick.soak.faults import DAY_S, KINDS, clock_changes, plan

ALL = ("redis", "postgresql", "disk")
CHANGE = 13 * 3600.0


def test_the_same_seed_gives_the_same_plan_and_another_another() -> None:
    assert plan(30, 7, ALL, changes=[CHANGE]) == plan(30, 7, ALL, changes=[CHANGE])
    assert plan(30, 7, ALL) != plan(30, 8, ALL)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("days", [1, 30])
def test_every_kind_comes_at_least_once_in_a_day_and_several_times_in_a_month(days: int, seed: int) -> None:
    counts = Counter(fault.kind for fault in plan(days, seed, ALL, changes=[CHANGE]))
    assert counts.keys() == KINDS.keys()
    del counts["summer time"]  # which comes when it comes
    assert min(counts.values()) == (1 if days == 1 else 3)


def test_only_what_there_is_is_hurt() -> None:
    kinds = {fault.kind for fault in plan(30, 7, ())}
    assert not any(word in kind for kind in kinds for word in ("redis", "postgresql", "disk"))
    assert {fault.given["path"] for fault in plan(30, 7, ()) if "path" in fault.given} == {"providers"}
    cut = plan(1, 7, ALL, paths=["providers", "database"])
    assert Counter(fault.given["path"] for fault in cut if "path" in fault.given) == {"providers": 3, "database": 3}


@pytest.mark.parametrize("days", [0.1, 1, 30])
def test_faults_come_one_after_another_within_the_soak(days: float) -> None:
    times = [fault.at for fault in plan(days, 7, ALL)]
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] < days * DAY_S
    assert len(set(times)) == len(times)


def test_every_wrong_answer_of_the_simulator_is_served_and_the_rules_are_ones_it_takes() -> None:
    served = set()
    for fault in plan(1, 7, ()):
        if rules := fault.given.get("rules"):
            Faults(rules)  # raises where the shares come to more than all requests
            served |= {parse_fault(rule).kind for rule in rules}
    assert served == set(WRONG)


def test_nothing_else_is_hurt_while_the_clocks_change() -> None:
    planned = plan(1, 7, ALL, changes=[CHANGE])
    (change,) = (fault for fault in planned if fault.kind == "summer time")
    assert change.at < CHANGE < change.at + change.lasts_s
    others = [fault.at for fault in planned if fault.kind != "summer time"]
    assert not [at for at in others if change.at - 3600 <= at < change.at + change.lasts_s]


def test_the_clocks_of_berlin_change_on_the_last_sunday_of_october() -> None:
    start = datetime(2026, 10, 12, tzinfo=UTC)
    assert clock_changes(start, 30) == [(datetime(2026, 10, 25, 1, tzinfo=UTC) - start).total_seconds()]
    assert clock_changes(start, 5) == []
    assert len(clock_changes(datetime(2026, 1, 1, tzinfo=UTC), 365)) == 2

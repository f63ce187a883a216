"""PASS, FAIL and what cannot be said: from a tape alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from evertick.soak.tape import EVERTICK, Bound, Growth, Injury, Soak, Tape
from evertick.soak.verdict import bounds

KB, MB = 1 << 10, 1 << 20
SETTINGS: dict[str, Any] = {"days": 30.0, "real_s": None, "refreshes": 480, "database": "sqlite", "board": "embedded"}
FLAT = Growth(0.0, -20 * KB, 20 * KB)
GOOD = Tape(
    EVERTICK, days=30, seconds=900, looks=(), runs={"refresh_indices": {"ok": 14_400}}, steady_rss=80 * MB,
    peak_above_steady=MB, connections_leaked=0, kept_per_report=300, kept_per_iteration=0, indices=FLAT, heap=FLAT, rss=FLAT,
)  # fmt: skip


def judged(tape: Tape, injuries: tuple[Injury, ...] = (), /, **settings: Any) -> dict[str, Bound]:
    return {bound.name: bound for bound in bounds(tape, SETTINGS | settings, injuries)}


def test_a_server_that_keeps_nothing_passes_every_bound() -> None:
    assert {name: bound.passed for name, bound in judged(GOOD).items() if bound.passed is not True} == {}


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"crashed": "ended with -9"}, "ended before its time"),
        ({"runs": {"refresh_indices": {"ok": 14_399}}}, "refreshes that did not run"),
        ({"runs": {"refresh_indices": {"ok": 14_399, "failed": 1}}}, "failed runs"),
        ({"requests": {"failed": 1}}, "failed requests"),
        ({"connections_leaked": 1}, "connections leaked"),
        ({"kept_per_report": 7 * MB, "kept_per_report_95": (6 * MB, 8 * MB)}, "kept per report"),
        ({"kept_per_iteration": MB, "kept_per_iteration_95": (MB, MB)}, "kept per iteration, auto report"),
        ({"indices": Growth(50 * MB, 40 * MB, 60 * MB)}, "growth, market indices"),
        ({"heap": Growth(MB, 65 * KB, 2 * MB)}, "growth of the heap"),
        ({"rss": Growth(MB, 257 * KB, 2 * MB)}, "growth of RSS"),
        ({"steady_rss": 86 * MB}, "steady RSS"),
        ({"peak_above_steady": 44 * MB}, "peak of a report above steady"),
    ],
)  # fmt: skip
def test_each_bound_is_broken_by_itself(changed: dict[str, Any], name: str) -> None:
    found = judged(replace(GOOD, **changed))
    assert [n for n, bound in found.items() if bound.passed is False] == [name]


def test_an_interval_on_both_sides_of_the_bound_settles_nothing_and_fails_nothing() -> None:
    found = judged(replace(GOOD, days=1, heap=Growth(50 * KB, -10 * KB, 300 * KB)), refreshes=14_400, days=1.0)
    assert found["growth of the heap"].passed is None
    assert found["growth of the heap"].why == "not settled in 24 hours: between −10.0 KB and +300.0 KB a day"
    few = judged(replace(GOOD, kept_per_report=2 * KB, kept_per_report_95=(-9 * KB, 20 * KB)))["kept per report"]
    assert (few.passed, few.why) == (None, "not settled: the 95 % interval of the median is −9.0 KB to +20.0 KB")
    assert judged(replace(GOOD, kept_per_report=7 * MB))["kept per report"].passed is None


def test_servers_of_its_own_may_have_more_rss() -> None:
    tape = replace(GOOD, steady_rss=104 * MB)
    assert judged(tape)["steady RSS"].passed is False
    assert judged(tape, database="postgresql", board="redis")["steady RSS"].passed is True


def test_faults_make_runs_fail_and_must_leave_every_invariant_as_it_was() -> None:
    hurt = replace(GOOD, runs={"refresh_indices": {"ok": 14_000, "failed": 300}})
    well = Injury(60.0, "kill", "the server", 1.2, {"slots lost": True})
    lost = Injury(90.0, "cut", "Redis", 3.0, {"slots lost": "refresh at 09:30"})
    never = Injury(95.0, "disk", "full", None)
    assert all(bound.passed is not False for bound in judged(hurt, (well,), faults=True).values())
    found = judged(hurt, (well, lost, never), faults=True)
    assert found["slots lost"].measured == 1
    assert found["slots lost"].why == "after cut: refresh at 09:30"
    assert found["faults from which it did not recover"].passed is False


def test_one_broken_bound_is_a_fail_and_one_that_is_not_measured_is_none() -> None:
    soak = Soak("evertick soak", "2026-10-12T00:00:00+00:00", 1.0, 7, "0", {}, {}, SETTINGS, {EVERTICK: GOOD})
    assert replace(soak, bounds=bounds(replace(GOOD, rss=None), SETTINGS)).passed
    assert not replace(soak, bounds=bounds(replace(GOOD, connections_leaked=3), SETTINGS)).passed

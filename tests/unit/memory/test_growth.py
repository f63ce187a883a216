from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evertick.memory.growth import (
    HEAP_BOUND,
    MB,
    RSS_BOUND,
    Point,
    Step,
    Trend,
    duration,
    kept,
    trend,
    verdict,
)

DAY, HOUR = 86_400.0, 3600.0
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def timeline(
    days: float,
    *,
    leak: float = 0.0,
    noise: float = 0.0,
    every: float = 300.0,
    likeness: float = 0.0,
    seed: int = 1,
    base: float = 85 * MB,
    start: float = 0.0,
    process: str = "a",
) -> list[Point]:
    """``leak`` bytes a day in ``noise`` (standard deviation, bytes) whose neighbours correlate by ``likeness``."""
    draw = random.Random(seed)
    wander, found = draw.gauss(0, noise), []
    for n in range(int(days * DAY / every)):
        wander = likeness * wander + (1 - likeness**2) ** 0.5 * draw.gauss(0, noise)
        found.append(Point(start + n * every, base + leak * n * every / DAY + wander, process))
    return found


def false_alarms(tries: int, **how: float) -> int:
    return sum(
        verdict(trend(timeline(0.3, noise=MB, seed=seed, every=360, **how)), bound=RSS_BOUND, now=NOW).state
        == "growing"
        for seed in range(tries)
    )


def test_a_flat_line_is_not_called_growing_more_often_than_the_level_says() -> None:
    """2.5 % of 1,000 are 25; 40 is three standard deviations more."""
    assert false_alarms(1000) <= 40


def test_neither_is_one_that_wanders() -> None:
    assert false_alarms(1000, likeness=0.7) <= 40


@pytest.mark.parametrize("seed", range(5))
def test_a_megabyte_a_day_is_found_in_three_days_of_noise(seed: int) -> None:
    found = trend(timeline(3, leak=MB, noise=3 * MB, every=60, seed=seed))
    assert found is not None
    assert 0 < found.low < MB < found.high < 1.4 * MB
    assert verdict(found, bound=RSS_BOUND, now=NOW).state == "growing"


def test_and_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    for seed in range(300):
        found = trend(timeline(0.3, leak=2 * MB, noise=MB, every=360, seed=seed))
        assert found is not None
        held += found.low <= 2 * MB <= found.high
    assert held >= 270


def test_the_warm_up_of_each_process_is_left_out() -> None:
    points = [Point(n * 60, 60 * MB + min(n * 60, 800) / 800 * 25 * MB) for n in range(300)]
    found = trend(points)
    assert found is not None
    assert (found.per_day, found.low, found.high) == (0, 0, 0)


def test_a_restart_is_no_growth_and_no_shrinking() -> None:
    points = []
    for n in range(6):
        points += timeline(0.2, noise=0.2 * MB, base=(70 + 5 * n) * MB, start=n * 0.25 * DAY, process=str(n), seed=n)
    found = trend(points)
    assert found is not None
    assert found.low < 0 < found.high
    assert found.span_s < 6 * 0.2 * DAY


def test_a_leak_that_every_restart_hides_is_found() -> None:
    points = []
    for n in range(6):
        points += timeline(0.25, leak=20 * MB, noise=0.5 * MB, start=n * 0.25 * DAY, process=str(n), seed=n)
    found = trend(points)
    assert found is not None
    assert 15 * MB < found.low < found.high < 25 * MB


def test_one_step_is_told_apart_from_growth() -> None:
    points = [p._replace(value=p.value + (7 * MB if p.at > 0.6 * DAY else 0)) for p in timeline(1, noise=20_000)]
    found = trend(points)
    assert found is not None
    assert found.low < 0 < found.high
    assert len(found.steps) == 1
    assert found.steps[0].by == pytest.approx(7 * MB, rel=0.05)
    assert "beside a step of +7.0 MB on Thursday 14:" in verdict(found, bound=RSS_BOUND, now=NOW).text


def test_steps_that_come_again_and_again_are_growth() -> None:
    points = [p._replace(value=p.value + 7 * MB * (p.at // (4 * HOUR))) for p in timeline(2, noise=20_000)]
    found = trend(points)
    assert found is not None
    assert found.steps == ()
    assert 30 * MB < found.low < 42 * MB < found.high < 50 * MB


def test_a_sawtooth_does_not_grow() -> None:
    points = [p._replace(value=p.value + 9 * MB * (p.at % (5 * HOUR)) / (5 * HOUR)) for p in timeline(3, noise=10_000)]
    assert verdict(trend(points), bound=RSS_BOUND, now=NOW).state != "growing"


@given(
    st.lists(
        st.tuples(st.floats(0, 1e9), st.floats(0, 1e12), st.sampled_from("abc")).map(lambda t: Point(*t)), max_size=80
    )
)
@settings(max_examples=150, deadline=None)
def test_whatever_the_timeline_the_slope_lies_in_its_interval(points: list[Point]) -> None:
    found = trend(points)
    if found is not None:
        assert found.low <= found.per_day <= found.high
        assert verdict(found, bound=HEAP_BOUND, now=NOW, used=1e8, limit=2e8).text


@given(st.integers(-50, 50), st.permutations(range(60)))
@settings(max_examples=50, deadline=None)
def test_a_straight_line_in_any_order_has_its_own_slope(mb: int, order: list[int]) -> None:
    points = [Point(n * HOUR, 1e9 + mb * MB * n / 24) for n in order]
    found = trend(points)
    assert found is not None
    assert found.per_day == pytest.approx(mb * MB, abs=1)
    assert found.low == pytest.approx(found.high, abs=2)


def test_nothing_is_said_too_early() -> None:
    assert trend([]) is None
    assert trend([Point(0, 1)]) is None
    said = verdict(trend(timeline(2400 / DAY, every=10)), bound=HEAP_BOUND, now=NOW, seen_s=2400)
    assert (said.state, said.text) == ("early", "too early to say: 25 min")
    assert verdict(None, bound=HEAP_BOUND, now=NOW, seen_s=2400).text == "too early to say: 40 min"


def test_the_words() -> None:
    flat = Trend(0.02 * MB, -0.02 * MB, 0.0598 * MB, 26 * HOUR, 240)
    assert verdict(flat, bound=HEAP_BOUND, now=NOW).text == "flat: +0.02 MB a day, at most 0.06, over 26 h"
    grows = Trend(3.1 * MB, 2.9 * MB, 3.3 * MB, 26 * HOUR, 240)
    said = verdict(grows, bound=HEAP_BOUND, now=NOW, used=90 * MB, limit=100 * MB, component="indices")
    assert said.state == "growing"
    assert said.text == "growing 3.1 MB a day, full on Thursday 12:43, component indices, over 26 h"
    assert said.full_at == NOW + timedelta(days=10 / 3.3)
    wide = Trend(0.4 * MB, -1 * MB, 2 * MB, 2 * HOUR, 30)
    assert verdict(wide, bound=HEAP_BOUND, now=NOW).text == "not settled: between −1.0 and +2.0 MB a day, over 2 h"
    falls = Trend(-2 * MB, -3 * MB, -1 * MB, 80 * HOUR, 240)
    assert verdict(falls, bound=HEAP_BOUND, now=NOW).text == "shrinking: −2.0 MB a day, over 3 days"
    stepped = Trend(0, 0, 0, 26 * HOUR, 240, (Step(NOW.timestamp(), 7 * MB),))
    assert "beside a step of +7.0 MB on Monday 12:00" in verdict(stepped, bound=HEAP_BOUND, now=NOW).text
    endless = Trend(0, -inf, inf, 2 * HOUR, 12)
    assert verdict(endless, bound=HEAP_BOUND, now=NOW, used=1, limit=2).full_at is None


def test_a_far_limit_is_named_by_its_date() -> None:
    slow = Trend(0.5 * MB, 0.4 * MB, 0.6 * MB, 50 * HOUR, 240)
    said = verdict(slow, bound=HEAP_BOUND, now=NOW, used=90 * MB, limit=120 * MB)
    assert "full on 12 January 2027" in said.text


def test_what_a_component_keeps_is_the_sum_of_its_hours() -> None:
    draw = random.Random(3)
    steady = [(n * 180.0, draw.gauss(0, 2000)) for n in range(480)]
    found = kept(steady)
    assert found is not None
    assert found.low < 0 < found.high
    assert found.high < MB
    leaking = kept([(at, value + 1024) for at, value in steady])
    assert leaking is not None
    assert leaking.low > 0
    assert leaking.per_day == pytest.approx(480 * 1024, rel=0.15)


def test_rare_runs_are_summed_over_the_time_between_them() -> None:
    found = kept([(n * 4 * HOUR, 100.0) for n in range(13)])
    assert found is not None
    assert (found.per_day, found.low, found.high) == (600, 600, 600)


def test_a_component_of_few_hours_is_not_judged() -> None:
    assert kept([]) is None
    assert kept([(n * 180.0, 5.0) for n in range(60)]) is None


def test_durations() -> None:
    assert [duration(s) for s in (60, 7199, 7200, 86_400, 3 * 86_400)] == ["1 min", "120 min", "2 h", "24 h", "3 days"]

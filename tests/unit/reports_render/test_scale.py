from __future__ import annotations

import math
from datetime import date, timedelta

import pytest

from evertick.reports.render.figures.scale import axis, months, path, thin


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 1.0],
        [6890.0, 7030.0],
        [-0.031, 0.002],
        [1e-9, 2e-9],
        [1e12, 3e12],
        [100.0],
        [-9.6, 0.0],
        [26350.0, 26351.0],
    ],
)
def test_ticks_are_round_and_within(values: list[float]) -> None:
    scale = axis(values)
    assert scale
    assert scale.low <= min(values) <= max(values) <= scale.high
    assert 2 <= len(scale.ticks) <= 7
    assert all(scale.low - 1e-9 <= t <= scale.high + 1e-9 for t in scale.ticks)
    shown = [f"{t:.{scale.decimals}f}" for t in scale.ticks]
    assert len(set(shown)) == len(shown)
    assert all(math.isclose(float(s), t, rel_tol=1e-6, abs_tol=1e-15) for s, t in zip(shown, scale.ticks, strict=True))


def test_an_axis_may_reach_zero_and_stop_there() -> None:
    scale = axis([-9.0, -1.0], zero=True)
    assert scale
    assert scale.high == 0.0
    assert 0.0 in scale.ticks


@pytest.mark.parametrize("values", [[], [math.inf], [-math.inf, 1.0]])
def test_no_axis_without_finite_values(values: list[float]) -> None:
    assert axis(values) is None


def test_months_are_few_and_within() -> None:
    days = [date(2025, 11, 20) + timedelta(days=i) for i in range(370)]
    found = months(days)
    assert found == [date(2026, m, 1) for m in (1, 3, 5, 7, 9, 11)]
    assert len(months([date(1970, 1, 1), date(2026, 1, 1)])) <= 12


def test_thinning_keeps_both_ends() -> None:
    assert list(thin(5, 10)) == [0, 1, 2, 3, 4]
    chosen = list(thin(1000, 260))
    assert chosen[0] == 0
    assert chosen[-1] == 999
    assert len(chosen) <= 262


def test_a_path_is_relative_and_breaks_at_gaps() -> None:
    assert path([(0, 10), (5.2, 8), (10, 9), None, (20, 1), (30, 4)]) == "M0 10l5-2l5 1M20 1l10 3"

"""Months, differences and cross rates against pandas and numpy to 1e-9, on random walks and on what is degenerate."""

from __future__ import annotations

import math
import random
from array import array
from datetime import date

import numpy as np
import pandas as pd
import pytest

from evertick.reports import indicators as i
from evertick.reports.analyse import MISSED, session_until
from unit.reports.walks import SERIES, columns, walk


@pytest.mark.parametrize("name", SERIES)
def test_month_returns_are_those_of_the_last_closes(name: str) -> None:
    series = SERIES[name]
    ends = series.groupby(series.index.to_period("M")).last()
    whole = ends.reindex(pd.period_range(ends.index[0], ends.index[-1], freq="M"))
    expected = (100 * (whole / whole.shift() - 1)).where(whole.shift() > 0)
    known = whole.notna() & whole.shift().notna()
    firsts, returns = i.month_returns(*columns(series))
    assert [date.fromordinal(d) for d in firsts] == [p.start_time.date() for p in expected.index[known]]
    np.testing.assert_allclose(np.array(returns), expected[known].to_numpy(), rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("name", SERIES)
def test_changes_are_those_of_pandas(name: str) -> None:
    series = SERIES[name]
    expected = (100 * (series / series.shift() - 1)).where(series.shift() > 0)[1:]
    np.testing.assert_allclose(
        np.array(i.changes(array("d", series))), expected.to_numpy(), rtol=1e-9, atol=1e-9, equal_nan=True
    )


@pytest.mark.parametrize("name", SERIES)
def test_a_difference_is_taken_on_common_days(name: str) -> None:
    series, other = SERIES[name], walk(99, 500, gaps=0.2, low=-3.0)
    expected = (series - other).dropna()
    days, values = i.difference(*columns(series), *columns(other))
    assert list(days) == [d.date().toordinal() for d in expected.index]
    np.testing.assert_allclose(np.array(values), expected.to_numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SERIES)
def test_a_level_is_the_last_one_on_or_before_a_day(name: str) -> None:
    series = SERIES[name]
    days, values = columns(series)
    for back in (0, 1, 7, 31, 100, 365, 5000):
        target = days[-1] - back
        until = series[: pd.Timestamp(date.fromordinal(target))]
        found = i.level_at(days, values, target, gap=10)
        if len(until) and target - until.index[-1].date().toordinal() <= 10:
            assert found == until.iloc[-1]
        else:
            assert math.isnan(found)


def test_cross_rates_and_changes_are_outer_quotients() -> None:
    own = random.Random(5)
    for size in (1, 2, 12):
        worth = np.array([own.uniform(1e-5, 2) for _ in range(size)])
        moves = np.array([own.uniform(-5, 5) for _ in range(size)])
        np.testing.assert_allclose(np.array(i.cross_rates(list(worth))), np.outer(worth, 1 / worth).ravel(), rtol=1e-9)
        grown = 1 + moves / 100
        expected = 100 * (np.outer(grown, 1 / grown) - 1)
        np.testing.assert_allclose(np.array(i.cross_changes(list(moves))), expected.ravel(), rtol=1e-9, atol=1e-9)


def test_what_has_no_worth_has_no_rate() -> None:
    assert [math.isnan(v) for v in i.cross_rates([1.0, 0.0])] == [False, True, False, True]
    assert [math.isnan(v) for v in i.cross_changes([0.0, -100.0])] == [False, True, False, True]


def test_nothing_comes_of_nothing() -> None:
    assert i.month_returns(array("i"), array("d")) == (array("i"), array("d"))
    assert i.difference(array("i"), array("d"), array("i", [1]), array("d", [1.0])) == (array("i"), array("d"))
    assert i.changes(array("d")) == array("d")
    assert math.isnan(i.level_at(array("i"), array("d"), 700_000))


# --- the exchange's sessions


def test_a_return_counts_from_the_last_session_of_the_exchange() -> None:
    sunday = date(2026, 11, 22)
    assert date.fromordinal(session_until("XNYS", sunday.toordinal())) == date(2026, 11, 20)
    assert date.fromordinal(session_until("24/7", sunday.toordinal())) == sunday
    new_year = date(2026, 1, 1)
    assert date.fromordinal(session_until("XNYS", new_year.toordinal())) == date(2025, 12, 31)


def test_a_long_holiday_is_no_gap_in_the_history() -> None:
    """Vietnam's new year closes its exchange for more than a week: a month later the return still counts from before it."""
    inside = date(2026, 2, 20).toordinal()
    before = session_until("XSTC", inside)
    assert before < inside - 3
    days, close = array("i", [before, inside + 31]), array("d", [100.0, 110.0])
    assert i.change_since(days, close, before, gap=MISSED) == pytest.approx(10.0)

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta

import pytest

from evertick.model import Group
from evertick.sources import daily

from .answers import NOW, SPX, US3M, WTI

DAY = date(2026, 11, 20).toordinal()
SINCE = date(2026, 1, 1)


def at(day: date) -> datetime:
    return datetime.combine(day, time(21), UTC)


def series(*values: float) -> dict[int, float]:
    """On the days up to `DAY`."""
    return {DAY - len(values) + 1 + n: value for n, value in enumerate(values)}


def test_a_row_keeps_what_can_be_right():
    assert daily.row(SPX, DAY, 100.0, 99.0, 101.0, 98.0, 5.0) == (DAY, 99.0, 101.0, 98.0, 100.0, 5.0)
    _, opened, high, low, close, volume = daily.row(SPX, DAY, 100.0, 0.0, 100_000.0, None, -1.0) or ()
    assert close == 100.0
    assert all(math.isnan(v) for v in (opened, high, low, volume))
    _, _, high, low, _, _ = daily.row(SPX, DAY, 100.0, 99.0, 98.0, 101.0) or ()
    assert math.isnan(high)
    assert math.isnan(low)


@pytest.mark.parametrize(
    ("instrument", "close", "taken"),
    [
        (SPX, 0.0, False),
        (SPX, -5.0, False),
        (SPX, None, False),
        (WTI, -37.0, True),
        (WTI, 0.0, False),
        (US3M, 0.0, True),
    ],
)
def test_a_close_of_0_or_below_is_one_only_where_that_happens(instrument, close, taken):
    assert (daily.row(instrument, DAY, close) is not None) is taken


def test_a_day_with_two_values_has_none():
    values: dict[int, float] = {}
    for day, value in [(3, 1.0), (1, 2.0), (3, 1.0), (2, 5.0), (2, 6.0), (2, 5.0)]:
        daily.put(values, day, value)
    assert daily.settled(values) == {1: 2.0, 3: 1.0}
    assert list(daily.settled(values)) == [1, 3]


def test_bars_from_values_are_of_the_days_asked_for_and_known():
    values = {SINCE.toordinal() - 1: 99.0, DAY - 1: 101.0, DAY: 102.0, NOW.toordinal() + 1: 103.0}
    bars = daily.closes(SPX, values, SINCE, NOW)
    assert (list(bars.day), list(bars.close)) == ([DAY - 1, DAY], [101.0, 102.0])
    assert all(math.isnan(v) for column in (bars.open, bars.high, bars.low, bars.volume) for v in column)


@pytest.mark.parametrize(
    ("instrument", "values", "kept"),
    [
        (SPX, (100, 101, 99_000, 102, 103), [100, 101, 102, 103]),
        (US3M, (4.1, 0.0, 4.2, 4.1, 4.3), [4.1, 4.2, 4.1, 4.3]),
        (US3M, (0.02, 0.0, 0.01, 0.0, 0.0), [0.02, 0.0, 0.01, 0.0, 0.0]),
        (US3M, (0.02, -0.01, 0.01), [0.02, -0.01, 0.01]),
        (US3M, (4.1, 4.2, -4.1, 4.2, 4.1), [4.1, 4.2, 4.2, 4.1]),
        (US3M, (0.0, 0.0, 0.0), []),
    ],
)
def test_a_close_that_does_not_fit_its_neighbours_is_left_out(instrument, values, kept):
    assert list(daily.closes(instrument, series(*values), SINCE, NOW).close) == kept


def test_the_newest_value_is_a_quote_with_the_value_before_it():
    quote = daily.newest(SPX, "test", series(*range(100, 140)), at, NOW, daily.WITHIN)
    assert not isinstance(quote, str)
    assert (quote.id, quote.source, quote.price, quote.previous_close) == ("SPX", "test", 139, 138)
    assert quote.change_pct == pytest.approx(100 / 138)
    assert quote.as_of == datetime(2026, 11, 20, 21, tzinfo=UTC)
    assert quote.spark == tuple(range(108, 140))


def test_0_on_every_day_is_no_yield():
    assert daily.newest(US3M, "test", series(0.0, 0.0, 0.0), at, NOW, daily.WITHIN) == "price 0"


def test_a_yield_that_was_0_has_no_change_in_percent():
    quote = daily.newest(US3M, "test", series(0.01, 0.0, 0.02), at, NOW, daily.WITHIN)
    assert not isinstance(quote, str)
    assert (quote.price, quote.previous_close, quote.change_pct) == (0.02, 0.0, None)
    assert US3M.group is Group.RATES


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "no value"),
        (series(100, 101, 102_000), "price 102000, 1015 times the one before it"),
        (series(100, 101, 0), "price 0"),
        (series(100, 101, -101), "price below 0"),
        ({DAY: 100, DAY + 10: 101}, "a price from 2026-11-30 21:00 UTC, which is yet to come"),
        ({DAY - 60: 100, DAY - 59: 101}, "no value since 2026-09-22"),
    ],
)
def test_a_value_that_cannot_be_right_is_a_reason(values, why):
    assert daily.newest(SPX, "test", values, at, NOW, daily.WITHIN) == why


def test_a_value_before_on_another_scale_is_left_out():
    quote = daily.newest(SPX, "test", series(100, 101, 102, 0.1, 103), at, NOW, timedelta(days=5))
    assert not isinstance(quote, str)
    assert (quote.price, quote.previous_close, quote.change_pct) == (103, None, None)
    assert quote.spark == (100, 101, 102, 103)

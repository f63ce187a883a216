"""Each indicator against pandas or numpy on the same bars, to 1e-9; then what is short, flat or not positive."""

from __future__ import annotations

import math
import random
from array import array
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertick.reports import indicators as i
from unit.reports import samples

BARS = samples.make_bars(next(x for x in samples.instruments() if x.id == "SPX"), 500)
OTHER = samples.make_bars(next(x for x in samples.instruments() if x.id == "N225"), 500)
CLOSE = pd.Series(BARS.close)


def close_to(expected: float) -> object:
    return pytest.approx(expected, rel=1e-9, abs=1e-9)


def same(mine: array[float], reference: pd.Series) -> None:
    assert len(mine) == len(reference)
    np.testing.assert_allclose(np.array(mine), reference.to_numpy(), rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("n", [20, 50, 200])
def test_sma_is_the_rolling_mean(n: int) -> None:
    same(i.sma(BARS.close, n), CLOSE.rolling(n).mean())


@pytest.mark.parametrize("n", [12, 26])
def test_ema_is_the_recursive_one(n: int) -> None:
    same(i.ema(BARS.close, n), CLOSE.ewm(span=n, adjust=False, min_periods=n).mean())


@pytest.mark.parametrize("count", [0, 1, 11, 12, 25, 26, 33, 34, 35, 400])
def test_the_averages_of_one_walk_are_the_last_of_their_series(count: int) -> None:
    close = BARS.close[:count]
    series = (i.ema(close, 12), i.ema(close, 26), *i.macd(close))
    wanted = [column[-1] if len(column) else math.nan for column in series]
    assert [repr(v) for v in i.averages(close)] == [repr(v) for v in wanted]


def test_macd() -> None:
    line = CLOSE.ewm(span=12, adjust=False).mean() - CLOSE.ewm(span=26, adjust=False).mean()
    signal = line.ewm(span=9, adjust=False).mean()
    mine, smooth, histogram = i.macd(BARS.close)
    same(mine, line.where(line.index >= 25))
    same(smooth, signal.where(signal.index >= 33))
    same(histogram, (line - signal).where(line.index >= 33))


def test_rsi_is_wilders() -> None:
    change = CLOSE.diff()
    gain, loss = change.clip(lower=0), -change.clip(upper=0)
    expected = [math.nan] * 14
    up, down = gain[1:15].mean(), loss[1:15].mean()
    expected.append(100 - 100 / (1 + up / down))
    for k in range(15, len(CLOSE)):
        up, down = (up * 13 + gain[k]) / 14, (down * 13 + loss[k]) / 14
        expected.append(100 - 100 / (1 + up / down))
    same(i.rsi(BARS.close), pd.Series(expected))


def test_bollinger_bands_are_two_population_deviations_wide() -> None:
    lower, middle, upper = i.bollinger(BARS.close)
    mean, spread = CLOSE.tail(20).mean(), CLOSE.tail(20).std(ddof=0)
    assert (lower, middle, upper) == (close_to(mean - 2 * spread), close_to(mean), close_to(mean + 2 * spread))


def test_atr_is_wilders() -> None:
    before = CLOSE.shift()
    high, low = pd.Series(BARS.high), pd.Series(BARS.low)
    ranges = pd.concat([high - low, (high - before).abs(), (low - before).abs()], axis=1).max(axis=1)[1:]
    expected = ranges[:14].mean()
    for r in ranges[14:]:
        expected = (expected * 13 + r) / 14
    assert i.atr(BARS.high, BARS.low, BARS.close) == close_to(expected)


def test_atr_takes_the_close_where_high_and_low_are_missing() -> None:
    nothing = array("d", [math.nan]) * len(BARS)
    expected = i.atr(BARS.close, BARS.close, BARS.close)
    assert i.atr(nothing, nothing, BARS.close) == close_to(expected)


@pytest.mark.parametrize(("n", "periods"), [(20, 252), (60, 252), (20, 365), (60, 365)])
def test_volatility_is_the_annualised_deviation_of_log_returns(n: int, periods: int) -> None:
    expected = 100 * np.log(CLOSE).diff().tail(n).std() * math.sqrt(periods)
    assert i.volatility(i.log_returns(BARS.close), n, periods) == close_to(expected)


def test_drawdowns() -> None:
    same(i.drawdowns(BARS.close), 100 * (CLOSE / CLOSE.cummax() - 1))


def test_zscore() -> None:
    last = CLOSE.tail(60)
    assert i.zscore(BARS.close) == close_to((last.iloc[-1] - last.mean()) / last.std())


def test_beta_and_correlation_over_common_days() -> None:
    mine, theirs = pd.Series(BARS.close, index=BARS.day), pd.Series(OTHER.close, index=OTHER.day)
    both = pd.concat([np.log(mine).diff(), np.log(theirs).diff()], axis=1, join="inner").dropna().tail(60)
    other = dict(zip(OTHER.day[1:], i.log_returns(OTHER.close), strict=True))
    beta, correlation = i.beta_correlation(*i.paired(BARS.day, i.log_returns(BARS.close), other))
    assert beta == close_to(both[0].cov(both[1]) / both[1].var())
    assert correlation == close_to(both[0].corr(both[1]))


def test_pairs_leave_out_days_that_only_one_has() -> None:
    own, theirs = i.paired([1, 2, 3, 4], [0.1, 0.2, 0.3], {2: 1.0, 4: math.nan, 3: 3.0})
    assert (own, theirs) == ([0.2, 0.1], [3.0, 1.0])


def test_position_in_the_range() -> None:
    assert i.position(15, 10, 20) == 0.5
    assert i.position(25, 10, 20) == 1.0
    assert i.position(5, 10, 20) == 0.0
    assert math.isnan(i.position(10, 10, 10))


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 3, 31), 1, date(2026, 2, 28)),
        (date(2024, 3, 31), 1, date(2024, 2, 29)),
        (date(2026, 1, 15), 3, date(2025, 10, 15)),
        (date(2024, 2, 29), 12, date(2023, 2, 28)),
        (date(2026, 12, 1), 12, date(2025, 12, 1)),
    ],
)
def test_months_before(day: date, months: int, expected: date) -> None:
    assert i.months_before(day, months) == expected


def test_returns_count_by_the_calendar() -> None:
    start = date(2025, 11, 20)
    days = array("i", (start.toordinal() + k for k in range(370)))
    close = array("d", (100.0 + k for k in range(370)))
    today = start + timedelta(days=369)
    targets = i.reference_days(today)
    assert date.fromordinal(targets["ret_1w"]) == today - timedelta(days=7)
    assert date.fromordinal(targets["ret_ytd"]) == date(2025, 12, 31)
    newest = close[-1]
    assert i.change_since(days, close, targets["ret_1w"]) == close_to(100 * (newest / (newest - 7) - 1))
    old = close[(date(2025, 12, 31) - start).days]
    assert i.change_since(days, close, targets["ret_ytd"]) == close_to(100 * (newest / old - 1))


def test_a_return_takes_the_close_before_a_holiday() -> None:
    assert i.change_since([10, 13, 14], [100.0, 150.0, 110.0], 12) == close_to(10.0)


def test_a_return_is_unknown_without_history_near_its_day() -> None:
    assert math.isnan(i.change_since([10, 11], [1.0, 2.0], 9))
    assert math.isnan(i.change_since([10, 40], [1.0, 2.0], 33))
    assert math.isnan(i.change_since([10, 11], [0.0, 2.0], 10))


@pytest.mark.parametrize(
    ("close", "expected"), [([1, 2, 3, 4], 3), ([4, 3, 2], -2), ([1, 2, 2], 0), ([3, 1, 2], 1), ([1], 0), ([], 0)]
)
def test_streak(close: list[float], expected: int) -> None:
    assert i.streak(close) == expected


@pytest.mark.parametrize(
    ("returns", "expected"), [([0.5, 0.1, -0.2, 0.3], 3), ([0.1, 0.2, 0.3], 3), ([0.3, -0.3], 1), ([0.1], 1), ([], 0)]
)
def test_sessions_to_as_large(returns: list[float], expected: int) -> None:
    assert i.sessions_to_as_large(returns) == expected


def test_cross() -> None:
    slow = [5.0] * 6
    assert i.cross([4, 4, 4, 4, 4, 6], slow) == 1
    assert i.cross([4, 4, 4, 6, 6, 6], slow) == 3
    assert i.cross([6, 6, 6, 6, 4, 4], slow) == -2
    assert math.isnan(i.cross([6, 6, 6, 6, 6, 6], slow))
    assert math.isnan(i.cross([4, 6, 6, 6, 6, 6, 6], [5.0] * 7))
    assert math.isnan(i.cross([math.nan] * 6, slow))


def test_turn_counts_the_sessions_on_the_other_side() -> None:
    average = [5.0] * 13
    assert i.turn([4.0] * 12 + [6.0], average) == 12
    assert i.turn([6.0] * 12 + [4.0], average) == -12
    assert math.isnan(i.turn([4.0] * 13, average))
    assert math.isnan(i.turn([6.0] * 8 + [4.0] * 4 + [6.0], average))
    assert math.isnan(i.turn([6.0], [5.0]))
    assert math.isnan(i.turn([4.0, 6.0], [math.nan, math.nan]))


FLAT = array("d", [7.0]) * 300


def test_a_flat_market_has_no_signal() -> None:
    assert i.rsi(FLAT)[-1] == 50.0
    assert i.bollinger(FLAT) == (7.0, 7.0, 7.0)
    assert i.atr(FLAT, FLAT, FLAT) == 0.0
    assert i.volatility(i.log_returns(FLAT), 20) == 0.0
    assert i.drawdowns(FLAT)[-1] == 0.0
    assert math.isnan(i.zscore(FLAT))
    assert all(math.isnan(v) for v in i.beta_correlation([0.0] * 60, [0.1, -0.1] * 30))


def test_a_market_that_only_rises_has_an_rsi_of_100() -> None:
    assert i.rsi(array("d", range(1, 40)))[-1] == 100.0
    assert i.rsi(array("d", range(40, 1, -1)))[-1] == 0.0


@pytest.mark.parametrize("count", [0, 1, 2, 14, 19])
def test_too_few_bars_give_nothing(count: int) -> None:
    few = BARS.close[:count]
    assert all(math.isnan(v) for v in i.sma(few, 20))
    assert all(math.isnan(v) for v in i.ema(few, 20))
    assert all(math.isnan(v) for v in i.rsi(few, 19))
    assert all(math.isnan(v) for series in i.macd(few) for v in series)
    assert math.isnan(i.bollinger(few)[0])
    assert math.isnan(i.atr(few, few, few, 19))
    assert math.isnan(i.volatility(i.log_returns(few), 20))
    assert math.isnan(i.zscore(few))


def test_a_price_that_is_not_positive_has_no_log_return() -> None:
    returns = i.log_returns([1.0, -37.6, 10.0, 11.0])
    assert [math.isnan(r) for r in returns] == [True, True, False]
    assert math.isnan(i.volatility(returns, 3))


@given(st.lists(st.floats(min_value=1e-6, max_value=1e9), min_size=1, max_size=120), st.integers(1, 30))
def test_averages_stay_within_what_they_average(values: list[float], n: int) -> None:
    low, high = min(values), max(values)
    slack = 1e-9 * high * len(values)
    for average in (*i.sma(values, n), *i.ema(values, n)):
        assert math.isnan(average) or low - slack <= average <= high + slack


@given(st.integers(0, 2**32))
def test_rsi_stays_between_0_and_100(seed: int) -> None:
    own = random.Random(seed)
    values = array("d", (own.lognormvariate(0, 3) for _ in range(60)))
    assert all(math.isnan(v) or 0 <= v <= 100 for v in i.rsi(values))


@pytest.mark.parametrize(
    "close", [BARS.close, FLAT, array("d", [5.0]), array("d", range(40, 1, -1)), array("d", [-0.5, 0.2, -0.1, 0.4])]
)
def test_the_short_ways_end_where_the_series_do(close: array[float]) -> None:
    """A report asks for the newest value of most series, and does not make the series for it."""
    same(array("d", [i.strength(close)]), pd.Series(i.rsi(close)[-1:]))
    for n in (1, 3, 50, 200):
        average = i.Average(i.running(close), n)
        same(array("d", average), pd.Series(i.sma(close, n)))
        same(array("d", [average[-1]]), pd.Series(i.sma(close, n)[-1:]))
        with pytest.raises(IndexError):
            average[len(close)]
    falls = i.drawdowns(close)
    same(array("d", i.fall(close)), pd.Series([falls[-1], min(falls)]))


def test_the_reach_leaves_out_what_is_not_known() -> None:
    assert i.reach(array("d", [math.nan, 3.0, 2.0]), array("d", [4.0, math.nan, 5.0])) == (2.0, 5.0)
    assert i.reach(array("d", [1.0, 2.0]), array("d", [1.5, 2.5])) == (1.0, 2.5)
    assert all(math.isnan(v) for v in i.reach(array("d", [math.nan]), array("d")))

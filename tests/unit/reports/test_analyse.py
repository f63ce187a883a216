from __future__ import annotations

import math
import random
from array import array
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from evertick.model import Bars, Breadth, Group, Instrument, Quote, Session, SourceStatus
from evertick.reports import analyse, indicators
from evertick.reports.findings import FIELDS, Series, facts
from unit.reports import samples

UTC = ZoneInfo("UTC")
NOW = samples.NOW
TODAY = NOW.date()


def instrument(id_: str = "X", group: Group = Group.INDICES, exchange: str = "XNYS") -> Instrument:
    return Instrument(id_, id_, group, "americas", "pts", exchange, 2, {"yahoo": id_})


def bars(*close: float, end: date = TODAY) -> Bars:
    days = array("i", (end.toordinal() - len(close) + 1 + k for k in range(len(close))))
    values = array("d", close)
    return Bars("X", days, values[:], values[:], values[:], values[:], array("d", [math.nan]) * len(close))


def quote(price: float, **more: object) -> Quote:
    return replace(Quote("X", price, NOW, "yahoo"), **more)


def measure(q: Quote | None, b: Bars, **more: object):
    return analyse.measure(instrument(), q, analyse.with_quote(b, q, UTC), zone=UTC, benchmark={}, **more)  # type: ignore[arg-type]


def test_todays_bar_takes_the_price_of_the_quote() -> None:
    merged = analyse.with_quote(bars(10, 11, 12), quote(13, day_high=14.0, day_low=9.0), UTC)
    assert list(merged.close) == [10, 11, 13]
    assert (merged.high[-1], merged.low[-1]) == (14, 9)


def test_a_new_day_begins_with_the_quote() -> None:
    stored = bars(10, 11, end=NOW.date() - timedelta(days=1))
    merged = analyse.with_quote(stored, quote(12), UTC)
    assert list(merged.close) == [10, 11, 12]
    assert merged.day[-1] == NOW.date().toordinal()
    assert math.isnan(merged.open[-1])
    assert list(stored.close) == [10, 11], "the stored bars are left as they are"


def test_the_day_is_the_exchanges_own() -> None:
    late = quote(12, as_of=NOW.replace(hour=20))
    assert analyse.with_quote(bars(10, 11), late, ZoneInfo("Asia/Tokyo")).day[-1] == NOW.date().toordinal() + 1
    assert analyse.with_quote(bars(10, 11), late, ZoneInfo("America/New_York")).day[-1] == NOW.date().toordinal()


def test_an_old_quote_changes_no_bar() -> None:
    stored = bars(10, 11)
    assert analyse.with_quote(stored, quote(12, as_of=NOW - timedelta(days=2)), UTC) is stored
    assert analyse.with_quote(stored, None, UTC) is stored


@pytest.mark.parametrize("price", [1.0, 100.0])
def test_bars_of_another_scale_are_left_out(price: float) -> None:
    assert len(analyse.with_quote(bars(10, 11), quote(price), UTC)) == 0


def test_the_change_comes_from_the_quote_then_the_previous_close_then_the_bars() -> None:
    b = bars(10, 10, 11)
    assert measure(quote(11, change_pct=3.0, previous_close=10.0), b).change == 3.0
    assert measure(quote(11, previous_close=8.0), b).change == pytest.approx(37.5)
    assert measure(quote(11), b).change == pytest.approx(10.0)
    assert measure(quote(11, as_of=NOW - timedelta(days=2)), b).change is None


def test_without_a_quote_nothing_is_known() -> None:
    f = measure(None, bars(*range(1, 300)))
    assert all(v != v for v in f.values)
    assert f.source is None


def test_without_bars_the_quote_still_counts() -> None:
    f = measure(quote(11, change_pct=1.0), Bars.empty("X"), fresh=True, session=Session.OPEN)
    assert (f.price, f.change, f.rsi14, f.bars) == (11, 1.0, None, 0)
    assert f.fresh
    assert f.session is Session.OPEN


def test_a_single_bar_is_no_history() -> None:
    assert measure(quote(11), bars(10)).high_52w is None


def test_facts_agree_with_the_indicators() -> None:
    row = next(x for x in samples.instruments() if x.id == "SPX")
    b = samples.make_bars(row)
    f = next(x for x in samples.findings().facts if x.id == "SPX")
    assert f.rsi14 == indicators.rsi(b.close)[-1]
    assert f.sma200 == pytest.approx(sum(b.close[-200:]) / 200, rel=1e-12)
    assert f.sma20 == pytest.approx(sum(b.close[-20:]) / 20, rel=1e-12)
    assert f.atr14 == indicators.atr(b.high, b.low, b.close)
    assert f.vol60 == indicators.volatility(indicators.log_returns(b.close), 60)
    start = indicators.year_start(b.day)
    assert f.high_52w == max(max(b.high[start:]), max(b.close[start:]))
    assert f.drawdown == pytest.approx(100 * (b.close[-1] / max(b.close[start:]) - 1))
    assert f.beta60 == pytest.approx(1.0), "the index is its own benchmark"
    assert f.market_cap is None


def test_crypto_is_annualised_with_365_days() -> None:
    row = next(x for x in samples.instruments() if x.id == "BTC")
    f = samples.findings().get("BTC")
    assert f is not None
    assert f.vol20 == indicators.volatility(indicators.log_returns(samples.make_bars(row).close), 20, 365)


def test_a_new_high_needs_half_a_year_of_bars() -> None:
    assert measure(quote(400), bars(*range(100, 400))).new_52w == 1
    assert measure(quote(99), bars(*range(400, 100, -1))).new_52w == -1
    assert measure(quote(150), bars(*range(100, 150))).new_52w is None


def test_a_small_spark_comes_from_the_bars_when_the_quote_has_none() -> None:
    assert list(measure(quote(50), bars(*range(10, 50))).spark)[-2:] == [48, 50]
    assert list(measure(quote(50, spark=(1.0, 2.0)), bars(*range(10, 50))).spark) == [1, 2]


def test_movers_never_name_one_twice() -> None:
    members = [facts(instrument(f"I{n:02}"), {"price": 1.0, "change": float(n)}) for n in range(5)]
    found = analyse.movers(members)
    assert found.top == ("I04", "I03")
    assert found.bottom == ("I00", "I01")
    many = [facts(instrument(f"I{n:02}"), {"price": 1.0, "change": float(n)}) for n in range(80)]
    assert len(analyse.movers(many).top) == len(analyse.movers(many).bottom) == analyse.MOVERS


def test_measures_count_in_no_breadth() -> None:
    findings = samples.findings()
    assert Group.SENTIMENT not in findings.breadth
    named = {id_ for m in findings.movers.values() for id_ in (*m.top, *m.bottom)}
    assert not named & {"CRYPTO_CAP", "BTC_DOM", "FNG"}


def test_correlations_are_symmetric_and_bounded() -> None:
    matrix = samples.findings().correlation
    assert matrix is not None
    size = len(matrix.ids)
    assert size >= 10
    for row in range(size):
        assert matrix.at(row, row) == 1.0
        for column in range(size):
            value = matrix.at(row, column)
            assert value is not None
            assert -1 <= value <= 1
            assert value == matrix.at(column, row)


def test_correlations_are_those_of_the_common_days() -> None:
    matrix = samples.findings().correlation
    assert matrix is not None
    rows = {x.id: x for x in samples.instruments()}
    moves = [analyse.daily_moves(samples.make_bars(rows[id_]), 260) for id_ in matrix.ids]
    days = sorted(set.intersection(*(set(m) for m in moves)))[-60:]
    expected = np.corrcoef([[m[d] for d in days] for m in moves])
    assert matrix.days == 60
    np.testing.assert_allclose(np.array(matrix.cells).reshape(expected.shape), expected, rtol=1e-9, atol=1e-12)


def series(id_: str, first: int, count: int) -> Series:
    own = random.Random(id_)
    return Series(id_, array("i", range(first, first + count)), array("d", (own.uniform(1, 2) for _ in range(count))))


def test_what_shares_too_few_days_is_left_out_of_the_matrix() -> None:
    matrix = analyse.correlations([series("A", 0, 200), series("NEW", 195, 5), series("B", 0, 180)])
    assert matrix is not None
    assert matrix.ids == ("A", "B")
    assert matrix.days == 60
    assert analyse.correlations([series("A", 0, 50), series("B", 500, 60)]) is None


def test_what_does_not_move_has_no_correlation() -> None:
    still = Series("S", array("i", range(100)), array("d", [5.0] * 100))
    matrix = analyse.correlations([series("A", 0, 100), still])
    assert matrix is not None
    assert matrix.at(0, 1) is None
    assert matrix.at(1, 1) == 1.0


def test_one_series_has_no_matrix() -> None:
    assert analyse.correlations([analyse.closes(bars(1, 2, 3))]) is None


def test_warnings_are_short_and_name_what_is_wrong() -> None:
    x = instrument()
    found = [
        facts(x, {}),
        *(facts(instrument(f"S{n}"), {"price": 1.0, "bars": 100}) for n in range(12)),
        facts(instrument("NEW"), {"price": 1.0, "bars": 3}, fresh=True),
    ]
    said = list(analyse.warnings(found, (SourceStatus("yahoo", "failing", error="x" * 500), SourceStatus("b", "ok"))))
    assert [w.split(":")[0] for w in said] == ["yahoo", "no quote", "stale quotes", "fewer than 60 daily bars"]
    assert "no quote: 1 (X)" in said
    assert "stale quotes: 12 (S0, S1, S2, S3, S4, S5, S6, S7, …)" in said
    assert all(len(w) <= 200 for w in said)


def test_facts_are_small() -> None:
    f = samples.findings().facts[0]
    assert f.values.itemsize * len(f.values) == 8 * len(FIELDS) <= 400
    assert f.spark.itemsize * len(f.spark) <= 128


# --- currencies, months, the spread, what a share is worth


def pair(id_: str, price: float, change: float):
    return facts(replace(instrument(id_, Group.FX, "FX")), {"price": price, "change": change})


def test_cross_rates_follow_from_the_pairs_with_the_dollar() -> None:
    found = {f.id: f for f in (pair("EURUSD", 1.15, 0.5), pair("USDJPY", 150.0, -1.0), pair("USDVND", 26000.0, 0.1))}
    rates, strength = analyse.currencies(found)
    assert rates is not None
    assert strength is not None
    assert rates.ids == strength.ids == ("USD", "EUR", "JPY", "VND")
    eur, jpy = rates.ids.index("EUR"), rates.ids.index("JPY")
    assert rates.at(eur, jpy) == pytest.approx(1.15 * 150, rel=1e-12)
    assert strength.at(0, eur) == pytest.approx(100 * (1 / 1.005 - 1), rel=1e-12)
    assert strength.at(jpy, 0) == pytest.approx(100 * (1 / 0.99 - 1), rel=1e-12)
    assert strength.at(eur, jpy) == pytest.approx(100 * (1.005 * 0.99 - 1), rel=1e-9)


def test_two_currencies_are_no_matrix() -> None:
    assert analyse.currencies({"EURUSD": pair("EURUSD", 1.15, 0.5)}) == (None, None)
    assert analyse.currencies({}) == (None, None)


def test_the_figures_of_a_year_are_of_a_year() -> None:
    found = samples.findings()
    for series in (*found.lines, *found.falls, found.calendar, found.spread):
        assert series is not None
        assert 0 < series.day[-1] - series.day[0] <= 365
    assert found.calendar is not None
    assert found.calendar.id == found.months[0].id == "VNINDEX"
    for series in found.months:
        assert len(series.day) == 12
        assert all(date.fromordinal(d).day == 1 for d in series.day)
        assert date.fromordinal(series.day[-1]) == TODAY.replace(day=1)


def test_the_spread_is_that_of_the_two_yields() -> None:
    found = samples.findings()
    long, short = found.get("US10Y"), found.get("US2Y")
    assert found.spread is not None
    assert long is not None
    assert short is not None
    assert found.spread.values[-1] == pytest.approx((long.price or 0) - (short.price or 0), rel=1e-12)
    assert analyse.spread({}) is None


def test_a_quote_brings_the_counts_of_its_market_and_a_share_its_turnover() -> None:
    share = replace(instrument("S", Group.VIETNAM, "XSTC"), currency="VND")
    q = quote(20_000.0, volume=1e6, breadth=Breadth(30, 15, 5))
    f = analyse.measure(share, q, Bars.empty("S"), zone=UTC, benchmark={})
    assert (f.advances, f.declines, f.unchanged, f.turnover) == (30, 15, 5, 2e10)
    index = analyse.measure(instrument("I", Group.VIETNAM, "XSTC"), q, Bars.empty("I"), zone=UTC, benchmark={})
    assert index.turnover is None


def test_the_closes_that_returns_count_from_are_facts() -> None:
    f = measure(quote(110.0), bars(*[100.0] * 399, 110.0))
    assert (f.close_1w, f.close_1m, f.close_1y) == (100, 100, 100)
    assert f.ret_1y == pytest.approx(10.0)

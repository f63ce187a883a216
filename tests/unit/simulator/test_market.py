from __future__ import annotations

import tracemalloc
from datetime import UTC, date, datetime, timedelta
from statistics import correlation, pstdev

import pytest

from evertick.errors import SettingsError
from evertick.simulator import Market, MarketClock
from evertick.simulator.curve import TENORS
from evertick.simulator.limits import limits, snap
from evertick.simulator.market import traded
from evertick.simulator.noise import ANCHOR
from evertick.universe import load
from unit.simulator.samples import INSTRUMENTS, NOW, instrument

TODAY = NOW.date().toordinal()


@pytest.fixture(scope="module")
def universe() -> Market:
    """The market of all instruments there are."""
    return Market(load(), seed=1, clock=MarketClock(NOW, 0))


def returns(market: Market, id: str, years: int = 4) -> dict[int, float]:
    c = market.columns(market.instruments[id], TODAY - 365 * years, TODAY)
    return {day: b / a - 1 for day, a, b in zip(c.days[1:], c.close, c.close[1:], strict=False)}


def together(market: Market, a: str, b: str) -> float:
    first, second = returns(market, a), returns(market, b)
    days = sorted(first.keys() & second.keys())
    return correlation([first[d] for d in days], [second[d] for d in days])


# --- daily bars ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", INSTRUMENTS, ids=lambda i: i.id)
def test_a_bar_is_the_same_whatever_range_it_is_asked_in(market: Market, one) -> None:
    long = market.columns(one, TODAY - 800, TODAY)
    for first, last in ((TODAY - 800, TODAY - 300), (TODAY - 131, TODAY - 125), (TODAY - 40, TODAY)):
        part = market.columns(one, first, last)
        at = long.days.index(part.days[0])
        cut = slice(at, at + len(part))
        for name in ("days", "open", "high", "low", "close", "volume"):
            assert getattr(part, name) == getattr(long, name)[cut]


@pytest.mark.parametrize("one", INSTRUMENTS, ids=lambda i: i.id)
def test_bars_are_sound(market: Market, one) -> None:
    c = market.columns(one, TODAY - 1500, TODAY)
    assert c.days == market.hours(one).days(TODAY - 1500, TODAY)
    for o, high, low, close, volume in zip(c.open, c.high, c.low, c.close, c.volume, strict=True):
        assert 0 < low <= min(o, close) <= max(o, close) <= high
        assert volume >= 0
    assert all(0.5 < b / a < 2 for a, b in zip(c.close, c.close[1:], strict=False))


def test_the_anchor_day_closes_at_the_price_of_the_traits(market: Market) -> None:
    for one in INSTRUMENTS:
        if one.id not in ("VIX", "USDT"):  # which return to their price instead of starting from it
            assert market.close(one, ANCHOR) == pytest.approx(market.traits(one).price, rel=1e-4)


def test_seeds_make_different_markets_and_the_same_seed_the_same(clock: MarketClock) -> None:
    one, same, other = (
        Market(INSTRUMENTS, seed, clock).columns(INSTRUMENTS[0], TODAY - 9, TODAY) for seed in (1, 1, 2)
    )
    assert one.close == same.close
    assert one.close != other.close


def test_the_order_of_the_universe_changes_nothing(market: Market, clock: MarketClock) -> None:
    turned = Market(reversed(INSTRUMENTS), 1, clock)
    assert turned.columns(INSTRUMENTS[3], TODAY - 30, TODAY) == market.columns(INSTRUMENTS[3], TODAY - 30, TODAY)


def test_open_is_the_close_before_where_trading_never_stops_and_gaps_elsewhere(market: Market) -> None:
    always = market.columns(market.instruments["BTC"], TODAY - 60, TODAY)
    assert always.open[1:] == always.close[:-1]
    shares = market.columns(market.instruments["SPX"], TODAY - 60, TODAY)
    assert sum(o != c for o, c in zip(shares.open[1:], shares.close, strict=False)) > 35


def test_no_bars_before_the_first_day_and_none_without_days(market: Market) -> None:
    btc = market.instruments["BTC"]
    first = market.traits(btc).first_day
    assert market.columns(btc, first - 100, first + 1).days == [first, first + 1]
    assert len(market.columns(btc, TODAY, TODAY - 1)) == 0
    assert len(market.columns(market.instruments["SPX"], TODAY - 4, TODAY - 3)) == 0  # a weekend
    early = market.bars(btc, first - 3, first)
    assert [bar.volume > 0 for bar in early] == [False, False, False, True]
    assert market.bars(market.instruments["SPX"], TODAY - 4, TODAY - 3) == []


def test_days_are_as_volatile_as_their_traits_say(market: Market) -> None:
    for one in INSTRUMENTS:
        if one.id not in ("USDT", "VIX"):
            assert 0.75 < pstdev(returns(market, one.id).values()) / market.traits(one).sigma < 1.35, one.id


def test_what_belongs_together_moves_together(market: Market) -> None:
    assert together(market, "SPX", "DJI") > 0.8
    assert 0.3 < together(market, "SPX", "DAX") < 0.7
    assert 0.15 < together(market, "SPX", "N225") < 0.6
    assert together(market, "SPX", "VIX") < -0.45
    assert together(market, "BTC", "ETH") > 0.7
    assert 0 < together(market, "SPX", "BTC") < 0.5
    assert together(market, "VNINDEX", "VCB") > 0.5
    assert together(market, "EURUSD", "DXY") < -0.8
    assert abs(together(market, "CORN", "DAX")) < 0.25


def test_cross_rates_agree_on_any_day(market: Market) -> None:
    eurusd, usdjpy, eurjpy = (market.instruments[id] for id in ("EURUSD", "USDJPY", "EURJPY"))
    for day in (TODAY - 2000, TODAY - 333, TODAY, TODAY + 900):
        product = market.close(eurusd, day) * market.close(usdjpy, day)
        assert product == pytest.approx(market.close(eurjpy, day), rel=2e-4)


def test_it_stays_plausible_for_a_century(market: Market) -> None:
    for year in (1950, 1990, 2030, 2080, 2150):
        day = date(year, 6, 1).toordinal()
        assert 5 < market.close(market.instruments["VIX"], day) < 90
        assert 0.9 < market.close(market.instruments["USDT"], day) < 1.1
        assert 0.4 < market.close(market.instruments["US10Y"], day) < 25


# --- within the day --------------------------------------------------------------------------------------------------


def test_a_tick_in_an_open_market(market: Market) -> None:
    tick = market.tick(market.instruments["SPX"], NOW.timestamp())
    assert tick.trading
    assert tick.at == int(NOW.timestamp())
    assert tick.day == TODAY
    assert tick.low <= tick.price <= tick.high
    bar = market.day(market.instruments["SPX"], TODAY)
    assert bar.low <= tick.low <= tick.high <= bar.high
    assert 0 < tick.volume < bar.volume
    assert tick.previous_close == market.columns(market.instruments["SPX"], TODAY - 1, TODAY - 1).close[0]


def test_a_tick_in_a_closed_market_is_its_last_close(market: Market) -> None:
    tick = market.tick(market.instruments["N225"], NOW.timestamp())
    assert not tick.trading
    c = market.columns(market.instruments["N225"], TODAY, TODAY)
    assert (tick.open, tick.high, tick.low, tick.price) == (c.open[0], c.high[0], c.low[0], c.close[0])
    assert datetime.fromtimestamp(tick.at, UTC) == datetime(2026, 11, 25, 6, 30, tzinfo=UTC)


def test_at_the_weekend_friday_is_shown(market: Market) -> None:
    saturday = datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()
    tick = market.tick(market.instruments["SPX"], saturday)
    assert date.fromordinal(tick.day) == date(2026, 11, 27)
    assert market.tick(market.instruments["BTC"], saturday).trading


def test_over_lunch_the_price_stands(market: Market) -> None:
    vcb = market.instruments["VCB"]
    noon = datetime(2026, 11, 25, 5, 0, tzinfo=UTC).timestamp()
    before = datetime(2026, 11, 25, 4, 30, tzinfo=UTC).timestamp()
    assert market.tick(vcb, noon) == market.tick(vcb, noon + 1800)
    assert market.tick(vcb, noon).at == int(before)


@pytest.mark.parametrize("one", INSTRUMENTS, ids=lambda i: i.id)
def test_the_day_so_far_only_widens_and_ends_as_the_daily_bar(market: Market, one) -> None:
    h = market.hours(one)
    day = TODAY
    end = h.segments(day)[-1][1]
    start = h.segments(day)[0][0]
    high, low, volume = 0.0, 1e12, 0.0
    for at in range(start, end, max(600, (end - start) // 60)):
        tick = market.tick(one, at)
        assert tick.high >= high
        assert tick.low <= low
        assert tick.volume >= volume
        high, low, volume = tick.high, tick.low, tick.volume
    last = market.tick(one, end - 0.001)
    c = market.columns(one, day, day)
    assert abs(last.price / c.close[0] - 1) < 0.02
    if not h.always and not h.long:
        after = market.tick(one, end)
        assert (after.high, after.low, after.price) == (c.high[0], c.low[0], c.close[0])


@pytest.mark.parametrize("one", INSTRUMENTS, ids=lambda i: i.id)
@pytest.mark.parametrize("interval", [60, 300, 900, 5400])
def test_candles_make_up_the_daily_bar(market: Market, one, interval: int) -> None:
    day = TODAY - 1
    c, bar = market.candles(one, day, interval, 1e12), market.day(one, day)
    assert c.open[0] == bar.open
    assert c.close[-1] == bar.close
    assert max(c.high) == bar.high
    assert min(c.low) == bar.low
    assert sum(c.volume) == pytest.approx(bar.volume, abs=len(c.at))
    assert c.at == sorted(set(c.at))
    assert all(
        low <= min(o, e) <= max(o, e) <= high for o, high, low, e in zip(c.open, c.high, c.low, c.close, strict=True)
    )
    segments = market.hours(one).segments(day)
    assert all(any(a <= at < b for a, b in segments) for at in c.at)


def test_candles_end_where_it_is_now(market: Market) -> None:
    spx = market.instruments["SPX"]
    c = market.candles(spx, TODAY, 300, NOW.timestamp())
    assert len(c.at) == 8  # 37 minutes and 42 seconds
    assert c.close[-1] == market.price(spx, NOW.timestamp()) == market.tick(spx, NOW.timestamp()).price


@pytest.mark.parametrize("one", INSTRUMENTS, ids=lambda i: i.id)
def test_the_quick_closes_are_those_of_the_candles(market: Market, one) -> None:
    at = NOW.timestamp()
    day = market.tick(one, at).day
    c = market.candles(one, day, 300, at)
    assert market.closes(one, day, at) == (c.at, c.close)


def test_the_price_at_a_moment_does_not_depend_on_when_it_is_asked(market: Market, clock: MarketClock) -> None:
    btc = market.instruments["BTC"]
    moments = [NOW.timestamp() - 5_000 * n for n in range(60)]
    asked = [market.tick(btc, at).price for at in moments]
    assert [Market(INSTRUMENTS, 1, clock).price(btc, at) for at in moments] == asked
    assert len(set(asked)) > 55


def test_prices_go_on_over_midnight(market: Market) -> None:
    btc = market.instruments["BTC"]
    midnight = datetime(2026, 11, 25, tzinfo=UTC).timestamp()
    before, after = market.price(btc, midnight - 1), market.price(btc, midnight + 1)
    assert abs(after / before - 1) < 0.005


def test_seconds_traded() -> None:
    market = Market(INSTRUMENTS)
    h = market.hours(market.instruments["VCB"])
    (a, b), (c, d) = h.segments(TODAY)
    assert traded(h, TODAY, a - 10) == (0.0, 0)
    assert traded(h, TODAY, a + 10) == (10.0, a + 10)
    assert traded(h, TODAY, b + 10) == (b - a, b)
    assert traded(h, TODAY, c + 10) == (b - a + 10, c + 10)
    assert traded(h, TODAY, d + 1e6) == (b - a + d - c, d)


def test_the_52_weeks_hold_the_day(market: Market) -> None:
    for one in INSTRUMENTS:
        day = market.tick(one, NOW.timestamp()).day
        bar, high, low = market.current(one, day)
        assert low <= bar.low <= bar.high <= high
        closes = market.columns(one, day - 364, day).close
        assert low <= min(closes)
        assert max(closes) <= high


# --- Vietnam ---------------------------------------------------------------------------------------------------------


def test_shares_in_ho_chi_minh_city_stay_within_the_days_limits_and_on_steps() -> None:
    shares = [instrument(f"S{n}", "vietnam", "XSTC", 0, region="asia", vn=f"S{n}") for n in range(12)]
    market = Market(shares, seed=3)
    moves = []
    for one in shares:
        t, c = market.traits(one), market.columns(one, TODAY - 2500, TODAY)
        for n in range(1, len(c)):
            before = c.close[n - 1]
            floor, ceiling = limits(t, before)
            assert before * 0.93 - 1e-6 <= floor < before < ceiling <= before * 1.07 + 1e-6
            assert floor <= c.low[n] <= c.high[n] <= ceiling
            assert all(snap(price, t.ticks) == price for price in (c.open[n], c.high[n], c.low[n], c.close[n]))
            moves.append(abs(c.close[n] / before - 1))
    assert max(moves) > 0.055  # the limit is met
    assert sum(moves) / len(moves) < 0.025


def test_quotes_and_candles_of_a_share_are_on_steps_too(market: Market) -> None:
    one = market.instruments["VCB"]
    t, at = market.traits(one), datetime(2026, 11, 25, 3, 17, 11, tzinfo=UTC).timestamp()
    tick = market.tick(one, at)
    assert tick.trading
    prices = [tick.price, tick.high, tick.low, tick.open, market.price(one, at)]
    candles = market.candles(one, tick.day, 300, at)
    prices += candles.open + candles.high + candles.low + candles.close + market.closes(one, tick.day, at)[1]
    assert all(snap(price, t.ticks) == price for price in prices)


# --- what belongs to no instrument -----------------------------------------------------------------------------------


def test_the_curve_is_smooth_and_moves_in_level_slope_and_curvature(market: Market) -> None:
    curves = [market.curve(day) for day in range(ANCHOR - 3000, ANCHOR + 3000, 50)]
    for curve in curves:
        assert list(curve) == list(TENORS)
        assert all(0.5 < value < 12 for value in curve.values())
        # no kink: every point lies close to the line between its neighbours
        points = list(curve.values())
        for a, b, c, x, y, z in zip(points, points[1:], points[2:], TENORS, TENORS[1:], TENORS[2:], strict=False):
            assert abs(b - (a + (c - a) * (y - x) / (z - x))) < 0.25
    slopes = [curve[120] - curve[3] for curve in curves]
    bends = [curve[60] - (curve[3] + curve[360]) / 2 for curve in curves]
    assert max(slopes) - min(slopes) > 0.5
    assert max(bends) - min(bends) > 0.3


def test_yahoos_yield_is_a_point_of_the_curve(market: Market) -> None:
    for day in (ANCHOR - 1000, ANCHOR, ANCHOR + 77):
        assert market.curve(day)[120] == market.close(market.instruments["US10Y"], day)


def test_currencies_agree_with_the_universes_pairs_and_with_each_other(market: Market) -> None:
    day, at = TODAY - 30, NOW.timestamp()
    assert market.fixing("EUR", "USD", day) == market.close(market.instruments["EURUSD"], day)
    assert market.fixing("USD", "JPY", day) == pytest.approx(market.close(market.instruments["USDJPY"], day))
    assert market.fixing("EUR", "JPY", day) == pytest.approx(market.close(market.instruments["EURJPY"], day), rel=1e-4)
    assert market.fixing("EUR", "HUF", day) * market.fixing("HUF", "EUR", day) == pytest.approx(1)
    assert market.rate("EUR", "USD", at) == market.price(market.instruments["EURUSD"], at)
    with pytest.raises(KeyError, match="XXX"):
        market.rate("XXX", "USD", at)


def test_a_bank_buys_for_less_than_it_sells(market: Market) -> None:
    at = NOW.timestamp()
    for code in ("USD", "EUR", "JPY"):
        buy, transfer, sell = market.bank_rates(code, at)
        assert buy < transfer < sell
        assert (transfer + sell) / 2 == pytest.approx(market.rate(code, "VND", at))


@pytest.mark.parametrize("year", [1903, 1950, 2100, 2198])
def test_prices_stay_prices_in_other_centuries(year: int) -> None:
    wild = [instrument(f"C{n}", "crypto", "24/7", 8, coingecko=f"c{n}") for n in range(12)]
    market = Market([*INSTRUMENTS, *wild], seed=5)
    for one in market.instruments.values():
        day = date(year, 5, 7).toordinal()
        tick = market.tick(one, datetime(year, 5, 7, 15, tzinfo=UTC).timestamp())
        assert 0 < tick.low <= tick.price <= tick.high < 1e12
        if day > market.traits(one).first_day:
            assert len({market.close(one, day - back * 30) for back in range(12)}) > 1


@pytest.mark.parametrize(
    "pair", [("FPT", "VNINDEX"), ("HPG", "VN30"), ("GLD", "GOLD"), ("SPY", "SPX"), ("EWJ", "N225")]
)
def test_funds_and_shares_move_with_what_they_belong_to(universe: Market, pair: tuple[str, str]) -> None:
    assert together(universe, *pair) > (0.3 if pair[0] == "EWJ" else 0.5)


def test_bonds_fall_when_yields_rise(universe: Market) -> None:
    assert together(universe, "TLT", "US10Y") < -0.5


def test_no_cache_outgrows_its_bound_with_the_whole_universe(universe: Market) -> None:
    for back in range(3):
        at = (NOW - timedelta(days=back)).timestamp()
        for one in universe.instruments.values():
            universe.tick(one, at)
            universe.price(one, at - 3 * 86400)
    for one in universe.instruments.values():
        universe.columns(one, TODAY - 731, TODAY)
    many = len(universe.instruments)
    assert many > 380
    held = universe.sizes()
    assert held["instruments"] == many
    assert held["days"] <= many
    assert held["levels"] == 2048  # so many at most, and they are used
    assert held["bars"] <= max(512, many)
    assert held["paths"] <= max(1024, 3 * many)


# --- as a whole ------------------------------------------------------------------------------------------------------


def test_symbols_are_found_in_any_case(market: Market) -> None:
    assert market.find("yahoo", "btc-usd") is market.find("coingecko", "Bitcoin") is market.instruments["BTC"]
    assert market.find("yahoo", "bitcoin") is None
    assert ("bitcoin", market.instruments["BTC"]) in list(market.listed("coingecko"))


def test_an_unknown_exchange_is_said_at_the_start() -> None:
    with pytest.raises(SettingsError, match="XXXX"):
        Market([instrument("A", "indices", "XXXX", yahoo="A")])


def test_memory_does_not_grow_with_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evertick.simulator.market._BLOCKS_KEPT", 32)
    monkeypatch.setattr("evertick.simulator.market._PATHS_KEPT", 16)
    several = [instrument(f"I{n}", "indices", "XNYS", yahoo=f"I{n}") for n in range(4)]
    market = Market(several)

    def ask(year: int) -> None:
        at = datetime(year, 5, 7, 15, tzinfo=UTC)
        for one in several:
            for back in range(0, 1200, 100):
                market.tick(one, (at - timedelta(days=back)).timestamp())
            market.columns(one, at.toordinal() - 1500, at.toordinal())

    for year in (2020, 2030):
        ask(year)
    full = market.sizes()
    assert full == {"instruments": 4, "days": 4, "levels": 32, "bars": 8, "paths": 16}
    tracemalloc.start()
    try:
        ask(2040)
        before, _ = tracemalloc.get_traced_memory()
        for year in (2050, 2060):
            ask(year)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert market.sizes() == full
    # two more decades of everything: what is remembered is replaced, not added to
    assert after - before < 40_000

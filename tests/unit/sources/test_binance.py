from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.model import Group, Quote
from evertick.sources.binance import BATCH, LIMIT, SPLITS, Binance, UnknownSymbol, parse_klines, parse_tickers

from .answers import NOW, STAMP, instrument
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes

BTC = instrument("BTC", Group.CRYPTO, "24/7", "USD", binance="BTCUSDT")
PEPE = instrument("PEPE", Group.CRYPTO, "24/7", "USD", binance="PEPEUSDT")
MANY = [instrument(f"C{n}", Group.CRYPTO, "24/7", "USD", binance=f"C{n}USDT") for n in range(50)]
SINCE = date(2026, 11, 1)
DAY_MS = 86_400_000
UNKNOWN = {"code": -1121, "msg": "Invalid symbol."}
BANNED_UNTIL = STAMP + 90
BAN = {
    "code": -1003,
    "msg": f"Way too much request weight used; IP banned until {BANNED_UNTIL}000. Please use the websocket for live "
    "updates to avoid bans.",
}


def ticker(symbol: str = "BTCUSDT", price: float = 76872.04, **more: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "priceChange": f"{-price * 0.0035:.8f}",
        "priceChangePercent": "-0.349",
        "weightedAvgPrice": f"{price * 1.002:.8f}",
        "prevClosePrice": f"{price * 1.0035:.8f}",
        "lastPrice": f"{price:.8f}",
        "lastQty": "0.25866000",
        "openPrice": f"{price / 0.99651:.8f}",
        "highPrice": f"{price * 1.007:.8f}",
        "lowPrice": f"{price * 0.995:.8f}",
        "volume": "32654.44796400",
        "quoteVolume": "2509316315.23211791",
        "openTime": STAMP * 1000 - DAY_MS - 1_500,
        "closeTime": STAMP * 1000 - 1_500,
        "count": 163315,
    } | more


def kline(day: str, close: float, **more: Any) -> list[Any]:
    start = int(datetime.fromisoformat(day + "T00:00:00+00:00").timestamp() * 1000)
    row = [
        start,
        f"{close * 0.99:.8f}",
        f"{close * 1.02:.8f}",
        f"{close * 0.98:.8f}",
        f"{close:.8f}",
        "8387.01154000",
        start + DAY_MS - 1,
        "531238376.42127370",
        1286064,
        "4566.33112000",
        "289282425.13673770",
        "0",
    ]
    for place, value in more.items():
        row[int(place.removeprefix("at"))] = value
    return row


KLINES = [kline(f"2026-11-{d}", 76000.0 + d * 30) for d in range(14, 24)]


# --- prices ---


def test_a_ticker_has_its_price_its_change_of_24_hours_and_its_turnover():
    (quote,) = parse_tickers([ticker()], [BTC], NOW).quotes
    assert quote == Quote(
        id="BTC",
        price=76872.04,
        as_of=NOW - timedelta(milliseconds=1500),
        source="binance",
        change_pct=pytest.approx(-0.349),
        previous_close=77141.2630079,
        day_high=77410.14428,
        day_low=76487.6798,
        volume=2509316315.23211791,
    )


def test_a_ticker_on_another_scale_is_noticed_by_what_it_says_beside_its_prices():
    scaled = {k: f"{float(ticker()[k]) * 1000:.8f}" for k in ("lastPrice", "openPrice", "highPrice", "lowPrice")}
    assert list(parse_tickers([ticker(**scaled)], [BTC], NOW).refused) == ["BTC"]


def test_what_is_on_another_scale_beside_the_price_is_left_out():
    (quote,) = parse_tickers([ticker(openPrice="77.14", highPrice="77400000", lowPrice="0")], [BTC], NOW).quotes
    assert (quote.price, quote.previous_close, quote.change_pct) == (76872.04, None, None)
    assert (quote.day_high, quote.day_low) == (None, None)


def test_the_ticker_of_one_symbol_is_an_object():
    assert parse_tickers(ticker(), [BTC], NOW) == parse_tickers([ticker()], [BTC], NOW)


def test_other_symbols_are_passed_over_and_of_two_tickers_the_later_counts():
    rows = [ticker("XRPUSDT", 2.0), ticker("BTCUSDT", 100.0), ticker("BTCUSDT", 101.0)]
    assert [q.price for q in parse_tickers(rows, [BTC], NOW).quotes] == [101.0]
    assert parse_tickers([], [BTC], NOW).quotes == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"lastPrice": "0.00000000"}, "price 0"),
        ({"lastPrice": "-76872.04"}, "price below 0"),
        ({"lastPrice": None}, "no price"),
        ({"lastPrice": "NaN"}, "no price"),
        ({"lastPrice": "76872040.00000000"}, "price 7.6872e+07, 997.3 times the one before it"),
        ({"closeTime": None}, "no time"),
        ({"closeTime": 0}, "no time"),
        ({"closeTime": STAMP}, None),  # seconds in place of milliseconds: January 1970, so an old price
        ({"closeTime": (STAMP + 3600) * 1000}, "a price from 2026-11-23 17:00 UTC, which is yet to come"),
    ],
)
def test_a_wrong_price_is_refused_and_costs_only_itself(more: dict[str, Any], why: str | None):
    parsed = parse_tickers([ticker(**more), ticker("PEPEUSDT", 2.2e-5)], [BTC, PEPE], NOW)
    assert "PEPE" in {q.id for q in parsed.quotes}
    assert parsed.refused == ({"BTC": why} if why else {})
    assert all(q.as_of.year == 1970 for q in parsed.quotes if q.id == "BTC")


@pytest.mark.parametrize(
    ("payload", "kind", "came"),
    [
        (None, SourceMalformed, "null"),
        ({}, SourceMalformed, "an object"),
        ([{}, 5], SourceMalformed, "tickers of other symbols than those asked for"),
        (UNKNOWN, UnknownSymbol, "a symbol that Binance does not know"),
        (
            {"code": -1100, "msg": "Illegal characters found."},
            SourceMalformed,
            "error -1100: Illegal characters found.",
        ),
        (
            {"code": 0, "msg": "Service unavailable from a restricted location according to the terms."},
            SourceRefused,
            "Service unavailable from a restricted location according to the terms.",
        ),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(payload: Any, kind: type[SourceError], came: str):
    with pytest.raises(kind) as caught:
        parse_tickers(payload, [BTC], NOW)
    assert (type(caught.value), caught.value.came, caught.value.endpoint) == (kind, came, "/api/v3/ticker/24hr")


def test_the_ban_that_comes_with_http_200_says_how_long():
    with pytest.raises(SourceRateLimited, match="Way too much request weight") as caught:
        parse_tickers(BAN, [BTC], NOW)
    assert caught.value.retry_after == 90


def test_whatever_comes_gives_quotes_or_our_error():
    check_quotes(parse_tickers, [ticker(), ticker("PEPEUSDT", 2.2e-5)], [BTC, PEPE], NOW)


# --- bars ---


def test_bars_are_days_of_utc_with_the_turnover_as_volume():
    bars = parse_klines(KLINES, BTC, SINCE, NOW)
    assert bars.dates() == [date(2026, 11, d) for d in range(14, 24)]  # today's among them, which has not ended
    assert (bars.close[-1], bars.open[-1], bars.volume[-1]) == (76690.0, 75923.1, 531238376.4212737)
    assert (bars.high[0], bars.low[0]) == (pytest.approx(76420 * 1.02), pytest.approx(76420 * 0.98))


def test_the_last_cell_is_a_number_or_a_text():
    assert list(parse_klines([kline("2026-11-20", 9.0, at11=0)], BTC, SINCE, NOW).close) == [9.0]


def test_bars_out_of_order_are_put_in_order_and_of_one_day_the_later_counts():
    rows = [kline("2026-11-20", 3.0), kline("2026-11-18", 1.0), kline("2026-11-20", 4.0), kline("2026-11-19", 2.0)]
    assert list(parse_klines(rows, BTC, SINCE, NOW).close) == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    "row",
    [
        kline("2026-11-24", 9.0),  # tomorrow
        kline("2026-10-31", 9.0),  # before the day asked for
        kline("2026-11-20", 0.0),
        kline("2026-11-20", -9.0),
        kline("2026-11-20", 9.0, at0="2026-11-20"),
        kline("2026-11-20", 9.0, at6=0),  # not of one day
        kline("2026-11-20", 9.0, at4="9.0.0"),
        kline("2026-11-20", 9.0)[:7],
        {"close": 9.0},
        None,
    ],
)
def test_a_row_that_cannot_be_right_is_left_out(row: Any):
    assert list(parse_klines([kline("2026-11-19", 8.0), row], BTC, SINCE, NOW).close) == [8.0]


def test_a_close_on_another_scale_is_dropped_and_a_placeholder_is_nan():
    rows = [
        *KLINES[:5],
        kline("2026-11-19", 76_000_000.0),
        *KLINES[6:-1],
        kline("2026-11-23", 76000.0, at1="0", at2="0"),
    ]
    bars = parse_klines(rows, BTC, SINCE, NOW)
    assert date(2026, 11, 19) not in bars.dates()
    assert len(bars) == len(rows) - 1
    assert math.isnan(bars.open[-1]) and math.isnan(bars.high[-1])


def test_no_bars_are_no_bars_and_only_unusable_ones_an_error():
    assert len(parse_klines([], BTC, SINCE, NOW)) == 0
    assert len(parse_klines([kline("2026-10-20", 9.0)], BTC, SINCE, NOW)) == 0
    with pytest.raises(SourceMalformed, match="no usable bar"):
        parse_klines([kline("2026-11-20", 0.0)], BTC, SINCE, NOW)
    with pytest.raises(UnknownSymbol):
        parse_klines(UNKNOWN, BTC, SINCE, NOW)


def test_whatever_comes_gives_bars_or_our_error():
    check_bars(lambda payload: parse_klines(payload, BTC, SINCE, NOW), KLINES, [BTC], NOW)


# --- asking ---


def exchange(*unknown: str) -> Callable[[str, dict[str, str]], Any]:
    """Binance with every symbol but these, as HTTP gives its errors."""

    def answer(url: str, params: dict[str, str]) -> Any:
        symbols = json.loads(params["symbols"])
        if set(unknown) & set(symbols):
            return SourceMalformed("binance", "/api/v3/ticker/24hr", "HTTP 400: Invalid symbol.", expected="HTTP 200")
        return [ticker(symbol, 100.0) for symbol in symbols]

    return answer


async def test_symbols_are_asked_for_twenty_at_a_time():
    http = FakeHttp(exchange())
    answer = await Binance(FixedClock(), "http://h/binance/").fetch(http, MANY)
    assert len(answer.quotes) == len(MANY)
    assert [len(json.loads(params["symbols"])) for _, params, _ in http.asked] == [20, 20, 10]
    assert {(url, params["type"]) for url, params, _ in http.asked} == {("http://h/binance/api/v3/ticker/24hr", "FULL")}
    assert http.asked[0][1]["symbols"].startswith('["C0USDT","C1USDT",')


async def test_one_unknown_symbol_is_found_refused_and_not_asked_for_again_that_day():
    clock, http = FixedClock(), FakeHttp(exchange("C7USDT"))
    binance = Binance(clock, "http://h")
    answer = await binance.fetch(http, MANY)
    assert len(answer.quotes) == len(MANY) - 1
    assert answer.refused == {"C7": "C7USDT: a symbol that Binance does not know"}
    assert len(http.asked) <= 3 + 2 * math.ceil(math.log2(BATCH))

    http.asked.clear()
    again = await binance.fetch(http, MANY)
    assert (len(again.quotes), again.refused) == (len(MANY) - 1, answer.refused)
    assert len(http.asked) == 3  # nothing is looked for a second time

    clock.pass_(24 * 3600 + 1)
    http.script = exchange()
    listed = await binance.fetch(http, MANY)
    assert (len(listed.quotes), listed.refused) == (len(MANY), {})


async def test_many_unknown_symbols_are_found_over_several_runs_without_hammering():
    unknown = {f"C{n}USDT" for n in range(0, 50, 3)}
    binance = Binance(FixedClock(), "http://h")
    got: list[int] = []
    for _ in range(6):
        http = FakeHttp(exchange(*unknown))
        answer = await binance.fetch(http, MANY)
        got.append(len(answer.quotes))
        assert len(http.asked) <= 3 + 2 * SPLITS
    assert len(answer.refused) == len(unknown)
    assert got[-1] == len(MANY) - len(unknown)
    assert not answer.failures


async def test_what_can_be_no_symbol_is_refused_without_asking():
    http = FakeHttp(exchange())
    odd = instrument("ODD", Group.CRYPTO, "24/7", "USD", binance="BTC/USDT")
    answer = await Binance(FixedClock(), "http://h").fetch(http, [odd])
    assert (answer.refused, http.asked) == ({"ODD": "BTC/USDT: a symbol that Binance does not know"}, [])


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (SourceRefused("binance", "/", f"HTTP 418, banned for a while: {BAN['msg'][:120]}"), 90),
        (SourceRefused("binance", "/", "HTTP 418, banned for a while for asking too often"), 120),
        (SourceRateLimited("binance", "/", f"HTTP 429: {BAN['msg']}", retry_after=7), 90),
        (SourceRateLimited("binance", "/", f"HTTP 429: {BAN['msg']}", retry_after=300), 300),
        (SourceRateLimited("binance", "/", "HTTP 429: Too many requests.", retry_after=7), 7),
        (SourceRateLimited("binance", "/", "HTTP 429"), None),
    ],
)
async def test_a_ban_is_honoured_and_nothing_more_is_asked(error: SourceError, wait: float | None):
    http = FakeHttp(lambda url, params: error)
    with pytest.raises(SourceRateLimited) as caught:
        await Binance(FixedClock(), "http://h").fetch(http, MANY)
    assert caught.value.retry_after == wait
    assert len(http.asked) == 1


async def test_a_country_that_is_refused_is_asked_for_nothing_more():
    http = FakeHttp(lambda url, params: SourceRefused("binance", "/", "HTTP 451, not available from this place"))
    with pytest.raises(SourceRefused):
        await Binance(FixedClock(), "http://h").fetch(http, MANY)
    assert len(http.asked) == 1


async def test_a_batch_that_fails_costs_its_own_instruments():
    lost = SourceUnavailable("binance", "/", "HTTP 502")
    http = FakeHttp(lambda url, params: lost if '"C5USDT"' in params["symbols"] else exchange()(url, params))
    answer = await Binance(FixedClock(), "http://h").fetch(http, MANY)
    assert (len(answer.quotes), list(answer.failures)) == (len(MANY) - BATCH, [lost])


def candles(url: str, params: dict[str, str]) -> Any:
    """Bars of every day up to now, as many as asked for."""
    first = int(params["startTime"]) // DAY_MS
    days = range(first, min(first + int(params["limit"]), STAMP * 1000 // DAY_MS + 1))
    return [kline(datetime.fromtimestamp(day * 86_400, UTC).date().isoformat(), 100.0) for day in days]


async def test_bars_beyond_a_thousand_come_page_by_page():
    http = FakeHttp(candles)
    since = date(2021, 1, 1)
    (bars,) = await Binance(FixedClock(), "http://h").bars(http, [BTC], since)
    assert bars.dates() == [since + timedelta(days=n) for n in range((NOW.date() - since).days + 1)]
    assert len(http.asked) == math.ceil(len(bars) / LIMIT)
    assert {url for url, _, _ in http.asked} == {"http://h/api/v3/klines"}
    assert {(p["symbol"], p["interval"], p["limit"]) for _, p, _ in http.asked} == {("BTCUSDT", "1d", "1000")}


@pytest.mark.parametrize("last", [kline("2021-01-02", 1.0), None, [], ["x"], [1.5], [True], [10**400], {}], ids=str)
async def test_a_page_that_does_not_lead_on_ends_the_asking(last: Any):
    http = FakeHttp(lambda url, params: [*[kline("2021-01-01", 100.0)] * (LIMIT - 1), last])
    with pytest.raises(SourceMalformed):
        await Binance(FixedClock(), "http://h").bars(http, [BTC], date(2021, 1, 1))
    assert len(http.asked) == 1


async def test_of_an_unknown_symbol_there_are_no_bars_and_no_request_once_it_is_known_to_be_unknown():
    http = FakeHttp(lambda url, params: SourceMalformed("binance", "/api/v3/klines", "HTTP 400: Invalid symbol."))
    binance = Binance(FixedClock(), "http://h")
    (bars,) = await binance.bars(http, [MANY[7]], SINCE)
    assert (bars.instrument, len(bars), len(http.asked)) == ("C7", 0, 1)
    await binance.fetch(FakeHttp(exchange("C7USDT")), MANY)
    (bars,) = await binance.bars(http, [MANY[7]], SINCE)
    assert (len(bars), len(http.asked)) == (0, 1)


async def test_when_binance_knows_no_symbol_at_all_none_is_given_up():
    clock, http = FixedClock(), FakeHttp(exchange(*(i.symbols["binance"] for i in MANY[:4])))
    binance = Binance(clock, "http://h")
    answer = await binance.fetch(http, MANY[:4])
    assert (answer.quotes, len(answer.refused)) == ([], 4)
    http.script = exchange()
    assert len((await binance.fetch(http, MANY[:4])).quotes) == 4


async def test_bars_before_the_first_listing_are_asked_for_once():
    http = FakeHttp(lambda url, params: KLINES)
    (bars,) = await Binance(FixedClock(), "http://h").bars(http, [BTC], date(2015, 1, 1))
    assert (len(bars), len(http.asked)) == (len(KLINES), 1)

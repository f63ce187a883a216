from __future__ import annotations

from typing import Any

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Quote
from evertick.sources.fmp import AT_ONCE, Fmp, parse_quote

from .answers import instrument
from .fakes import FakeHttp, FixedClock
from .hardening import check_quotes
from .tickers import KEY, NOW, XLK, tickers

STAMP = int(NOW.timestamp())
SPX = instrument("SPX", fmp="^GSPC")


def quote(symbol: str = "XLK", **more: Any) -> dict[str, Any]:
    return {
        "symbol": symbol, "name": "A fund", "price": 241.2, "changePercentage": 0.5, "change": 1.2, "volume": 4100000,
        "dayLow": 239.4, "dayHigh": 242.1, "yearHigh": 260.0, "yearLow": 180.5, "marketCap": None, "priceAvg50": 235.1,
        "priceAvg200": 221.7, "exchange": "AMEX", "open": 240.3, "previousClose": 240.0, "timestamp": STAMP - 5,
    } | more  # fmt: skip


def test_a_quote_has_its_price_its_change_and_its_range():
    (found,) = parse_quote([quote()], XLK, NOW).quotes
    assert found == Quote(
        "XLK",
        241.2,
        NOW.fromtimestamp(STAMP - 5, NOW.tzinfo),
        "fmp",
        change_pct=pytest.approx(0.5),
        previous_close=240.0,
        day_high=242.1,
        day_low=239.4,
        volume=4100000.0,
    )


def test_an_index_has_no_volume():
    (found,) = parse_quote([quote("^GSPC", volume=0, marketCap=5e13)], SPX, NOW).quotes
    assert (found.id, found.volume, found.market_cap) == ("SPX", None, 5e13)


def test_an_unknown_symbol_is_missing():
    answer = parse_quote([], XLK, NOW)
    assert (list(answer.quotes), dict(answer.refused)) == ([], {})


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"price": 0}, "price 0"),
        ({"price": None}, "no price"),
        ({"price": "241.2"}, "no price"),
        ({"timestamp": None}, "no time"),
        ({"timestamp": STAMP * 1000}, "no time"),
        ({"timestamp": STAMP + 86_400}, "a price from 2026-11-24 16:00 UTC, which is yet to come"),
        ({"price": 0.2412}, "price 0.2412, 0.001005 times the one before it"),
    ],
)
def test_a_wrong_price_is_refused(more: dict[str, Any], why: str):
    answer = parse_quote([quote(**more)], XLK, NOW)
    assert (list(answer.quotes), answer.refused) == ([], {"XLK": why})


@pytest.mark.parametrize(
    ("payload", "error", "came"),
    [
        ({"Error Message": "Limit Reach . Please upgrade your plan"}, SourceRateLimited, "Limit Reach . Please upgrade your plan"),
        ({"Error Message": "Invalid API KEY. Please retry"}, SourceRefused, "Invalid API KEY. Please retry"),
        ({"Error Message": "Legacy Endpoint : Due to Legacy endpoints being no longer supported"}, SourceRefused, "Legacy Endpoint : Due to Legacy endpoints being no longer supported"),
        ({"Error Message": f"no such thing for {KEY}"}, SourceMalformed, "no such thing for …"),
        ([quote("XLE")], SourceMalformed, "an item of another symbol than the one asked for"),
        ([None], SourceMalformed, "an item of another symbol than the one asked for"),
        ({}, SourceMalformed, "an object"),
        ("no", SourceMalformed, "a text"),
    ],
)  # fmt: skip
def test_what_it_reports_with_http_200_becomes_the_right_error(payload: Any, error: type[SourceError], came: str):
    with pytest.raises(error) as caught:
        parse_quote(payload, XLK, NOW, KEY)
    assert (type(caught.value), caught.value.came, caught.value.endpoint) == (error, came, "/stable/quote")


def test_whatever_comes_gives_a_quote_or_our_error():
    check_quotes(lambda payload, asked, now: parse_quote(payload, asked[0], now), [quote()], [XLK], NOW)


async def test_five_are_asked_for_every_half_hour_the_next_five_then():
    http = FakeHttp(lambda url, params: [quote(params["symbol"])])
    clock = FixedClock(NOW)
    source = Fmp(clock, "http://h/fmp/", KEY)
    answer = await source.fetch(http, tickers(12))
    assert http.asked[0] == ("http://h/fmp/stable/quote", {"symbol": "T0"}, {"apikey": KEY})
    assert (len(answer.quotes), len(answer.later)) == (AT_ONCE, 7)
    clock.pass_(600)
    assert len((await source.fetch(http, tickers(12))).later) == 12
    clock.pass_(1200)
    await source.fetch(http, tickers(12))
    assert [params["symbol"] for _, params, _ in http.asked] == [f"T{n}" for n in range(10)]

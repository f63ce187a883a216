from __future__ import annotations

from typing import Any

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Quote
from evertick.sources.finnhub import AT_ONCE, Finnhub, parse_quote

from .fakes import FakeHttp, FixedClock
from .hardening import check_quotes
from .tickers import KEY, NOW, XLK, tickers

STAMP = int(NOW.timestamp())


def quote(**more: Any) -> dict[str, Any]:
    return {"c": 241.2, "d": 1.2, "dp": 0.5, "h": 242.1, "l": 239.4, "o": 240.3, "pc": 240.0, "t": STAMP - 5} | more


def test_a_quote_has_its_price_its_change_and_its_range():
    (found,) = parse_quote(quote(), XLK, NOW).quotes
    assert found == Quote(
        "XLK",
        241.2,
        NOW.fromtimestamp(STAMP - 5, NOW.tzinfo),
        "finnhub",
        change_pct=pytest.approx(0.5),
        previous_close=240.0,
        day_high=242.1,
        day_low=239.4,
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}, "zeros only: it does not know the symbol"),
        ({"c": 0}, "price 0"),
        ({"c": None}, "no price"),
        ({"c": "241.2"}, "no price"),
        ({"c": -241.2}, "price below 0"),
        ({"t": STAMP + 3600}, "a price from 2026-11-23 17:00 UTC, which is yet to come"),
        ({"t": None}, "no time"),
        ({"c": 241200.0}, "price 241200, 1005 times the one before it"),
        ({"pc": 0, "c": 241200.0}, "price 241200, 1004 times the one before it"),
    ],
)  # fmt: skip
def test_a_wrong_price_is_refused(more: dict[str, Any], why: str):
    answer = parse_quote(quote(**more), XLK, NOW)
    assert (list(answer.quotes), answer.refused) == ([], {"XLK": why})


@pytest.mark.parametrize(
    ("payload", "error", "came"),
    [
        ({"error": "API limit reached. Please try again later. Remaining Limit: 0"}, SourceRateLimited, "API limit reached. Please try again later. Remaining Limit: 0"),
        ({"error": "You don't have access to this resource."}, SourceRefused, "You don't have access to this resource."),
        ({"error": f"Invalid API key {KEY}"}, SourceRefused, "Invalid API key …"),
        ({"error": "Symbol not supported"}, SourceMalformed, "Symbol not supported"),
        ({}, SourceMalformed, "an object"),
        ([], SourceMalformed, "a list"),
        (None, SourceMalformed, "null"),
    ],
)  # fmt: skip
def test_what_it_reports_with_http_200_becomes_the_right_error(payload: Any, error: type[SourceError], came: str):
    with pytest.raises(error) as caught:
        parse_quote(payload, XLK, NOW, KEY)
    assert (type(caught.value), caught.value.came, caught.value.endpoint) == (error, came, "/api/v1/quote")
    assert KEY not in repr(caught.value)


def test_whatever_comes_gives_a_quote_or_our_error():
    check_quotes(lambda payload, asked, now: parse_quote(payload, asked[0], now), quote(), [XLK], NOW)


async def test_the_key_travels_in_a_header_and_thirty_are_asked_for_in_a_run():
    http = FakeHttp(lambda url, params: quote())
    source = Finnhub(FixedClock(NOW), "http://h/finnhub/", KEY)
    answer = await source.fetch(http, tickers(40))
    assert http.asked[0] == ("http://h/finnhub/api/v1/quote", {"symbol": "T0"}, {"X-Finnhub-Token": KEY})
    assert (len(http.asked), len(answer.quotes), len(answer.later)) == (AT_ONCE, AT_ONCE, 10)
    await source.fetch(http, tickers(40))
    assert http.asked[AT_ONCE][1] == {"symbol": "T30"}

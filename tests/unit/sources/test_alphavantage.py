from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.sources.alphavantage import AlphaVantage, parse_bars, parse_quote

from .answers import changed
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes
from .tickers import FRIDAY_CLOSE, KEY, NOW, SINCE, XLK, days, tickers, told

QUOTE = {
    "Global Quote": {
        "01. symbol": "XLK", "02. open": "240.3000", "03. high": "242.1000", "04. low": "239.4000", "05. price": "241.2000",
        "06. volume": "3456789", "07. latest trading day": "2026-11-20", "08. previous close": "240.0000",
        "09. change": "1.2000", "10. change percent": "0.5000%",
    }
}  # fmt: skip


def series(*closes: float) -> dict[str, Any]:
    found = {
        day.isoformat(): {
            "1. open": f"{c - 1:.4f}", "2. high": f"{c + 2:.4f}", "3. low": f"{c - 2:.4f}", "4. close": f"{c:.4f}",
            "5. volume": "1000",
        }
        for day, c in zip(days(len(closes)), closes, strict=True)
    }  # fmt: skip
    return {"Meta Data": {"2. Symbol": "XLK"}, "Time Series (Daily)": dict(reversed(found.items()))}


WEEK = series(*(240.0 + n for n in range(8)))


def test_texts_become_a_quote_of_the_close_of_its_day():
    (found,) = parse_quote(QUOTE, XLK, NOW).quotes
    assert (found.price, found.as_of, found.source) == (241.2, FRIDAY_CLOSE, "alphavantage")
    assert (found.previous_close, found.change_pct) == (240.0, pytest.approx(0.5))
    assert (found.day_high, found.day_low, found.volume) == (242.1, 239.4, 3456789.0)


def test_a_price_of_a_day_that_lasts_looks_as_old_as_it_may_be():
    (found,) = parse_quote(changed(QUOTE, "Global Quote/07. latest trading day", "2026-11-23"), XLK, NOW).quotes
    assert found.as_of == datetime(2026, 11, 23, 5, tzinfo=UTC)


def test_the_percentage_counts_where_the_close_before_is_missing():
    (found,) = parse_quote(changed(QUOTE, "Global Quote/08. previous close", "0.0000"), XLK, NOW).quotes
    assert (found.change_pct, found.previous_close) == (0.5, None)


def test_an_unknown_symbol_is_missing():
    answer = parse_quote({"Global Quote": {}}, XLK, NOW)
    assert (list(answer.quotes), dict(answer.refused)) == ([], {})


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("05. price", "0.0000", "price 0"),
        ("05. price", "None", "no price"),
        ("05. price", "nan", "no price"),
        ("05. price", "241,200.00", "no price"),
        ("05. price", "-241.2", "price below 0"),
        ("05. price", "241200.0", "price 241200, 1005 times the one before it"),
        ("07. latest trading day", "", "no time"),
        ("07. latest trading day", "2026-11-24", "a price from 2026-11-24 05:00 UTC, which is yet to come"),
    ],
)
def test_a_wrong_price_is_refused(field: str, value: str, why: str):
    answer = parse_quote(changed(QUOTE, f"Global Quote/{field}", value), XLK, NOW)
    assert (list(answer.quotes), answer.refused) == ([], {"XLK": why})


LIMIT = f"We have detected your API key as {KEY} and our standard API rate limit is 25 requests per day."
SPREAD = "Please consider spreading out your free API requests more sparingly (1 request per second)."
CALLS = "Our standard API call frequency is 5 calls per minute."


@pytest.mark.parametrize(
    ("payload", "error", "came"),
    [
        ({"Information": LIMIT}, SourceRateLimited, LIMIT.replace(KEY, "…")),
        ({"Information": SPREAD}, SourceRateLimited, SPREAD),
        ({"Note": CALLS}, SourceRateLimited, CALLS),
        ({"Information": "This is a premium endpoint."}, SourceRefused, "This is a premium endpoint."),
        ({"Error Message": "the parameter apikey is invalid or missing."}, SourceRefused, "the parameter apikey is invalid or missing."),
        ({"Error Message": "Invalid API call. Please retry"}, SourceMalformed, "Invalid API call. Please retry"),
        (changed(QUOTE, "Global Quote/01. symbol", "XLE"), SourceMalformed, "a quote of another symbol than the one asked for"),
        ({"Global Quote": []}, SourceMalformed, "an object"),
        ({}, SourceMalformed, "an object"),
        ([], SourceMalformed, "a list"),
    ],
)  # fmt: skip
def test_what_it_reports_with_http_200_becomes_the_right_error(payload: Any, error: type[SourceError], came: str):
    with pytest.raises(error) as caught:
        parse_quote(payload, XLK, NOW, KEY)
    assert (type(caught.value), caught.value.came, caught.value.endpoint) == (error, came, "/query")
    assert KEY not in repr(caught.value)


def test_the_key_it_echoes_is_masked_even_where_it_is_another_one():
    with pytest.raises(SourceRateLimited) as caught:
        parse_quote({"Information": LIMIT}, XLK, NOW)
    assert KEY not in str(caught.value)


def test_daily_bars_are_put_in_order_and_begin_where_asked():
    bars = parse_bars(WEEK, XLK, date(2026, 11, 18), NOW)
    assert told(bars) == [("2026-11-18", 245.0), ("2026-11-19", 246.0), ("2026-11-20", 247.0)]
    assert (bars.open[-1], bars.high[-1], bars.low[-1], bars.volume[-1]) == (246.0, 249.0, 245.0, 1000.0)


def test_a_call_that_it_calls_invalid_means_an_unknown_symbol_of_bars():
    assert len(parse_bars({"Error Message": "Invalid API call. Please retry"}, XLK, SINCE, NOW)) == 0
    with pytest.raises(SourceRateLimited):
        parse_bars({"Information": LIMIT}, XLK, SINCE, NOW, KEY)
    with pytest.raises(SourceMalformed):
        parse_bars({"Time Series (Daily)": []}, XLK, SINCE, NOW)


def test_whatever_comes_gives_a_quote_or_our_error():
    check_quotes(lambda payload, asked, now: parse_quote(payload, asked[0], now), QUOTE, [XLK], NOW)


def test_whatever_comes_gives_bars_or_our_error():
    check_bars(lambda payload: parse_bars(payload, XLK, SINCE, NOW), WEEK, [XLK], NOW)


async def test_one_is_asked_for_every_two_hours():
    http = FakeHttp(lambda url, params: changed(QUOTE, "Global Quote/01. symbol", params["symbol"]))
    clock = FixedClock(NOW)
    source = AlphaVantage(clock, "http://h/alphavantage/", KEY)
    asked: list[str] = []
    for _ in range(81):  # four hours of runs every three minutes
        asked += [q.id for q in (await source.fetch(http, tickers(3))).quotes]
        clock.pass_(180)
    assert asked == ["T0", "T1", "T2"]
    assert http.asked[0] == (
        "http://h/alphavantage/query",
        {"function": "GLOBAL_QUOTE", "symbol": "T0", "apikey": KEY},
        None,
    )


async def test_bars_are_the_newest_hundred_days():
    http = FakeHttp(lambda url, params: WEEK)
    (bars,) = await AlphaVantage(FixedClock(NOW), "http://h", KEY).bars(http, [XLK], SINCE)
    assert len(bars) == 8
    assert http.asked[0][1] == {
        "function": "TIME_SERIES_DAILY", "symbol": "XLK", "outputsize": "compact", "apikey": KEY,
    }  # fmt: skip

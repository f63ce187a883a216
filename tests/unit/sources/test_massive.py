from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.sources.massive import Massive, parse_bars, parse_quote

from .answers import changed
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes
from .tickers import FRIDAY_CLOSE, KEY, NOW, SINCE, XLE, XLK, days, tickers, told

NEW_YORK = ZoneInfo("America/New_York")


def result(on: date, close: float, hour: int = 0) -> dict[str, Any]:
    stamp = int(datetime(on.year, on.month, on.day, hour, tzinfo=NEW_YORK).timestamp()) * 1000
    return {"v": 1000, "vw": close, "o": close - 1, "c": close, "h": close + 2, "l": close - 2, "t": stamp, "n": 64}


def aggs(*results: dict[str, Any], ticker: str = "XLK", **more: Any) -> dict[str, Any]:
    found = {
        "ticker": ticker, "queryCount": len(results), "resultsCount": len(results), "adjusted": True,
        "results": list(results), "status": "OK", "request_id": "a1", "count": len(results),
    }  # fmt: skip
    return found | more


WEEK = aggs(*(result(on, 240.0 + n) for n, on in enumerate(days(8))))
UNKNOWN = {"ticker": "XLK", "queryCount": 0, "resultsCount": 0, "adjusted": True, "status": "OK", "request_id": "a2"}


def test_a_quote_is_the_last_close_with_its_change_and_its_line():
    (found,) = parse_quote(WEEK, XLK, NOW).quotes
    assert (found.price, found.previous_close, found.as_of, found.source) == (247.0, 246.0, FRIDAY_CLOSE, "massive")
    assert found.change_pct == pytest.approx(100 / 246)
    assert (found.day_high, found.day_low, found.volume) == (249.0, 245.0, 1000.0)
    assert found.spark == tuple(240.0 + n for n in range(8))


def test_the_day_before_alone_is_stamped_with_its_close_and_has_no_change():
    alone = aggs({"T": "XLK"} | result(date(2026, 11, 20), 247.0, hour=16))
    (found,) = parse_quote(alone, XLK, NOW).quotes
    assert (found.price, found.as_of, found.change_pct, found.previous_close) == (247.0, FRIDAY_CLOSE, None, None)


def test_a_delayed_answer_is_an_answer():
    assert len(parse_quote(WEEK | {"status": "DELAYED"}, XLK, NOW).quotes) == 1


@pytest.mark.parametrize("payload", [UNKNOWN, aggs(), {"status": "NOT_FOUND", "message": "no"}])
def test_an_unknown_ticker_is_missing(payload: Any):
    answer = parse_quote(payload, XLK, NOW)
    assert (list(answer.quotes), dict(answer.refused)) == ([], {})
    assert len(parse_bars(payload, XLK, SINCE, NOW)) == 0


OVER = "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue."


@pytest.mark.parametrize(
    ("payload", "error", "came"),
    [
        ({"status": "ERROR", "error": OVER}, SourceRateLimited, OVER),
        ({"status": "ERROR", "error": "Unknown API Key"}, SourceRefused, "Unknown API Key"),
        ({"status": "NOT_AUTHORIZED", "message": f"{KEY} is not entitled"}, SourceRefused, "… is not entitled"),
        ({"status": "ERROR", "error": "no such range"}, SourceMalformed, "no such range"),
        (aggs(result(date(2026, 11, 20), 91.0), ticker="XLE"), SourceMalformed, "aggregates of another ticker than the one asked for"),
        (changed(WEEK, "results", {}), SourceMalformed, "an object as 'results'"),
        (UNKNOWN | {"resultsCount": 3}, SourceMalformed, "null as 'results'"),
        (aggs(result(date(2026, 11, 24), 247.0)), SourceMalformed, "no usable bar among those sent"),
        (aggs(result(date(2026, 11, 20), 0.0)), SourceMalformed, "no usable bar among those sent"),
        (aggs(result(date(2026, 11, 20), 247.0) | {"c": 247000.0}), SourceMalformed, "no usable bar among those sent"),
        ({}, SourceMalformed, "an object"),
        ([], SourceMalformed, "a list"),
    ],
)  # fmt: skip
def test_what_it_reports_with_http_200_becomes_the_right_error(payload: Any, error: type[SourceError], came: str):
    with pytest.raises(error) as caught:
        parse_quote(payload, XLK, NOW, KEY)
    assert (type(caught.value), caught.value.came) == (error, came)


def test_too_many_requests_wait_a_minute():
    with pytest.raises(SourceRateLimited) as caught:
        parse_quote({"status": "ERROR", "error": OVER}, XLK, NOW)
    assert caught.value.retry_after == 60.0


def test_daily_bars_begin_where_asked_and_are_of_new_yorks_days():
    bars = parse_bars(WEEK, XLK, date(2026, 11, 18), NOW)
    assert told(bars) == [("2026-11-18", 245.0), ("2026-11-19", 246.0), ("2026-11-20", 247.0)]


def test_whatever_comes_gives_a_quote_or_our_error():
    check_quotes(lambda payload, asked, now: parse_quote(payload, asked[0], now), WEEK, [XLK], NOW)


def test_whatever_comes_gives_bars_or_our_error():
    check_bars(lambda payload: parse_bars(payload, XLK, SINCE, NOW), WEEK, [XLK], NOW)


async def test_three_are_asked_for_every_ten_minutes():
    http = FakeHttp(lambda url, params: UNKNOWN | {"ticker": url.split("/")[-6]})
    source = Massive(FixedClock(NOW), "http://h/massive/", KEY)
    answer = await source.fetch(http, tickers(4))
    assert http.asked[0] == (
        "http://h/massive/v2/aggs/ticker/T0/range/1/day/2026-11-09/2026-11-23",
        {"adjusted": "true", "sort": "asc", "limit": "5000"},
        {"Authorization": f"Bearer {KEY}"},
    )
    assert (len(http.asked), answer.later) == (3, ("T3",))


async def test_bars_cost_a_request_each():
    http = FakeHttp(lambda url, params: WEEK if "XLK" in url else UNKNOWN | {"ticker": "XLE"})
    found = await Massive(FixedClock(NOW), "http://h", KEY).bars(http, [XLK, XLE], date(2026, 11, 18))
    assert [(bars.instrument, len(bars)) for bars in found] == [("XLK", 3), ("XLE", 0)]

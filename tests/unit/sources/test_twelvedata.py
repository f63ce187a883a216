from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.sources.twelvedata import TwelveData, parse_quotes, parse_series

from .answers import changed, instrument
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes
from .tickers import EUR, FRIDAY_CLOSE, KEY, NOW, SINCE, XLE, XLF, XLK, days, tickers, told

STAMP = int(NOW.timestamp())
FRIDAY = int(datetime(2026, 11, 20, 5, tzinfo=UTC).timestamp())
"""Midnight in New York."""


def quote(symbol: str = "XLK", close: str = "241.20000", before: str = "240.00000", **more: Any) -> dict[str, Any]:
    return {
        "symbol": symbol, "name": "A fund", "exchange": "NYSE", "mic_code": "ARCX", "currency": "USD",
        "datetime": "2026-11-23", "timestamp": STAMP - 90, "last_quote_at": STAMP - 30, "open": before, "high": close,
        "low": before, "close": close, "volume": "67903927", "previous_close": before, "change": "1.20000",
        "percent_change": "0.50000", "average_volume": "83571571", "is_market_open": True,
        "fifty_two_week": {"low": "180.5", "high": "260.0", "range": "180.500000 - 260.000000"},
    } | more  # fmt: skip


def error(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "status": "error"}


MINUTE = error(429, "You have run out of API credits for the current minute. 9 API credits were used.")
DAY = error(429, "You have run out of API credits for the day. 801 API credits were used.")
UNKNOWN = error(404, "**symbol** not found: XLF.")
BOTH = {"XLK": quote(), "XLE": quote("XLE", "91.50000", "91.00000")}


def values(symbol: str = "XLK", first: float = 240.0) -> dict[str, Any]:
    meta = {"symbol": symbol, "interval": "1day", "currency": "USD", "exchange_timezone": "America/New_York"}
    rows = [
        {"datetime": str(day), "open": f"{c - 1:.5f}", "high": f"{c + 2:.5f}", "low": f"{c - 2:.5f}", "close": f"{c:.5f}", "volume": "1000"}
        for c, day in zip((first + n for n in range(8)), days(8), strict=True)
    ]  # fmt: skip
    return {"meta": meta, "values": rows[::-1], "status": "ok"}


def test_one_symbol_is_an_object_of_texts():
    (found,) = parse_quotes(quote(), [XLK], NOW).quotes
    assert (found.id, found.price, found.source) == ("XLK", 241.2, "twelvedata")
    assert found.as_of == NOW.fromtimestamp(STAMP - 30, UTC)
    assert (found.previous_close, found.change_pct) == (240.0, pytest.approx(0.5))
    assert (found.day_high, found.day_low, found.volume) == (241.2, 240.0, 67903927.0)


def test_several_symbols_are_an_object_of_objects():
    answer = parse_quotes(BOTH, [XLK, XLE], NOW)
    assert {q.id: q.price for q in answer.quotes} == {"XLK": 241.2, "XLE": 91.5}


def test_a_midnight_of_the_exchange_stands_for_the_whole_day():
    closed = quote(timestamp=FRIDAY, last_quote_at=FRIDAY, is_market_open=False)
    assert [q.as_of for q in parse_quotes(closed, [XLK], NOW).quotes] == [FRIDAY_CLOSE]
    without = {k: v for k, v in closed.items() if k != "last_quote_at"}
    assert [q.as_of for q in parse_quotes(without, [XLK], NOW).quotes] == [FRIDAY_CLOSE]


def test_pairs_and_symbols_with_an_exchange_are_found():
    voda = instrument("VOD", twelvedata="VOD:LSE")
    both = {"EUR/USD": quote("EUR/USD", "1.13800", "1.13600"), "VOD:LSE": quote("VOD")}
    assert [q.id for q in parse_quotes(both, [EUR, voda], NOW).quotes] == ["EURUSD", "VOD"]
    assert [q.id for q in parse_quotes(quote("VOD"), [voda], NOW).quotes] == ["VOD"]


def test_an_unknown_symbol_is_missing_alone_or_among_others():
    answer = parse_quotes(BOTH | {"XLF": UNKNOWN}, [XLK, XLE, XLF], NOW)
    assert (len(answer.quotes), dict(answer.refused), list(answer.failures)) == (2, {}, [])
    alone = parse_quotes(UNKNOWN, [XLF], NOW)
    assert (list(alone.quotes), dict(alone.refused), list(alone.failures)) == ([], {}, [])


def test_a_symbol_that_the_plan_does_not_have_costs_itself():
    answer = parse_quotes(BOTH | {"XLF": error(403, "available starting with Grow")}, [XLK, XLE, XLF], NOW)
    assert len(answer.quotes) == 2
    assert [type(f) for f in answer.failures] == [SourceRefused]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"close": "0.00000"}, "price 0"),
        ({"close": None}, "no price"),
        ({"close": "NaN"}, "no price"),
        ({"close": "-241.2"}, "price below 0"),
        ({"close": "241200.0"}, "price 241200, 1005 times the one before it"),
        ({"timestamp": None, "last_quote_at": None}, "no time"),
        ({"last_quote_at": STAMP + 86_400}, "a price from 2026-11-24 16:00 UTC, which is yet to come"),
    ],
)
def test_a_wrong_price_is_refused_and_costs_only_itself(more: dict[str, Any], why: str):
    answer = parse_quotes(BOTH | {"XLK": quote(**more)}, [XLK, XLE], NOW)
    assert ([q.id for q in answer.quotes], answer.refused) == (["XLE"], {"XLK": why})


@pytest.mark.parametrize(
    ("payload", "kind", "came"),
    [
        (MINUTE, SourceRateLimited, MINUTE["message"]),
        (DAY, SourceRateLimited, DAY["message"]),
        ({"XLK": MINUTE, "XLE": MINUTE}, SourceRateLimited, MINUTE["message"]),
        (
            error(401, f"**apikey** parameter is incorrect: {KEY}"),
            SourceRefused,
            "**apikey** parameter is incorrect: …",
        ),
        (error(500, "internal"), SourceUnavailable, "internal"),
        (error(400, "bad interval"), SourceMalformed, "bad interval"),
        (quote("SPY"), SourceMalformed, "an answer for other symbols than those asked for"),
        ({"SPY": quote("SPY")}, SourceMalformed, "an answer for other symbols than those asked for"),
        ({"XLK": quote("SPY")}, SourceMalformed, "an answer for other symbols than those asked for"),
        ({}, SourceMalformed, "an object"),
        ([quote()], SourceMalformed, "a list"),
    ],
)
def test_what_it_reports_with_http_200_becomes_the_right_error(payload: Any, kind: type[SourceError], came: str):
    with pytest.raises(kind) as caught:
        parse_quotes(payload, [XLK, XLE], NOW, KEY)
    assert (type(caught.value), caught.value.came, caught.value.endpoint) == (kind, came, "/quote")
    assert KEY not in repr(caught.value)


def test_credits_of_a_minute_are_back_after_one():
    for payload, wait in ((MINUTE, 60.0), (DAY, None)):
        with pytest.raises(SourceRateLimited) as caught:
            parse_quotes(payload, [XLK], NOW)
        assert caught.value.retry_after == wait


def test_daily_bars_of_one_symbol_and_of_several():
    (bars,) = parse_series(values(), [XLK], date(2026, 11, 18), NOW)
    assert told(bars) == [("2026-11-18", 245.0), ("2026-11-19", 246.0), ("2026-11-20", 247.0)]
    several = {"XLK": values(), "XLE": values("XLE", 90.0), "XLF": UNKNOWN}
    found = parse_series(several, [XLK, XLE, XLF], SINCE, NOW)
    assert [(b.instrument, len(b), b.close[-1] if len(b) else None) for b in found] == [("XLK", 8, 247.0), ("XLE", 8, 97.0), ("XLF", 0, None)]  # fmt: skip
    assert [len(b) for b in parse_series(UNKNOWN, [XLF], SINCE, NOW)] == [0]


def test_series_in_another_shape_are_an_error():
    with pytest.raises(SourceMalformed, match="null as 'values'"):
        parse_series(changed(values(), "values", None), [XLK], SINCE, NOW)
    with pytest.raises(SourceRateLimited):
        parse_series({"XLK": values(), "XLE": MINUTE}, [XLK, XLE], SINCE, NOW)


def test_whatever_comes_gives_quotes_or_our_error():
    check_quotes(parse_quotes, BOTH, [XLK, XLE], NOW)


def test_whatever_comes_for_one_symbol_gives_a_quote_or_our_error():
    check_quotes(parse_quotes, quote(), [XLK], NOW)


def test_whatever_comes_gives_bars_or_our_error():
    several = {"XLK": values(), "XLE": values("XLE", 90.0)}
    check_bars(lambda payload: parse_series(payload, [XLK, XLE], SINCE, NOW), several, [XLK, XLE], NOW)


async def test_four_symbols_a_request_every_eight_minutes():
    http = FakeHttp(lambda url, params: {s: quote(s) for s in params["symbol"].split(",")})
    clock = FixedClock(NOW)
    source = TwelveData(clock, "http://h/twelvedata/", KEY)
    answer = await source.fetch(http, tickers(6))
    assert http.asked == [("http://h/twelvedata/quote", {"symbol": "T0,T1,T2,T3"}, {"Authorization": f"apikey {KEY}"})]
    assert (len(answer.quotes), answer.later) == (4, ("T4", "T5"))
    clock.pass_(480)
    await source.fetch(http, tickers(6))
    assert http.asked[1][1] == {"symbol": "T4,T5,T0,T1"}


async def test_unknown_symbols_may_also_come_with_http_404():
    http = FakeHttp(lambda url, params: SourceMalformed("twelvedata", "/quote", "HTTP 404: not found"))
    source = TwelveData(FixedClock(NOW), "http://h", KEY)
    answer = await source.fetch(http, [XLK])
    assert (list(answer.quotes), list(answer.failures)) == ([], [])
    assert [len(bars) for bars in await source.bars(http, [XLK], SINCE)] == [0]


async def test_bars_of_four_are_one_request():
    http = FakeHttp(lambda url, params: {s: values(s) for s in params["symbol"].split(",")})
    found = await TwelveData(FixedClock(NOW), "http://h", KEY).bars(http, tickers(4), SINCE)
    assert [bars.instrument for bars in found] == ["T0", "T1", "T2", "T3"]
    assert http.asked[0][1] == {
        "symbol": "T0,T1,T2,T3", "interval": "1day", "start_date": "2026-10-23", "outputsize": "5000",
    }  # fmt: skip

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Quote
from evertick.sources.tiingo import Tiingo, parse_bars, parse_quotes

from .answers import changed
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes
from .tickers import KEY, NOW, SINCE, XLE, XLK, days, tickers, told


def row(ticker: str = "XLK", price: Any = 241.2, **more: Any) -> dict[str, Any]:
    return {
        "ticker": ticker, "timestamp": "2026-11-23T15:59:50Z", "lastSaleTimestamp": "2026-11-23T15:59:50Z",
        "quoteTimestamp": "2026-11-23T15:59:50Z", "tngoLast": price, "last": None, "lastSize": None, "open": 240.3,
        "high": 242.1, "low": 239.4, "prevClose": 240.0, "volume": 355259, "mid": None, "bidPrice": None, "bidSize": None,
        "askPrice": None, "askSize": None,
    } | more  # fmt: skip


def day(on: date, close: float, split: float = 1.0) -> dict[str, Any]:
    return {
        "date": f"{on}T00:00:00.000Z", "close": close, "high": close + 2, "low": close - 2, "open": close - 1,
        "volume": 1000, "adjClose": close, "adjHigh": close, "adjLow": close, "adjOpen": close, "adjVolume": 1000,
        "divCash": 0.0, "splitFactor": split,
    }  # fmt: skip


DAYS = [day(on, 240.0 + n) for n, on in enumerate(days(8))]


def test_quotes_are_found_by_their_tickers_and_unknown_ones_are_missing():
    answer = parse_quotes([row(), row("SPY", 700.0)], [XLK, XLE], NOW)
    assert answer.quotes == [
        Quote(
            "XLK",
            241.2,
            datetime(2026, 11, 23, 15, 59, 50, tzinfo=UTC),
            "tiingo",
            change_pct=pytest.approx(0.5),
            previous_close=240.0,
            day_high=242.1,
            day_low=239.4,
            volume=355259.0,
        )
    ]
    assert dict(answer.refused) == {}
    assert list(parse_quotes([], [XLK], NOW).quotes) == []


def test_tickers_come_in_upper_or_lower_case_and_times_with_nanoseconds():
    (found,) = parse_quotes([row("xlk", timestamp="2026-11-23T10:59:50.186520297-05:00")], [XLK], NOW).quotes
    assert (found.id, found.as_of) == ("XLK", datetime(2026, 11, 23, 15, 59, 50, 186520, tzinfo=UTC))


def test_the_last_trade_counts_where_its_own_price_is_missing():
    assert [q.price for q in parse_quotes([row(price=None, last=241.3)], [XLK], NOW).quotes] == [241.3]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"tngoLast": None}, "no price"),
        ({"tngoLast": 0}, "price 0"),
        ({"tngoLast": "241.2"}, "no price"),
        ({"timestamp": None}, "no time"),
        ({"timestamp": "2026-11-23T15:59:50"}, "no time"),
        ({"timestamp": "2026-11-24T15:59:50Z"}, "a price from 2026-11-24 15:59 UTC, which is yet to come"),
        ({"tngoLast": 241200.0}, "price 241200, 1005 times the one before it"),
    ],
)
def test_a_wrong_price_is_refused_and_costs_only_itself(more: dict[str, Any], why: str):
    answer = parse_quotes([row(**more), row("XLE", 91.5, prevClose=91.0, open=91.0)], [XLK, XLE], NOW)
    assert ([q.id for q in answer.quotes], answer.refused) == (["XLE"], {"XLK": why})


OVER = "Error: You have run over your hourly request allocation."


@pytest.mark.parametrize(
    ("payload", "error", "came"),
    [
        ({"detail": OVER}, SourceRateLimited, OVER),
        ({"detail": "Invalid token."}, SourceRefused, "Invalid token."),
        ({"detail": f"strange token {KEY}"}, SourceMalformed, "strange token …"),
        ([row("SPY")], SourceMalformed, "items of other tickers than those asked for"),
        ([None, 1], SourceMalformed, "items of other tickers than those asked for"),
        ({}, SourceMalformed, "an object"),
        (None, SourceMalformed, "null"),
    ],
)
def test_what_it_reports_with_http_200_becomes_the_right_error(payload: Any, error: type[SourceError], came: str):
    with pytest.raises(error) as caught:
        parse_quotes(payload, [XLK], NOW, KEY)
    assert (type(caught.value), caught.value.came) == (error, came)


def test_daily_bars_begin_where_asked_and_end_with_the_last_close():
    bars = parse_bars(DAYS, XLK, date(2026, 11, 18), NOW)
    assert told(bars) == [("2026-11-18", 245.0), ("2026-11-19", 246.0), ("2026-11-20", 247.0)]
    assert (bars.open[-1], bars.high[-1], bars.low[-1], bars.volume[-1]) == (246.0, 249.0, 245.0, 1000.0)


def test_prices_before_a_split_are_in_todays_shares():
    early, late = days(6)[:3], days(6)[3:]
    split = [day(on, 480.0) for on in early] + [day(late[0], 240.0, 2.0), day(late[1], 241.0), day(late[2], 242.0)]
    bars = parse_bars(split, XLK, SINCE, NOW)
    assert list(bars.close) == [240.0, 240.0, 240.0, 240.0, 241.0, 242.0]
    assert list(bars.open)[:3] == [239.5, 239.5, 239.5]


def test_a_split_that_is_none_changes_nothing():
    for factor in (0, -1, None, "2", 1e9):
        assert parse_bars(changed(DAYS, "5/splitFactor", factor), XLK, SINCE, NOW).close[0] == 240.0


def test_bars_in_another_shape_are_an_error():
    with pytest.raises(SourceMalformed, match="no usable bar"):
        parse_bars([{k: v for k, v in one.items() if k != "date"} for one in DAYS], XLK, SINCE, NOW)
    with pytest.raises(SourceRateLimited):
        parse_bars({"detail": OVER}, XLK, SINCE, NOW)
    with pytest.raises(SourceMalformed, match="/tiingo/daily/XLK/prices: a text"):
        parse_bars("no", XLK, SINCE, NOW)


def test_whatever_comes_gives_quotes_or_our_error():
    check_quotes(parse_quotes, [row(), row("XLE", 91.5, prevClose=91.0, open=91.0)], [XLK, XLE], NOW)


def test_whatever_comes_gives_bars_or_our_error():
    check_bars(lambda payload: parse_bars(payload, XLK, SINCE, NOW), DAYS, [XLK], NOW)


async def test_all_quotes_of_a_run_are_one_request_every_five_minutes():
    http = FakeHttp(lambda url, params: [row("XLK"), row("XLE", 91.5, prevClose=91.0, open=91.0)])
    clock = FixedClock(NOW)
    source = Tiingo(clock, "http://h/tiingo/", KEY)
    answer = await source.fetch(http, [XLK, XLE])
    assert http.asked == [("http://h/tiingo/iex/", {"tickers": "xlk,xle"}, {"Authorization": f"Token {KEY}"})]
    assert ({q.id for q in answer.quotes}, answer.later) == ({"XLK", "XLE"}, ())
    clock.pass_(180)
    assert (await source.fetch(http, tickers(2))).later == ("T0", "T1")


async def test_bars_cost_a_request_each_and_an_unknown_ticker_has_none():
    def script(url, params):
        return SourceMalformed("tiingo", "/", "HTTP 404: Not found.") if "xle" in url else DAYS

    http = FakeHttp(script)
    found = await Tiingo(FixedClock(NOW), "http://h", KEY).bars(http, [XLK, XLE], date(2026, 11, 18))
    assert [(bars.instrument, len(bars)) for bars in found] == [("XLK", 3), ("XLE", 0)]
    assert http.asked[0][:2] == (
        "http://h/tiingo/daily/xlk/prices",
        {"startDate": "2026-11-08", "format": "json"},
    )
    broken = FakeHttp(lambda url, params: SourceMalformed("tiingo", "/", "HTTP 400: no"))
    with pytest.raises(SourceMalformed):
        await Tiingo(FixedClock(NOW), "http://h", KEY).bars(broken, [XLK], SINCE)

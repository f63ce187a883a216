from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.model import Quote
from evertick.sources.yahoo import BATCH, COOL_DOWN_S, HOSTS, Yahoo, parse_bars, parse_spark

from .answers import (
    CAP,
    EURUSD,
    NOW,
    SPX,
    US3M,
    VIX,
    changed,
    chart_answer,
    day,
    instrument,
    item,
    meta,
    spark_answer,
)
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes

SINCE = date(2024, 9, 1)


# --- spark ---


def test_a_quote_has_the_price_its_own_time_and_the_change_against_the_previous_close():
    (quote,) = parse_spark(spark_answer(item("^GSPC", 7012.45, previousClose=7016.94)), [SPX], NOW).quotes
    assert quote == Quote(
        id="SPX",
        price=7012.45,
        as_of=NOW - timedelta(seconds=60),
        source="yahoo",
        change_pct=pytest.approx(-0.0639880),
        previous_close=7016.94,
        day_high=7012.45 * 1.01,
        day_low=7012.45 * 0.99,
        volume=2143000000.0,
        spark=(7005.44, 7012.45),
    )


def test_without_a_previous_close_the_one_before_the_range_counts_then_yahoos_own_change():
    answer = spark_answer(item("^GSPC", 102.0, chartPreviousClose=100.0))
    assert parse_spark(answer, [SPX], NOW).quotes[0].change_pct == pytest.approx(2.0)
    answer = spark_answer(item("^GSPC", 102.0, chartPreviousClose=None, regularMarketChangePercent=1.5))
    (quote,) = parse_spark(answer, [SPX], NOW).quotes
    assert (quote.change_pct, quote.previous_close) == (1.5, None)


def test_zeros_stand_for_what_is_not_known():
    answer = spark_answer(
        item("^GSPC", 100.0, regularMarketDayHigh=0.0, regularMarketDayLow=0.0, regularMarketVolume=0)
    )
    (quote,) = parse_spark(answer, [SPX], NOW).quotes
    assert (quote.day_high, quote.day_low, quote.volume) == (None, None, None)


def test_unknown_symbols_are_omitted_and_unasked_ones_passed_over():
    parsed = parse_spark(spark_answer(item("^VIX", 16.3), item("AAPL", 270.0)), [SPX, VIX], NOW)
    assert [q.id for q in parsed.quotes] == ["VIX"]
    assert parsed.refused == {}


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"symbol": "^GSPC", "response": []}, "no price"),
        ({"symbol": "^GSPC"}, "no price"),
        ({"symbol": "^GSPC", "response": [None]}, "no price"),
        ({"symbol": "^GSPC", "response": [{"meta": []}]}, "no price"),
        (item("^GSPC", 100.0, regularMarketTime=None), "no time"),
        (item("^GSPC", 100.0, regularMarketPrice=None), "no price"),
        (item("^GSPC", 100.0, regularMarketPrice="100"), "no price"),
        (item("^GSPC", 100.0, regularMarketPrice=True), "no price"),
        (item("^GSPC", 100.0, regularMarketPrice=0.0), "price 0"),
        (item("^GSPC", 100.0, regularMarketPrice=-100.0), "price below 0"),
        (item("^GSPC", 100.0, regularMarketPrice=100_000.0), "price 100000, 1020 times the one before it"),
    ],
)
def test_a_wrong_price_is_refused_and_costs_only_itself(broken: dict[str, Any], why: str):
    parsed = parse_spark(spark_answer(broken, item("^VIX", 16.3)), [SPX, VIX], NOW)
    assert [q.id for q in parsed.quotes] == ["VIX"]
    assert parsed.refused == {"SPX": why}


def test_the_last_of_two_items_of_one_symbol_counts():
    parsed = parse_spark(spark_answer({"symbol": "^GSPC"}, item("^GSPC", 100.0), item("^GSPC", 101.0)), [SPX], NOW)
    assert ([q.price for q in parsed.quotes], parsed.refused) == ([101.0], {})


def test_a_close_on_another_scale_is_left_out_of_the_line():
    (quote,) = parse_spark(spark_answer(item("^GSPC", 100.0, [99.0, 99_000.0, "x", None, 100.0])), [SPX], NOW).quotes
    assert quote.spark == (99.0, 100.0)


@pytest.mark.parametrize(
    ("answer", "error", "came"),
    [
        (None, SourceMalformed, "null without 'spark'"),
        ([], SourceMalformed, "a list without 'spark'"),
        ({}, SourceMalformed, "an object without 'spark'"),
        ({"spark": None}, SourceMalformed, "an object without 'spark'"),
        ({"spark": {"result": None, "error": None}}, SourceMalformed, "null as 'spark.result'"),
        ({"spark": {"result": {}}}, SourceMalformed, "an object as 'spark.result'"),
        (
            {"spark": {"result": None, "error": {"code": "Bad Request", "description": "too many symbols"}}},
            SourceMalformed,
            "Bad Request: too many symbols",
        ),
        (
            {"finance": {"result": None, "error": {"code": "Unauthorized", "description": "Invalid Crumb"}}},
            SourceMalformed,
            "Unauthorized: Invalid Crumb",
        ),
        (
            {"finance": {"result": None, "error": {"code": "Too Many Requests", "description": "Rate limit"}}},
            SourceRateLimited,
            "Too Many Requests: Rate limit",
        ),
        (spark_answer(item("AAPL", 270.0)), SourceMalformed, "items of other symbols than those asked for"),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(answer: Any, error: type, came: str):
    with pytest.raises(error) as caught:
        parse_spark(answer, [SPX], NOW)
    assert (caught.value.provider, caught.value.endpoint, caught.value.came) == ("yahoo", "/v7/finance/spark", came)


# --- bars ---


def test_bars_stand_on_the_exchanges_own_days():
    bars = parse_bars(chart_answer(), SPX, SINCE, NOW)
    assert bars.dates() == [date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 23)]
    assert list(bars.close) == [6990.5, 7016.94, 7012.45]
    assert bars.open[0] == 6990.5 * 0.998
    assert bars.volume[2] == 1_000_000
    assert (bars.instrument, bars.day.typecode, bars.close.typecode) == ("SPX", "i", "d")


def test_a_day_is_that_of_the_zone_at_that_time_not_of_todays_offset():
    # Foreign exchange is stamped with midnight in London: in summer that is 23:00 UTC of the day before.
    answer = chart_answer(
        [day("2026-07-05", "23:00"), day("2026-11-20", "00:00")],
        [1.1, 1.2],
        exchangeTimezoneName="Europe/London",
        gmtoffset=0,
    )
    assert parse_bars(answer, EURUSD, SINCE, NOW).dates() == [date(2026, 7, 6), date(2026, 11, 20)]
    answer = chart_answer([day("2026-11-20", "23:30")], [1.1], exchangeTimezoneName="Mars/Phobos", gmtoffset=3600)
    assert parse_bars(answer, EURUSD, SINCE, NOW).dates() == [date(2026, 11, 21)]


def test_rows_without_a_close_are_dropped_and_missing_others_are_nan():
    answer = chart_answer(closes=[6990.5, None, 7012.45])
    quote = answer["chart"]["result"][0]["indicators"]["quote"][0]
    quote["open"] = [None, None, 0.0]
    quote["high"] = [7000.0, None, "x"]
    quote["low"] = [7100.0, None, 7.0]  # above its high; on another scale
    quote["volume"] = [None, None, -1]
    bars = parse_bars(answer, SPX, SINCE, NOW)
    assert list(bars.close) == [6990.5, 7012.45]
    for column in (bars.open, bars.high, bars.low, bars.volume):
        assert all(math.isnan(v) for v in column)


def test_rows_out_of_order_are_put_in_order_and_of_one_day_the_latest_counts():
    stamps = [
        day("2026-11-23"),
        day("2026-11-19"),
        day("2026-11-23", "20:59"),
        day("2026-11-20"),
        day("2026-11-20", "14:31"),
    ]
    bars = parse_bars(chart_answer(stamps, [1.0, 2.0, 3.0, 4.0, 5.0]), SPX, SINCE, NOW)
    assert list(bars.close) == [2.0, 5.0, 3.0]
    assert bars.dates() == sorted(bars.dates())


def test_bars_before_the_asked_day_and_after_tomorrow_are_left_out():
    stamps = [day("2026-11-18"), day("2026-11-20"), day("2026-12-20")]
    bars = parse_bars(chart_answer(stamps, [1.0, 2.0, 3.0]), SPX, date(2026, 11, 19), NOW)
    assert bars.dates() == [date(2026, 11, 20)]


@pytest.mark.parametrize(
    ("closes", "kept"),
    [
        ([100.0, 101_000.0, 102.0], [100.0, 102.0]),
        ([100.0, 101.0, 102_000.0], [100.0, 101.0]),
        ([100_000.0, 101.0, 102.0], [101.0, 102.0]),
        ([100.0, 250.0, 90.0], [100.0, 250.0, 90.0]),
        ([0.0, -5.0, 90.0], [90.0]),
    ],
)
def test_a_close_that_cannot_be_right_is_dropped(closes: list[float], kept: list[float]):
    assert list(parse_bars(chart_answer(closes=closes), SPX, SINCE, NOW).close) == kept


def test_yields_may_be_below_zero():
    assert list(parse_bars(chart_answer(closes=[0.05, -0.02, 0.01]), US3M, SINCE, NOW).close) == [0.05, -0.02, 0.01]


def shell() -> dict[str, Any]:
    block = {"meta": meta(currency=None, regularMarketTime=None), "indicators": {"quote": [{}], "adjclose": [{}]}}
    return {"chart": {"result": [block], "error": None}}


@pytest.mark.parametrize("answer", [shell(), {"chart": {"result": [], "error": None}}, chart_answer([], [])])
def test_a_shell_without_bars_is_no_bars(answer: dict[str, Any]):
    assert len(parse_bars(answer, SPX, SINCE, NOW)) == 0


def test_an_index_of_which_only_a_snapshot_is_known_has_one_bar():
    answer = chart_answer([day("2026-11-23")], [1751.66])
    answer["chart"]["result"][0]["indicators"]["quote"][0] |= {"open": [0.0], "high": [0.0], "low": [0.0]}
    bars = parse_bars(answer, SPX, SINCE, NOW)
    assert (list(bars.close), math.isnan(bars.open[0]), math.isnan(bars.high[0])) == ([1751.66], True, True)


@pytest.mark.parametrize(
    ("answer", "came"),
    [
        (changed(chart_answer(), "chart/result/0/meta/dataGranularity", "1mo"), "bars of 1mo"),
        (changed(chart_answer(), "chart/result/0/indicators/quote/0/open", [1.0]), "columns of different lengths"),
        (changed(chart_answer(), "chart/result/0/timestamp", [day("2026-11-20")]), "columns of different lengths"),
        (changed(chart_answer(), "chart/result/0/indicators/quote/0/close", None), "no list of closes"),
        (changed(chart_answer(), "chart/result/0/timestamp", "soon"), "no list of closes"),
        (chart_answer(closes=[None, "7000", True]), "no usable bar among those sent"),
        (
            {"chart": {"result": None, "error": {"code": "Not Found", "description": "No data found"}}},
            "Not Found: No data found",
        ),
        ({"spark": {}}, "an object without 'chart'"),
    ],
)
def test_another_shape_of_chart_is_an_error(answer: Any, came: str):
    with pytest.raises(SourceMalformed) as caught:
        parse_bars(answer, SPX, SINCE, NOW)
    assert (caught.value.came, caught.value.endpoint) == (came, "/v8/finance/chart/^GSPC")


# --- whatever comes ---

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from(["spark/result/0", "spark/result/0/response/0", "spark/result/0/response/0/meta", "spark/result",
                              "spark/result/0/response/0/indicators", "spark/result/0/response/0/meta/regularMarketPrice",
                              "spark/result/0/response/0/meta/regularMarketTime", "spark/result/0/response/0/meta/previousClose",
                              "spark/result/0/response/0/indicators/quote/0/close", "spark/result/0/symbol"]))  # fmt: skip
def test_whatever_stands_in_a_spark_answer_gives_quotes_or_our_error(value: Any, path: str):
    answer = changed(spark_answer(item("^GSPC", 100.0), item("^VIX", 16.0)), path, value)
    try:
        parsed = parse_spark(answer, [SPX, VIX], NOW)
    except SourceMalformed:
        return
    assert all(math.isfinite(q.price) and q.price > 0 for q in parsed.quotes)


@given(JSON, st.sampled_from(["chart/result/0", "chart/result/0/meta", "chart/result/0/timestamp", "chart/result/0/indicators",
                              "chart/result/0/indicators/quote/0", "chart/result/0/indicators/quote/0/close", "chart/result",
                              "chart/result/0/indicators/quote/0/volume", "chart/result/0/timestamp/1",
                              "chart/result/0/indicators/quote/0/close/1", "chart/result/0/meta/gmtoffset",
                              "chart/result/0/meta/exchangeTimezoneName"]))  # fmt: skip
def test_whatever_stands_in_a_chart_answer_gives_bars_or_our_error(value: Any, path: str):
    try:
        bars = parse_bars(changed(chart_answer(), path, value), SPX, SINCE, NOW)
    except SourceMalformed:
        return
    assert len(set(bars.day)) == len(bars) == len(bars.close) == len(bars.volume)
    assert list(bars.day) == sorted(bars.day)
    assert all(math.isfinite(c) and c > 0 for c in bars.close)


def test_whatever_comes_gives_quotes_or_our_error():
    payload = spark_answer(
        item("^GSPC", 7012.45, previousClose=7016.94), item("^VIX", 16.3, previousClose=16.1), item("EURUSD=X", 1.157)
    )
    check_quotes(parse_spark, payload, [SPX, VIX, EURUSD], NOW)


def test_whatever_comes_gives_bars_or_our_error():
    stamps = [day(f"2026-11-{n:02d}") for n in (10, 11, 12, 13, 16, 17, 18, 19, 20, 23)]
    payload = chart_answer(stamps, [7000.0 + n for n in range(10)])
    check_bars(lambda damaged: parse_bars(damaged, SPX, SINCE, NOW), payload, [SPX], NOW)


# --- asking ---

MANY = [instrument(f"I{n}") for n in range(BATCH * 3 + 1)]


def all_of(url: str, params: dict[str, str]) -> Any:
    return spark_answer(*(item(symbol, 100.0) for symbol in params["symbols"].split(",")))


async def test_symbols_are_asked_for_twenty_at_a_time():
    http = FakeHttp(all_of)
    answer = await Yahoo(FixedClock(), "http://h/yahoo/").fetch(http, MANY)
    assert len(answer.quotes) == len(MANY)
    assert sorted(len(p["symbols"].split(",")) for _, p, _ in http.asked) == [1, 20, 20, 20]
    assert {(url, p["range"], p["interval"]) for url, p, _ in http.asked} == {
        ("http://h/yahoo/v7/finance/spark", "1d", "5m")
    }


async def test_a_batch_that_fails_costs_its_own_instruments():
    def some(url: str, params: dict[str, str]) -> Any:
        if "I5," in params["symbols"]:
            return SourceUnavailable("yahoo", "/v7/finance/spark", "HTTP 502")
        return all_of(url, params)

    answer = await Yahoo(FixedClock(), "http://h").fetch(FakeHttp(some), MANY)
    assert len(answer.quotes) == len(MANY) - BATCH
    assert [f.came for f in answer.failures] == ["HTTP 502"]


async def test_when_every_batch_fails_the_first_failure_is_raised():
    http = FakeHttp(lambda url, params: SourceRefused("yahoo", "/", "HTTP 403"))
    with pytest.raises(SourceRefused):
        await Yahoo(FixedClock(), "http://h").fetch(http, MANY)


async def test_after_a_request_to_slow_down_no_further_batch_is_sent():
    http = FakeHttp(lambda url, params: SourceRateLimited("yahoo", "/", "HTTP 429"))
    many = [instrument(f"I{n}") for n in range(BATCH * 10)]
    with pytest.raises(SourceRateLimited):
        await Yahoo(FixedClock(), "http://h").fetch(http, many)
    assert len(http.asked) <= 3


async def test_the_second_host_answers_when_the_first_is_down():
    def second(url: str, params: dict[str, str]) -> Any:
        return SourceUnavailable("yahoo", "/", "no connection") if url.startswith(HOSTS[0]) else all_of(url, params)

    http = FakeHttp(second)
    answer = await Yahoo(FixedClock()).fetch(http, [SPX])
    assert len(answer.quotes) == 1
    assert [url.partition("/v7")[0] for url, _, _ in http.asked] == list(HOSTS)


async def test_the_host_that_answered_last_is_asked_first():
    down = {HOSTS[0]}

    def script(url: str, params: dict[str, str]) -> Any:
        host = url.partition("/v7")[0]
        return SourceUnavailable("yahoo", "/", f"{host} is down") if host in down else all_of(url, params)

    http, yahoo = FakeHttp(script), Yahoo(FixedClock())
    await yahoo.fetch(http, [SPX])
    await yahoo.fetch(http, [SPX])
    down.add(HOSTS[1])
    with pytest.raises(SourceUnavailable, match="query2"):
        await yahoo.fetch(http, [SPX])
    down.clear()
    await yahoo.fetch(http, [SPX])
    one, two = HOSTS
    assert [url.partition("/v7")[0] for url, _, _ in http.asked] == [one, two, two, two, one, two]


@pytest.mark.parametrize(
    "error",
    [
        SourceMalformed("yahoo", "/", "an HTML page 'Will be right back'"),
        SourceRefused("yahoo", "/", "a redirect to a page that asks for consent"),
        SourceRateLimited("yahoo", "/", "HTTP 429: Edge: Too Many Requests"),
    ],
)
async def test_only_a_host_that_cannot_be_reached_is_replaced_by_the_other(error: SourceError):
    http = FakeHttp(lambda url, params: error)
    with pytest.raises(type(error)):
        await Yahoo(FixedClock()).fetch(http, [SPX])
    assert [url.partition("/v7")[0] for url, _, _ in http.asked] == [HOSTS[0]]


async def test_a_request_to_slow_down_holds_for_both_hosts_and_for_bars_until_it_ends():
    answers: list[Any] = [SourceRateLimited("yahoo", "/", "HTTP 429", retry_after=7.0)]
    http = FakeHttp(lambda url, params: answers.pop() if answers else all_of(url, params))
    clock = FixedClock()
    yahoo = Yahoo(clock)
    with pytest.raises(SourceRateLimited):
        await yahoo.fetch(http, [SPX])
    clock.pass_(5)
    for ask in (yahoo.fetch(http, [SPX]), yahoo.bars(http, [SPX], SINCE)):
        with pytest.raises(SourceRateLimited) as caught:
            await ask
        assert caught.value.retry_after == 2.0
    assert len(http.asked) == 1
    clock.pass_(2)
    assert len((await yahoo.fetch(http, [SPX])).quotes) == 1


async def test_without_a_word_on_how_long_a_minute_is_rested():
    http = FakeHttp(lambda url, params: SourceRateLimited("yahoo", "/", "HTTP 429"))
    clock = FixedClock()
    yahoo = Yahoo(clock)
    for _ in range(3):
        with pytest.raises(SourceRateLimited):
            await yahoo.fetch(http, [SPX])
        clock.pass_(COOL_DOWN_S / 2)
    assert len(http.asked) == 2


async def test_bars_of_what_yahoo_does_not_know_are_none():
    http = FakeHttp(lambda url, params: SourceMalformed("yahoo", url, "HTTP 404: No data found"))
    (bars,) = await Yahoo(FixedClock()).bars(http, [SPX], SINCE)
    assert (bars.instrument, len(bars)) == ("SPX", 0)


def test_bars_are_adjusted_for_splits_not_for_dividends():
    answer = chart_answer()
    answer["chart"]["result"][0]["indicators"]["adjclose"][0]["adjclose"] = [1.0, 2.0, 3.0]
    assert list(parse_bars(answer, SPX, SINCE, NOW).close) == [6990.5, 7016.94, 7012.45]


async def test_bars_are_asked_for_by_dates_with_the_symbol_quoted():
    http = FakeHttp(lambda url, params: chart_answer())
    (bars,) = await Yahoo(FixedClock(), "http://h").bars(http, [SPX], date(2026, 11, 20))
    assert bars.dates() == [date(2026, 11, 20), date(2026, 11, 23)]
    ((url, params, _),) = http.asked
    assert url == "http://h/v8/finance/chart/%5EGSPC"
    assert params["interval"] == "1d"
    assert int(params["period1"]) <= day("2026-11-20", "00:00")
    assert int(params["period2"]) > NOW.timestamp()
    assert "range" not in params  # a long range silently becomes monthly


async def test_what_has_no_symbol_at_yahoo_has_no_bars_and_is_not_asked_for():
    http = FakeHttp(lambda url, params: pytest.fail("asked"))
    (bars,) = await Yahoo(FixedClock(), "http://h").bars(http, [CAP], SINCE)
    assert (bars.instrument, len(bars)) == ("CRYPTO_CAP", 0)

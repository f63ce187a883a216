from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.sources.fred import Fred, bars, parse_graph, parse_observations, quotes

from .answers import NOW
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes
from .official import US1M, US2Y, US10Y, fred_csv, weekdays

SINCE = date(2026, 11, 1)
ALL = [US2Y, US10Y]
FILE = fred_csv()
GRAPH = "/graph/fredgraph.csv"
OBSERVATIONS = "/fred/series/observations"


def observed(*values: str) -> dict[str, Any]:
    days = weekdays(len(values))
    return {
        "realtime_start": "2026-11-23",
        "observations": [
            {"realtime_start": "2026-11-23", "realtime_end": "2026-11-23", "date": str(day), "value": value}
            for day, value in zip(days, values, strict=True)
        ],
    }


def test_the_newest_value_of_each_series_is_as_of_that_afternoon_in_new_york():
    two, ten = quotes(parse_graph(FILE), ALL, NOW).quotes
    assert (two.price, ten.price, ten.previous_close) == (4.17, 4.67, 4.66)
    assert ten.as_of == datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
    assert ten.spark == (4.6, 4.61, 4.62, 4.63, 4.64, 4.65, 4.66, 4.67)


@pytest.mark.parametrize(
    "body",
    [
        fred_csv(head="DATE,DGS2,DGS10"),
        fred_csv(end="\r\n"),
        FILE + b"2026-11-23,.,.\n",
        FILE + b"2026-11-23,,\n",
        FILE.rstrip(b"\n"),
    ],
)
def test_the_old_header_either_line_end_and_missing_values(body: bytes):
    assert parse_graph(body) == parse_graph(FILE)


def test_a_missing_value_leaves_the_one_before():
    body = FILE.replace(b"4.17,4.67", b"4.17,.")
    two, ten = quotes(parse_graph(body), ALL, NOW).quotes
    assert (two.price, two.as_of.day) == (4.17, 20)
    assert (ten.price, ten.as_of.day) == (4.66, 19)


def test_bars_have_a_close_alone():
    found = bars(parse_graph(FILE), US10Y, date(2026, 11, 19), NOW)
    assert (found.dates(), list(found.close)) == ([date(2026, 11, 19), date(2026, 11, 20)], [4.66, 4.67])
    assert all(math.isnan(v) for column in (found.open, found.high, found.low, found.volume) for v in column)


def test_a_series_that_is_not_in_the_answer_is_said_to_be_so():
    parsed = quotes(parse_graph(FILE), [US10Y, US1M], NOW)
    assert [q.id for q in parsed.quotes] == ["US10Y"]
    assert parsed.refused == {"US1M": "no series DGS1MO in the answer"}
    assert len(bars(parse_graph(FILE), US1M, SINCE, NOW)) == 0


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (b"2026-11-23,4.1,4670.00\n", "price 4670, 1008 times the one before it"),
        (b"2026-12-23,4.1,4.67\n", "a price from 2026-12-23 21:00 UTC, which is yet to come"),
        (b"2026-11-23,4.1,0.00\n", "price 0"),
    ],
)
def test_a_wrong_value_is_refused(row: bytes, why: str):
    assert quotes(parse_graph(FILE + row), [US10Y], NOW + timedelta(hours=8)).refused == {"US10Y": why}


def test_a_series_that_ended_is_refused():
    refused = quotes(parse_graph(FILE), [US10Y], NOW + timedelta(days=200)).refused
    assert refused == {"US10Y": "no value since 2026-11-20"}


@pytest.mark.parametrize(
    ("body", "came"),
    [
        (b"", "columns "),
        (b"observation_date\n2026-11-20\n", "columns observation_date"),
        (b"day,DGS10\n2026-11-20,4.1\n", "columns day, DGS10"),
        (b"DATE,DGS10,DGS10\n2026-11-20,4.1,4.1\n", "columns DATE, DGS10, DGS10"),
        (FILE[:-3], "a table that breaks off"),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(body: bytes, came: str):
    with pytest.raises(SourceMalformed) as caught:
        parse_graph(body)
    assert (caught.value.came, caught.value.endpoint) == (came, GRAPH)


def test_observations_are_texts():
    series = parse_observations(observed("4.65", ".", "4.67"))
    assert list(series.values()) == [4.65, 4.67]
    assert date.fromordinal(max(series)) == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("payload", "error", "came"),
    [
        (None, SourceMalformed, "null"),
        ([], SourceMalformed, "a list"),
        ({}, SourceMalformed, "an object"),
        ({"observations": {}}, SourceMalformed, "an object"),
        (
            {"error_code": 400, "error_message": "Bad Request.  The series does not exist."},
            SourceMalformed,
            "Bad Request.  The series does not exist.",
        ),
        (
            {"error_code": 400, "error_message": "Bad Request.  Variable api_key is not set."},
            SourceRefused,
            "Bad Request.  Variable api_key is not set.",
        ),
        ({"error_code": 429, "error_message": None}, SourceRateLimited, "an error"),
    ],
)
def test_what_the_api_reports_is_the_right_error(payload: Any, error: type[SourceError], came: str):
    with pytest.raises(error) as caught:
        parse_observations(payload)
    assert (caught.value.came, caught.value.endpoint) == (came, OBSERVATIONS)


def test_whatever_comes_gives_quotes_or_our_error():
    check_quotes(lambda body, instruments, now: quotes(parse_graph(body), instruments, now), FILE, ALL, NOW)


def test_whatever_comes_gives_bars_or_our_error():
    check_bars(lambda body: [bars(parse_graph(body), i, SINCE, NOW) for i in ALL], FILE, ALL, NOW)


def test_whatever_the_api_sends_gives_quotes_or_our_error():
    payload = observed("4.60", "4.61", ".", "4.63", "4.64", "4.65", "4.66", "4.67")
    check_quotes(lambda p, asked, now: quotes({"DGS10": parse_observations(p)}, asked, now), payload, [US10Y], NOW)
    check_bars(lambda p: bars({"DGS10": parse_observations(p)}, US10Y, SINCE, NOW), payload, [US10Y], NOW)


# --- asking ---


async def test_without_a_key_one_request_asks_for_all_and_says_who_asks():
    http = FakeHttp(lambda url, params: FILE)
    answer = await Fred(FixedClock(), "http://h/").fetch(http, ALL)
    assert len(answer.quotes) == 2
    ((url, params, headers),) = http.asked
    assert (url, params) == ("http://h" + GRAPH, {"id": "DGS2,DGS10", "cosd": "2026-07-26"})
    assert headers is not None
    assert headers["user-agent"].startswith("Evertick/")
    assert "Mozilla" not in headers["user-agent"]
    found = await Fred(FixedClock(), "http://h").bars(http, ALL, SINCE)
    assert [(b.instrument, len(b)) for b in found] == [("US2Y", 8), ("US10Y", 8)]
    assert http.asked[1][1]["cosd"] == "2026-11-01"


async def test_an_unknown_series_costs_only_itself():
    def script(url: str, params: dict[str, Any]) -> Any:
        if "DGS1MO" in params["id"]:
            return SourceMalformed("fred", GRAPH, "HTTP 404: Page Not Found")
        return fred_csv(head="DATE,X," + params["id"])

    http = FakeHttp(script)
    answer = await Fred(FixedClock(), "http://h").fetch(http, [US10Y, US1M])
    assert [q.id for q in answer.quotes] == ["US10Y"]
    assert [f.came for f in answer.failures] == ["HTTP 404: Page Not Found"]
    assert [params["id"] for _, params, _ in http.asked] == ["DGS10,DGS1MO", "DGS10", "DGS1MO"]
    with pytest.raises(SourceMalformed):
        await Fred(FixedClock(), "http://h").fetch(http, [US1M])
    with pytest.raises(SourceMalformed):
        await Fred(FixedClock(), "http://h").bars(http, [US1M], SINCE)


async def test_with_a_key_each_series_is_a_request_to_the_api():
    http = FakeHttp(lambda url, params: observed("4.65", "4.66"))
    answer = await Fred(FixedClock(), None, "sesame-17").fetch(http, ALL)
    assert len(answer.quotes) == 2
    assert [url for url, _, _ in http.asked] == ["https://api.stlouisfed.org" + OBSERVATIONS] * 2
    assert [params for _, params, _ in http.asked] == [
        {"series_id": name, "api_key": "sesame-17", "file_type": "json", "observation_start": "2026-07-26"}
        for name in ("DGS2", "DGS10")
    ]


@pytest.mark.parametrize(
    "error",
    [
        SourceRateLimited("fred", OBSERVATIONS, "HTTP 429"),
        SourceMalformed(
            "fred", OBSERVATIONS, "HTTP 400: Bad Request.  The value for variable api_key is not registered."
        ),
    ],
)
async def test_after_a_limit_or_a_wrong_key_nothing_more_is_asked(error: SourceError):
    http = FakeHttp(lambda url, params: error)
    with pytest.raises((SourceRateLimited, SourceRefused)):
        await Fred(FixedClock(), None, "sesame-17").fetch(http, ALL)
    assert len(http.asked) == 1

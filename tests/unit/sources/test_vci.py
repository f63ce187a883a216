from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from evertick.errors import SourceMalformed
from evertick.sources.vci import HEADERS, Vci, name, parse_bars, parse_quotes

from .answers import SPX, changed
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes
from .vietnamese import DAYS, FPT, HNX, INDEX, NOW, UPCOM, VN30, VND, VNINDEX, instrument, local, stamp, vci

SINCE = date(2026, 11, 17)


def test_bars_come_as_columns_with_times_as_texts_or_numbers():
    bars = parse_bars(vci(VND), FPT, SINCE, NOW)
    assert (bars.dates(), list(bars.close)) == (DAYS[1:], VND[1:])
    numbers = changed(vci(VND), "0/t", [stamp(day) for day in DAYS])
    assert parse_bars(numbers, FPT, SINCE, NOW).dates() == DAYS[1:]


def test_it_has_names_of_its_own_for_two_indices():
    assert [name(i) for i in (FPT, VNINDEX, VN30, HNX, UPCOM)] == [
        "FPT",
        "VNINDEX",
        "VN30",
        "HNXIndex",
        "HNXUpcomIndex",
    ]
    assert list(parse_bars(vci(INDEX, "HNXIndex"), HNX, SINCE, NOW).close) == INDEX[1:]


def test_without_data_there_are_no_bars():
    assert len(parse_bars([], FPT, SINCE, NOW)) == 0
    assert parse_quotes([], [FPT], NOW).refused == {"FPT": "no bars"}


@pytest.mark.parametrize(
    ("payload", "came"),
    [
        (None, "null"),
        ({"message": "Bad\nRequest"}, "BadRequest"),
        ({}, "an object"),
        (vci(VND, "VCB"), "series of other symbols"),
        ([None], "series of other symbols"),
        (changed(vci(VND), "0/t", []), "columns of different lengths"),
        (changed(vci(VND), "0/c", "x"), "a column is missing"),
        (vci([c / 1000 for c in VND]), "a share of 99.2 VND"),
        (vci([c * 1000 for c in VND]), "a share of 99200000 VND"),
        (changed(vci(VND), "0/t", [stamp(day) + 86_400 for day in DAYS]), "a bar of 2026-11-21, a Saturday"),
        (changed(vci(VND), "0/t", ["soon"] * 7), "no usable bar among those sent"),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(payload: Any, came: str):
    with pytest.raises(SourceMalformed) as caught:
        parse_bars(payload, FPT, SINCE, NOW)
    assert (caught.value.came, caught.value.endpoint) == (came, "/chart/OHLCChart/gap-chart")


def test_a_quote_is_as_old_as_it_may_be():
    (quote,) = parse_quotes(vci(VND), [FPT], NOW).quotes
    assert (quote.price, quote.previous_close, quote.as_of) == (99200.0, 98100.0, local("2026-11-24 09:00:00"))


def test_whatever_comes_gives_bars_and_quotes_or_our_error():
    check_bars(lambda payload: parse_bars(payload, FPT, SINCE, NOW), vci(VND), [FPT], NOW)
    check_quotes(parse_quotes, vci(INDEX, "VNINDEX"), [VNINDEX], NOW)


async def test_one_symbol_is_posted_a_request_and_trading_days_are_counted():
    http = FakeHttp(lambda url, body: vci(VND, body["symbols"][0]))
    fpt, vcb, spx = await Vci(FixedClock(NOW), "http://h/vci/").bars(http, [FPT, instrument("VCB"), SPX], SINCE)
    assert (len(fpt), len(vcb), len(spx)) == (6, 6, 0)
    to = int(NOW.timestamp())
    assert http.asked == [
        (
            "http://h/vci/chart/OHLCChart/gap-chart",
            {"timeFrame": "ONE_DAY", "symbols": [symbol], "to": to, "countBack": 15},
            HEADERS,
        )
        for symbol in ("FPT", "VCB")
    ]


async def test_quotes_come_from_the_last_bars():
    http = FakeHttp(lambda url, body: vci(INDEX, "HNXUpcomIndex"))
    answer = await Vci(FixedClock(NOW)).fetch(http, [UPCOM])
    assert [q.price for q in answer.quotes] == [1760.02]
    assert http.asked[0][1]["countBack"] == 32

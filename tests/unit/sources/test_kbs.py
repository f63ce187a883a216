from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from evertick.errors import SourceMalformed
from evertick.sources.kbs import HEADERS, Kbs, parse_bars, parse_quotes, path

from .answers import SPX, changed
from .fakes import FakeHttp, FixedClock
from .hardening import check_bars, check_quotes
from .vietnamese import DAYS, FPT, HNX, INDEX, NOW, UPCOM, VN30, VND, VNINDEX, VOLUME, kbs, local

SINCE = date(2026, 11, 17)
NOT_FOUND = {"status": 404, "message": "Data not found"}


def test_the_newest_day_comes_first_and_everything_is_text():
    bars = parse_bars(kbs(VND), FPT, SINCE, NOW)
    assert bars.dates() == DAYS[1:]
    assert list(bars.close) == VND[1:]
    assert list(bars.volume) == VOLUME[1:]
    assert bars.open[0] == pytest.approx(VND[1] * 0.998)


def test_an_index_is_in_points():
    assert list(parse_bars(kbs(INDEX, "VNINDEX"), VNINDEX, SINCE, NOW).close) == INDEX[1:]
    assert len(parse_bars(kbs(INDEX, "HNXINDEX"), HNX, SINCE, NOW)) == 6


def test_it_has_names_of_its_own_for_two_indices():
    assert [path(i) for i in (FPT, VNINDEX, VN30, HNX, UPCOM)] == [
        "/stocks/FPT/data_day",
        "/index/VNINDEX/data_day",
        "/index/VN30/data_day",
        "/index/HNXINDEX/data_day",
        "/index/UPCOMINDEX/data_day",
    ]


@pytest.mark.parametrize("payload", [NOT_FOUND, {"symbol": "FPT", "data_day": []}])
def test_without_data_there_are_no_bars(payload: Any):
    assert len(parse_bars(payload, FPT, SINCE, NOW)) == 0
    assert parse_quotes(payload, [FPT], NOW).refused == {"FPT": "no bars"}


@pytest.mark.parametrize(
    ("payload", "came"),
    [
        (None, "null"),
        ([], "a list"),
        ({}, "an object"),
        ({"status": 500, "message": "Internal"}, "status 500"),
        (kbs(VND, "VCB"), "bars of another symbol"),
        (kbs([c / 1000 for c in VND]), "a share of 99.2 VND"),
        (kbs([c * 1000 for c in VND]), "a share of 99200000 VND"),
        (changed(kbs(VND), "data_day/2/t", "2026-11-21 07:00"), "a bar of 2026-11-21, a Saturday"),
        ({"symbol": "FPT", "data_day": [{}, None, []]}, "no usable bar among those sent"),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(payload: Any, came: str):
    with pytest.raises(SourceMalformed) as caught:
        parse_bars(payload, FPT, SINCE, NOW)
    assert (caught.value.came, caught.value.endpoint) == (came, "/stocks/FPT/data_day")


def test_a_quote_is_as_old_as_it_may_be():
    (quote,) = parse_quotes(kbs(VND), [FPT], NOW).quotes
    assert (quote.price, quote.previous_close, quote.as_of) == (99200.0, 98100.0, local("2026-11-24 09:00:00"))


def test_whatever_comes_gives_bars_and_quotes_or_our_error():
    check_bars(lambda payload: parse_bars(payload, FPT, SINCE, NOW), kbs(VND), [FPT], NOW)
    check_quotes(parse_quotes, kbs(INDEX, "VNINDEX"), [VNINDEX], NOW)


async def test_days_are_written_day_first():
    http = FakeHttp(lambda url, params: kbs(VND))
    fpt, spx = await Kbs(FixedClock(NOW), "http://h/kbs/").bars(http, [FPT, SPX], SINCE)
    assert (len(fpt), len(spx)) == (6, 0)
    assert http.asked == [("http://h/kbs/stocks/FPT/data_day", {"sdate": "17-11-2026", "edate": "24-11-2026"}, HEADERS)]


async def test_quotes_look_back_over_any_holiday():
    http = FakeHttp(lambda url, params: kbs(VND))
    answer = await Kbs(FixedClock(NOW)).fetch(http, [FPT])
    assert [q.price for q in answer.quotes] == [99200.0]
    assert http.asked[0][1] == {"sdate": "10-10-2026", "edate": "24-11-2026"}

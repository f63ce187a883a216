from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from evertick.errors import SourceMalformed
from evertick.model import Quote
from evertick.sources.alternative import Alternative, parse_fng

from .answers import FNG, NOW, changed, day, fng
from .fakes import FakeHttp, FixedClock
from .hardening import check_quotes

TODAY = datetime(2026, 11, 23, tzinfo=UTC)


def test_the_newest_day_is_the_price_and_thirty_days_are_the_line():
    answer = parse_fng(fng(*(str(40 + n) for n in range(31))), [FNG], NOW)
    assert answer.quotes == [
        Quote("FNG", 40.0, TODAY, "alternative", previous_close=41.0, spark=tuple(float(69 - n) for n in range(30)))
    ]


def test_days_out_of_order_are_put_in_order_and_repeated_ones_counted_once():
    payload = fng("47", "33", "20")
    payload["data"] = [payload["data"][n] for n in (2, 0, 1, 0)]
    assert parse_fng(payload, [FNG], NOW) == parse_fng(fng("47", "33", "20"), [FNG], NOW)


def test_a_single_day_has_nothing_before_it():
    (quote,) = parse_fng(fng("47"), [FNG], NOW).quotes
    assert (quote.previous_close, quote.spark) == (None, (47.0,))


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (fng("470"), "470 on a scale from 1 to 100"),
        (fng("-1"), "-1 on a scale from 1 to 100"),
        (fng("0"), "0 on a scale from 1 to 100"),
        (fng(None), "no value"),
        (fng("greedy"), "no value"),
        (fng("nan"), "no value"),
        (changed(fng("47"), "data/0/timestamp", None), "no time"),
        (fng("47", "33", newest="2026-11-24"), "a value of 2026-11-24, which is yet to come"),
        (fng(), "no days in the answer"),
    ],
)
def test_a_wrong_value_is_refused(payload: dict[str, Any], why: str):
    parsed = parse_fng(payload, [FNG], NOW)
    assert (list(parsed.quotes), parsed.refused) == ([], {"FNG": why})


def test_one_wrong_day_costs_only_itself():
    (quote,) = parse_fng(fng("47", "x", "20"), [FNG], NOW).quotes
    assert quote.spark == (20.0, 47.0)


@pytest.mark.parametrize(
    ("payload", "came"),
    [
        (None, "null"),
        ([], "a list"),
        ({}, "an object"),
        ({"data": {}}, "an object"),
        (changed(fng("47"), "metadata/error", "Invalid limit"), "Invalid limit"),
    ],
)
def test_another_shape_is_an_error_that_says_what_came(payload: Any, came: str):
    with pytest.raises(SourceMalformed) as caught:
        parse_fng(payload, [FNG], NOW)
    assert (caught.value.came, caught.value.endpoint) == (came, "/fng/")


def test_whatever_comes_gives_a_quote_or_our_error():
    # of 1 to 100 every value is near every other: the scale is all there is to compare with
    check_quotes(parse_fng, fng("47", "33", "20"), [FNG], NOW)


async def test_thirty_days_are_asked_for():
    http = FakeHttp(lambda url, params: fng("47"))
    answer = await Alternative(FixedClock(), "http://h/alternative/").fetch(http, [FNG])
    assert http.asked == [("http://h/alternative/fng/", {"limit": "30", "format": "json"}, None)]
    assert answer.quotes[0].as_of.timestamp() == day("2026-11-23", "00:00")

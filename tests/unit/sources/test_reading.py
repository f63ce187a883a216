from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from evertick.model import SPARK_POINTS
from evertick.sources.reading import (
    before,
    decimal,
    first,
    instant,
    kind,
    leapt,
    line,
    mapping,
    number,
    positive,
    positives,
    spark,
    thinned,
    written,
    wrong,
)

from .answers import FNG, NOW, SPX, US3M, WTI


@pytest.mark.parametrize(
    ("value", "found"),
    [(1, 1.0), (2.2e-7, 2.2e-7), (-3, -3.0), (0, 0.0), (72278634665492460, 7.227863466549246e16)],
)
def test_numbers(value: object, found: float):
    assert number(value) == found


@pytest.mark.parametrize("value", [True, False, None, "1", [1], {}, math.nan, math.inf, -math.inf, 10**400])
def test_what_is_no_number(value: object):
    assert number(value) is None
    assert positive(value) is None


def test_decimals_may_be_texts_but_not_any_text():
    assert [decimal(v) for v in ("47", "-0.349", "2.2e-7", 5, " 5 ")] == [47.0, -0.349, 2.2e-7, 5.0, 5.0]
    for text in ("", "nan", "inf", "1_000", "4 7", "٤٧", "1" * 50, True, None):
        assert decimal(text) is None


def test_instants():
    assert instant(int(NOW.timestamp())) == NOW
    assert instant(86_400) == datetime(1970, 1, 2, tzinfo=UTC)
    for nonsense in (0, -5, 1e15, None, True, "1790826723", math.nan):
        assert instant(nonsense) is None
    assert written("2024-07-31T14:02:01.595Z") == datetime(2024, 7, 31, 14, 2, 1, 595000, UTC)
    assert written("2024-07-31T21:02:01+07:00") == datetime(2024, 7, 31, 14, 2, 1, tzinfo=UTC)
    for nonsense in ("2024-07-31T14:02:01", "soon", "", 5, None, "0001-01-01T00:00:00+14:00"):
        assert written(nonsense) is None


def test_a_spark_is_short_keeps_its_ends_and_drops_what_is_no_price():
    few = thinned([float(n) for n in range(1, 1001)])
    assert (len(few), few[0], few[-1]) == (SPARK_POINTS, 1.0, 1000.0)
    assert thinned([1.0, 2.0]) == [1.0, 2.0]
    assert positives([1, None, 2.5, True, "3", 0, -1, math.nan, math.inf, 10**400]) == [1, 2.5]
    assert line([*range(1, 200)]) == thinned(range(1, 200))
    assert line([*range(1, 199), None]) == thinned(range(1, 199)), (
        "what is missing is left out before the rest is spread"
    )
    assert line([None] * 300) == line(None) == line("12") == []
    assert positives(None) == positives({"a": 1}) == []
    assert spark([100.0, 123.456789, 100_000.0, 99.0], 100.0) == (100.0, 123.457, 99.0)


@pytest.mark.parametrize(
    ("price", "usual", "expected"),
    [
        (1.0, None, False),
        (1.0, 0.0, False),
        (-1.0, 5.0, False),
        (100.0, 1.0, False),
        (1000.0, 1.0, True),
        (1.0, 1e3, True),
    ],
)
def test_a_leap_is_a_change_of_scale(price: float, usual: float | None, expected: bool):
    assert leapt(price, usual) is expected


def test_what_a_price_was_before_its_change():
    assert before(110.0, 10.0) == 100.0
    assert before(66526, 0.35911) == 66287.95333  # ten digits
    assert before(1.0, None) is before(1.0, -100.0) is None


LATER = NOW + timedelta(minutes=11)


@pytest.mark.parametrize(
    ("which", "price", "as_of", "usual", "why"),
    [
        (SPX, 7012.45, NOW, 7016.94, None),
        (SPX, 7012.45, NOW, None, None),
        (SPX, 7012.45, NOW + timedelta(minutes=9), None, None),
        (SPX, None, NOW, None, "no price"),
        (SPX, 0.0, NOW, None, "price 0"),
        (SPX, -5.0, NOW, None, "price below 0"),
        (SPX, 7012.45, None, None, "no time"),
        (SPX, 7012.45, LATER, None, "a price from 2026-11-23 16:11 UTC, which is yet to come"),
        (SPX, 7012450.0, NOW, 7016.94, "price 7.01245e+06, 999.4 times the one before it"),
        (WTI, -37.63, NOW, 18.27, None),  # as on 20 April 2020
        (WTI, -58.1, NOW, 58.0, "price below 0"),
        (WTI, 0.0, NOW, 58.0, "price 0"),
        (US3M, -0.12, NOW, 0.03, None),
        (US3M, 0.0, NOW, 0.03, None),
        (US3M, 0.0, NOW, 3.8, "price 0"),
        (US3M, -3.81, NOW, 3.8, "price below 0"),
        (FNG, 0.0, NOW, None, "price 0"),
    ],
)
def test_prices_that_can_and_cannot_be_right(which, price, as_of, usual, why):
    assert wrong(which, price, as_of, NOW, usual) == why


def test_finding_one_way_in_an_answer_never_fails():
    assert (mapping({"a": 1}), mapping([1]), mapping(None)) == ({"a": 1}, {}, {})
    assert (first([{"a": 1}]), first([]), first([5]), first({"a": 1})) == ({"a": 1}, {}, {}, {})
    assert [kind(v) for v in ({}, [], "", True, None, 5)] == [
        "an object",
        "a list",
        "a text",
        "a flag",
        "null",
        "a number",
    ]

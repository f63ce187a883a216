from __future__ import annotations

import pytest

from evertick import sessions
from evertick.model import Group, Session
from evertick.reports import landmarks, values
from evertick.reports.blocks import Number
from evertick.reports.findings import facts
from evertick.reports.sections.ahead import PLACES
from unit.reports import samples

ROWS = {i.id: i for i in samples.instruments()}


@pytest.mark.parametrize(
    ("id_", "expected"),
    [
        ("SPX", Number(5.0, "decimal", 2)),
        ("US10Y", Number(5.0, "percent", 2)),
        ("USDVND", Number(5.0, "decimal", 0)),
        ("GOLD", Number(5.0, "decimal", 2, unit="USD")),
        ("CORN", Number(5.0, "decimal", 2, unit="US¢")),
        ("ACB", Number(5.0, "decimal", 0, unit="VND")),
        ("BTC_DOM", Number(5.0, "percent", 2)),
        ("VNINDEX", Number(5.0, "decimal", 2)),
    ],
)
def test_a_price_is_written_as_its_market_does(id_: str, expected: Number) -> None:
    assert values.price(facts(ROWS[id_], {"price": 5.0})) == expected


def test_a_very_large_price_is_short() -> None:
    assert values.price(facts(ROWS["CRYPTO_CAP"], {"price": 2.9e12})).style == "compact"


def test_a_size_has_no_sign_and_a_change_has_one() -> None:
    assert values.size(-1.5) == Number(1.5, "percent", 2)
    assert values.size(None).value is None
    assert values.change(-1.5) == Number(-1.5, "percent", 2, signed=True)


def test_tones() -> None:
    assert [values.tone(v) for v in (1.0, -1.0, 0.0, None)] == ["up", "down", "neutral", "neutral"]
    assert values.tone(0.1, values.FLAT) == "neutral"


def test_a_spark_needs_two_points() -> None:
    row = ROWS["SPX"]
    assert values.spark(facts(row, {}, spark=(1.0,))) is None
    small = values.spark(facts(row, {}, spark=(2.0, 1.0)))
    assert small is not None
    assert (small.tone, small.label.msgid) == ("down", "Falling")


def test_every_group_session_and_region_has_a_name() -> None:
    assert set(values.GROUPS) == set(Group)
    assert set(values.SESSIONS) == set(Session)
    assert {i.region for i in ROWS.values()} <= set(values.REGIONS)
    assert values.region("atlantis").values["name"].text == "Atlantis"


def test_landmarks_are_in_the_universe() -> None:
    named = {
        *landmarks.HEADLINE,
        *landmarks.KEPT,
        *landmarks.SPECIAL,
        *landmarks.BENCHMARK.values(),
        landmarks.BENCHMARK_ELSE,
    }
    assert named <= set(ROWS)
    assert {"US3M", "US10Y", "VIX", "USDVND", "FNG"} <= set(ROWS)


def test_places_are_exchanges() -> None:
    assert set(PLACES) <= set(sessions.EXCHANGES)


def test_a_source_is_called_by_its_title() -> None:
    assert values.provider("yahoo", samples.SOURCES) == "Yahoo Finance"
    assert values.provider("mine", samples.SOURCES) == "mine"

from __future__ import annotations

import html
import json
import math
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from evertick.errors import ReportError
from evertick.reports.blocks import Figure, Name, Number, Text
from evertick.reports.render.figures import KINDS, draw
from evertick.reports.render.figures.heatmap import step
from evertick.reports.render.figures.spark import spark
from evertick.reports.render.figures.timeline import hours
from unit.reports_render.words_for_tests import words

DAYS = [date(2026, 1, 1) + timedelta(days=i) for i in range(300)]
WAVE = [100 + 10 * math.sin(i / 20) for i in range(300)]
START = datetime(2026, 11, 23, 9, 31, tzinfo=UTC)
A, B = Name("A & B <c>", "card-A"), Name("B")
DATA: dict[str, dict[str, Any]] = {
    "sparks": {"items": [{"name": A, "price": Number(5.0), "change": Number(1.0, "percent", signed=True), "spark": WAVE[:30]}]},
    "treemap": {"groups": [{"name": B, "items": [{"name": A, "short": "A&B", "weight": w, "change": Number(w - 2, "percent")} for w in (1.0, 2.0, 5.0)]}]},
    "lines": {"dates": DAYS, "series": [{"name": A, "values": WAVE}, {"name": B, "values": [None, math.nan, *WAVE[2:]]}], "unit": ""},
    "area": {"dates": DAYS, "values": [min(0.0, v - 100) for v in WAVE], "unit": "%"},
    "heatmap": {"rows": [A, B], "columns": [A, B], "cells": [[Number(1.0), Number(-0.8)], [Number(None), Number(1.0)]], "low": -1.0, "high": 1.0},
    "bars": {"items": [{"name": A, "value": Number(4.0, "percent", signed=True)}, {"name": B, "value": Number(-1.0, "percent", signed=True)}]},
    "gauge": {"value": Number(22.0, "integer"), "low": 0, "high": 100, "band": Text("Fear"), "history": [30.0, 20.0, 22.0]},
    "share": {"items": [{"name": A, "value": Number(75.0, "percent")}, {"name": B, "value": Number(25.0, "percent")}]},
    "timeline": {"start": START, "end": START + timedelta(hours=24), "rows": [{"name": A, "spans": [(START, START + timedelta(hours=6))]}]},
    "curve": {"terms": [Text("1Y"), Text("A & B <c>")], "series": [{"name": Text("Today"), "values": [4.0, -0.5]}, {"name": B, "values": [None, 4.0]}]},
    "session": {"times": [1_000_000_000 + 180 * i + 5400 * (i > 49) for i in range(100)], "values": WAVE[:100], "previous": Number(99.0)},
    "advances": {"rows": [{"name": A, "up": Number(30.0, "integer"), "flat": Number(5.0, "integer"), "down": Number(15.0, "integer")}]},
    "calendar": {"days": DAYS, "values": [None, *WAVE[1:]], "limit": 2.0},
}  # fmt: skip
EMPTY: dict[str, dict[str, Any]] = {
    "treemap": {"groups": []},
    "lines": {"dates": [], "series": [], "unit": ""},
    "area": {"dates": DAYS, "values": [math.nan] * 300, "unit": "%"},
    "bars": {"items": [{"name": A, "value": Number(None)}]},
    "gauge": {"value": Number(None), "low": 0, "high": 100, "band": Text("Fear"), "history": []},
    "share": {"items": []},
    "timeline": {"start": START, "end": START, "rows": []},
    "curve": {"terms": [Text("1Y")], "series": [{"name": B, "values": [4.0]}]},
    "session": {"times": [1], "values": [4.0], "previous": None},
    "advances": {"rows": [{"name": A, "up": Number(0.0), "flat": Number(0.0), "down": Number(None)}]},
    "calendar": {"days": [], "values": [], "limit": 2.0},
}


def drawn(kind: str, data: dict[str, Any]) -> str:
    return "".join(draw(Figure("f", kind, Text("Caption"), Text("It <rose>"), data), words()))


def parsed(text: str) -> ElementTree.Element:
    """The markup as XML, without the data that is not markup."""
    return ElementTree.fromstring(f"<div>{re.sub('<script.*?</script>', '', text)}</div>")


@pytest.mark.parametrize("kind", KINDS)
def test_is_well_formed_escaped_and_without_styles(kind: str) -> None:
    text = drawn(kind, DATA[kind])
    tree = parsed(text)
    assert not any(node.get("style") for node in tree.iter())
    assert "A &amp; B &lt;c&gt;" in text or kind in ("area", "gauge", "session", "calendar")
    assert "nan" not in re.sub(r"<script.*?</script>", "", text)


@pytest.mark.parametrize("kind", KINDS)
def test_says_the_trend_in_words(kind: str) -> None:
    if kind == "sparks":  # tiles are text; their lines repeat what it says
        assert 'aria-hidden="true"' in drawn(kind, DATA[kind])
    else:
        assert "It &lt;rose&gt;" in drawn(kind, DATA[kind])


@pytest.mark.parametrize("kind", EMPTY)
def test_says_when_there_is_nothing_to_draw(kind: str) -> None:
    assert drawn(kind, EMPTY[kind]) == '<p class="none">No data.</p>'


def test_a_kind_that_is_none_is_an_error() -> None:
    with pytest.raises(ReportError, match="'pie' is not one of"):
        drawn("pie", {})


def test_lines_carry_their_numbers_for_exploring() -> None:
    text = drawn("lines", DATA["lines"])
    data = json.loads(re.search(r'class="data-lines">(.*?)</script>', text)[1])  # type: ignore[index]
    assert [series["name"] for series in data["series"]] == ["A & B <c>", "B"]
    assert data["days"][0] == (DAYS[0] - date(1970, 1, 1)).days
    total = 0
    for difference, value in zip(data["series"][0]["values"], WAVE, strict=True):
        total += difference
        assert total / 10 ** data["decimals"] == pytest.approx(value, abs=10 ** -data["decimals"])
    assert data["series"][1]["values"][:2] == [None, None]


def test_data_cannot_end_its_script_element() -> None:
    evil = {**DATA["lines"], "series": [{"name": Name("</script><script>x"), "values": WAVE}] * 2}
    assert "</script><script>x" not in drawn("lines", evil)


def test_a_gap_breaks_the_line() -> None:
    data = {"dates": DAYS[:200], "series": [{"name": A, "values": [*WAVE[:100], None, *WAVE[101:200]]}]}
    assert re.search(r'class="ln[^"]*" d="([^"]*)"', drawn("lines", data))[1].count("M") == 2  # type: ignore[index]


def test_bars_meet_at_zero() -> None:
    rects = re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"', drawn("bars", DATA["bars"]))
    assert [(float(x), float(w)) for x, w in rects] == [(20.0, 80.0), (0.0, 20.0)]


def test_shares_fill_the_bar() -> None:
    rects = re.findall(r'x="([\d.]+)%" width="([\d.]+)%"', drawn("share", DATA["share"]))
    assert [(float(x), float(w)) for x, w in rects[:2]] == [(0.0, 75.0), (75.0, 25.0)]


@pytest.mark.parametrize(
    ("value", "css"),
    [
        (-3.5, "d3"),
        (-1.5, "d2"),
        (-0.5, "d1"),
        (0.1, "d0"),
        (None, "d0"),
        (math.nan, "d0"),
        (0.5, "u1"),
        (1.3, "u2"),
        (9.0, "u3"),
    ],
)
def test_steps_of_the_diverging_scale(value: float | None, css: str) -> None:
    assert step(value, -3.0, 3.0) == css


def test_a_map_is_drawn_for_wide_pages_and_for_phones() -> None:
    text = drawn("treemap", DATA["treemap"])
    assert 'class="map wide"' in text
    assert 'class="map tall"' in text
    assert text.count('data-card="card-A"') == 6


def test_a_flat_spark_lies_in_the_middle_and_a_single_point_is_a_dash() -> None:
    assert 'd="M0 30l100 0l100 0"' in spark([5.0, 5.0, 5.0], "flat")
    assert spark([5.0, math.nan], "up") == "–"
    assert html.unescape(spark([1, 2], "up", 'a"b')).count('a"b') == 1


def test_hours_are_round_and_apart() -> None:
    found = list(hours(START, START + timedelta(hours=24)))
    assert [h.hour for h in found] == [12, 15, 18, 21, 0, 3, 6]


def test_a_lunch_break_breaks_the_line_of_a_session() -> None:
    (path,) = re.findall(r'class="ln ses \w+" d="([^"]+)"', drawn("session", DATA["session"]))
    assert path.count("M") == 2


def test_counts_of_a_market_fill_its_bar() -> None:
    widths = re.findall(r'width="([\d.]+)%" height="100%"', drawn("advances", DATA["advances"]))
    assert [float(w) for w in widths] == [60.0, 10.0, 30.0]


def test_a_calendar_has_a_cell_for_each_known_day() -> None:
    text = drawn("calendar", DATA["calendar"])
    assert text.count("h8v8h-8z") == len(DAYS) - 1
    assert "cal r7" in text, "days of the weekend make seven rows"


@pytest.mark.parametrize(
    ("terms", "css"), [(4, ["tx", "tm", "tm", "tm"]), (7, ["tx", "tm odd", "tm", "tm odd", "tm", "tm odd", "tm"])]
)
def test_the_first_term_of_a_curve_is_not_cut_off_and_few_terms_are_all_kept(terms: int, css: list[str]) -> None:
    data = {"terms": [Text("{n}M", {"n": n}) for n in range(terms)], "series": [{"name": A, "values": WAVE[:terms]}]}
    assert re.findall(r'class="(t[xm][^"]*)"', drawn("curve", data)) == css

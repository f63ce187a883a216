from __future__ import annotations

import html
import json
import re
from datetime import UTC, date, datetime

import pytest

from evertick.errors import ReportError
from evertick.reports.blocks import Name, Number, Sentence, Text
from evertick.reports.render.words import tone
from unit.reports_render.words_for_tests import words

EVIL = "<script>alert('x')</script>&\"{n}"


def test_fills_the_places_of_a_message() -> None:
    text = Text(
        "{name} gained {change} on {day}.",
        {"name": Name("S&P 500", "card-SPX"), "change": Number(1.5, "percent", 1), "day": date(2026, 11, 23)},
    )
    assert words().plain(text) == "S&P 500 gained 1.5% on 23 Nov 2026."
    assert words().html(text) == '<a href="#card-SPX">S&amp;P 500</a> gained 1.5% on 23 Nov 2026.'


def test_translates_names_and_messages_and_nested_texts() -> None:
    vi = words("vi", {"Gold": "Vàng", "{name} fell.": "{name} giảm.", "at {t}": "lúc {t}", "x {a}": "{a} y"})
    assert vi.plain(Text("{name} fell.", {"name": Name("Gold")})) == "Vàng giảm."
    assert vi.plain(Text("x {a}", {"a": Text("at {t}", {"t": 1234})})) == "lúc 1.234 y"


@pytest.mark.parametrize(
    "value", [Text("{a}", {"a": EVIL}), Name(EVIL), Name("x", EVIL), EVIL, (EVIL, EVIL), Text(EVIL, {"n": EVIL})]
)
def test_escapes_whatever_is_not_ours(value: object) -> None:
    written = words().html(value)
    assert "<script" not in written
    assert not re.search(r'="[^"]*<', written)


def test_chooses_the_plural() -> None:
    text = Text("{n} index rose.", {"n": 1}, plural="{n} indices rose.")
    assert words().plain(text) == "1 index rose."
    assert words().plain(Text(text.msgid, {"n": 1200}, text.plural)) == "1,200 indices rose."
    assert words().plain(Text(text.msgid, {"n": Number(2.0, "integer")}, text.plural)) == "2 indices rose."


def test_signed_numbers_have_their_colour_in_html() -> None:
    assert words().html(Number(1.2, "percent", 1, signed=True)) == '<b class="up">+1.2%</b>'
    assert words().html(Number(-1.2, "percent", 1, signed=True)) == '<b class="down">−1.2%</b>'
    assert words().html(Number(0.0, "percent", 1, signed=True)) == '<b class="flat">0.0%</b>'
    assert [tone(Number(v)) for v in (1.0, -1.0, None)] == ["up", "down", "flat"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Number(5.0, unit="USD"), "5.00\xa0USD"),
        (Number(4.06, unit="%"), "4.06%"),
        (Number(4.06, "percent", unit="%"), "4.06%"),
        (Number(None, unit="USD"), "–"),
    ],
)
def test_units_follow_where_there_are_any(number: Number, text: str) -> None:
    assert words().plain(number) == text


def test_a_moment_is_a_time_element_in_the_zone_of_the_report() -> None:
    at = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert words().html(at) == '<time datetime="2026-11-23T09:30:00+00:00">23 Nov 2026\xa016:30</time>'


def test_a_sentence_carries_its_rule_and_inputs() -> None:
    inputs = {
        "change": Number(1.23456789),
        "name": "it's <b>",
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "nan": float("nan"),
        "list": (1, 2.5),
    }
    written = words().html(Sentence("index.up", Text("Up."), inputs, "up"))
    found = re.fullmatch(r"""<span class="s t-up" data-rule="index.up" data-inputs='([^'<]*)'>Up.</span>""", written)
    assert found
    assert json.loads(html.unescape(found[1])) == {
        "change": 1.23457,
        "name": "it's <b>",
        "at": "2026-01-02T00:00:00+00:00",
        "nan": None,
        "list": [1, 2.5],
    }


def test_a_translation_with_a_wrong_place_falls_back_to_english() -> None:
    assert words("vi", {"{a} rose.": "{b} tăng."}).plain(Text("{a} rose.", {"a": "X"})) == "X rose."


@pytest.mark.parametrize("text", [Text("{missing}", {}), Text("{a}", {"a": object()}), Text("{a}", {"a": True})])
def test_says_which_value_is_missing_or_wrong(text: Text) -> None:
    with pytest.raises(ReportError):
        words().html(text)

from __future__ import annotations

import gc
import math
import random
from datetime import UTC, date, datetime

import pytest
from babel.numbers import format_decimal

from evertick.reports.blocks import Number
from evertick.reports.render.numbers import DASH, Numbers, direction, language_name
from unit.reports_render.words_for_tests import ZONE

EN, VI, FR, DE = (Numbers(language, ZONE) for language in ("en", "vi", "fr", "de"))


@pytest.mark.parametrize("language", ["en", "vi", "fr", "de", "pt-BR"])
def test_agrees_with_babel(language: str) -> None:
    numbers = Numbers(language, ZONE)
    own = random.Random(7)
    for _ in range(200):
        value = own.uniform(-1, 1) * 10 ** own.randrange(0, 12)
        decimals = own.randrange(0, 6)
        rounded = float(f"{value:.{decimals}f}")
        if rounded == 0:
            continue
        expected = format_decimal(
            rounded, format="#,##0" + ("." + "0" * decimals if decimals else ""), locale=language.replace("-", "_")
        )
        assert numbers.number(Number(value, decimals=decimals)) == expected.replace("-", "−")


@pytest.mark.parametrize(
    ("number", "english", "vietnamese"),
    [
        (Number(1234.56), "1,234.56", "1.234,56"),
        (Number(1.25, "percent", signed=True), "+1.25%", "+1,25%"),
        (Number(-1.25, "percent", signed=True), "−1.25%", "−1,25%"),
        (Number(0.0, "percent", signed=True), "0.00%", "0,00%"),
        (Number(-0.004, "percent", signed=True), "0.00%", "0,00%"),
        (Number(0.5, "integer", signed=True), "0", "0"),
        (Number(22.4, "integer"), "22", "22"),
        (Number(2.94e12, "compact"), "2.94T", "2,94 nghìn tỷ"),
        (Number(-5e9, "compact", 1), "−5.0B", "−5,0 tỷ"),
        (Number(999_996, "compact"), "1.00M", "1,00 triệu"),
        (Number(999_994, "compact"), "999.99K", "999,99 nghìn"),
        (Number(412.3, "compact", 2), "412.3", "412,3"),
        (Number(None), DASH, DASH),
        (Number(math.nan), DASH, DASH),
        (Number(math.inf, "compact"), DASH, DASH),
    ],
)
def test_writes_each_style(number: Number, english: str, vietnamese: str) -> None:
    assert EN.number(number) == english
    assert VI.number(number).replace("\xa0", " ") == vietnamese


@pytest.mark.parametrize(
    ("number", "way"),
    [
        (Number(0.004, "percent"), 0),
        (Number(-0.006, "percent"), -1),
        (Number(0.006), 1),
        (Number(None), 0),
        (Number(3e9, "compact"), 1),
    ],
)
def test_a_number_that_shows_as_zero_has_no_direction(number: Number, way: int) -> None:
    assert direction(number) == way


def test_other_languages_keep_their_spaces() -> None:
    assert FR.number(Number(1234.5, "percent", 1)) == "1\u202f234,5\xa0%"
    assert DE.number(Number(2.5e9, "compact", 1)) == "2,5\xa0Mrd."
    assert DE.number(Number(1234, "compact", 0)) == "1.234"


def test_dates_are_those_of_the_time_zone() -> None:
    late = datetime(2026, 11, 23, 20, 30, tzinfo=UTC)  # the next morning in Vietnam
    assert EN.date(late) == "24 Nov 2026"
    assert VI.date(late) == "24/11/2026"
    assert EN.long_date(late) == "Tuesday, 24 November 2026"
    assert VI.long_date(late) == "Thứ Ba, 24/11/2026"
    assert EN.moment(late) == "24 Nov 2026\xa003:30"
    assert EN.day(late) == "24 Nov"
    assert EN.local(late) == date(2026, 11, 24)
    assert DE.long_date(date(2026, 3, 1)) == "Sonntag, 1. März 2026"
    assert [EN.month(date(2026, m, 1)) for m in (12, 1)] == ["Dec", "2026"]


@pytest.mark.parametrize(
    ("zone", "text"),
    [("Asia/Ho_Chi_Minh", "UTC+7"), ("UTC", "UTC"), ("Asia/Kolkata", "UTC+5:30"), ("America/St_Johns", "UTC−3:30")],
)
def test_names_the_offset(zone: str, text: str) -> None:
    assert Numbers("en", zone).offset(datetime(2026, 11, 23, tzinfo=UTC)) == text


@pytest.mark.parametrize(
    ("items", "english", "vietnamese"),
    [
        ([], "", ""),
        (["a"], "a", "a"),
        (["a", "b"], "a and b", "a và b"),
        (list("abcd"), "a, b, c and d", "a, b, c và d"),
    ],
)
def test_joins_lists(items: list[str], english: str, vietnamese: str) -> None:
    assert EN.join(items) == english
    assert VI.join(items) == vietnamese


def test_a_joined_text_may_hold_anything() -> None:
    assert EN.join(["{0}", "\\1", "{1}"]) == "{0}, \\1 and {1}"


def test_languages_by_their_own_names() -> None:
    assert [language_name(code) for code in ("vi", "en", "fr", "qq")] == ["Tiếng Việt", "English", "Français", "qq"]


def test_an_unknown_language_is_written_as_english() -> None:
    assert Numbers("qq", ZONE).number(Number(1234.5)) == "1,234.50"


def test_no_locale_stays_in_memory() -> None:
    """Babel would keep 2 MB for each: the formats own what they need."""
    from babel.localedata import LocaleDataDict

    kept = [Numbers(language, ZONE) for language in ("vi", "en", "de")]
    language_name("fr")
    gc.collect()
    assert kept
    assert not [one for one in gc.get_objects() if isinstance(one, LocaleDataDict)]

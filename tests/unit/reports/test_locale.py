"""Nothing of the report is left in English in Vietnamese, and no translation loses or invents a number."""

from __future__ import annotations

import re

import pytest

from evertick.reports.blocks import Name, Text
from evertick.reports.catalogue import LOCALE, Catalogue, parse_po
from evertick.reports.sections.cards import cards
from evertick.reports.write import write
from unit.reports import msgids, samples
from unit.reports.reading import everything

_PLACE = re.compile(r"\{(\w+)\}")
_SAME = frozenset(
    [
        "MACD",
        "RSI 14",
        "SMA 20",
        "SMA 50",
        "SMA 200",
        "EMA 12",
        "EMA 26",
        "ATR 14",
        "{name} {change}",
        "{units} {code}",
        "Bitcoin",
        "Ethereum",
        "Tokyo",
        "Singapore",
        "Mumbai",
        "Sydney",
        "London",
        "Frankfurt",
        "Paris",
        "New York",
        "Toronto",
        "São Paulo",
    ]
)
"""Rightly the same in both languages."""


def places(text: str) -> set[str]:
    return set(_PLACE.findall(text))


def test_every_message_is_translated() -> None:
    vi = Catalogue.load("vi")
    assert [m for m in msgids.messages() if not vi.has(m)] == []


def test_no_translation_is_the_english_text() -> None:
    vi = Catalogue.load("vi")
    assert [m for m in msgids.messages() if vi.text(m) == m and m not in _SAME and msgids.messages()[m] is None] == []


def test_no_translation_is_left_over() -> None:
    known = set(msgids.messages()) | set(msgids.names())
    assert [m for m, _ in Catalogue.load("vi").messages() if m not in known] == []


def test_names_that_are_words_are_translated() -> None:
    vi = Catalogue.load("vi")
    for name in (
        "Gold",
        "Silver",
        "Natural gas",
        "US 10-year yield",
        "Technology",
        "Fear & Greed",
        "Bitcoin dominance",
    ):
        assert vi.has(name), name


@pytest.mark.parametrize("language", ["vi", "en"])
def test_places_agree(language: str) -> None:
    plurals = msgids.messages()
    for msgid, translations in Catalogue.load(language).messages():
        # A singular may leave out {n}: "one source" says it in words.
        wanted = places(plurals.get(msgid) or msgid)
        for translation in translations:
            assert places(translation) == wanted, msgid


def test_singular_and_plural_have_the_same_places() -> None:
    for msgid, plural in msgids.messages().items():
        if plural is not None:
            assert places(msgid) | {"n"} == places(plural), msgid
            assert "n" in places(plural)


def test_sentences_end_alike() -> None:
    for msgid, translations in Catalogue.load("vi").messages():
        for translation in translations:
            assert translation == translation.strip()
            assert msgid.endswith(".") == translation.endswith("."), msgid


def test_wordings_stay_apart_in_vietnamese() -> None:
    """Three wordings of a rule that read the same would be one."""
    from evertick.reports.rules import all_rules

    vi = Catalogue.load("vi")
    for rule in all_rules():
        told = {vi.plural(*w, 2) if isinstance(w, tuple) else vi.text(w) for w in rule.wordings}
        assert len(told) == len(rule.wordings), rule.id


def test_no_msgid_is_twice_in_a_catalogue() -> None:
    for file in LOCALE.glob("*/LC_MESSAGES/report.po"):
        found = [entry["msgid"] for entry in parse_po(file.read_text("utf-8"))]
        assert len(found) == len(set(found))


async def test_what_a_report_says_is_what_was_collected() -> None:
    """The extraction from the sources misses nothing that a report really says."""
    known = set(msgids.messages()) | set(msgids.names()) | msgids.LANGUAGE_FREE
    said = await everything(write(samples.findings(), cards(samples.findings(), samples.bars)))
    texts = {v.msgid for v in said if isinstance(v, Text)} | {v.text for v in said if isinstance(v, Name)}
    assert texts - known == set()

"""Each page is in its language throughout, sentences show where they come from, and a further language is one file."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from evertick import app
from evertick.errors import ReportRejected
from evertick.reports.catalogue import Catalogue, available
from evertick.reports.check import Check
from evertick.reports.render import Renderer
from evertick.reports.sections.cards import cards
from evertick.reports.write import write
from unit.reports import msgids, samples
from unit.reports.reading import everything
from unit.reports.test_check import ZONE, head, renderer, small

VIETNAMESE = re.compile(r"[ăâđêôơưĂÂĐÊÔƠƯạảấầẩẫậắằẳẵặẹẻẽếềểễệịỉĩọỏốồổỗộớờởỡợụủũứừửữựỳỵỷỹ]")
"""Letters and tones that neither English nor the names it borrows have."""
ENGLISH = re.compile(
    r"\b(the|of|and|is|are|was|were|has|have|with|from|above|below|over|under|than|its|their|at|in|by|for|to|on|no|not|all|one"
    r"|up|down|high|low|last|day|days|week|month|year|price|change|market|markets|sources?|report|average|volume|since)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"""<span class="s[^"]*" data-rule="([^"]+)"(?: data-inputs='([^']*)')?>""")
_SEEN = re.compile(r"""(?:aria-label|title|placeholder|alt|content)="([^"]*)"|>([^<]+)""")

GERMAN = r"""
msgid ""
msgstr ""
"Language: de\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

msgid "Market report"
msgstr "Marktbericht"

msgid "World indices"
msgstr "Aktienindizes der Welt"

msgid "52-week high"
msgstr "Hoch der 52 Wochen"

msgid "{name} adds {change} and stands at {price}."
msgstr "{name} steht bei {price}, ein Plus von {change}."

msgid "World indices are mixed: {n} up, {down} down."
msgid_plural "World indices are mixed: {n} up, {down} down."
msgstr[0] "Die Indizes sind uneins: {down} fallen, einer steigt."
msgstr[1] "Die Indizes sind uneins: {down} fallen, {n} steigen."
"""


_pages: dict[str, str] = {}


async def page(language: str) -> str:
    """The whole report in one language, rendered once."""
    if language not in _pages:
        _pages[language] = await rendered(language)
    return _pages[language]


async def rendered(language: str) -> str:
    findings = samples.findings()
    sections = write(findings, cards(findings, samples.bars))
    return b"".join([piece async for piece in renderer(language).render(sections, head(findings))]).decode()


def seen(html: str) -> list[str]:
    """Every text that a reader sees or hears; the names of languages and scripts are left out."""
    html = re.sub(
        r"<script\b.*?</script>|<nav class=\"languages\".*?</nav>|<meta name=\"(?!description).*?>",
        "",
        html,
        flags=re.DOTALL,
    )
    return [unescape(a or b).strip() for a, b in _SEEN.findall(html) if (a or b).strip()]


def without(text: str, names: list[str]) -> str:
    for name in names:
        text = text.replace(name, " ")
    return text


async def test_no_vietnamese_stands_in_the_english_report() -> None:
    assert [text for text in seen(await page("en")) if VIETNAMESE.search(text)] == []


async def test_no_english_stands_in_the_vietnamese_report() -> None:
    vi = Catalogue.load("vi")
    same = sorted(
        {name for name in msgids.names() if vi.text(name) == name} | {"Yahoo Finance", "Fear & Greed"},
        key=len,
        reverse=True,
    )
    texts = {text for text in seen(await page("vi")) if ENGLISH.search(text)}
    assert [text for text in texts if ENGLISH.search(without(text, same))] == []


@pytest.mark.parametrize("language", ["vi", "en"])
async def test_every_sentence_shows_its_rule_and_inputs(language: str) -> None:
    said = [(rule, json.loads(unescape(inputs or "{}"))) for rule, inputs in _SENTENCE.findall(await page(language))]
    assert len(said) > 300
    bare = {rule for rule, inputs in said if not inputs and not rule.startswith("fixed.")}
    assert bare == set()
    assert all(
        value is None or isinstance(value, int | float | str | list | dict)
        for _, inputs in said
        for value in inputs.values()
    )


async def test_times_are_those_of_the_reports_zone() -> None:
    """The check knows the zone on its own: a page with another zone's times is refused."""
    findings = small()
    for zone, right in (("America/New_York", True), ("UTC", False)):
        reading = Check(findings).page("en", renderer("en").words, zone, head(findings))
        other = Renderer("en", Catalogue.load("en"), "America/New_York")
        pieces = other.render(reading.follow(write(findings, cards(findings, samples.bars))), head(findings))
        async for piece in pieces:
            if right:
                await reading.read(piece)
            else:
                with pytest.raises(ReportRejected, match="times"):
                    await reading.read(piece)
                    reading.close()
                break
        await pieces.aclose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of locales with a part of a German catalogue, and nothing else."""
    file = tmp_path / "de" / "LC_MESSAGES" / "report.po"
    file.parent.mkdir(parents=True)
    file.write_text(GERMAN, "utf-8")
    return tmp_path


async def test_a_further_language_is_one_file(folder: Path) -> None:
    assert available(folder) == ("de", "en")
    german = Renderer("de", Catalogue.load("de", folder), ZONE)
    findings = small()
    reading = Check(findings).page("de", german.words, ZONE, head(findings))
    html = ""
    async for piece in german.render(reading.follow(write(findings, cards(findings, samples.bars))), head(findings)):
        await reading.read(piece)
        html += piece.decode()
    reading.close()
    assert '<html lang="de">' in html
    for text in (
        "Marktbericht",
        "Aktienindizes der Welt",
        "Hoch der 52 Wochen",
        "Montag, 23. November 2026",
        "6.890,00",
    ):
        assert text in html, text
    assert "Skip to the report" in html  # not translated: English
    assert reading.account.numbers > 800


@pytest.mark.parametrize("language", ["fr", "pt-BR", "sv", "de-CH"])
async def test_languages_without_words_have_their_own_numbers(language: str) -> None:
    """All text is English, numbers and dates are the language's, and the check reads them."""
    other = Renderer(language, Catalogue(language, {}, {}, lambda n: int(n != 1)), ZONE)
    findings = small()
    reading = Check(findings).page(language, other.words, ZONE, head(findings))
    async for piece in other.render(reading.follow(write(findings, cards(findings, samples.bars))), head(findings)):
        await reading.read(piece)
    reading.close()


def test_plurals_are_those_of_the_language(folder: Path) -> None:
    german = Catalogue.load("de", folder)
    mixed = "World indices are mixed: {n} up, {down} down."
    assert german.plural(mixed, mixed, 1).endswith("einer steigt.")
    assert german.plural(mixed, mixed, 2).endswith("{n} steigen.")


def test_what_is_not_translated_is_counted(folder: Path) -> None:
    missing, known = Catalogue.load("de", folder).untranslated()
    assert known >= len(msgids.messages()) - 20
    assert missing == known - 5
    assert Catalogue.load("vi").untranslated()[0] == Catalogue.load("en").untranslated()[0] == 0


def test_a_server_warns_of_what_is_not_translated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = Catalogue.load
    monkeypatch.setattr(
        app.Catalogue, "load", lambda name, *given: load(name, *given) if given or name != "de" else load(name, folder)
    )
    with capture_logs() as logs:
        app.tell_gaps(("vi", "de"))
    assert [(entry["language"], entry["log_level"]) for entry in logs] == [("de", "warning")]
    assert logs[0]["of"] - logs[0]["texts"] == 5


async def test_every_wording_a_report_uses_is_that_of_its_language() -> None:
    """The blocks themselves have no text: what they say, they say by messages."""
    said = await everything(write(samples.findings(), cards(samples.findings(), samples.bars)))
    assert not [v for v in said if isinstance(v, str) and VIETNAMESE.search(v)]

"""A model's text on the page: the check reads it as it does all others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evertick.errors import ReportRejected
from evertick.reports.blocks import Head, Number, Text
from evertick.reports.check import Check
from evertick.reports.findings import Findings
from evertick.reports.sections.cards import cards
from evertick.reports.write import first_sentence, write
from evertick.reports.written import Line, Written
from unit.reports import samples
from unit.reports.test_check import small, walk
from unit.reports_writer.judging import ZONE, judged, renderer

SAID = (
    "VN-Index adds 0.35% to 1,650.00.",
    "The S&P 500 loses 1.59% to 6,890.00.",
    "Bitcoin is up 1.36% at 86,500 USD.",
    "VIX stands lower at 23.40 (−6.34%).",
)


def written() -> Written:
    text = judged("en", SAID[0], *(f"- {line}" for line in SAID)).written
    assert text is not None
    assert len(text.points) == 4
    return text


def head(findings: Findings, language: str = "en") -> Head:
    said = first_sentence(findings, language)
    title = Text("Morning market report")
    return Head("20261123T093000-1bdac559", title, findings.as_of, findings.made, ("en", "vi"), said)


async def rendered(findings: Findings, language: str = "en") -> bytes:
    sections = write(findings, cards(findings, samples.bars), language)
    return b"".join([p async for p in renderer(language).render(sections, head(findings, language))])


async def checked(check: Check, findings: Findings, html: bytes, language: str = "en") -> None:
    reading = check.page(language, renderer(language).words, ZONE, head(findings, language))
    await walk(reading.follow(write(findings, cards(findings, samples.bars), language)))
    await reading.read(html)
    reading.close()


def with_point(text: Written, changed: Line) -> Findings:
    return replace(small(), written={"en": replace(text, points=(*text.points[:2], changed, *text.points[3:]))})


async def test_a_page_may_say_in_one_language_what_the_other_does_not() -> None:
    findings = replace(small(), written={"en": written()})
    check = Check(findings)
    for language in ("en", "vi"):
        html = await rendered(findings, language)
        assert (b'data-rule="model"' in html) is (language == "en")
        await checked(check, findings, html, language)
    check.close()
    assert check.pages[0].account.traced - check.pages[1].account.traced == 8 + 2  # of four points and the headline


async def test_a_figure_that_is_not_the_one_that_was_judged_stops_the_page() -> None:
    text = written()
    findings = replace(small(), written={"en": text})
    point = text.points[2]
    changed = replace(point, numbers=(Number(1.37, "percent"), point.numbers[1]))
    with pytest.raises(ReportRejected, match=r"rule model: shows '1\.37%"):
        await checked(Check(findings), findings, await rendered(with_point(text, changed)))


async def test_a_figure_that_is_no_fact_any_more_stops_the_page() -> None:
    text = written()
    point = text.points[2]
    lie = with_point(text, replace(point, numbers=(Number(1.37, "percent"), point.numbers[1])))
    with pytest.raises(ReportRejected, match=r"says 1\.37 is BTC\.change, which is 1\.35"):
        await checked(Check(lie), lie, await rendered(lie))


async def test_a_digit_in_the_wording_that_nobody_gave_stops_the_page() -> None:
    findings = replace(small(), written={"en": written()})
    html = (
        (await rendered(findings)).replace(b" is up <", b" is 5 times up <").replace(b" is up 1", b" is 5 times up 1")
    )
    with pytest.raises(ReportRejected, match="rule model"):
        await checked(Check(findings), findings, html)

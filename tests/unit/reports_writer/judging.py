"""The market of the samples, as a model is told of it, and the judge of what it says."""

from __future__ import annotations

from functools import cache

from evertick.reports.catalogue import Catalogue
from evertick.reports.render import Renderer
from evertick.reports.shown import Grammar
from evertick.reports.writer.brief import Brief, brief
from evertick.reports.writer.judge import Verdict, judge
from evertick.reports.writer.lexicon import lexicon
from unit.reports import samples

ZONE = "Asia/Ho_Chi_Minh"

FINE = {
    "en": (
        "Crude oil (WTI) gains 1.22% to 58.00 USD.",
        "Nikkei 225 climbs 0.97% to 50,100.00.",
        "Bitcoin is up 1.36% at 86,500 USD.",
    ),
    "vi": (
        "Dầu WTI tăng 1,22% lên 58,00 USD.",
        "Nikkei 225 leo 0,97% lên 50.100,00.",
        "Bitcoin tăng 1,36% lên 86.500 USD.",
    ),
}
"""Sentences that pass."""


@cache
def renderer(language: str) -> Renderer:
    return Renderer(language, Catalogue.load(language), ZONE)


@cache
def given(language: str) -> Brief:
    return brief(language, samples.findings(), renderer(language).words)


def judged(language: str, *lines: str, text: str | None = None) -> Verdict:
    known = lexicon(language)
    assert known is not None
    grammar = Grammar(language, renderer(language).words.catalogue, ZONE)
    return judge("\n".join(lines) if text is None else text, given(language), grammar, known, "stub-1")


def alone(language: str, sentence: str) -> Verdict:
    """One sentence behind a headline and points that pass."""
    first, *rest = FINE[language]
    return judged(language, first, *(f"- {line}" for line in (first, *rest, sentence)))


def passes(language: str, sentence: str) -> str | None:
    """The sentence as the page will show it, or ``None`` if it was struck."""
    verdict = alone(language, sentence)
    assert verdict.written is not None
    shown = [renderer(language).words.plain(s) for s in verdict.written.sentences()]
    return shown[3] if len(shown) == 4 else None


def why(language: str, sentence: str) -> str:
    verdict = alone(language, sentence)
    assert len(verdict.struck) == 1, verdict
    return verdict.struck[0]

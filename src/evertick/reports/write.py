"""Writes the report: findings in, sections of blocks out. No language yet, and nothing is made before it is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator
from dataclasses import replace

from evertick.reports.blocks import Card, Section, Sentence
from evertick.reports.findings import Findings
from evertick.reports.sections import (
    ahead,
    cards,
    commodities,
    crypto,
    currencies,
    headline,
    market_map,
    movers,
    rates,
    risk,
    seasonality,
    technical,
    vietnam,
    world_indices,
)

SECTIONS = (
    market_map,
    world_indices,
    vietnam,
    crypto,
    currencies,
    commodities,
    rates,
    risk,
    movers,
    technical,
    seasonality,
    cards,
    ahead,
)
"""In the order of the report, behind the headline; a new section is one module here and, where it needs one, a template."""


def write(findings: Findings, made: AsyncIterable[Card], language: str = "") -> Iterator[Section]:
    """The sections, once: call it again for each language. ``made`` are the cards, made one at a time (`sections.cards.cards`).

    ``language`` chooses only among the texts that a model wrote, if one did: what rules say has no language yet.
    """
    yield headline.section(findings, made, findings.written.get(language))
    for module in SECTIONS:
        section = module.section(findings, made)
        yield replace(section, slow=True) if findings.many else section


def first_sentence(findings: Findings, language: str = "") -> Sentence:
    """The report's headline: what its metadata and the library show."""
    written = findings.written.get(language)
    return written.lead if written else headline.headline(findings)

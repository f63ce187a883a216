"""Section 1: how fresh the numbers are, eight key points, six sparklines, the sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from evertick.model import Group, SourceStatus
from evertick.reports import landmarks
from evertick.reports.blocks import Banner, Card, Column, Figure, KeyPoints, Number, Section, Sentence, Table, Text
from evertick.reports.findings import Facts, Findings, Some
from evertick.reports.rules import crypto, instrument, market, risk, sources
from evertick.reports.values import STATES, change, name, price, provider
from evertick.reports.written import Written

POINTS = 8
SPARKS = 6
SOURCES = 7
"""Rows of a printed brief at most: of the sources that were asked or have prices."""
UNASKED = ("idle", "off")


def section(findings: Findings, made: AsyncIterable[Card], written: Written | None = None) -> Section:
    """``written``: what a model wrote in place of the rules' points."""
    return Section("headline", 1, Text("At a glance"), _blocks(findings, written))


def _blocks(findings: Findings, written: Written | None) -> Iterator[Any]:
    said = list(sources.freshness(findings))
    yield Banner("warn" if any(s.tone == "warn" for s in said) else "ok", said)
    if written is None:
        yield KeyPoints(list(key_points(findings)))
    else:
        yield KeyPoints(written.sentences())
        yield written.disclosure()
    shown = list(
        islice((f for id_ in landmarks.HEADLINE if (f := findings.get(id_)) is not None and len(f.spark) > 1), SPARKS)
    )
    if shown:
        yield _sparks(shown)
    if findings.sources:
        yield _sources(findings)


def key_points(findings: Findings) -> Iterator[Sentence]:
    """The eight most telling sentences, the first of which is the report's headline."""
    return islice(candidates(findings), POINTS)


def headline(findings: Findings) -> Sentence:
    """The first key point. Findings that passed validation always have one."""
    return next(candidates(findings))


def candidates(findings: Findings) -> Iterator[Sentence]:
    day = findings.day
    told: set[str] = set()

    def moved(ids: Iterable[str]) -> Iterator[Sentence]:
        for id_ in ids:
            f = findings.get(id_)
            if f is not None and id_ not in told and (sentence := instrument.move(f, day)) is not None:
                told.add(id_)
                yield sentence

    yield from market.direction(findings)
    yield from moved(("VNINDEX", "SPX"))
    yield from islice(chain(market.contrast(findings), market.leaders(findings)), 1)
    yield from crypto.capitalisation(findings)
    yield from risk.fear(findings)
    yield from moved(f.id for f in unusual(findings, 1))
    yield from market.against(findings, "VNINDEX", findings.of(Group.VIETNAM), Text("the Vietnamese shares"))
    yield from market.extremes(findings)
    yield from islice(crypto.mood(findings), 1)
    yield from market.dong(findings)
    yield from moved(("BTC", "GOLD", "WTI", "EURUSD"))
    yield from moved(f.id for f in findings.facts if f.price is not None and f.id not in landmarks.SPECIAL)
    yield from sources.freshness(findings)


def unusual(findings: Findings, most: int) -> Sequence[Facts]:
    """What moved most by its own measure (standard deviations), the most unusual first.

    What hardly moved is none of them, however quiet it is otherwise (a stablecoin); nor is one whose quote says another direction
    than its last bar, which is of another day.
    """
    found = (
        f
        for f in findings.facts
        if f.sigma is not None
        and f.change is not None
        and f.fresh
        and abs(f.sigma) > instrument.BIG_SIGMA
        and f.sigma * f.change > 0
        and instrument.moved(f)
    )
    return Some.of(found, most, lambda f: abs(f.sigma or 0)).first


def _sparks(shown: list[Facts]) -> Figure:
    items = [{"name": name(f), "price": price(f), "change": change(f.change), "spark": list(f.spark)} for f in shown]
    names = tuple(name(f) for f in shown)
    label = Text("Recent prices of {names}; each one's change over one day stands beside its name.", {"names": names})
    return Figure("headline-sparks", "sparks", Text("Key markets"), label, {"items": items})


def _sources(findings: Findings) -> Table:
    columns = (
        Column(Text("Source"), "text"),
        Column(Text("State"), "state"),
        Column(Text("Quotes")),
        Column(Text("Last answer"), "time"),
        Column(Text("Stale")),
        Column(Text("As second source")),
    )
    return Table(
        "sources",
        Text("Where the numbers come from"),
        columns,
        rows(findings),
        brief=min(sum(not waits for waits, _ in _ordered(findings)), SOURCES) or SOURCES,
    )


def _ordered(findings: Findings) -> list[tuple[bool, SourceStatus]]:
    """The sources, with those last that wait unasked and have no price on the board."""
    used = {f.source for f in findings.facts if f.price is not None}
    seen = ((source.state in UNASKED and source.name not in used, source) for source in findings.sources)
    return sorted(seen, key=itemgetter(0))


def rows(findings: Findings) -> Iterator[tuple[Any, ...]]:
    quotes: Counter[str | None] = Counter()
    stale: Counter[str | None] = Counter()
    second: Counter[str | None] = Counter()
    for f in findings.facts:
        if f.price is not None:
            quotes[f.source] += 1
            stale[f.source] += not f.fresh
            second[f.source] += f.fallback
    for _, source in _ordered(findings):
        yield (
            Text("{name}", {"name": provider(source.name, findings.sources)}),
            STATES.get(source.state) or Text("{name}", {"name": source.state}),
            Number(quotes[source.name], "integer"),
            source.last_success,
            Number(stale[source.name], "integer"),
            Number(second[source.name], "integer"),
        )

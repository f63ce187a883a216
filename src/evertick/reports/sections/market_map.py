"""Section 2: every market as a tile, by class and region; the same numbers as rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable, Iterator
from math import sqrt
from typing import Any

from evertick.model import Group
from evertick.reports import landmarks
from evertick.reports.blocks import Card, Column, Figure, Name, Number, Paragraph, Section, Table, Text
from evertick.reports.findings import Facts, Findings
from evertick.reports.rules import market
from evertick.reports.values import GROUPS, change, name, price

_INDICES = {
    "americas": Text("Indices, Americas"),
    "europe": Text("Indices, Europe"),
    "asia": Text("Indices, Asia-Pacific"),
    "africa": Text("Indices, Middle East and Africa"),
}
_ELSE = Text("Indices, other")
MOST = 600
"""Tiles of a map."""
SMALLEST, LARGEST = 0.3, 8.0
"""Tiles of coins, against a mean of 1: so small that it can still be seen, so large that it leaves room."""


def section(findings: Findings, made: AsyncIterable[Card]) -> Section:
    return Section("map", 2, Text("Market map"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    said = [*market.contrast(findings), *market.extremes(findings)]
    if said:
        yield Paragraph(said)
    total, classes = tiles(findings)
    if not classes:
        return
    flat = [f for _, members in classes for f in members]
    label = Text(
        "Map of {n} markets: {up} up, {down} down over one day.",
        {
            "n": len(flat),
            "up": Number(sum((f.change or 0) > 0 for f in flat), "integer"),
            "down": Number(sum((f.change or 0) < 0 for f in flat), "integer"),
        },
        plural="Map of {n} markets: {up} up, {down} down over one day.",
    )
    if total > len(flat):
        yield Text(
            "The map shows {n} of {total} markets, the first of each class; the table below has all of them.",
            {"n": len(flat), "total": total},
            plural="The map shows {n} of {total} markets, the first of each class; the table below has all of them.",
        )
    groups = [
        {
            "name": Name(title.msgid),
            "items": [_tile(f, weight) for f, weight in zip(members, weights(members), strict=True)],
        }
        for title, members in classes
    ]
    yield Figure("market-map", "treemap", Text("Change over one day, by class and region"), label, {"groups": groups})
    columns = (
        Column(Text("Market"), "name"),
        Column(Text("Class"), "text"),
        Column(Text("Price")),
        Column(Text("1D"), "change"),
    )
    rows = (
        (name(f), title, price(f), change(f.change))
        for title, _ in classes
        for f in findings.facts
        if (found := _class(f)) is not None and found.msgid == title.msgid
    )
    yield Table("map-rows", Text("The map as rows"), columns, rows, brief=0)


def tiles(findings: Findings) -> tuple[int, list[tuple[Text, list[Facts]]]]:
    """How many markets there are, and each class (each region, for indices) with its first members, in the order of the universe.

    As many in all as make a map that can be read: of more than `MOST`, each class keeps its share.
    """
    counts = Counter(title.msgid for title in map(_class, findings.facts) if title is not None)
    total = sum(counts.values())
    share = min(1.0, MOST / total) if total else 1.0
    found: dict[str, tuple[Text, list[Facts]]] = {}
    for f in findings.facts:
        title = _class(f)
        if title is not None:
            members = found.setdefault(title.msgid, (title, []))[1]
            if len(members) < max(1, round(share * counts[title.msgid])):
                members.append(f)
    return total, list(found.values())


def _class(f: Facts) -> Text | None:
    if f.change is None or f.id in landmarks.SPECIAL:
        return None
    return _INDICES.get(f.instrument.region, _ELSE) if f.group is Group.INDICES else GROUPS[f.group]


def weights(members: list[Facts]) -> list[float]:
    """Coins go by the root of their capitalisation, 1 on average; other tiles are equal, but leading markets count double."""
    roots = [sqrt(f.market_cap) if f.market_cap else 0.0 for f in members]
    if not any(roots):
        return [2.0 if f.id in landmarks.LEADING else 1.0 for f in members]
    mean = sum(roots) / sum(r > 0 for r in roots)
    return [min(LARGEST, max(SMALLEST, r / mean)) for r in roots]


def _tile(f: Facts, weight: float) -> dict[str, Any]:
    return {"name": name(f), "short": f.id, "weight": weight, "change": change(f.change)}

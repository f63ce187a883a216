"""Section 10: how many rise and fall in each class, who moves most."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator
from typing import Any

from evertick.model import Group
from evertick.reports.blocks import Card, Column, Figure, Number, Paragraph, Section, Table, Text
from evertick.reports.findings import Facts, Findings, Movers
from evertick.reports.rules import instrument, market
from evertick.reports.sections.headline import unusual
from evertick.reports.values import GROUPS, basis_points, change, name, number, percent, price

LEAST = 6
"""Smaller classes have no top and bottom worth a table."""
BARS = 8
"""Of each end, in the figure."""
TOLD = 5


def section(findings: Findings, made: AsyncIterable[Card]) -> Section:
    return Section("movers", 10, Text("Breadth and movers"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    said = [
        *market.extremes(findings),
        *market.against(findings, "VNINDEX", findings.of(Group.VIETNAM), Text("the Vietnamese shares")),
        *(s for f in unusual(findings, TOLD) if (s := instrument.move(f, findings.day)) is not None),
    ]
    if said:
        yield Paragraph(said)
    yield _breadth(findings)
    for group, movers in findings.movers.items():
        breadth = findings.breadth[group]
        if breadth.total >= LEAST and movers.top:
            yield _figure(findings, group, movers)
            yield _table(findings, group, movers)


def _breadth(findings: Findings) -> Table:
    columns = (
        Column(Text("Class"), "text"),
        Column(Text("Rising")),
        Column(Text("Falling")),
        Column(Text("Unchanged")),
        Column(Text("Above 50-day average")),
        Column(Text("Above 200-day average")),
        Column(Text("52-week highs")),
        Column(Text("52-week lows")),
    )
    rows = (
        (
            GROUPS[group],
            *(Number(v, "integer") for v in (b.advancing, b.declining, b.unchanged)),
            percent(b.share50),
            percent(b.share200),
            *(Number(v, "integer") for v in (b.highs, b.lows)),
        )
        for group, b in findings.breadth.items()
    )
    return Table("breadth", Text("Breadth by class"), columns, rows)


def _move(f: Facts) -> Number:
    """Of one day: percent, or basis points of a yield."""
    return basis_points(f.bp_1d) if f.group is Group.RATES else change(f.change)


def _figure(findings: Findings, group: Group, movers: Movers) -> Figure:
    ends = [*movers.top[:BARS], *reversed(movers.bottom[:BARS])]
    items = [{"name": name(f), "value": _move(f)} for id_ in ends if (f := findings.get(id_)) is not None]
    best, worst = findings.get(movers.top[0]), findings.get(movers.bottom[0])
    assert best is not None
    assert worst is not None
    ends_named = {"best": name(best), "high": _move(best), "worst": name(worst), "low": _move(worst)}
    group_named = {"group": GROUPS[group]}
    if group is Group.RATES:
        label = Text("From {best} ({high}) to {worst} ({low}), in basis points.", ends_named)
        caption = Text("{group}: largest rises and falls over one day, in basis points", group_named)
    else:
        label = Text("From {best} ({high}) to {worst} ({low}).", ends_named)
        caption = Text("{group}: strongest and weakest over one day", group_named)
    return Figure(f"movers-{group.value}", "bars", caption, label, {"items": items})


def _table(findings: Findings, group: Group, movers: Movers) -> Table:
    moves = (Text("1D"), Text("1W"), Text("1M"))
    if group is Group.RATES:
        moves = (Text("1D, bp"), Text("1W, bp"), Text("1M, bp"))
    columns = (
        Column(Text("Rank")),
        Column(Text("Market"), "name"),
        Column(Text("Price")),
        *(Column(title, "change") for title in moves),
        Column(Text("In standard deviations")),
        Column(Text("RSI 14")),
    )
    caption = Text("{group}: top and bottom", {"group": GROUPS[group]})
    return Table(
        f"movers-{group.value}-table",
        caption,
        columns,
        _rows(findings, movers, findings.breadth[group].total),
        brief=0,
    )


def _rows(findings: Findings, movers: Movers, total: int) -> Iterator[tuple[Any, ...]]:
    """Ranks count from the strongest to the weakest of the ``total`` in the class; those between the ends are left out."""
    for rank, id_ in enumerate(movers.top, 1):
        yield from _row(rank, findings.get(id_))
    for rank, id_ in enumerate(reversed(movers.bottom), total - len(movers.bottom) + 1):
        yield from _row(rank, findings.get(id_))


def _row(rank: int, f: Facts | None) -> Iterator[tuple[Any, ...]]:
    if f is not None:
        if f.group is Group.RATES:
            before = (basis_points(f.bp_1w), basis_points(f.bp_1m))
        else:
            before = (change(f.ret_1w), change(f.ret_1m))
        yield (Number(rank, "integer"), name(f), price(f), _move(f), *before, number(f.sigma, 1), number(f.rsi14, 1))

"""Section 7: metals, energy and crops, with what they did in a month as bars."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

from evertick.model import Group
from evertick.reports.blocks import Card, Column, Figure, Number, Paragraph, Section, Table, Text
from evertick.reports.findings import Facts, Findings
from evertick.reports.rules import market, money
from evertick.reports.sections.world_indices import RETURNS, returns
from evertick.reports.values import change, name, number, price

SHOWN = 60
"""Bars of the figure: the first in the order of the universe."""


def section(findings: Findings, made: AsyncIterable[Card]) -> Section:
    return Section("commodities", 7, Text("Commodities"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    said = [
        *money.gold_and_oil(findings),
        *money.commodities(findings),
        *market.trend(findings, Group.COMMODITIES, Text("the commodities")),
    ]
    if said:
        yield Paragraph(said)
    month = [f for f in islice(money.goods(findings), SHOWN) if f.ret_1m is not None]
    if len(month) > 1:
        yield _bars(sorted(month, key=lambda f: (-(f.ret_1m or 0), f.id)))
    members = findings.of(Group.COMMODITIES)
    if (first := next(members, None)) is not None:
        yield _table(chain((first,), members))


def _bars(month: list[Facts]) -> Figure:
    best, worst = month[0], month[-1]
    label = Text(
        "Over one month from {best} ({high}) to {worst} ({low}).",
        {"best": name(best), "high": change(best.ret_1m), "worst": name(worst), "low": change(worst.ret_1m)},
    )
    items = [{"name": name(f), "value": change(f.ret_1m)} for f in month]
    return Figure("commodities-month", "bars", Text("Commodities over one month"), label, {"items": items})


def _table(members: Iterable[Facts]) -> Table:
    columns = (
        Column(Text("Commodity"), "name"),
        Column(Text("Price")),
        *RETURNS,
        Column(Text("52-week range"), "range"),
        Column(Text("RSI 14")),
    )
    rows = ((name(f), price(f), *returns(f), Number(f.position_52w), number(f.rsi14, 1)) for f in members)
    return Table("commodities-table", Text("Commodities and their returns"), columns, rows, brief=8)

"""Section 6: the dollar, the cross rates and their moves, what a unit of money costs in dong."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator
from itertools import chain
from math import floor, log10
from typing import Any

from evertick.model import Group
from evertick.reports.blocks import Card, Column, Figure, Number, Paragraph, Section, Table, Text
from evertick.reports.findings import Facts, Findings, Matrix
from evertick.reports.rules import market, money
from evertick.reports.sections.world_indices import RETURNS, returns
from evertick.reports.values import change, name, percent, price, spark

DIGITS = 5
"""Significant digits of a cross rate, with at most four decimals."""
UNITS = {"JPY": 100, "KRW": 1_000, "THB": 10, "VND": 10_000}
"""So many units of a small currency stand in a row of the cross rates; of the others one."""
LIMIT = 1.0
"""Percent in a day at which the colour of a currency's move is at its strongest."""


def section(findings: Findings, made: AsyncIterable[Card]) -> Section:
    return Section("currencies", 6, Text("Currencies"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    said = [*money.dollar(findings), *market.dong(findings)]
    if said:
        yield Paragraph(said)
    if findings.strength is not None:
        yield _heatmap(findings, findings.strength)
    if findings.rates is not None:
        yield _crosses(findings.rates)
    board = (f for f in findings.of(Group.FX) if f.instrument.currency == "VND")
    if (first := next(board, None)) is not None:
        yield _board(chain((first,), board))
    others = (f for f in findings.of(Group.FX) if f.instrument.currency != "VND")
    if (first := next(others, None)) is not None:
        yield _pairs(chain((first,), others))


def _heatmap(findings: Findings, matrix: Matrix) -> Figure:
    size = range(len(matrix.ids))
    cells = [[None if row == column else change(matrix.at(row, column)) for column in size] for row in size]
    moves = money.against_dollar(findings)
    codes = [*matrix.ids]
    label = Text(
        "Moves of {n} currency against each other over one day; against the dollar from {low} to {high}.",
        {"n": len(codes), "low": change(moves[0][0]), "high": change(moves[-1][0])},
        plural="Moves of {n} currencies against each other over one day; against the dollar from {low} to {high}.",
    )
    data = {"rows": codes, "columns": codes, "cells": cells, "low": -LIMIT, "high": LIMIT}
    return Figure(
        "currencies-heat", "heatmap", Text("Each currency (row) against each (column) over one day"), label, data
    )


def _crosses(matrix: Matrix) -> Table:
    columns = (Column(Text("Amount"), "name"), *(Column(Text("{name}", {"name": code})) for code in matrix.ids))
    caption = Text("Cross rates: what an amount (row) costs in another currency (column)")
    return Table("currencies-crosses", caption, columns, _rates(matrix), brief=0)


def _rates(matrix: Matrix) -> Iterator[tuple[Any, ...]]:
    for row, code in enumerate(matrix.ids):
        units = UNITS.get(code, 1)
        amount = Text("{units} {code}", {"units": Number(units, "integer"), "code": code})
        yield (amount, *(rate(None if row == c else matrix.at(row, c), units) for c in range(len(matrix.ids))))


def rate(value: float | None, units: int = 1) -> Number:
    """What ``units`` cost, with so many digits as the size makes useful."""
    if value is None or not value > 0:
        return Number(None)
    cost = value * units
    return Number(cost, "decimal", max(0, min(4, DIGITS - 1 - floor(log10(cost)))))


def _board(board: Iterable[Facts]) -> Table:
    columns = (
        Column(Text("Pair"), "name"),
        Column(Text("Price")),
        *RETURNS,
        Column(Text("Volatility 20 D")),
        Column(Text("Recent"), "spark"),
    )
    rows = ((name(f), price(f), *returns(f), percent(f.vol20), spark(f)) for f in board)
    return Table("currencies-dong", Text("Foreign money in dong"), columns, rows, brief=5)


def _pairs(pairs: Iterable[Facts]) -> Table:
    columns = (Column(Text("Pair"), "name"), Column(Text("Price")), *RETURNS, Column(Text("52-week range"), "range"))
    rows = ((name(f), price(f), *returns(f), Number(f.position_52w)) for f in pairs)
    return Table("currencies-pairs", Text("Currency pairs and their returns"), columns, rows, brief=0)

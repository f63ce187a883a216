"""Section 6: the dollar, the cross rates and their moves, what a unit of money costs in dong."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor, log10
from typing import Any

from evertick.model import Group
from evertick.reports.blocks import Column, Figure, Number, Paragraph, Section, Table, Text
from evertick.reports.collect import BarReader
from evertick.reports.findings import Facts, Findings, Matrix
from evertick.reports.rules import market, money
from evertick.reports.sections.world_indices import RETURNS, returns
from evertick.reports.values import change, name, percent, price, spark

DIGITS = 5
"""Significant digits of a cross rate."""
LIMIT = 1.5
"""Percent in a day at which the colour of a currency's move is at its strongest."""


def section(findings: Findings, bars: BarReader) -> Section:
    return Section("currencies", 6, Text("Currencies"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    said = [*money.dollar(findings), *market.dong(findings)]
    if said:
        yield Paragraph(said)
    if findings.strength is not None:
        yield _heatmap(findings, findings.strength)
    if findings.rates is not None:
        yield _crosses(findings.rates)
    pairs = list(findings.of(Group.FX))
    board = [f for f in pairs if f.instrument.currency == "VND"]
    if board:
        yield _board(board)
    others = [f for f in pairs if f.instrument.currency != "VND"]
    if others:
        yield _pairs(others)


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
    columns = (
        Column(Text("One unit of"), "name"),
        *(Column(Text("{name}", {"name": code})) for code in matrix.ids),
    )
    size = range(len(matrix.ids))
    rows = (
        (code, *(rate(None if row == c else matrix.at(row, c)) for c in size)) for row, code in enumerate(matrix.ids)
    )
    return Table(
        "currencies-crosses",
        Text("Cross rates: what one unit (row) costs in another currency (column)"),
        columns,
        rows,
        brief=0,
    )


def rate(value: float | None) -> Number:
    """With five significant digits; of large ones no more than two decimals."""
    if value is None or not value > 0:
        return Number(None)
    return Number(value, "decimal", max(0, min(8, DIGITS - 1 - floor(log10(value)))))


def _board(board: list[Facts]) -> Table:
    columns = (
        Column(Text("Pair"), "name"),
        Column(Text("Price")),
        *RETURNS,
        Column(Text("Volatility 20 D")),
        Column(Text("Recent"), "spark"),
    )
    rows = ((name(f), price(f), *returns(f), percent(f.vol20), spark(f)) for f in board)
    return Table("currencies-dong", Text("Foreign money in dong"), columns, rows)


def _pairs(pairs: list[Facts]) -> Table:
    columns = (Column(Text("Pair"), "name"), Column(Text("Price")), *RETURNS, Column(Text("52-week range"), "range"))
    rows = ((name(f), price(f), *returns(f), Number(f.position_52w)) for f in pairs)
    return Table("currencies-pairs", Text("Currency pairs and their returns"), columns, rows, brief=10)

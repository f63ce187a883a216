"""Section 9: the fear gauge, volatility and drawdown of the leading markets, what moves with what."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterable, Iterable, Iterator
from datetime import date
from itertools import chain
from typing import Any

from evertick.model import Group
from evertick.reports import landmarks
from evertick.reports.blocks import Card, Column, Figure, Number, Paragraph, Section, Table, Text
from evertick.reports.findings import Facts, Findings, Series
from evertick.reports.indicators import drawdowns
from evertick.reports.rules import instrument, risk
from evertick.reports.sections.world_indices import thin
from evertick.reports.values import change, name, number, percent, price

POINTS = 130


def section(findings: Findings, made: AsyncIterable[Card]) -> Section:
    return Section("risk", 9, Text("Risk"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    leading = [f for id_ in landmarks.MATRIX if (f := findings.get(id_)) is not None]
    said = [
        *risk.fear(findings),
        *risk.term(findings),
        *risk.extremes(findings, leading),
        *risk.pairs(findings),
        *(
            s
            for id_ in landmarks.DRAWDOWN
            if (f := findings.get(id_)) is not None
            for s in instrument.unrest(f, findings.day)
        ),
    ]
    if said:
        yield Paragraph(said)
    known = {f.id for f in leading}
    gauges = (f for f in findings.of(Group.VOLATILITY) if f.id not in known)
    rows = chain(leading, gauges)
    if (first := next(rows, None)) is not None:
        yield _table(chain((first,), rows))
    terms = [f for id_ in landmarks.FEAR if (f := findings.get(id_)) is not None]
    if len(terms) > 2:
        yield _term(terms)
    if findings.correlation is not None:
        yield _heatmap(findings)
    for series in findings.falls:
        found = findings.get(series.id)
        if found is not None:
            yield _area(found, series)
            break


def _table(rows: Iterable[Facts]) -> Table:
    columns = (
        Column(Text("Market"), "name"),
        Column(Text("Price")),
        Column(Text("1D"), "change"),
        Column(Text("Volatility 20 D")),
        Column(Text("Volatility 60 D")),
        Column(Text("Drawdown")),
        Column(Text("Deepest in a year")),
        Column(Text("Beta 60 D")),
        Column(Text("z 60 D")),
    )
    cells = (
        (
            name(f),
            price(f),
            change(f.change),
            percent(f.vol20),
            percent(f.vol60),
            percent(f.drawdown),
            percent(f.max_drawdown),
            number(f.beta60),
            number(f.z60),
        )
        for f in rows
    )
    return Table(
        "risk-table", Text("Volatility (annualised) and drawdown of the leading markets"), columns, cells, brief=10
    )


def _term(terms: list[Facts]) -> Figure:
    """The volatility that options price in, by how far they look ahead."""
    first, last = terms[0], terms[-1]
    label = Text(
        "Volatility by term: from {low} ({short}) to {high} ({long}).",
        {"low": price(first), "short": name(first), "high": price(last), "long": name(last)},
    )
    series: list[dict[str, Any]] = [
        {"name": Text("Today"), "values": [f.price for f in terms]},
        {"name": Text("A month ago"), "values": [f.close_1m for f in terms]},
        {"name": Text("A year ago"), "values": [f.close_1y for f in terms]},
    ]
    shown = [one for one in series if any(v is not None for v in one["values"])]
    days = [landmarks.FEAR[f.id] for f in terms]
    ahead = [Text("{n}M", {"n": n // 30}) if n > 30 else Text("{n}D", {"n": n}) for n in days]
    data = {"terms": ahead, "series": shown, "unit": ""}
    return Figure("risk-term", "curve", Text("VIX by term, in points"), label, data)


def _heatmap(findings: Findings) -> Figure:
    matrix = findings.correlation
    assert matrix is not None
    names = [name(f) for id_ in matrix.ids if (f := findings.get(id_)) is not None]
    size = len(names)
    cells = [[Number(matrix.at(row, column)) for column in range(size)] for row in range(size)]
    values = sorted(v for row in range(size) for column in range(row) if (v := matrix.at(row, column)) is not None)
    label = Text(
        "Correlation of daily moves among {n} markets, from {low} to {high}.",
        {"n": size, "low": number(values[0] if values else None), "high": number(values[-1] if values else None)},
        plural="Correlation of daily moves among {n} markets, from {low} to {high}.",
    )
    caption = Text("Correlation over {n} common day", {"n": matrix.days}, plural="Correlation over {n} common days")
    return Figure(
        "risk-correlation",
        "heatmap",
        caption,
        label,
        {"rows": names, "columns": names, "cells": cells, "low": -1.0, "high": 1.0},
    )


def _area(f: Facts, series: Series) -> Figure:
    fall = drawdowns(array("d", series.values))
    days = thin(list(series.day), POINTS)
    by_day = dict(zip(series.day, fall, strict=True))
    label = Text(
        "{name} stands {now} below its high of the year; the deepest point was {deepest}.",
        {"name": name(f), "now": percent(-fall[-1]), "deepest": percent(-min(fall))},
    )
    data = {"dates": [date.fromordinal(d) for d in days], "values": [round(by_day[d], 2) for d in days], "unit": "%"}
    return Figure("risk-drawdown", "area", Text("Drawdown of {name} over one year", {"name": name(f)}), label, data)

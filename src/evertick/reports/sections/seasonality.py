"""Section 12: the months of the last year in the leading markets, and one of them day by day."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator
from datetime import date
from typing import Any

from evertick.reports.blocks import Card, Column, Figure, Number, Paragraph, Section, Table, Text
from evertick.reports.findings import Facts, Findings, Series
from evertick.reports.rules import seasons
from evertick.reports.values import change, name

MONTHS = (
    Text("Jan {year}"),
    Text("Feb {year}"),
    Text("Mar {year}"),
    Text("Apr {year}"),
    Text("May {year}"),
    Text("Jun {year}"),
    Text("Jul {year}"),
    Text("Aug {year}"),
    Text("Sep {year}"),
    Text("Oct {year}"),
    Text("Nov {year}"),
    Text("Dec {year}"),
)
MONTH_LIMIT = 10.0
LIMIT = 2.0
"""Percent in a month and in a day at which a colour is at its strongest."""
TOLD = 2


def section(findings: Findings, made: AsyncIterable[Card]) -> Section:
    return Section("seasonality", 12, Text("Months and days"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    known = [(f, series) for series in findings.months if (f := findings.get(series.id)) is not None]
    earlier = [(f, series) for series in findings.same_month if (f := findings.get(series.id)) is not None]
    said = [
        *(s for f, series in known[:TOLD] for s in seasons.year(findings, f, series)),
        *(s for f, series in known[: TOLD + 1] for s in seasons.so_far(findings, f, series)),
        *(s for f, series in earlier[:TOLD] for s in seasons.year_ago(findings, f, series)),
    ]
    if said:
        yield Paragraph(said)
    if known:
        yield _heatmap(known)
    if earlier:
        yield _years(earlier)
    days = findings.calendar
    if days is not None and len(days.day) > 1 and (f := findings.get(days.id)) is not None:
        yield _calendar(f, days)


def _heatmap(known: list[tuple[Facts, Series]]) -> Figure:
    months = sorted({day for _, series in known for day in series.day})
    cells = []
    for _, series in known:
        returns = {day: value for day, value in zip(series.day, series.values, strict=True) if value == value}
        cells.append([Number(returns.get(day), "percent", 1, signed=True) for day in months])
    values = [cell.value for row in cells for cell in row if cell.value is not None]
    label = Text(
        "Monthly returns of {names}, from {low} to {high}.",
        {
            "names": tuple(name(f) for f, _ in known),
            "low": change(min(values, default=None)),
            "high": change(max(values, default=None)),
        },
    )
    data = {
        "rows": [name(f) for f, _ in known],
        "columns": [_title(day) for day in months],
        "cells": cells,
        "low": -MONTH_LIMIT,
        "high": MONTH_LIMIT,
    }
    return Figure("seasonality-months", "heatmap", Text("Monthly returns, the last month up to now"), label, data)


def _years(known: list[tuple[Facts, Series]]) -> Table:
    """The month that is not over, beside the same one in earlier years, newest first."""
    months = sorted({day for _, series in known for day in series.day}, reverse=True)

    def row(f: Facts, series: Series) -> tuple[Any, ...]:
        returns = dict(zip(series.day, series.values, strict=True))
        return (name(f), *(change(_known(returns.get(day))) for day in months))

    columns = (Column(Text("Market"), "name"), *(Column(_title(day), "change") for day in months))
    return Table(
        "seasonality-years",
        Text("The same month in earlier years"),
        columns,
        (row(f, series) for f, series in known),
    )


def _known(value: float | None) -> float | None:
    return None if value is None or value != value else value


def _title(day: int) -> Text:
    on = date.fromordinal(day)
    return Text(MONTHS[on.month - 1].msgid, {"year": str(on.year)})


def _calendar(f: Facts, days: Series) -> Figure:
    values = [None if v != v else v for v in days.values]
    known = [v for v in values if v is not None]
    label = Text(
        "Each session of {name} over one year: {up} rose, {down} fell, from {low} to {high}.",
        {
            "name": name(f),
            "up": sum(v > 0 for v in known),
            "down": sum(v < 0 for v in known),
            "low": change(min(known, default=None)),
            "high": change(max(known, default=None)),
        },
    )
    data = {"days": [date.fromordinal(d) for d in days.day], "values": values, "limit": LIMIT}
    return Figure(
        "seasonality-days", "calendar", Text("{name} day by day over one year", {"name": name(f)}), label, data
    )

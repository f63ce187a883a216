"""Section 8: the yields of US Treasury bonds by tenor, now and before, the curve, and ten years against two."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator
from datetime import date
from itertools import chain
from typing import Any

from evertick.model import Group
from evertick.reports import landmarks
from evertick.reports.blocks import Card, Column, Figure, Number, Paragraph, Section, Table, Text
from evertick.reports.findings import Facts, Findings, Series
from evertick.reports.rules import instrument, market, money
from evertick.reports.sections.world_indices import thin
from evertick.reports.values import level, name, number, price

POINTS = 130
TOLD = ("US10Y", "US2Y", "US30Y")


def section(findings: Findings, made: AsyncIterable[Card]) -> Section:
    return Section("rates", 8, Text("Interest rates"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    told = [f for id_ in TOLD if (f := findings.get(id_)) is not None]
    said = [
        *(s for f in told if (s := instrument.move(f, findings.day)) is not None),
        *market.curve(findings),
        *money.curve(findings),
        *money.year_of_yields(findings, TOLD[:1]),
    ]
    if said:
        yield Paragraph(said)
    tenors = [f for id_ in landmarks.TENORS if (f := findings.get(id_)) is not None]
    if len(tenors) > 1:
        yield _curve(tenors)
    if findings.spread is not None:
        yield _spread(findings.spread)
    others = (f for f in findings.of(Group.RATES) if f.id not in landmarks.TENORS)
    rows = chain(tenors, others)
    if (first := next(rows, None)) is not None:
        yield _table(chain((first,), rows))


def term(months: int) -> Text:
    """Short, for an axis."""
    years, rest = divmod(months, 12)
    return Text("{n}M", {"n": months}) if rest or not years else Text("{n}Y", {"n": years})


def _curve(tenors: list[Facts]) -> Figure:
    first, last = tenors[0], tenors[-1]
    label = Text(
        "Yield curve: from {low} ({short}) to {high} ({long}).",
        {"low": price(first), "short": name(first), "high": price(last), "long": name(last)},
    )
    series: list[dict[str, Any]] = [
        {"name": Text("Today"), "values": [f.price for f in tenors]},
        {"name": Text("A month ago"), "values": [f.close_1m for f in tenors]},
        {"name": Text("A year ago"), "values": [f.close_1y for f in tenors]},
    ]
    shown = [one for one in series if any(v is not None for v in one["values"])]
    terms = [term(landmarks.TENORS[f.id]) for f in tenors]
    return Figure("rates-curve", "curve", Text("US yield curve"), label, {"terms": terms, "series": shown})


def _spread(spread: Series) -> Figure:
    days = thin(list(spread.day), POINTS)
    by_day = dict(zip(spread.day, spread.values, strict=True))
    label = Text(
        "Ten-year less two-year yield over one year: between {low} and {high} percentage points, now {now}.",
        {"low": number(min(spread.values)), "high": number(max(spread.values)), "now": number(spread.values[-1])},
    )
    data = {
        "dates": [date.fromordinal(d) for d in days],
        "series": [{"name": Text("10 years less 2 years"), "values": [round(by_day[d], 3) for d in days]}],
        "unit": "",
    }
    caption = Text("Ten-year less two-year yield, in percentage points")
    return Figure("rates-spread", "lines", caption, label, data)


def _table(rows: Iterable[Facts]) -> Table:
    columns = (
        Column(Text("Tenor"), "name"),
        Column(Text("Today")),
        Column(Text("1W ago")),
        Column(Text("1M ago")),
        Column(Text("1Y ago")),
        Column(Text("Since 1M, points"), "change"),
        Column(Text("Since 1Y, points"), "change"),
        Column(Text("52-week range"), "range"),
    )
    cells = (
        (
            name(f),
            *(level(f, v) for v in (f.price, f.close_1w, f.close_1m, f.close_1y)),
            points(f.price, f.close_1m),
            points(f.price, f.close_1y),
            Number(f.position_52w),
        )
        for f in rows
    )
    return Table("rates-table", Text("Interest rates now and before"), columns, cells, brief=12)


def points(now: float | None, before: float | None) -> Number:
    """Percentage points from ``before`` to ``now``."""
    return Number(None if now is None or before is None else now - before, "decimal", 2, signed=True)

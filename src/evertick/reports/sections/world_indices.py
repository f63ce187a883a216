"""Section 3: the world's stock indices, with their sessions, returns and range; the leading ones as lines."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator
from datetime import date
from itertools import chain, islice
from typing import Any

from evertick.model import Group
from evertick.reports import landmarks
from evertick.reports.blocks import Card, Column, Figure, Number, Paragraph, Section, Table, Text
from evertick.reports.findings import Facts, Findings, Series
from evertick.reports.rules import instrument, market
from evertick.reports.values import SESSIONS, change, name, number, price

SIGNALS = 4
"""Indices that the text names for a signal, one sentence each."""
POINTS = 130
"""Of a line: every other session of a year."""

RETURNS = (
    Column(Text("1D"), "change"),
    Column(Text("1W"), "change"),
    Column(Text("1M"), "change"),
    Column(Text("3M"), "change"),
    Column(Text("YTD"), "change"),
    Column(Text("1Y"), "change"),
)


def section(findings: Findings, made: AsyncIterable[Card]) -> Section:
    return Section("indices", 3, Text("World indices"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    members = findings.of(Group.INDICES)
    sectors = (f for f in findings.of(Group.SECTORS) if f.id in landmarks.SECTORS)
    said = [
        *market.direction(findings),
        *market.leaders(findings),
        *market.trend(findings, Group.INDICES, Text("the world indices")),
        *market.against(findings, "SPX", sectors, Text("the US sectors")),
        *islice(chain.from_iterable(islice(instrument.signals(f, findings.day), 1) for f in members), SIGNALS),
    ]
    if said:
        yield Paragraph(said)
    if findings.lines:
        yield lines(findings)
    columns = (
        Column(Text("Index"), "name"),
        Column(Text("Session"), "state"),
        Column(Text("Price")),
        *RETURNS,
        Column(Text("52-week range"), "range"),
        Column(Text("RSI 14")),
    )
    rows = (f for f in findings.of(Group.INDICES) if f.id not in landmarks.SPECIAL)
    yield Table("indices-table", Text("World indices and their returns"), columns, (_row(f) for f in rows), brief=15)


def _row(f: Facts) -> tuple[Any, ...]:
    return (name(f), SESSIONS[f.session], price(f), *returns(f), Number(f.position_52w), number(f.rsi14, 1))


def returns(f: Facts) -> tuple[Number, ...]:
    return tuple(change(v) for v in (f.change, f.ret_1w, f.ret_1m, f.ret_3m, f.ret_ytd, f.ret_1y))


def lines(findings: Findings) -> Figure:
    """The leading indices over the days that all of them have, each 100 at its first."""
    first = max(series.day[0] for series in findings.lines)
    days = sorted(d for d in set().union(*(series.day for series in findings.lines)) if d >= first)
    days = thin(days, POINTS)
    shown = [f for s in findings.lines if (f := findings.get(s.id)) is not None]
    label = Text(
        "Leading indices over one year, each starting at 100. {names}.",
        {"names": tuple(Text("{name} {change}", {"name": name(f), "change": change(f.ret_1y)}) for f in shown)},
    )
    data = {
        "dates": [date.fromordinal(d) for d in days],
        "series": [
            {"name": name(f), "values": rebased(s, days)}
            for s in findings.lines
            if (f := findings.get(s.id)) is not None
        ],
        "unit": "",
    }
    return Figure("indices-lines", "lines", Text("Leading indices over one year (start = 100)"), label, data)


def thin(days: list[int], most: int) -> list[int]:
    """At most ``most`` of them, evenly, the newest always among them."""
    step = -(-len(days) // most)
    return days[::-1][::step][::-1] if step > 1 else days


def rebased(series: Series, days: list[int]) -> list[float | None]:
    """The last close on or before each of ``days``, so that the first of them is 100; holidays keep the close before."""
    out: list[float | None] = []
    position, base, last = 0, None, None
    for day in days:
        while position < len(series.day) and series.day[position] <= day:
            last = series.values[position]
            position += 1
        if base is None and last:
            base = last
        out.append(round(100 * last / base, 2) if base and last is not None else None)
    return out

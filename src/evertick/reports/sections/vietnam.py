"""Section 4: the Vietnamese indices and their session, how many shares rise and fall, the leading shares."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator, Sequence
from typing import Any

from evertick.model import Group
from evertick.reports import landmarks
from evertick.reports.blocks import Card, Column, Figure, Number, Paragraph, Section, Table, Text
from evertick.reports.findings import Facts, Findings, Some
from evertick.reports.rules import instrument, market, vietnam
from evertick.reports.values import SESSIONS, change, compact, level, name, number, price, spark

SHARES = 200
"""Rows of the leading shares; every one has its card."""


def section(findings: Findings, made: AsyncIterable[Card]) -> Section:
    return Section("vietnam", 4, Text("Vietnam"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    indices = [f for id_ in landmarks.VIETNAM_INDICES if (f := findings.get(id_)) is not None]
    said = [
        *(s for f in indices if (s := instrument.move(f, findings.day)) is not None),
        *vietnam.within_session(findings),
        *vietnam.breadth(findings),
        *vietnam.leaders(findings),
        *vietnam.most_traded(findings),
        *market.trend(findings, Group.VIETNAM, Text("the Vietnamese shares")),
    ]
    if said:
        yield Paragraph(said)
    yield from _session(findings)
    yield from _advances(indices)
    if indices:
        yield _indices(indices)
    shares = Some.of(vietnam.shares(findings), SHARES, lambda f: f.turnover or 0).first
    if shares:
        yield _shares(shares)


def _session(findings: Findings) -> Iterator[Figure]:
    line = findings.intraday
    f = findings.get(line.id) if line is not None else None
    if line is None or f is None:
        return
    label = Text(
        "{name} within its session: between {low} and {high}, last {last}.",
        {
            "name": name(f),
            "low": level(f, min(line.values)),
            "high": level(f, max(line.values)),
            "last": level(f, line.values[-1]),
        },
    )
    previous = level(f, f.previous_close) if f.previous_close is not None else None
    data = {"times": list(line.day), "values": list(line.values), "previous": previous}
    yield Figure("vietnam-session", "session", Text("{name} within its session", {"name": name(f)}), label, data)


def _advances(indices: list[Facts]) -> Iterator[Figure]:
    counted = [f for f in indices if f.advances is not None and f.declines is not None]
    if not counted:
        return
    rows = [
        {
            "name": name(f),
            "up": Number(f.advances, "integer"),
            "flat": Number(f.unchanged or 0.0, "integer"),
            "down": Number(f.declines, "integer"),
        }
        for f in counted
    ]
    counts = tuple(
        Text(
            "{name} {up} up, {down} down",
            {
                "name": name(f),
                "up": Number(f.advances, "integer"),
                "down": Number(f.declines, "integer"),
            },
        )
        for f in counted
    )
    label = Text("Rising and falling shares: {counts}.", {"counts": counts})
    yield Figure("vietnam-advances", "advances", Text("Rising and falling shares"), label, {"rows": rows})


def _indices(indices: list[Facts]) -> Table:
    columns = (
        Column(Text("Index"), "name"),
        Column(Text("Session"), "state"),
        Column(Text("Price")),
        Column(Text("1D"), "change"),
        Column(Text("1W"), "change"),
        Column(Text("1M"), "change"),
        Column(Text("YTD"), "change"),
        Column(Text("1Y"), "change"),
        Column(Text("Shares traded")),
        Column(Text("Rising")),
        Column(Text("Falling")),
        Column(Text("RSI 14")),
    )
    rows = (
        (
            name(f),
            SESSIONS[f.session],
            price(f),
            *(change(v) for v in (f.change, f.ret_1w, f.ret_1m, f.ret_ytd, f.ret_1y)),
            compact(f.volume),
            Number(f.advances, "integer"),
            Number(f.declines, "integer"),
            number(f.rsi14, 1),
        )
        for f in indices
    )
    return Table("vietnam-indices", Text("The Vietnamese indices"), columns, rows)


def _shares(shares: Sequence[Facts]) -> Table:
    columns = (
        Column(Text("Share"), "name"),
        Column(Text("Price")),
        Column(Text("1D"), "change"),
        Column(Text("1W"), "change"),
        Column(Text("1M"), "change"),
        Column(Text("YTD"), "change"),
        Column(Text("Shares traded")),
        Column(Text("Value (price × volume)")),
        Column(Text("RSI 14")),
        Column(Text("Recent"), "spark"),
    )
    rows = (
        (
            name(f),
            price(f),
            *(change(v) for v in (f.change, f.ret_1w, f.ret_1m, f.ret_ytd)),
            compact(f.volume),
            compact(f.turnover),
            number(f.rsi14, 1),
            spark(f),
        )
        for f in shares
    )
    return Table("vietnam-shares", Text("Leading shares by value traded, in VND"), columns, rows, brief=6)

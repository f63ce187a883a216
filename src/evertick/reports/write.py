"""Writes the report: findings in, sections of blocks out, no language yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import date, timedelta

from evertick.model import Bars, Instrument
from evertick.reports.blocks import (
    Banner,
    Card,
    Cards,
    Column,
    Figure,
    KeyPoints,
    Name,
    Number,
    Paragraph,
    Section,
    Sentence,
    Spark,
    Table,
    Text,
)
from evertick.reports.findings import Facts, Findings

BarReader = Callable[[Instrument], Awaitable[Bars]]


def write(findings: Findings, bars: BarReader) -> Iterator[Section]:
    yield Section("headline", 1, Text("Headline"), _headline(findings))
    yield Section("cards", 13, Text("Instruments"), [Cards(_cards(findings, bars))], brief=False)


def _name(f: Facts) -> Name:
    return Name(f.instrument.name, f"card-{f.id}")


def _change(f: Facts) -> Number:
    return Number(f.change, "percent", 2, signed=True)


def _price(f: Facts) -> Number:
    return Number(f.price, "decimal", f.instrument.decimals, unit=f.instrument.currency)


def _headline(findings: Findings) -> Iterator[object]:
    facts = [f for f in findings.facts if f.price is not None]
    rose = sum((f.change or 0) > 0 for f in facts)
    first = Sentence(
        "market.mixed",
        Text(
            "{n} of {total} instruments rose.",
            {"n": rose, "total": len(facts)},
            plural="{n} of {total} instruments rose.",
        ),
        {"advancing": rose, "total": len(facts)},
    )
    up = Sentence(
        "index.up",
        Text(
            "{name} gained {change}.", {"name": _name(facts[0]), "change": Number(abs(facts[0].change or 0), "percent")}
        ),
        {"change": facts[0].change},
        "up",
    )
    yield Banner(
        "warn",
        [Sentence("source.failing", Text("{names} did not answer.", {"names": ("CoinGecko", "Yahoo")}), {}, "warn")],
    )
    yield KeyPoints([first, up])
    yield Paragraph([first, up])
    yield Figure(
        "headline-sparks",
        "sparks",
        Text("Key markets"),
        Text("Six small lines"),
        {
            "items": [
                {"name": _name(f), "price": _price(f), "change": _change(f), "spark": list(f.spark)} for f in facts[:6]
            ]
        },
    )
    yield Figure(
        "market-map",
        "treemap",
        Text("Market map"),
        Text("Most fell"),
        {
            "groups": [
                {
                    "name": Name(group.value.title()),
                    "items": [
                        {"name": _name(f), "short": f.id, "weight": 1.0, "change": _change(f)}
                        for f in findings.of(group)
                    ],
                }
                for group in dict.fromkeys(f.group for f in facts)
            ]
        },
    )
    yield Table(
        "all",
        Text("All instruments"),
        [
            Column(Text("Instrument"), "name"),
            Column(Text("Price")),
            Column(Text("1D"), "change"),
            Column(Text("52-week range"), "range"),
            Column(Text("Today"), "spark"),
            Column(Text("As of"), "time"),
            Column(Text("Session"), "state"),
            Column(Text("Source"), "text"),
        ],
        (
            (
                _name(f),
                _price(f),
                _change(f),
                Number(0.4),
                Spark(list(f.spark), Text("Rising"), "up"),
                f.as_of,
                Text("open"),
                Text("{source}", {"source": f.source or ""}),
            )
            for f in facts
        ),
        brief=15,
    )
    days = [findings.day - timedelta(days=i) for i in range(120, 0, -1)]
    wave = [100 + (i * 7919 % 23) / 3 for i in range(120)]
    two = [100 + (i * 104729 % 31) / 4 for i in range(120)]
    yield Figure("lines", "lines", Text("A year"), Text("Up"), {"dates": days, "series": [{"name": _name(facts[0]), "values": wave}, {"name": _name(facts[1]), "values": [*two[:60], None, *two[61:]]}], "unit": ""})  # fmt: skip
    yield Figure("corr", "heatmap", Text("Correlation"), Text("High"), {"rows": [_name(f) for f in facts[:5]], "columns": [_name(f) for f in facts[:5]], "cells": [[Number(1.0 if r == c else ((r + c) % 5 - 2) / 2) for c in range(5)] for r in range(5)], "low": -1.0, "high": 1.0})  # fmt: skip
    yield Figure(
        "draw", "area", Text("Drawdown"), Text("Deep"), {"dates": days, "values": [-v / 50 for v in wave], "unit": "%"}
    )
    yield Figure(
        "bars",
        "bars",
        Text("Movers"),
        Text("Wide"),
        {"items": [{"name": _name(f), "value": _change(f)} for f in facts[:12]]},
    )
    yield Figure("fng", "gauge", Text("Fear and greed"), Text("Fear"), {"value": Number(22.0, "integer"), "low": 0, "high": 100, "band": Text("Fear"), "history": [30.0, 28, 25, 22]})  # fmt: skip
    yield Figure("dom", "share", Text("Dominance"), Text("BTC leads"), {"items": [{"name": Name("Bitcoin"), "value": Number(57.3, "percent")}, {"name": Name("Others"), "value": Number(42.7, "percent")}]})  # fmt: skip
    start = findings.made
    yield Figure("times", "timeline", Text("Sessions ahead"), Text("Next"), {"start": start, "end": start + timedelta(hours=24), "rows": [{"name": Name("New York"), "spans": [(start + timedelta(hours=5), start + timedelta(hours=11))]}]})  # fmt: skip


async def _cards(findings: Findings, bars: BarReader) -> AsyncIterator[Card]:
    for f in findings.facts:
        if f.price is None:
            continue
        history = (await bars(f.instrument)).last(260)
        closes = list(history.close)
        day = list(history.day)
        yield Card(
            f.id,
            _name(f),
            Text("Group"),
            _price(f),
            _change(f),
            f.as_of,
            f.source,
            [(Text("52-week high"), Number(max(closes, default=None))), (Text("RSI 14"), Number(54.2, decimals=1))],
            [
                Sentence(
                    "index.up",
                    Text(
                        "{name} gained {change}.", {"name": _name(f), "change": Number(abs(f.change or 0), "percent")}
                    ),
                )
            ],
            Table(
                f"bars-{f.id}",
                Text("Last bars"),
                [Column(Text("Date"), "time"), Column(Text("Close")), Column(Text("Volume"))],
                [
                    (
                        date.fromordinal(day[-i]),
                        Number(closes[-i], decimals=f.instrument.decimals),
                        Number(history.volume[-i], "compact", 1),
                    )
                    for i in range(1, min(11, len(day) + 1))
                ],
            )
            if day
            else None,
            Figure(
                f"year-{f.id}",
                "lines",
                Text("One year"),
                Text("Up"),
                {
                    "dates": [date.fromordinal(d) for d in day],
                    "series": [{"name": _name(f), "values": closes}],
                    "unit": "",
                },
            )  # fmt: skip
            if day
            else None,
            {
                "day": [d - 719163 for d in day],
                "open": list(history.open),
                "high": list(history.high),
                "low": list(history.low),
                "close": closes,
                "decimals": f.instrument.decimals,
            }
            if day
            else None,
        )

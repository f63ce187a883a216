"""Section 11: what the averages, ranges, RSI, bands and z-scores point out, the strongest of each kind first."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from typing import Any

from evertick.reports import landmarks
from evertick.reports.blocks import Card, Column, Number, Paragraph, Section, Table, Text
from evertick.reports.findings import Facts, Findings
from evertick.reports.rules import market, signals
from evertick.reports.rules.instrument import OVERBOUGHT, OVERSOLD, STRETCHED
from evertick.reports.values import GROUPS, change, level, name, number, percent, price, spark

MOST = 24
"""Rows of one kind; the text says how many there are in all."""
LEAST_VOLATILITY = 1.0
"""Percent a year."""


def section(findings: Findings, made: AsyncIterable[Card]) -> Section:
    return Section("technical", 11, Text("Technical signals"), _blocks(findings))


def _blocks(findings: Findings) -> Iterator[Any]:
    known = [f for f in findings.facts if f.price is not None and f.id not in landmarks.SPECIAL and _moves(f)]
    crosses = _strongest(known, lambda f: None if f.cross is None else 10 - abs(f.cross))
    extremes = _strongest(known, lambda f: abs(f.sigma or 0) if f.new_52w else None)
    rsi = _strongest(known, lambda f: _beyond(f.rsi14, OVERSOLD, OVERBOUGHT))
    bands = _strongest(known, _outside)
    far = _strongest(known, lambda f: abs(f.z60) if f.z60 is not None and abs(f.z60) > STRETCHED else None)
    yield Paragraph([*signals.summary(findings, crosses, rsi, bands, far), *market.extremes(findings)])
    yield from _table(
        "crosses",
        Text("Averages crossed within five sessions"),
        crosses,
        (Column(Text("SMA 50")), Column(Text("SMA 200"))),
        lambda f: Text("Golden cross") if (f.cross or 0) > 0 else Text("Death cross"),
        lambda f: (level(f, f.sma50), level(f, f.sma200)),
    )
    yield from _table(
        "extremes",
        Text("52-week highs and lows"),
        extremes,
        (Column(Text("1Y"), "change"), Column(Text("Drawdown"))),
        lambda f: Text("52-week high") if (f.new_52w or 0) > 0 else Text("52-week low"),
        lambda f: (change(f.ret_1y), percent(f.drawdown)),
    )
    yield from _table(
        "rsi",
        Text("RSI above 70 or below 30"),
        rsi,
        (Column(Text("RSI 14")), Column(Text("1M"), "change")),
        lambda f: Text("Overbought") if (f.rsi14 or 0) > 50 else Text("Oversold"),
        lambda f: (number(f.rsi14, 1), change(f.ret_1m)),
    )
    yield from _table(
        "bands",
        Text("Outside the Bollinger bands"),
        bands,
        (Column(Text("Lower band")), Column(Text("Upper band"))),
        lambda f: Text("Above") if (f.price or 0) > (f.band_upper or 0) else Text("Below"),
        lambda f: (level(f, f.band_lower), level(f, f.band_upper)),
    )
    yield from _table(
        "far",
        Text("More than two standard deviations from the 60-day mean"),
        far,
        (Column(Text("z 60 D")), Column(Text("In standard deviations"))),
        lambda f: Text("Above") if (f.z60 or 0) > 0 else Text("Below"),
        lambda f: (number(f.z60), number(f.sigma, 1)),
    )


def _moves(f: Facts) -> bool:
    """Policy rates and coins tied to a currency hardly do; their indicators say nothing."""
    return f.vol60 is None or f.vol60 >= LEAST_VOLATILITY


def _strongest(known: Sequence[Facts], strength: Callable[[Facts], float | None]) -> list[Facts]:
    """Those with a strength, the largest first; ties by id."""
    found = [(-s, f.id, f) for f in known if (s := strength(f)) is not None]
    return [f for _, _, f in sorted(found, key=lambda one: one[:2])]


def _beyond(value: float | None, low: float, high: float) -> float | None:
    if value is None or low <= value <= high:
        return None
    return value - high if value > high else low - value


def _outside(f: Facts) -> float | None:
    """How far outside its bands, as a share of their width."""
    if f.price is None or f.band_lower is None or f.band_upper is None or not f.band_upper > f.band_lower:
        return None
    beyond = _beyond(f.price, f.band_lower, f.band_upper)
    return None if beyond is None else beyond / (f.band_upper - f.band_lower)


def _table(
    id_: str,
    caption: Text,
    found: Sequence[Facts],
    own: tuple[Column, Column],
    sign: Callable[[Facts], Text],
    values: Callable[[Facts], tuple[Number, Number]],
) -> Iterator[Table]:
    if not found:
        return
    columns = (
        Column(Text("Market"), "name"),
        Column(Text("Class"), "text"),
        Column(Text("Signal"), "text"),
        Column(Text("Price")),
        Column(Text("1D"), "change"),
        *own,
        Column(Text("Recent"), "spark"),
    )
    rows = ((name(f), GROUPS[f.group], sign(f), price(f), change(f.change), *values(f), spark(f)) for f in found[:MOST])
    yield Table(f"technical-{id_}", caption, columns, rows, brief=0)

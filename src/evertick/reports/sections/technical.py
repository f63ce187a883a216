"""Section 11: what the averages, ranges, RSI, bands and z-scores point out, the strongest of each kind first."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterator
from typing import Any

from evertick.reports import landmarks
from evertick.reports.blocks import Card, Column, Number, Paragraph, Section, Table, Text
from evertick.reports.findings import Facts, Findings, Some
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
    hot = over = 0
    kinds = [Strongest(strength) for strength in (_crossed, _extreme, _strained, _outside, _far)]
    for f in findings.facts:
        if f.price is None or f.id in landmarks.SPECIAL or not _moves(f):
            continue
        strained, outside = [kind.look(f) for kind in kinds][2:4]
        hot += strained and (f.rsi14 or 0) > 50
        over += outside and f.price > (f.band_upper or 0)
    crosses, extremes, rsi, bands, far = (kind.some() for kind in kinds)
    yield Paragraph([*signals.summary(findings, crosses, rsi, hot, bands, over, far), *market.extremes(findings)])
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


class Strongest:
    """Keeps the `MOST` that have the greatest strength, ties by id, and counts all that have any."""

    def __init__(self, strength: Callable[[Facts], float | None]) -> None:
        self._strength = strength
        self._kept: list[tuple[float, str, Facts]] = []
        self._count = 0

    def look(self, f: Facts) -> bool:
        """Whether it has any."""
        strength = self._strength(f)
        if strength is None:
            return False
        self._count += 1
        self._kept.append((-strength, f.id, f))
        if len(self._kept) >= 4 * MOST:
            self._thin()
        return True

    def some(self) -> Some:
        self._thin()
        return Some(self._count, [f for _, _, f in self._kept])

    def _thin(self) -> None:
        self._kept.sort(key=lambda one: one[:2])
        del self._kept[MOST:]


def _crossed(f: Facts) -> float | None:
    return None if f.cross is None else 10 - abs(f.cross)


def _extreme(f: Facts) -> float | None:
    return abs(f.sigma or 0) if f.new_52w else None


def _strained(f: Facts) -> float | None:
    return _beyond(f.rsi14, OVERSOLD, OVERBOUGHT)


def _far(f: Facts) -> float | None:
    return abs(f.z60) if f.z60 is not None and abs(f.z60) > STRETCHED else None


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
    found: Some,
    own: tuple[Column, Column],
    sign: Callable[[Facts], Text],
    values: Callable[[Facts], tuple[Number, Number]],
) -> Iterator[Table]:
    if not found.count:
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
    rows = ((name(f), GROUPS[f.group], sign(f), price(f), change(f.change), *values(f), spark(f)) for f in found.first)
    yield Table(f"technical-{id_}", caption, columns, rows, brief=0)

"""What changed between two reports, in words and numbers, from the facts that were saved with them.

The facts are read line by line; what stays in memory is the first report's prices (about 0.3 KB an instrument) and the
rows of the result.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nlargest
from math import sqrt
from typing import Protocol

from evertick.errors import NotFound
from evertick.model import Group, Instrument, ReportMeta, SourceStatus
from evertick.reports import record
from evertick.reports.findings import Breadth, Facts, Series
from evertick.reports.indicators import DAYS_A_YEAR, SESSIONS_A_YEAR
from evertick.reports.values import GROUPS

BIGGEST = 10
"""Rises and falls that are listed apart."""

FIGURES: tuple[tuple[str, str, str, str], ...] = (
    ("Vietnam", "VN-Index", "VNINDEX", "price"),
    ("Vietnam", "VN-Index, advancing shares", "VNINDEX", "advances"),
    ("Vietnam", "VN-Index, declining shares", "VNINDEX", "declines"),
    ("Crypto", "Capitalisation of all coins", "CRYPTO_CAP", "price"),
    ("Crypto", "Bitcoin's share of it", "BTC_DOM", "price"),
    ("Crypto", "Fear & Greed", "FNG", "price"),
    ("Interest rates", "US, ten years", "US10Y", "price"),
    ("Risk", "VIX", "VIX", "price"),
    ("Risk", "S&P 500, volatility 20 D", "SPX", "vol20"),
    ("Risk", "S&P 500, drawdown", "SPX", "drawdown"),
    ("Risk", "VN-Index, drawdown", "VNINDEX", "drawdown"),
    ("Risk", "Bitcoin, drawdown", "BTC", "drawdown"),
)
"""Key figures of sections: section, name, instrument and field of its facts."""
_PERCENT = {"vol20", "drawdown"}
NOTABLE = 0.5
"""Of a usual daily move."""
NOTABLE_PCT, NOTABLE_POINTS = 0.2, 0.02
"""Of a price in percent, of a yield in percentage points."""


class Store(Protocol):
    async def get(self, id: str, /) -> ReportMeta: ...

    def part(self, report: str, part: str, /) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two reports."""

    id: str
    created: datetime
    as_of: datetime
    sha256: str
    instruments: int
    headline: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Move:
    """An instrument with a price in both reports."""

    id: str
    name: str
    group: str
    unit: str
    """The currency or ``pts``; ``%`` for yields."""
    decimals: int
    before: float
    after: float
    difference: float
    change_pct: float | None
    """``None`` for yields, whose difference is in percentage points, and where the price before is not positive."""
    source_before: str | None
    source_after: str | None
    usual_pct: float | None = None
    """A usual daily move in percent: its volatility of 20 days, as the second report knows it."""
    notable: bool = False
    """It moved by more than noise: `NOTABLE` of a usual day or, where that is not known, `NOTABLE_PCT` or `NOTABLE_POINTS`."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An instrument with a price in one of the reports only."""

    id: str
    name: str
    group: str
    price: float


@dataclass(frozen=True, slots=True)
class Figure:
    section: str
    name: str
    unit: str
    before: float | None
    after: float | None
    difference: float | None


@dataclass(frozen=True, slots=True)
class SourceChange:
    name: str
    title: str
    state_before: str | None
    """``None``: this report did not know it."""
    state_after: str | None
    quotes_before: int
    quotes_after: int


@dataclass(frozen=True, slots=True)
class Comparison:
    before: Side
    after: Side
    apart_s: float
    """From one to the other; negative when the second is the older one."""
    words: tuple[str, ...]
    headlines_changed: tuple[str, ...]
    """Languages."""
    up: int
    down: int
    level: int
    rises: tuple[Move, ...]
    falls: tuple[Move, ...]
    new: tuple[Listed, ...]
    gone: tuple[Listed, ...]
    figures: tuple[Figure, ...]
    """Those that are known in one of the reports at least."""
    sources: tuple[SourceChange, ...]
    """Those whose state changed, or that gave another number of prices."""
    instruments: tuple[Move, ...]
    """Every instrument with a price in both, in the order of the second report."""


@dataclass(slots=True)
class _Seen:
    """What one pass over the facts of a report remembers of it."""

    figures: dict[tuple[str, str], float | None] = field(default_factory=dict)
    breadth: Mapping[Group, Breadth] = field(default_factory=dict)
    sources: Sequence[SourceStatus] = ()
    spread: Series | None = None

    def fact(self, facts: Facts) -> None:
        for _, _, id, name in FIGURES:
            if id == facts.id:
                self.figures[id, name] = getattr(facts, name)


async def compare(store: Store, before: str, after: str) -> Comparison:
    """Compare two published reports. Raises `NotFound`, also for one without facts, and `ReportError` for facts of another version."""
    first, second = await store.get(before), await store.get(after)
    for meta in (first, second):
        if meta.facts is None:
            raise NotFound(f"Report {meta.id} was made before facts were saved; it cannot be compared.")
    old, new = _Seen(), _Seen()
    known: dict[str, tuple[Instrument, float, str | None]] = {}
    async for facts in _facts(store, first.id, old):
        if facts.price is not None:
            known[facts.id] = (facts.instrument, facts.price, facts.source)
    moves: list[Move] = []
    added: list[Listed] = []
    async for facts in _facts(store, second.id, new):
        if facts.price is None:
            continue
        was = known.pop(facts.id, None)
        if was is None:
            added.append(_listed(facts.instrument, facts.price))
        else:
            moves.append(_move(facts, was[1], was[2]))
    gone = tuple(_listed(instrument, price) for instrument, price, _ in known.values())
    rises, falls = _biggest(moves, 1), _biggest(moves, -1)
    languages = tuple(dict.fromkeys((*first.headline, *second.headline)))
    changed = tuple(code for code in languages if first.headline.get(code) != second.headline.get(code))
    figures = tuple(f for f in _figures(old, new) if f.before is not None or f.after is not None)
    sources = tuple(_sources(old.sources, new.sources))
    counts = [sum(m.difference > 0 for m in moves), sum(m.difference < 0 for m in moves)]
    apart = (second.created - first.created).total_seconds()
    words = _words(first, second, apart, changed, counts, moves, rises, falls, added, gone, figures, sources)
    return Comparison(
        before=_side(first),
        after=_side(second),
        apart_s=apart,
        words=tuple(words),
        headlines_changed=changed,
        up=counts[0],
        down=counts[1],
        level=len(moves) - sum(counts),
        rises=rises,
        falls=falls,
        new=tuple(added),
        gone=gone,
        figures=figures,
        sources=sources,
        instruments=tuple(moves),
    )


async def _facts(store: Store, id: str, seen: _Seen) -> AsyncIterator[Facts]:
    """The facts of each instrument; what stands behind them goes into ``seen`` when all were taken."""
    names: list[str] | None = None
    async with aclosing(record.lines(store.part(id, record.PART))) as lines:  # type: ignore[type-var]
        async for line in lines:
            if names is None:
                names = record.fields_of(line)
            elif "fact" in line:
                facts = record.facts_of(line, names)
                seen.fact(facts)
                yield facts
                await asyncio.sleep(0)
            elif "finding" in line:
                if line["finding"] in ("breadth", "sources", "spread"):
                    setattr(seen, line["finding"], record.finding_of(line))
            else:
                return


def _side(meta: ReportMeta) -> Side:
    return Side(meta.id, meta.created, meta.as_of, meta.sha256, meta.instruments, dict(meta.headline))


def _listed(instrument: Instrument, price: float) -> Listed:
    return Listed(instrument.id, instrument.name, instrument.group, price)


def _move(facts: Facts, before: float, source: str | None) -> Move:
    instrument, after = facts.instrument, facts.price
    assert after is not None
    relative = instrument.currency != "%" and before > 0
    return Move(
        instrument.id,
        instrument.name,
        instrument.group,
        instrument.currency,
        instrument.decimals,
        before,
        after,
        after - before,
        100 * (after / before - 1) if relative else None,
        source,
        facts.source,
        usual := _usual(facts),
        _notable(before, after, usual, instrument.currency == "%"),
    )


def _usual(facts: Facts) -> float | None:
    if facts.vol20 is None:
        return None
    return facts.vol20 / sqrt(DAYS_A_YEAR if facts.instrument.exchange == "24/7" else SESSIONS_A_YEAR)


def _notable(before: float, after: float, usual: float | None, points: bool) -> bool:
    if usual is not None and before > 0:
        return abs(100 * (after / before - 1)) > NOTABLE * usual
    if points or before <= 0:
        return abs(after - before) >= NOTABLE_POINTS
    return abs(100 * (after / before - 1)) >= NOTABLE_PCT


def notable(moves: Iterable[Move]) -> list[Move]:
    """Those beyond noise, the most unusual first."""

    def size(move: Move) -> float:
        if move.before <= 0:
            return abs(move.difference)
        return abs(100 * (move.after / move.before - 1)) / (move.usual_pct or 1.0)

    return sorted((m for m in moves if m.notable), key=lambda m: (-size(m), m.id))


def _biggest(moves: Iterable[Move], sign: int) -> tuple[Move, ...]:
    wanted = (m for m in moves if m.change_pct is not None and sign * m.change_pct > 0)
    return tuple(nlargest(BIGGEST, wanted, key=lambda m: (sign * (m.change_pct or 0), m.id)))


def _figures(old: _Seen, new: _Seen) -> Iterator[Figure]:
    for group, title in GROUPS.items():
        one, other = old.breadth.get(group), new.breadth.get(group)
        yield _figure(title.msgid, "rose on the day", "%", _rose(one), _rose(other))
        yield _figure(title.msgid, "above the 200-day average", "%", _above(one), _above(other))
    for section, name, id, fact in FIGURES:
        unit = "%" if fact in _PERCENT or id in ("US10Y", "BTC_DOM") else ""
        yield _figure(section, name, unit, old.figures.get((id, fact)), new.figures.get((id, fact)))
    yield _figure("Interest rates", "US, ten years less two", "%", _last(old.spread), _last(new.spread))


def _figure(section: str, name: str, unit: str, before: float | None, after: float | None) -> Figure:
    known = before is not None and after is not None
    return Figure(section, name, unit, before, after, after - before if known else None)  # type: ignore[operator]


def _rose(breadth: Breadth | None) -> float | None:
    return 100 * breadth.advancing / breadth.total if breadth is not None and breadth.total else None


def _above(breadth: Breadth | None) -> float | None:
    return breadth.share200 if breadth is not None else None


def _last(series: Series | None) -> float | None:
    return series.values[-1] if series is not None and len(series.values) else None


def _sources(old: Iterable[SourceStatus], new: Iterable[SourceStatus]) -> Iterator[SourceChange]:
    was, now = {s.name: s for s in old}, {s.name: s for s in new}
    for name in dict.fromkeys((*was, *now)):
        one, other = was.get(name), now.get(name)
        change = SourceChange(
            name,
            (other and other.title) or (one and one.title) or name,
            one.state if one else None,
            other.state if other else None,
            one.quotes if one else 0,
            other.quotes if other else 0,
        )
        if (change.state_before, change.quotes_before) != (change.state_after, change.quotes_after):
            yield change


def _words(
    first: ReportMeta,
    second: ReportMeta,
    apart: float,
    changed: Sequence[str],
    counts: Sequence[int],
    moves: Sequence[Move],
    rises: Sequence[Move],
    falls: Sequence[Move],
    added: Sequence[Listed],
    gone: Sequence[Listed],
    figures: Sequence[Figure],
    sources: Sequence[SourceChange],
) -> Iterator[str]:
    if first.id == second.id:
        yield "Both are the same report."
        return
    yield f"The second report was made {span(abs(apart))} {'before' if apart < 0 else 'after'} the first."
    if changed:
        yield f"The headline is another one ({', '.join(changed)})."
    else:
        yield "The headline is the same."
    level = len(moves) - sum(counts)
    yield f"Of {len(moves)} instruments in both, {counts[0]} rose, {counts[1]} fell and {level} did not move in between."
    if moves:
        beyond = sum(m.notable for m in moves)
        yield f"{beyond or 'None'} of them moved by more than half of a usual day."
    for what, found in (("rise", rises), ("fall", falls)):
        if found:
            yield f"The biggest {what} is {found[0].name}, {found[0].change_pct:+.2f} % to {amount(found[0])}."
    for what, listed in (("New", added), ("Gone", gone)):
        if listed:
            more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
            yield f"{what}: {', '.join(one.name for one in listed[:5])}{more}."
    turned = [f for f in figures if f.name == "rose on the day" and abs(f.difference or 0) >= 10]
    for figure in nlargest(3, turned, key=lambda f: abs(f.difference or 0)):
        yield f"{figure.section}: {figure.after:.0f} % rose on the day, {figure.before:.0f} % in the first report."
    for source in sources:
        if source.state_before != source.state_after:
            yield f"{source.title}: {source.state_before or 'not listed'} before, {source.state_after or 'not listed'} now."


def span(seconds: float) -> str:
    """
    >>> span(12_000), span(40), span(200_000)
    ('3 h 20 min', '40 s', '2 d 7 h')
    """
    units = (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1))
    for unit, length, small, part in units:
        if seconds >= length:
            rest = int(seconds % length // part)
            return f"{int(seconds // length)} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{seconds:.0f} s"


def amount(move: Move) -> str:
    """The price after, with its unit where that is a currency."""
    return f"{move.after:,.{move.decimals}f}" + ("" if move.unit == "pts" else f" {move.unit}")

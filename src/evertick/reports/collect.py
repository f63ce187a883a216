"""Reads what a report is made from: the snapshot, and each instrument's bars, one instrument at a time.

The bars of one instrument are gone before those of the next are read; what stays is its `Facts`, and of a dozen landmarks
one year of closes. The event loop gets a turn after every instrument (about 1.5 ms).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from evertick import sessions
from evertick.model import Bars, Instrument, Quote, Snapshot, SourceStatus
from evertick.reports import landmarks
from evertick.reports.analyse import closes, daily_moves, measure, with_quote
from evertick.reports.findings import Facts, Series

BarReader = Callable[[Instrument], Awaitable[Bars]]
"""The daily bars of one instrument, oldest first; `Bars.empty` when there are none."""
Step = Callable[[int, int], None]
"""Told after each instrument: how many are done, of how many."""


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    facts: tuple[Facts, ...]
    kept: Mapping[str, Series]
    as_of: datetime
    sources: Sequence[SourceStatus]


async def collect(
    snapshot: Snapshot, bars: BarReader, universe: Iterable[Instrument], at: datetime, step: Step | None = None
) -> Collected:
    """Facts for each instrument of the universe, in its order, as of ``at`` (aware, UTC)."""
    rows = tuple(universe)
    quotes = {quote.id: quote for quote in snapshot.quotes}
    moves = {name: daily_moves(await bars(row)) for name in _benchmarks(rows) for row in rows if row.id == name}
    facts: list[Facts] = []
    kept: dict[str, Series] = {}
    for done, instrument in enumerate(rows, 1):
        found, series = examine(instrument, quotes.get(instrument.id), await bars(instrument), moves, at)
        facts.append(found)
        if series is not None:
            kept[instrument.id] = series
        if step is not None:
            step(done, len(rows))
        await asyncio.sleep(0)
    return Collected(tuple(facts), kept, snapshot.as_of, snapshot.sources)


def examine(
    instrument: Instrument, quote: Quote | None, stored: Bars, moves: Mapping[str, Mapping[int, float]], at: datetime
) -> tuple[Facts, Series | None]:
    """The facts of one instrument and, of a landmark, its closes. ``moves`` are the daily moves of the benchmarks, by id."""
    zone = ZoneInfo(sessions.EXCHANGES[instrument.exchange].tz)
    bars = with_quote(stored, quote, zone)
    facts = measure(
        instrument,
        quote,
        bars,
        zone=zone,
        benchmark=moves.get(landmarks.benchmark(instrument.group), {}),
        session=sessions.session(instrument.exchange, at),
        fresh=quote is not None and sessions.fresh(quote, instrument, at),
    )
    keep = quote is not None and len(bars) > 1 and instrument.id in landmarks.KEPT
    return facts, closes(bars) if keep else None


def _benchmarks(rows: Iterable[Instrument]) -> set[str]:
    return {landmarks.benchmark(row.group) for row in rows}

"""Reads what a report is made from: the snapshot, and each instrument's bars, one instrument at a time.

The bars of one instrument are gone before those of the next are read; what stays is its `Facts`, and of a dozen landmarks
one year of closes. The event loop gets a turn after every instrument (about 1.5 ms).
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time

from evertick import sessions
from evertick.errors import ArchiveError
from evertick.model import Bars, Instrument, Quote, Snapshot, SourceStatus
from evertick.reports import landmarks
from evertick.reports.analyse import closes, daily_moves, measure, with_quote
from evertick.reports.findings import Facts, Series
from evertick.reports.shelf import Shelf

BarReader = Callable[[Instrument], Awaitable[Bars]]
"""The daily bars of one instrument, oldest first; `Bars.empty` when there are none."""
Intraday = Callable[[str, datetime, datetime], Awaitable[tuple[Sequence[int], Sequence[float]]]]
"""Times (Unix seconds, rising) and prices of one instrument, from and until, both included."""
Step = Callable[[int, int], None]
"""Told after each instrument: how many are done, of how many."""


INTRADAY_LEAST = 10
"""Fewer prices of a session are no line."""


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    facts: Sequence[Facts]
    kept: Mapping[str, Series]
    as_of: datetime
    sources: Sequence[SourceStatus]
    intraday: Series | None = None


async def collect(
    snapshot: Snapshot,
    bars: BarReader,
    universe: Iterable[Instrument],
    at: datetime,
    step: Step | None = None,
    intraday: Intraday | None = None,
    shelf: Shelf | None = None,
) -> Collected:
    """Facts for each instrument of the universe, in its order, as of ``at`` (aware, UTC); they are put on the ``shelf``."""
    rows = tuple(universe)
    moves = {name: daily_moves(await bars(row)) for name in _benchmarks(rows) for row in rows if row.id == name}
    facts = Shelf(rows) if shelf is None else shelf
    kept: dict[str, Series] = {}
    for done, (instrument, quote) in enumerate(paired(rows, snapshot.quotes), 1):
        found, series = examine(instrument, quote, await bars(instrument), moves, at)
        facts.put(found)
        if series is not None:
            kept[instrument.id] = series
        if step is not None:
            step(done, len(rows))
        await asyncio.sleep(0)
    line = await last_session(facts, intraday) if intraday is not None else None
    return Collected(facts, kept, snapshot.as_of, snapshot.sources, line)


def paired(rows: Sequence[Instrument], quotes: Sequence[Quote]) -> Iterator[tuple[Instrument, Quote | None]]:
    """Each instrument with its quote. Those of a snapshot come in the order of the universe; of others an index is made."""
    left = iter(row.id for row in rows)
    by_id = None if all(quote.id in left for quote in quotes) else {quote.id: quote for quote in quotes}
    place = 0
    for row in rows:
        if by_id is not None:
            yield row, by_id.get(row.id)
        elif place < len(quotes) and quotes[place].id == row.id:
            place += 1
            yield row, quotes[place - 1]
        else:
            yield row, None


async def last_session(found: Iterable[Facts], intraday: Intraday) -> Series | None:
    """The prices within the last session of the first of `landmarks.INTRADAY` that has `INTRADAY_LEAST` of them.

    A history that cannot be read is none.
    """
    quoted = {f.id: f for f in found if f.id in landmarks.INTRADAY and f.price is not None and f.as_of is not None}
    for name in landmarks.INTRADAY:
        f = quoted.get(name)
        if f is None or f.as_of is None:
            continue
        zone = sessions.zone(sessions.EXCHANGES[f.instrument.exchange].tz)
        midnight = datetime.combine(f.as_of.astimezone(zone).date(), time(), zone)
        try:
            times, prices = await intraday(name, midnight, f.as_of)
        except ArchiveError:
            continue
        if len(times) >= INTRADAY_LEAST:
            return Series(name, array("q", times), array("d", prices))
    return None


def examine(
    instrument: Instrument, quote: Quote | None, stored: Bars, moves: Mapping[str, Mapping[int, float]], at: datetime
) -> tuple[Facts, Series | None]:
    """The facts of one instrument and, of a landmark, its closes. ``moves`` are the daily moves of the benchmarks, by id."""
    zone = sessions.zone(sessions.EXCHANGES[instrument.exchange].tz)
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

"""Sparklines for quotes whose source sends none, such as a price board: the newest daily closes, and the price."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from evertick.errors import ArchiveError
from evertick.model import SPARK_POINTS, Bars, Instrument, Quote, Snapshot
from evertick.sessions import EXCHANGES, zone
from evertick.universe import Universe

Closes = Callable[[Sequence[str], date], Awaitable[Mapping[str, Bars]]]
"""The daily bars of some instruments from a day on. Raises `ArchiveError`."""

DAYS = timedelta(days=60)
"""Far enough back for `SPARK_POINTS` sessions, Tết included."""
AT_ONCE = 8
"""Instruments whose bars are held together."""
FITS = (0.2, 5.0)
"""Closes further than this from the price are on another scale: the unit changed, or the share was split."""


async def lined(snapshot: Snapshot, closes: Closes, universe: Universe) -> Snapshot:
    """The snapshot with a line for every quote that has none and whose bars are stored; without them as it is."""
    missing = [quote for quote in snapshot.quotes if not quote.spark]
    found: dict[str, Quote] = {}
    for start in range(0, len(missing), AT_ONCE):
        some = missing[start : start + AT_ONCE]
        try:
            bars = await closes([quote.id for quote in some], (snapshot.as_of - DAYS).date())
        except ArchiveError:
            break  # prices do not wait for a database; who stores them says that it is away
        for quote in some:
            instrument = universe.get(quote.id)
            if instrument is not None and (spark := line(quote, instrument, bars[quote.id])):
                found[quote.id] = replace(quote, spark=spark)
    if not found:
        return snapshot
    return Snapshot(snapshot.as_of, tuple(found.get(quote.id, quote) for quote in snapshot.quotes), snapshot.sources)


def line(quote: Quote, instrument: Instrument, bars: Bars) -> tuple[float, ...]:
    """The closes before the day of the quote, and its price; nothing where there are none."""
    day = quote.as_of.astimezone(zone(EXCHANGES[instrument.exchange].tz)).date().toordinal()
    end = bisect_left(bars.day, day)
    before = bars.close[max(0, end - SPARK_POINTS + 1) : end]
    low, high = FITS
    fitting = [v for v in before if not (quote.price > 0 and v > 0) or low < v / quote.price < high]
    return (*(round(v, instrument.decimals) for v in fitting), quote.price) if fitting else ()

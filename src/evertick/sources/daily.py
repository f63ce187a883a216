"""What is published once a day, read from files: the newest value as a quote, the rows as daily bars. Pure.

Rows may come in any order and twice. A day that is there twice with two different values has none: nobody can say which
of them is right.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median

from evertick.model import SPARK_POINTS, Bars, Group, Instrument, Quote
from evertick.sources.reading import BELOW_ZERO, LARGEST, NEAR_ZERO, fallen, leapt, spark, wrong

Row = tuple[int, float, float, float, float, float]
"""Day (ordinal), open, high, low, close, volume; NaN where there is none, the close excepted."""
WITHIN = timedelta(days=15)
"""What is published every working day is never older: no holidays are that long."""
_AROUND = 3
"""A close is compared with the median of this many before it and after it."""


def row(
    instrument: Instrument,
    day: int,
    close: float | None,
    opened: float | None = None,
    high: float | None = None,
    low: float | None = None,
    volume: float | None = None,
) -> Row | None:
    """One day's row; ``None`` where its close cannot be one.

    An open, high or low that is a placeholder 0 or on another scale than the close is NaN, and so are a high and a low
    that contradict each other.
    """
    if close is None or abs(close) > LARGEST:
        return None
    if close < 0 and (instrument.group not in BELOW_ZERO or fallen(instrument, close, None)):
        return None
    if close == 0 and instrument.group is not Group.RATES:
        return None
    opened, high, low = (
        math.nan if v is None or (v == 0 and close != 0) or leapt(v, close) else v for v in (opened, high, low)
    )
    if high < low:
        high = low = math.nan
    return day, opened, high, low, close, volume if volume is not None and volume >= 0 else math.nan


def put(values: dict[int, float], day: int, value: float) -> None:
    """Enter the value of a day; NaN where another one stands there already."""
    values[day] = value if values.get(day, value) == value else math.nan


def settled(values: Mapping[int, float]) -> dict[int, float]:
    """``values`` in the order of their days, without those that contradict themselves."""
    return {day: values[day] for day in sorted(values) if not math.isnan(values[day])}


def closes(instrument: Instrument, values: Mapping[int, float], since: date, now: datetime) -> Bars:
    """Bars that have a close and nothing else, from day to value: from ``since`` to the day of ``now`` (UTC)."""
    rows = (row(instrument, day, value) for day, value in settled(values).items())
    return bars(instrument, (r for r in rows if r is not None and since.toordinal() <= r[0] <= now.toordinal()))


def bars(instrument: Instrument, rows: Iterable[Row]) -> Bars:
    """Bars from one row a day, oldest first, without closes on another scale than their neighbours, or of the wrong sign.

    A yield of exactly 0 stays next to yields near it; 0 on every day stands for "not known".
    """
    kept = list(rows)
    all_closes = [r[4] for r in kept]
    if not any(all_closes):
        return Bars.empty(instrument.id)
    if min(all_closes) <= 0 or any(leapt(a, b) for a, b in pairwise(all_closes)):
        kept = [
            r for n, r in enumerate(kept) if _fits(instrument, r[4], all_closes[max(0, n - _AROUND) : n + _AROUND + 1])
        ]
    return Bars(
        instrument.id,
        array("i", (r[0] for r in kept)),
        *(array("d", (r[n] for r in kept)) for n in range(1, 6)),
    )


def _fits(instrument: Instrument, close: float, around: Sequence[float]) -> bool:
    usual = median(around)
    if close == 0:
        return usual < NEAR_ZERO
    return not leapt(close, usual) and not (close < 0 and fallen(instrument, close, usual))


def newest(
    instrument: Instrument,
    source: str,
    values: Mapping[int, float],
    at: Callable[[date], datetime],
    now: datetime,
    oldest: timedelta,
) -> Quote | str:
    """The newest value as a quote, its change against the value before it; or why there is none.

    ``values`` maps days (ordinals) to values; ``at`` says when a day's value is of; what is older than ``oldest`` is the
    end of half a file, or of a series that nobody goes on with.
    """
    line = settled(values)
    if not line:
        return "no value"
    last, *_ = reversed(line)
    price, as_of = line[last], at(date.fromordinal(last))
    recent = list(line.values())[-SPARK_POINTS:]
    if not any(recent):
        return "price 0"
    if reason := wrong(instrument, price, as_of, now, median(recent[:-1]) if len(recent) > 1 else None):
        return reason
    if as_of < now - oldest:
        return f"no value since {as_of:%Y-%m-%d}"
    before = recent[-2] if len(recent) > 1 and not leapt(recent[-2], price) else None
    return Quote(
        id=instrument.id,
        price=price,
        as_of=as_of,
        source=source,
        change_pct=(price / before - 1) * 100 if before is not None and before > 0 else None,
        previous_close=before,
        spark=spark(recent, price),
    )

"""Tickers of the last 24 hours, as exchanges for coins publish them: numbers written as texts, one price beside another. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from statistics import median

from evertick.model import Instrument, Quote
from evertick.sources.reading import decimal, leapt, wrong


def quote(
    instrument: Instrument,
    source: str,
    now: datetime,
    as_of: datetime | None,
    *,
    price: object,
    before: object,
    high: object,
    low: object,
    amount: object,
    turnover: object,
    others: Sequence[object],
) -> Quote | str:
    """A quote, or why there is none. ``amount`` is what was traded in coins, ``turnover`` the same in dollars.

    The price must be near to the middle of what else the ticker says of the day's prices: the one ``before``, 24 hours
    ago, turnover by amount, and ``others``.
    """
    last, said = decimal(price), [above_zero(value) for value in (before, *others)]
    coins, dollars = above_zero(amount), above_zero(turnover)
    if coins is not None and dollars is not None:
        said.append(dollars / coins)
    known = [value for value in said if value is not None]
    if reason := wrong(instrument, last, as_of, now, median(known) if known else None):
        return reason
    assert last is not None and as_of is not None
    opened = near(last, before)
    top, bottom = reach(last, high, low)
    return Quote(
        id=instrument.id,
        price=last,
        as_of=as_of,
        source=source,
        change_pct=(last / opened - 1) * 100 if opened is not None else None,
        previous_close=opened,
        day_high=top,
        day_low=bottom,
        volume=dollars,
    )


def above_zero(value: object) -> float | None:
    found = decimal(value)
    return found if found is not None and found > 0 else None


def near(price: float, value: object) -> float | None:
    """``value`` if it is on one scale with ``price``."""
    found = above_zero(value)
    return None if found is None or leapt(price, found) else found


def reach(price: float, high: object, low: object) -> tuple[float | None, float | None]:
    """High and low beside ``price``: none on another scale, neither where they contradict each other."""
    top, bottom = near(price, high), near(price, low)
    return (None, None) if top is not None and bottom is not None and top < bottom else (top, bottom)

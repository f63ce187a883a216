"""Instruments and helpers of the tests of providers with a key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from evertick.model import Bars, Group

from .answers import instrument

KEY = "s3cretKEY42"
NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
"""A Monday, one and a half hours into New York's session."""
FRIDAY_CLOSE = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
SINCE = date(2026, 11, 2)
XLK = instrument("XLK", Group.SECTORS, "XNYS", "USD", ticker="XLK")
XLE = instrument("XLE", Group.SECTORS, "XNYS", "USD", ticker="XLE")
XLF = instrument("XLF", Group.SECTORS, "XNYS", "USD", ticker="XLF")
EUR = instrument("EURUSD", Group.FX, "FX", "USD", twelvedata="EUR/USD", massive="C:EURUSD")


def tickers(count: int):
    return [instrument(f"T{n}", Group.SECTORS, "XNYS", "USD", ticker=f"T{n}") for n in range(count)]


def days(count: int = 8, last: date = date(2026, 11, 20)) -> list[date]:
    """The newest working days up to ``last``, oldest first."""
    found: list[date] = []
    while len(found) < count:
        if last.weekday() < 5:
            found.insert(0, last)
        last -= timedelta(days=1)
    return found


def told(bars: Bars) -> Sequence[tuple[str, float]]:
    """Day and close, to compare."""
    return [(day.isoformat(), close) for day, close in zip(bars.dates(), bars.close, strict=True)]

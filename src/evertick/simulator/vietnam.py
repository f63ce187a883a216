"""What the simulated Vietnamese brokers have in common: who is listed, days with the one under way, Vietnam's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from evertick.model import Instrument
from evertick.simulator.hours import EPOCH
from evertick.simulator.market import Market

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
INDICES = ("VNINDEX", "VN30", "HNX", "UPCOM")
FIRST_DAY = datetime(2000, 7, 28).toordinal()
"""The first session in Ho Chi Minh City."""
DAYS_AT_ONCE = 800


@dataclass(frozen=True, slots=True)
class Day:
    """A daily bar in VND or points; ``day`` is an ordinal."""

    day: int
    open: float
    high: float
    low: float
    close: float
    volume: int

    @property
    def stamp(self) -> int:
        """The day's beginning in UTC, seconds since 1970: how these feeds date a daily bar."""
        return (self.day - EPOCH) * 86400


def is_index(symbol: str) -> bool:
    return symbol in INDICES


def find(market: Market, symbol: str, own: dict[str, str]) -> Instrument | None:
    """The instrument of a Vietnamese code; ``own`` maps our names of the indices to the provider's."""
    ours = next((code for code, name in own.items() if name.upper() == symbol.upper()), symbol.upper())
    return market.find("vn", ours)


def shares(market: Market) -> Iterator[tuple[str, Instrument]]:
    return ((symbol, i) for symbol, i in market.listed("vn") if not is_index(symbol))


def local(at: float) -> datetime:
    return datetime.fromtimestamp(at, ZONE)


async def days(market: Market, instrument: Instrument, first: int, last: int) -> Sequence[Day]:
    """Daily bars from ``first`` to ``last`` (ordinals), oldest first, the one under way as it stands now."""
    at = market.clock.at()
    tick = market.tick(instrument, at)
    first, whole = max(first, FIRST_DAY), min(last, tick.day - 1 if tick.trading else tick.day)
    found: list[Day] = []
    for start in range(first, whole + 1, DAYS_AT_ONCE):
        c = market.columns(instrument, start, min(start + DAYS_AT_ONCE - 1, whole))
        rows = zip(c.days, c.open, c.high, c.low, c.close, c.volume, strict=True)
        found += [Day(day, o, high, low, close, int(volume)) for day, o, high, low, close, volume in rows]
        await asyncio.sleep(0)
    if tick.trading and first <= tick.day <= last:
        found.append(Day(tick.day, tick.open, tick.high, tick.low, tick.price, int(tick.volume)))
    return found

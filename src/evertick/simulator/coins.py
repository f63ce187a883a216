"""What the simulated crypto providers have in common: coins with their last days, and the whole market.

They see one market: a coin's price at an exchange is that of `Market.price`, a few hundredths of a percent apart from
one exchange to the next and always on the same side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from evertick.model import Instrument
from evertick.simulator.hours import EPOCH
from evertick.simulator.market import Market
from evertick.simulator.paths import DayBar
from evertick.simulator.traits import hashed

MINUTE = 60
HOUR = 3600
DAY = 86400
LISTED = 0.93
"""Share of all coins' value that the universe's coins stand for."""
APART = 6e-4
"""Between the dearest exchange and the cheapest."""


@dataclass(frozen=True, slots=True)
class Coin:
    """One coin with the days that an answer looks back on."""

    id: str
    instrument: Instrument
    supply: float
    bars: Sequence[DayBar]
    """Consecutive days; the last one is today."""
    price: float
    day_ago: float

    @property
    def cap(self) -> float:
        return self.price * self.supply

    @property
    def volume(self) -> float:
        """Of 24 hours, in USD: what yesterday still counts for, and today."""
        return self.bars[-2].volume * 0.5 + self.bars[-1].volume * 0.5


@dataclass(frozen=True, slots=True)
class Whole:
    """The whole crypto market, in USD."""

    coins: Sequence[Coin]
    """The largest first; there is at least one."""
    cap: float
    cap_day_ago: float
    volume: float

    def share(self, coin: Coin) -> float:
        """Percent of the whole."""
        return coin.cap / self.cap * 100


def coins(market: Market) -> list[tuple[str, Instrument]]:
    """CoinGecko id and instrument; what the universe takes from /global is no coin."""
    return [(symbol, i) for symbol, i in market.listed("coingecko") if ":" not in symbol]


def minute(market: Market) -> int:
    """The moment at which those who collect prices looked last, seconds since 1970."""
    return int(market.clock.at() // MINUTE * MINUTE)


def look(market: Market, id: str, instrument: Instrument, at: int, back: int = 1) -> Coin:
    """A coin at ``at``, with ``back`` days before today."""
    day = EPOCH + at // DAY
    bars = market.bars(instrument, day - back, day)
    now = market.price_in(instrument, bars[-1], at % DAY)
    before = market.price_in(instrument, bars[-2], at % DAY)
    return Coin(id, instrument, market.traits(instrument).supply, bars, now, before)


async def all_coins(market: Market, at: int, back: int = 1) -> list[Coin]:
    """Every coin, the largest first, with ``back`` days before today; of the same minute it is reckoned once."""
    moment, ranked = market.ranked.get(back, (None, ()))
    if moment == at:
        return [*ranked]
    found = []
    for number, (id, instrument) in enumerate(coins(market)):
        found.append(look(market, id, instrument, at, back))
        if number % 16 == 15:
            await asyncio.sleep(0)
    found.sort(key=lambda coin: -coin.cap)
    market.ranked[back] = at, found
    return [*found]


async def whole(market: Market, at: int) -> Whole | None:
    """The whole market at ``at``; ``None`` where the universe has no coins."""
    found = await all_coins(market, at)
    if not found:
        return None
    cap = sum(coin.cap for coin in found) / LISTED
    before = sum(coin.supply * coin.day_ago for coin in found) / LISTED
    return Whole(found, cap, before, sum(coin.volume for coin in found) / LISTED)


def day_range(market: Market, coin: Coin, at: int) -> tuple[float, float]:
    """High and low of the 24 hours up to ``at``, by the hour."""
    marks = [price for bar in coin.bars[-2:] for price in market.marks(bar)[:24]]
    hour = at % DAY // HOUR
    prices = [*marks[hour + 1 : hour + 25], coin.price, coin.day_ago]
    return max(prices), min(prices)


def apart(exchange: str, instrument: Instrument) -> float:
    """By what the prices of an instrument at ``exchange`` are multiplied."""
    return 1 + (hashed(f"{instrument.id}/{exchange}") - 0.5) * APART

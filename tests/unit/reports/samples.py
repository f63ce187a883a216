"""A deterministic market for tests: 130 instruments, about 400 daily bars each, one snapshot, and the findings of both.

Nothing here is real: prices are random walks from a seed of the instrument's id, so that every run sees the same market.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

from evertick import universe
from evertick.model import Bars, Breadth, Group, Instrument, Quote, Snapshot, SourceStatus
from evertick.reports import landmarks
from evertick.reports.analyse import analyse, daily_moves
from evertick.reports.blocks import Card
from evertick.reports.collect import examine
from evertick.reports.findings import Findings, Series

NOW = datetime(2026, 11, 23, 9, 31, 20, tzinfo=UTC)
AS_OF = datetime(2026, 11, 23, 9, 30, 4, tzinfo=UTC)
BARS = 400
LONGEST = 520
"""Bars of every walk; fewer are its end."""

_MOST = {Group.VIETNAM: 22, Group.CRYPTO: 30, Group.INDICES: 40}
"""Of a class, so that the market stays at about 130."""


@cache
def instruments() -> tuple[Instrument, ...]:
    """The first of each class of the built-in universe that every run asks for."""
    counts: dict[Group, int] = {}
    rows = []
    for instrument in universe.load():
        if not instrument.core:
            continue
        counts[instrument.group] = counts.get(instrument.group, 0) + 1
        if counts[instrument.group] <= _MOST.get(instrument.group, 20) or instrument.id in landmarks.KEPT:
            rows.append(instrument)
    return tuple(rows)


_ONLY_QUOTED = ("CRYPTO_CAP", "CRYPTO_VOLUME", "BTC_DOM", "ETH_DOM", "FNG")
_LEVEL = {
    "SPX": 6890, "DJI": 47800, "IXIC": 23400, "FTSE": 9700, "DAX": 24000, "STOXX50E": 5650, "N225": 50100, "HSI": 26200,
    "CRYPTO_CAP": 2.94e12, "CRYPTO_VOLUME": 1.31e11, "BTC_DOM": 57.3, "ETH_DOM": 11.6, "FNG": 22.0,
    "VNINDEX": 1650, "VN30": 1880, "BTC": 86500, "ETH": 2800, "USDVND": 26350, "EURVND": 30400, "JPYVND": 168.0, "USDJPY": 156.5, "EURUSD": 1.15,
    "DXY": 100.2, "GOLD": 4060, "SILVER": 50, "WTI": 58, "BRENT": 62.5, "US3M": 3.8, "US5Y": 3.6, "US10Y": 4.06, "US30Y": 4.7, "VIX": 23.4,
    "VVIX": 120.0, "VXN": 28.0,
}  # fmt: skip
_COUNTS = {"VNINDEX": Breadth(212, 108, 57), "HNX": Breadth(74, 81, 60), "UPCOM": Breadth(120, 260, 190)}
"""Shares that rise, fall and stand still."""
_SIGMA = {
    Group.CRYPTO: 0.032,
    Group.FX: 0.004,
    Group.RATES: 0.012,
    Group.VOLATILITY: 0.06,
    Group.COMMODITIES: 0.016,
    Group.VIETNAM: 0.016,
}


@cache
def _market(day: int) -> float:
    """The move that all markets share on one day, in standard deviations."""
    return random.Random(f"market {day}").gauss(0.02, 1)


def make_bars(instrument: Instrument, count: int = BARS) -> Bars:
    """A walk with a shared market factor up to the day of `AS_OF`."""
    return _walk(instrument.id, instrument.group, instrument.exchange == "24/7").last(count)


@cache
def _walk(id_: str, group: Group, always: bool) -> Bars:
    if id_ in _ONLY_QUOTED:
        return Bars.empty(id_)
    days: list[int] = []
    day = AS_OF.date().toordinal()
    while len(days) < LONGEST:
        if always or date.fromordinal(day).weekday() < 5:
            days.append(day)
        day -= 1
    days.reverse()
    own = random.Random(f"bars {id_}")
    sigma = _SIGMA.get(group, 0.010)
    tilt = -0.35 if group is Group.VOLATILITY else 0.55
    level = own.uniform(-0.3, 0.1)
    levels = []
    for d in days:
        level += sigma * (tilt * _market(d) + 0.8 * own.gauss(0.02, 1))
        levels.append(level)
    last = _LEVEL.get(id_) or math.exp(own.uniform(0, 8))
    scale = last / math.exp(levels[-1])
    close = array("d", (round(scale * math.exp(v), 9) for v in levels))
    opened, high, low, volume = (array("d") for _ in range(4))
    for i, c in enumerate(close):
        o = close[i - 1] * (1 + own.gauss(0, sigma / 6)) if i else c
        opened.append(o)
        high.append(max(o, c) * (1 + abs(own.gauss(0, sigma / 3))))
        low.append(min(o, c) * (1 - abs(own.gauss(0, sigma / 3))))
        volume.append(float("nan") if group is Group.FX else float(own.randrange(10**6, 10**9)))
    return Bars(id_, array("i", days), opened, high, low, close, volume)


def quote(instrument: Instrument) -> Quote:
    source = "coingecko" if "coingecko" in instrument.symbols else next(iter(instrument.symbols))
    own = random.Random(f"quote {instrument.id}")
    bars = make_bars(instrument)
    if not len(bars):
        price = _LEVEL[instrument.id]
        spark = (*(max(5.0, min(95.0, 40 - i * 0.6 + own.gauss(0, 4))) for i in range(29)), 22.0)
        return Quote(
            instrument.id,
            price,
            AS_OF - timedelta(minutes=2),
            source,
            change_pct=-2.41 if instrument.id == "CRYPTO_CAP" else None,
            spark=spark if instrument.id == "FNG" else (),
        )
    price, before = bars.close[-1], bars.close[-2]
    steps = [before]
    for _ in range(30):
        steps.append(steps[-1] * (1 + own.gauss(0, 0.001)))
    return Quote(
        instrument.id,
        price,
        AS_OF - timedelta(minutes=own.randrange(1, 5)),
        source,
        change_pct=100 * (price / before - 1),
        previous_close=before,
        day_high=bars.high[-1],
        day_low=bars.low[-1],
        volume=bars.volume[-1],
        market_cap=own.uniform(1e9, 1.9e12) if instrument.group is Group.CRYPTO else None,
        spark=(*steps, price),
        breadth=_COUNTS.get(instrument.id),
    )


SOURCES = (
    SourceStatus("yahoo", "ok", 102, AS_OF, duration_s=1.4, title="Yahoo Finance"),
    SourceStatus(
        "coingecko",
        "partial",
        31,
        AS_OF,
        error="2 instruments missing",
        error_kind="partial",
        duration_s=0.6,
        title="CoinGecko",
    ),
    SourceStatus(
        "alternative",
        "failing",
        0,
        AS_OF - timedelta(hours=5),
        error="no connection",
        error_kind="unavailable",
        title="alternative.me",
    ),
)


def snapshot(rows: tuple[Instrument, ...] | None = None) -> Snapshot:
    """One quote each; the sentiment index is five hours old, and NATGAS came from yesterday."""
    quotes = []
    for instrument in rows or instruments():
        q = quote(instrument)
        if instrument.id == "NATGAS":
            q = replace(q, as_of=AS_OF - timedelta(days=4))
        if instrument.id == "FNG":
            q = replace(q, as_of=AS_OF - timedelta(hours=5))
        quotes.append(q)
    return Snapshot(AS_OF, tuple(quotes), SOURCES)


async def bars(instrument: Instrument) -> Bars:
    """What the writer and the workflow read bars with."""
    return make_bars(instrument)


@cache
def findings() -> Findings:
    """The findings of this market at `NOW` (made once: they are frozen)."""
    rows = instruments()
    shot = snapshot(rows)
    moves = {id_: daily_moves(make_bars(i)) for i in rows if (id_ := i.id) in ("SPX", "BTC", "VNINDEX")}
    found, kept = [], {}
    for instrument, q in zip(rows, shot.quotes, strict=True):
        facts, series = examine(instrument, q, make_bars(instrument), moves, NOW)
        found.append(facts)
        if series is not None:
            kept[instrument.id] = series
    return analyse(
        found,
        kept,
        snapshot_as_of=shot.as_of,
        made=NOW,
        day=NOW.date(),
        sources=shot.sources,
        intraday=session(next(i for i in rows if i.id == "VNINDEX")),
    )


def session(instrument: Instrument) -> Series:
    """Prices every three minutes of its session on the day of `AS_OF`, with the lunch break."""
    own = random.Random(f"session {instrument.id}")
    opens = int(AS_OF.replace(hour=2, minute=0, second=0).timestamp())
    times = [opens + 180 * n for n in range(51)] + [opens + 4 * 3600 + 180 * n for n in range(36)]
    last = quote(instrument).price
    prices = [last]
    for _ in times[1:]:
        prices.append(prices[-1] * (1 + own.gauss(0, 0.0006)))
    return Series(instrument.id, array("q", times), array("d", reversed(prices)))


async def no_cards() -> AsyncIterator[Card]:
    """For sections that show none."""
    for card in ():
        yield card

"""A plausible market that is computed, not stored: any instrument, any day from 1902 to 2199, always the same.

An instrument's price is its price at the anchor times the exponential of a sum of walks: common factors (the world's
shares, regions, crypto, the dollar, metals, energy, yields, stress…) and one of its own, in shares given by its
`Traits`. Daily bars are drawn around the closes; the path within a day is tied to its bar. So a bar is the same
whatever range it is asked in, and a quote is a point on the way to it.

What several providers publish comes from here, so that they agree. Of one instrument: `Market.tick` (a quote),
`Market.columns` (daily bars), `Market.close`. Without an instrument, for tables that hold more than the universe:

* `Market.curve`: US Treasury par yields of a day by months to maturity; ``^IRX``, ``^FVX``, ``^TNX``, ``^TYX``,
  ``treasury=10Yr`` and ``fred=DGS10`` are points of it (closes of that day, to four decimals);
* `Market.fixing`: the close of any currency pair on a day (ECB), `Market.rate`: its price at any moment (a bank's
  board); both agree with the universe's own pairs and crosses;
* `Market.bank_rates`: what a Vietnamese bank buys and sells a currency for.

``Market.hours(instrument)`` and ``evertick.simulator.hours.hours(code)`` know the trading days.

Memory is bounded: a few thousand small arrays in caches that forget the least recently used, and one line per
instrument for the current day.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import copysign, exp, inf, tanh
from typing import Any

from evertick.model import Group, Instrument
from evertick.simulator import paths
from evertick.simulator.clock import MarketClock
from evertick.simulator.curve import TENORS, yield_at_anchor, yield_loads
from evertick.simulator.hours import Hours, hours
from evertick.simulator.limits import keep_to_limits, least, rounded, snap, tame
from evertick.simulator.noise import (
    ANCHOR,
    BLOCK,
    FACTORS,
    block_of,
    draws,
    edge,
    factors,
    first_of,
    normal,
    shocks,
    walk,
)
from evertick.simulator.paths import DayBar
from evertick.simulator.traits import CURRENCIES, Traits, traits

_YEAR = 365.25
_BLOCKS_KEPT = 2048
_PATHS_KEPT = 1024
"""At least; more where the universe is so large that one round of quotes needs more."""
_DAYS_REMEMBERED = 10


@dataclass(frozen=True, slots=True)
class Columns:
    """Whole daily bars as columns of equal length, oldest first. Days are ordinals of the exchange's own calendar."""

    days: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]

    def __len__(self) -> int:
        return len(self.days)


@dataclass(frozen=True, slots=True)
class Tick:
    """What is known of an instrument at one moment."""

    price: float
    at: int
    """When it traded last, seconds since 1970."""
    open: float
    high: float
    low: float
    volume: float
    previous_close: float
    day: int
    """The trading day, an ordinal."""
    trading: bool
    """Between the day's first opening and its last close."""


@dataclass(frozen=True, slots=True)
class Candles:
    """Bars as columns: ``at`` is the start of each, in seconds since 1970; the others hold floats (or `None`: no trade)."""

    at: list[int]
    open: list[Any]
    high: list[Any]
    low: list[Any]
    close: list[Any]
    volume: list[Any]


class Market:
    """The simulated market of ``instruments``; the same ``seed`` makes the same market."""

    def __init__(
        self, instruments: Iterable[Instrument], seed: int | str = 1, clock: MarketClock | None = None
    ) -> None:
        self.seed = str(seed)
        self.clock = clock or MarketClock()
        self.instruments: dict[str, Instrument] = {i.id: i for i in instruments}
        for exchange in {i.exchange for i in self.instruments.values()}:
            hours(exchange)  # an unknown one is said at the start
        self._symbols: dict[tuple[str, str], Instrument] = {
            (source, symbol.upper()): i for i in self.instruments.values() for source, symbol in i.symbols.items()
        }
        self._traits: dict[str, Traits] = {}
        self._pairs: dict[str, tuple[Instrument, bool]] = {}
        self._days: dict[str, tuple[DayBar, float, float]] = {}
        self.ranked: dict[int, tuple[int, Sequence[Any]]] = {}
        """What `evertick.simulator.coins.all_coins` found last, by how many days it looked back, and of which moment."""
        self._factors = factors(self.seed)
        self.factor = lru_cache(_BLOCKS_KEPT // 4)(self._factor)
        self._levels = lru_cache(max(_BLOCKS_KEPT, 5 * len(self.instruments)))(self._compute_levels)
        many = len(self.instruments)
        self._few_bars = lru_cache(max(_PATHS_KEPT // 2, many))(self._compute_few_bars)
        self._marks = lru_cache(max(_PATHS_KEPT, 3 * many))(paths.marks)
        self._path = lru_cache(max(_PATHS_KEPT // 2, many))(self._compute_path)

    def find(self, source: str, symbol: str) -> Instrument | None:
        """The instrument that ``source`` knows as ``symbol``, in upper or lower case."""
        return self._symbols.get((source, symbol.upper()))

    def listed(self, source: str) -> Iterator[tuple[str, Instrument]]:
        """Symbol and instrument of all that ``source`` knows, in the order given."""
        for instrument in self.instruments.values():
            if symbol := instrument.symbols.get(source):
                yield symbol, instrument

    def traits(self, instrument: Instrument) -> Traits:
        found = self._traits.get(instrument.id)
        if found is None:
            found = self._traits[instrument.id] = traits(instrument)
        return found

    def hours(self, instrument: Instrument) -> Hours:
        return hours(instrument.exchange)

    # --- what belongs to no instrument ---------------------------------------------------------------------------

    def curve(self, day: int) -> dict[float, float]:
        """US Treasury par yields at the end of ``day`` (an ordinal): months to maturity (`TENORS`) to percent."""
        block, place = block_of(day)
        level = {name: self.factor(name, block)[place] for name in ("yields", "curve", "hump")}
        return {
            months: round(
                yield_at_anchor(months) * exp(sum(size * level[name] for name, size in yield_loads(months))), 4
            )
            for months in TENORS
        }

    def fixing(self, base: str, quote: str, day: int) -> float:
        """Units of ``quote`` for one ``base`` at the close of ``day``, unrounded; ISO codes of `CURRENCIES`, or USD."""
        return self._value(base, lambda i: self.close(i, day)) / self._value(quote, lambda i: self.close(i, day))

    def rate(self, base: str, quote: str, at: float) -> float:
        """Units of ``quote`` for one ``base`` at ``at`` (seconds since 1970), unrounded."""
        return self._value(base, lambda i: self.price(i, at)) / self._value(quote, lambda i: self.price(i, at))

    def bank_rates(self, code: str, at: float) -> tuple[float, float, float]:
        """VND for one unit of a currency at a bank's counter: buys notes, buys transfers, sells.

        The middle of transfer and sell is the market's rate; the dollar's spread is narrower than the others'.
        """
        rate = self.rate(code, "VND", at)
        half, notes = (0.007, 0.0012) if code == "USD" else (0.017, 0.0095)
        return rate * (1 - half) * (1 - notes), rate * (1 - half), rate * (1 + half)

    def _value(self, code: str, price: Callable[[Instrument], float]) -> float:
        """A currency in dollars, from the universe's own pair with the dollar where it has one."""
        if code == "USD":
            return 1.0
        pair = self._pairs.get(code)
        if pair is None:
            if code not in CURRENCIES:
                raise KeyError(f"no currency {code}")
            direct, inverse = self.find("yahoo", f"{code}USD=X"), self.find("yahoo", f"{code}=X")
            pair = (direct or inverse or _pseudo(code), direct is None and inverse is not None)
            self._pairs[code] = pair
        instrument, inverted = pair
        return 1 / price(instrument) if inverted else price(instrument)

    # --- daily ---------------------------------------------------------------------------------------------------

    def columns(self, instrument: Instrument, first: int, last: int) -> Columns:
        """Whole bars of the trading days from ``first`` to ``last`` (ordinals, both included), as they end at their close.

        Days before the instrument's first day are left out; the future is not: who asks knows what day it is.
        """
        t, h = self.traits(instrument), self.hours(instrument)
        days = h.days(max(first, t.first_day), last)
        if not days:
            return Columns([], [], [], [], [], [])
        lead = h.before(days[0])
        from_block, to_block = block_of(lead)[0], block_of(days[-1])[0]
        base = first_of(from_block)
        levels: list[float] = []
        words: list[int] = []
        for block in range(from_block, to_block + 1):
            levels.extend(self._levels(instrument.id, block))
            words.extend(draws(f"{self.seed}/{instrument.id}/bars/{block}", 4 * BLOCK))
        places = t.decimals
        closes = [self._price(t, day, levels[day - base]) for day in (lead, *days)]
        opens, highs, lows, volumes = [], [], [], []
        z, tail, size = normal(), _half(), _volumes()
        gap = 0.0 if h.always else 0.12 if h.long else 0.4
        jitter = 0.0 if h.always else 0.2 * t.sigma
        reach, traded, sigma = 0.42 * t.sigma, t.volume, t.sigma
        before = closes[0]
        for day, close in zip(days, closes[1:], strict=True):
            word = 4 * (day - base)
            opened = round(before + (close - before) * gap + before * jitter * z[words[word] >> 4], places)
            top, bottom = (opened, close) if opened > close else (close, opened)
            opens.append(opened)
            highs.append(round(top + before * reach * tail[words[word + 1] >> 4], places))
            lows.append(round(bottom - bottom * reach * tail[words[word + 2] >> 4], places))
            moved = abs(close / before - 1) / sigma
            volumes.append(float(int(traded * size[words[word + 3] >> 4] * (0.7 + 0.4 * moved))))
            before = close
        found = Columns(days, opens, highs, lows, closes[1:], volumes)
        if t.limit:
            keep_to_limits(t, closes[0], found)
        return found

    def close(self, instrument: Instrument, day: int) -> float:
        """The close of one trading day."""
        block, place = block_of(day)
        t = self.traits(instrument)
        return self._price(t, day, self._levels(instrument.id, block)[place])

    def bars(self, instrument: Instrument, first: int, last: int) -> list[DayBar]:
        """Trading days from ``first`` to ``last`` with what their paths are drawn from; flat before the first day.

        A few days are remembered: quotes ask for the same ones all day.
        """
        if last - first < _DAYS_REMEMBERED:
            return list(self._few_bars(instrument.id, first, last))
        return self._compute_bars(instrument, first, last)

    def _compute_bars(self, instrument: Instrument, first: int, last: int) -> list[DayBar]:
        t, h = self.traits(instrument), self.hours(instrument)
        days = h.days(first, last)
        if not days:
            return []
        before = h.before(days[0])
        previous = self.close(instrument, before)
        c = self.columns(instrument, days[0], days[-1])
        early = len(days) - len(c)
        found = []
        for i, day in enumerate(days):
            n = i - early
            if n < 0:
                previous = close = self.close(instrument, day)
                opened, high, low, volume = close, close, close, 0.0
            else:
                opened, high, low, close, volume = c.open[n], c.high[n], c.low[n], c.close[n], c.volume[n]
            found.append(
                DayBar(
                    day=day,
                    open=opened,
                    high=high,
                    low=low,
                    close=close,
                    volume=volume,
                    previous_close=previous,
                    key=f"{self.seed}/{instrument.id}/{day}",
                    seconds=86400 if h.always else sum(end - start for start, end in h.segments(day)),
                    sigma=t.sigma * previous,
                    decimals=t.decimals,
                )
            )
            previous = close
        return found

    def _compute_few_bars(self, instrument_id: str, first: int, last: int) -> tuple[DayBar, ...]:
        instrument = self.instruments.get(instrument_id) or self._pairs[instrument_id.removeprefix("FX:")][0]
        return tuple(self._compute_bars(instrument, first, last))

    def day(self, instrument: Instrument, day: int) -> DayBar:
        """One trading day; the nearest before, where ``day`` is none."""
        h = self.hours(instrument)
        day = day if h.is_trading_day(day) else h.before(day)
        return self.bars(instrument, day, day)[0]

    def year_range(self, instrument: Instrument, day: int) -> tuple[float, float]:
        """High and low of the 52 weeks up to ``day``, from the closes and a typical day's reach."""
        t = self.traits(instrument)
        (first, a), (last, b) = block_of(day - 364), block_of(day)
        levels = [level for block in range(first, last + 1) for level in self._levels(instrument.id, block)]
        year = levels[a : len(levels) - BLOCK + 1 + b]
        now, ago = _trend(t, day), _trend(t, day - len(year))
        step = (now - ago) / len(year)
        trended = [_within(t, level) + ago + n * step for n, level in enumerate(year, 1)]
        reach = 0.3 * t.sigma
        high, low = t.price * exp(max(trended) + reach), t.price * exp(min(trended) - reach)
        return rounded(t, high) or least(t), rounded(t, low) or least(t)

    # --- within the day ------------------------------------------------------------------------------------------

    def tick(self, instrument: Instrument, at: float) -> Tick:
        """What is known at ``at`` (seconds since 1970)."""
        h, t = self.hours(instrument), self.traits(instrument)
        day = h.day_at(at)
        bar, _, _ = self.current(instrument, day)
        elapsed, last = traded(h, day, at)
        if elapsed >= bar.seconds:
            return Tick(
                bar.close, last, bar.open, bar.high, bar.low, bar.volume, bar.previous_close, day, trading=False
            )
        _, high, low, price = paths.between(bar, self._path(bar), 0, elapsed)
        return Tick(
            price=rounded(t, price),
            at=last,
            open=bar.open,
            high=rounded(t, high),
            low=rounded(t, low),
            volume=float(int(paths.volume_until(bar, elapsed))),
            previous_close=bar.previous_close,
            day=day,
            trading=True,
        )

    def current(self, instrument: Instrument, day: int) -> tuple[DayBar, float, float]:
        """The bar of ``day`` and the 52-week range, remembered for the day asked last."""
        kept = self._days.get(instrument.id)
        if kept is None or kept[0].day != day:
            bar = self.day(instrument, day)
            high, low = self.year_range(instrument, day)
            kept = self._days[instrument.id] = bar, max(high, bar.high), min(low, bar.low)
        return kept

    def price(self, instrument: Instrument, at: float) -> float:
        """The price at any moment: what `tick` says, without the rest."""
        h = self.hours(instrument)
        day = h.day_at(at)
        return self.price_in(instrument, self._bar(instrument, day), traded(h, day, at)[0])

    def price_in(self, instrument: Instrument, bar: DayBar, elapsed: float) -> float:
        """The price ``elapsed`` seconds of trading into a day."""
        return rounded(self.traits(instrument), paths.price_at(bar, self._marks(bar), elapsed))

    def marks(self, bar: DayBar) -> Sequence[float]:
        """Prices every half hour of a day (every hour where trading never stops)."""
        return self._marks(bar)

    def candles(self, instrument: Instrument, day: int, interval: int, until: float) -> Candles:
        """Bars of ``interval`` seconds of one trading day, up to ``until`` (the last one unfinished)."""
        h, t = self.hours(instrument), self.traits(instrument)
        bar = self._bar(instrument, day)
        whole = self._path(bar)
        out = Candles([], [], [], [], [], [])
        before = 0
        for start, end in h.segments(day):
            for at in range(start, end, interval):
                if at >= until:
                    return out
                stop = min(at + interval, end)
                a, b = before + at - start, before + min(stop, until) - start
                opened, high, low, close = paths.between(bar, whole, a, b)
                out.at.append(at)
                out.open.append(rounded(t, opened))
                out.high.append(rounded(t, high))
                out.low.append(rounded(t, low))
                out.close.append(rounded(t, close))
                out.volume.append(float(int(paths.volume_until(bar, b) - paths.volume_until(bar, a))))
            before += end - start
        return out

    def closes(self, instrument: Instrument, day: int, until: float) -> tuple[list[int], list[float]]:
        """Start and close of the five-minute bars of one trading day: the quick way to a sparkline."""
        h, t = self.hours(instrument), self.traits(instrument)
        bar = self._bar(instrument, day)
        points = list(self._path(bar).points[1:])
        starts: list[int] = []
        for start, end in h.segments(day):
            starts.extend(range(start, min(end, -int(-until // 1)), paths.STEP))
        points = points[: len(starts)]
        if t.ticks:
            points = [snap(point, t.ticks) for point in points]
        if starts and starts[-1] + paths.STEP > until:
            points[-1] = self.price(instrument, until)
        return starts, points

    # --- walks ---------------------------------------------------------------------------------------------------

    def _price(self, t: Traits, day: int, level: float) -> float:
        return rounded(t, t.price * exp(_within(t, level) + _trend(t, day))) or least(t)

    def _factor(self, name: str, block: int) -> array[float]:
        return self._factors[name](block)

    def _compute_levels(self, instrument_id: str, block: int) -> array[float]:
        """Natural-log distance from the anchor's price at the end of each day of the block, without the drift."""
        t = self._traits[instrument_id]
        total = [0.0] * BLOCK
        for name, size in t.loads:
            levels = self.factor(name, block) if name in FACTORS else self._own(name, block, t.week)
            total = [a + size * b for a, b in zip(total, levels, strict=True)]
        if t.limit:
            before = sum(size * self._end(name, block - 1, t.week) for name, size in t.loads)
            h = self.hours(self.instruments[instrument_id])
            tame(total, before, [day - first_of(block) for day in h.days(first_of(block), first_of(block + 1) - 1)], t)
        return array("d", total)

    def _end(self, name: str, block: int, week: tuple[float, ...]) -> float:
        """The level of a walk at the end of a block."""
        return self.factor(name, block)[-1] if name in FACTORS else edge(f"{self.seed}/{name}", block + 1, week)

    def _compute_path(self, bar: DayBar) -> paths.Path:
        return paths.path(bar, self._marks(bar))

    def _own(self, name: str, block: int, week: tuple[float, ...]) -> Sequence[float]:
        key = f"{self.seed}/{name}"
        return shocks(key, block) if name.startswith("noise:") else walk(key, block, week)

    def _bar(self, instrument: Instrument, day: int) -> DayBar:
        """Of any day, without pushing out the current one."""
        kept = self._days.get(instrument.id)
        return kept[0] if kept is not None and kept[0].day == day else self.day(instrument, day)

    def sizes(self) -> dict[str, int]:
        """How full the caches are, for the control route."""
        return {
            "instruments": len(self.instruments),
            "days": len(self._days),
            "levels": self._levels.cache_info().currsize,
            "bars": self._few_bars.cache_info().currsize,
            "paths": self._marks.cache_info().currsize,
        }


def _pseudo(code: str) -> Instrument:
    """A currency's pair with the dollar that the universe does not follow."""
    symbols = {"yahoo": f"{code}USD=X"}
    return Instrument(f"FX:{code}", f"{code}/USD", Group.FX, "world", "USD", "FX", 4, symbols)


def _within(t: Traits, level: float) -> float:
    """A walk's level, kept within what the instrument reaches."""
    return level if t.far == inf else t.far * tanh(level / t.far)


def _trend(t: Traits, day: int) -> float:
    """Natural-log points since the anchor: steady for a decade, then ever slower, since centuries are long."""
    trend = t.drift * (day - ANCHOR) / _YEAR
    return trend if abs(trend) < 0.5 else copysign(0.5 + 3.5 * tanh((abs(trend) - 0.5) / 3.5), trend)


def traded(h: Hours, day: int, at: float) -> tuple[float, int]:
    """Seconds of trading of ``day`` passed at ``at``, and when the last of them was (seconds since 1970)."""
    elapsed, last = 0.0, 0
    for start, end in h.segments(day):
        if at < start:
            break
        elapsed += min(at, end) - start
        last = int(min(at, end))
    return elapsed, last


@lru_cache(1)
def _half() -> tuple[float, ...]:
    """Sizes of a shadow: the half-normal distribution."""
    return tuple(abs(z) for z in normal())


@lru_cache(1)
def _volumes() -> tuple[float, ...]:
    """Volumes of a day relative to an ordinary one: log-normal."""
    return tuple(exp(0.3 * z) for z in normal())

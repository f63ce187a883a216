"""What the analysis found: small, frozen, without bars, shared by every language.

A `Facts` keeps its numbers in one ``array('d')`` (about 0.7 KB an instrument with everything on it), NaN standing for
"not known"; the named attributes give ``float`` or ``None``.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from heapq import nsmallest
from itertools import islice
from typing import Any

from evertick.model import Group, Instrument, Session, SourceStatus
from evertick.reports.written import Written

NAN = float("nan")
_ASKED_FIRST = "coingecko"
"""Who knows an instrument here is asked before the others (`evertick.sources.SOURCES`)."""
_fields: list[str] = []


class Fact:
    """One named place in `Facts.values`."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.index = len(_fields)
        _fields.append(name)

    def __get__(self, facts: Any, owner: type | None = None) -> float | None:
        value = facts.values[self.index]
        return None if value != value else value


class _Named:
    """The places, in order. Prices in the instrument's unit; ``change``, returns, volatility, drawdown in percent."""

    __slots__ = ()

    price = Fact()
    change = Fact()
    """1D: against the previous close of the session."""
    previous_close = Fact()
    day_high = Fact()
    day_low = Fact()
    volume = Fact()
    market_cap = Fact()
    ret_1w = Fact()
    ret_1m = Fact()
    ret_3m = Fact()
    ret_ytd = Fact()
    ret_1y = Fact()
    high_52w = Fact()
    low_52w = Fact()
    position_52w = Fact()
    """0 at the 52-week low, 1 at the high."""
    sma20 = Fact()
    sma50 = Fact()
    sma200 = Fact()
    ema12 = Fact()
    ema26 = Fact()
    macd = Fact()
    macd_signal = Fact()
    macd_histogram = Fact()
    rsi14 = Fact()
    band_upper = Fact()
    band_lower = Fact()
    atr14 = Fact()
    vol20 = Fact()
    vol60 = Fact()
    drawdown = Fact()
    """Below the 52-week high of closes: 0 or negative."""
    max_drawdown = Fact()
    """Deepest within the last year: 0 or negative."""
    z60 = Fact()
    beta60 = Fact()
    correlation60 = Fact()
    sigma = Fact()
    """1D change in standard deviations of the 60 daily moves before it."""
    biggest_in = Fact()
    """Sessions back to the last move at least as large (the number of bars, when there is none)."""
    streak = Fact()
    """Sessions in a row that rose (positive) or fell (negative)."""
    cross = Fact()
    """SMA 50 over (positive) or under (negative) SMA 200: sessions ago, 1 = at the last bar; unknown if not within 5."""
    turn200 = Fact()
    """The close went over (positive) or under (negative) SMA 200 at the last bar: sessions it had been on the other side."""
    new_52w = Fact()
    """1 when the last close is the highest of the year, -1 when it is the lowest."""
    bars = Fact()
    """How many daily bars stand behind this."""
    close_1w = Fact()
    """The close that `ret_1w` counts from; the next two alike."""
    close_1m = Fact()
    close_1y = Fact()
    advances = Fact()
    """Of an index: how many shares of its market rose, as the exchange counts them."""
    declines = Fact()
    unchanged = Fact()
    turnover = Fact()
    """Of a Vietnamese share: price times volume, in VND."""


FIELDS: tuple[str, ...] = tuple(_fields)


@dataclass(frozen=True, slots=True, eq=False)
class Facts(_Named):
    """All that the report keeps of one instrument."""

    instrument: Instrument
    as_of: datetime | None
    source: str | None
    fresh: bool
    session: Session
    spark: array[float]
    """typecode ``f``; at most 32 prices, oldest first"""
    values: array[float]
    """typecode ``d``, one for each of `FIELDS`"""

    @property
    def id(self) -> str:
        return self.instrument.id

    @property
    def group(self) -> Group:
        return self.instrument.group

    @property
    def points(self) -> float | None:
        """Of a yield: percentage points since the day before."""
        price, before, change = self.price, self.previous_close, self.change
        if price is None:
            return None
        if before is not None:
            return price - before
        return price - price / (1 + change / 100) if change is not None and change > -100 else None

    @property
    def bp_1d(self) -> float | None:
        """`points` in basis points; the next two since a week and a month ago."""
        points = self.points
        return None if points is None else 100 * points

    @property
    def bp_1w(self) -> float | None:
        return _basis_points(self.price, self.close_1w)

    @property
    def bp_1m(self) -> float | None:
        return _basis_points(self.price, self.close_1m)

    @property
    def fallback(self) -> bool:
        """The quote came from another source than the one asked first: for coins CoinGecko, else as the universe names them."""
        symbols = self.instrument.symbols
        first = _ASKED_FIRST if _ASKED_FIRST in symbols else next(iter(symbols), self.source)
        return self.source is not None and self.source != first


def _basis_points(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else 100 * (now - before)


def facts(
    instrument: Instrument,
    known: Mapping[str, float | None],
    *,
    as_of: datetime | None = None,
    source: str | None = None,
    fresh: bool = False,
    session: Session = Session.CLOSED,
    spark: Sequence[float] = (),
) -> Facts:
    """`Facts` from names to numbers; what is not given is unknown. Raises `KeyError` for a name that is not one."""
    values = array("d", [NAN]) * len(FIELDS)
    for name, value in known.items():
        values[_index[name]] = NAN if value is None else value
    return Facts(instrument, as_of, source, fresh, session, array("f", spark), values)


_index = {name: i for i, name in enumerate(FIELDS)}


@dataclass(frozen=True, slots=True)
class Breadth:
    """How many of a group rose and fell, and how many stand over their averages."""

    advancing: int
    declining: int
    unchanged: int
    over50: int
    of50: int
    over200: int
    of200: int
    highs: int
    lows: int

    @classmethod
    def among(cls, facts: Iterable[Facts]) -> Breadth:
        """Counts those that have a price; what has no average is not counted for that average."""
        counts = dict.fromkeys((f.name for f in fields(cls)), 0)
        for f in facts:
            price, change = f.price, f.change
            if price is None:
                continue
            if change is not None:
                counts["advancing" if change > 0 else "declining" if change < 0 else "unchanged"] += 1
            for days, average in (("50", f.sma50), ("200", f.sma200)):
                if average is not None:
                    counts[f"of{days}"] += 1
                    counts[f"over{days}"] += price > average
            counts["highs"] += f.new_52w == 1
            counts["lows"] += f.new_52w == -1
        return cls(**counts)

    @property
    def total(self) -> int:
        return self.advancing + self.declining + self.unchanged

    @property
    def share50(self) -> float | None:
        """Percent of those with an SMA 50."""
        return 100 * self.over50 / self.of50 if self.of50 else None

    @property
    def share200(self) -> float | None:
        return 100 * self.over200 / self.of200 if self.of200 else None


@dataclass(frozen=True, slots=True)
class Some:
    """How many there are of something, and the first of them."""

    count: int
    first: Sequence[Facts]

    @classmethod
    def of(cls, found: Iterable[Facts], most: int = 8, strength: Callable[[Facts], float] | None = None) -> Some:
        """The first, or by ``strength`` those that have most of it (ties by id); no more than ``most`` are held."""
        count = 0

        def counted() -> Iterator[Facts]:
            nonlocal count
            for f in found:
                count += 1
                yield f

        if strength is None:
            first = list(islice(walk := counted(), most))
            for _ in walk:
                pass
        else:
            first = nsmallest(most, counted(), key=lambda f: (-strength(f), f.id))
        return cls(count, first)


@dataclass(frozen=True, slots=True)
class Extremes:
    """The one with the least, the one with the most, and how many there were."""

    least: Facts
    most: Facts
    count: int


def extremes(found: Iterable[Facts], value: Callable[[Facts], float | None]) -> Extremes | None:
    """Of those with a ``value``; ties by id. ``None`` when there are none."""
    least = most = None
    low = high = (0.0, "")
    count = 0
    for f in found:
        at = value(f)
        if at is None:
            continue
        key = (at, f.id)
        count += 1
        if least is None or key < low:
            least, low = f, key
        if most is None or key > high:
            most, high = f, key
    return None if least is None or most is None else Extremes(least, most, count)


@dataclass(frozen=True, slots=True)
class Movers:
    """Ids, the strongest move first."""

    top: tuple[str, ...]
    bottom: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """Correlations of daily log returns over the last 60 common days; ``cells`` row by row, NaN where unknown."""

    ids: tuple[str, ...]
    cells: array[float]
    days: int

    def at(self, row: int, column: int) -> float | None:
        value = self.cells[row * len(self.ids) + column]
        return None if value != value else value


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One value a day, oldest first; ``day`` holds ordinals (typecode ``i``), ``values`` floats (typecode ``d``)."""

    id: str
    day: array[int]
    values: array[float]


MANY = 1_000


class Places:
    """Where the facts of an instrument or group are: about 12 bytes an instrument."""

    __slots__ = ("_mask", "_table", "groups", "quoted")

    def __init__(self, facts: Sequence[Facts]) -> None:
        size = 1 << (len(facts) * 3 // 2).bit_length()
        self._mask = size - 1
        self._table = array("I", [0]) * size
        """A hash table with open addressing: places from 1 on, 0 where there is none."""
        self.groups: dict[Group, array[int]] = {}
        for place, f in enumerate(facts):
            slot = hash(f.id) & self._mask
            while self._table[slot]:
                slot = slot + 1 & self._mask
            self._table[slot] = place + 1
            if f.price is not None:
                self.groups.setdefault(f.group, array("I")).append(place)
        self.quoted = sum(map(len, self.groups.values()))

    def of_id(self, instrument_id: str) -> Iterator[int]:
        """Where it may be; the right one is among the first."""
        slot = hash(instrument_id) & self._mask
        while self._table[slot]:
            yield self._table[slot] - 1
            slot = slot + 1 & self._mask


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Everything the writer needs but the bars of the cards."""

    as_of: datetime
    """Of the snapshot."""
    made: datetime
    """When the report is made: decides ages and sessions."""
    day: date
    """The date of that in the report's own time zone: chooses the wordings."""
    facts: Sequence[Facts]
    """In the order of the universe; instruments without a quote are there, with unknown prices. Those of many are read from the
    disk each time (`evertick.reports.shelf`): what is kept of them is counted in bytes."""
    sources: tuple[SourceStatus, ...]
    breadth: Mapping[Group, Breadth]
    movers: Mapping[Group, Movers]
    correlation: Matrix | None = None
    lines: tuple[Series, ...] = ()
    """Closes of the last year of the leading indices; the section makes them start at 100."""
    falls: tuple[Series, ...] = ()
    """Closes of the last year of those whose drawdown is drawn and told."""
    intraday: Series | None = None
    """The leading Vietnamese index in its last session: ``day`` holds Unix seconds here (typecode ``q``)."""
    spread: Series | None = None
    """The ten-year yield less that of two years over the last year, in percentage points."""
    rates: Matrix | None = None
    """What one unit of each currency (row) costs in each (column); ``ids`` are currency codes, ``days`` is 0."""
    strength: Matrix | None = None
    """Percent by which each currency (row) moved against each (column) in one day."""
    months: tuple[Series, ...] = ()
    """Monthly returns in percent, by the first day of the month, the newest month up to now."""
    same_month: tuple[Series, ...] = ()
    """Returns of the month that is not over and of the same month in earlier years, oldest first, in percent."""
    calendar: Series | None = None
    """Daily changes in percent over the last year, of the first of `months`."""
    written: Mapping[str, Written] = field(default_factory=dict)
    """By language: what a model wrote in place of the rules' headline and key points."""
    warnings: tuple[str, ...] = ()
    """What a keeper of the server should know, in plain English; not part of the report's text."""
    quoted: int = field(init=False)
    """How many have a price."""
    _places: Places = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", Places(self.facts))
        object.__setattr__(self, "quoted", self._places.quoted)

    def told(self, written: Mapping[str, Written], warnings: Sequence[str]) -> Findings:
        """The same with a model's text, and with these warnings before the others; the facts are not looked at again."""
        made = copy(self)
        object.__setattr__(made, "written", written)
        object.__setattr__(made, "warnings", (*warnings, *self.warnings))
        return made

    def get(self, instrument_id: str) -> Facts | None:
        """The facts of one instrument if it has a price, else ``None``."""
        for place in self._places.of_id(instrument_id):
            found = self.facts[place]
            if found.id == instrument_id:
                return found if found.price is not None else None
        return None

    def of(self, group: Group) -> Iterator[Facts]:
        """Those of the group that have a price, in the order of the universe."""
        return (self.facts[place] for place in self._places.groups.get(group, ()))

    @property
    def many(self) -> bool:
        """A look at all of them takes longer than the event loop may be held."""
        return len(self.facts) > MANY

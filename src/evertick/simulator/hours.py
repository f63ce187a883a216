"""Trading days of an exchange, made from the weekly hours, holidays and half days of `evertick.sessions`.

A trading day is the local date on which its trading *ends*: Sunday evening's futures belong to Monday, and FX, which
trades from Sunday to Friday without a pause, is cut into days of 24 hours at five o'clock in New York.

Days are ordinals (``date.toordinal()``), instants are seconds since 1970 in UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from evertick.errors import SettingsError
from evertick.sessions import EXCHANGES, Calendar, Exchange, calendar

EPOCH = date(1970, 1, 1).toordinal()
_DAY = 24 * 60
Segments = tuple[tuple[int, int], ...]
"""Periods of trading of one day, (start, end) each, in order."""


class Hours:
    """The trading days of one exchange."""

    def __init__(self, exchange: Exchange, exceptions: Calendar | None = None) -> None:
        self.tz = exchange.tz
        self.zone = ZoneInfo(exchange.tz)
        self.always = exchange.always
        self._week = _by_trading_day(exchange)
        self._trades = tuple(bool(periods) for periods in self._week)
        self._early = dict(zip(exceptions.early, exceptions.closes, strict=True)) if exceptions else {}
        over = {d for d, end in self._early.items() if not any(a < end for a, _ in self._week[(d - 1) % 7])}
        self._holidays = over.union(exceptions.closed if exceptions else ())
        self.long = any(periods and periods[0][0] < 0 for periods in self._week)
        """Trades into the night before the day: futures and FX."""
        self.segments = lru_cache(64)(self._segments)
        """When it trades on a day (an ordinal); nothing where it does not."""
        # Yahoo stamps a day with its opening, or with midnight where trading began the evening before
        self._opens = tuple(max(0, periods[0][0]) if periods else 0 for periods in self._week)

    def is_trading_day(self, day: int) -> bool:
        return self._trades[(day - 1) % 7] and day not in self._holidays

    def before(self, day: int) -> int:
        """The trading day before ``day``."""
        day -= 1
        while not self.is_trading_day(day):
            day -= 1
        return day

    def days(self, first: int, last: int) -> list[int]:
        """Trading days from ``first`` to ``last``, both included."""
        if self.always:
            return list(range(first, last + 1))
        trades, holidays = self._trades, self._holidays
        return [day for day in range(first, last + 1) if trades[(day - 1) % 7] and day not in holidays]

    def _segments(self, day: int) -> Segments:
        if self.always:
            start = (day - EPOCH) * 86400
            return ((start, start + 86400),)
        if day in self._holidays:
            return ()
        end = self._early.get(day)
        periods = self._week[(day - 1) % 7]
        if end is not None:
            periods = tuple((a, min(b, end)) for a, b in periods if a < end)
        return tuple((self._instant(day, a), self._instant(day, b)) for a, b in periods)

    def day_at(self, at: float) -> int:
        """The trading day that began last at or before ``at``."""
        if self.always:
            return EPOCH + int(at // 86400)
        day = self.local_day(at) + 2
        while True:
            day = self.before(day)
            if self.segments(day)[0][0] <= at:
                return day

    def local_day(self, at: float) -> int:
        return datetime.fromtimestamp(at, self.zone).toordinal()

    def stamps(self, days: list[int]) -> list[int]:
        """For every day the instant that Yahoo puts on its daily bar: the opening, or local midnight."""
        if not days:
            return []
        if self.always:
            return [(day - EPOCH) * 86400 for day in days]
        opens = self._opens
        offsets: list[int] = []
        self._fill(days, 0, len(days) - 1, self.offset(days[0]), self.offset(days[-1]), offsets)
        return [
            (day - EPOCH) * 86400 + opens[(day - 1) % 7] * 60 - offset
            for day, offset in zip(days, offsets, strict=True)
        ]

    def offset(self, day: int) -> int:
        """Seconds east of Greenwich at noon of ``day``."""
        noon = datetime.combine(date.fromordinal(day), datetime.min.time(), self.zone) + timedelta(hours=12)
        return int(noon.utcoffset().total_seconds())  # type: ignore[union-attr]

    def _fill(self, days: list[int], low: int, high: int, at_low: int, at_high: int, into: list[int]) -> None:
        """Offsets of days[low..high]. No zone changes twice within 25 days, so equal ends mean no change between."""
        if low == high:
            into.append(at_low)
        elif at_low == at_high and days[high] - days[low] <= 25:
            into.extend([at_low] * (high - low + 1))
        else:
            middle = (low + high) // 2
            at_middle, after = self.offset(days[middle]), self.offset(days[middle + 1])
            self._fill(days, low, middle, at_low, at_middle, into)
            self._fill(days, middle + 1, high, after, at_high, into)

    def _instant(self, day: int, minutes: int) -> int:
        """The instant at which the wall clock shows ``minutes`` after the midnight of ``day``."""
        days, minute = divmod(minutes, _DAY)
        local = datetime.combine(date.fromordinal(day + days), datetime.min.time()) + timedelta(minutes=minute)
        return int(local.replace(tzinfo=self.zone).astimezone(UTC).timestamp())


def _by_trading_day(exchange: Exchange) -> tuple[Segments, ...]:
    """Monday first: periods of each trading day in minutes after its own midnight, negative for the evening before."""
    if exchange.always:
        return (((0, _DAY),),) * 7
    found: list[list[tuple[int, int]]] = [[] for _ in range(7)]
    for weekday, periods in enumerate(exchange.week):
        for start, end in periods:
            while start < end:
                stop = min(end, start + _DAY)
                later = (stop - 1) // _DAY
                found[(weekday + later) % 7].append((start - later * _DAY, stop - later * _DAY))
                start = stop
    return tuple(tuple(sorted(periods)) for periods in found)


@cache
def hours(exchange: str) -> Hours:
    """The hours of an exchange by its code. Raises `SettingsError` for one that `evertick.sessions` does not know."""
    if exchange not in EXCHANGES:
        raise SettingsError(f"the exchange '{exchange}' is not known; choose among {', '.join(EXCHANGES)}")
    return Hours(EXCHANGES[exchange], calendar(exchange))

"""When the markets trade: opening hours of the exchanges in their own time zones, safe across daylight saving.

Weekly hours are in the table below, holidays and half days in the files of ``calendars`` beside this one: what
``make calendars`` writes there, and what is kept by hand (Vietnam, and what no package knows). Behind the end of an
exchange's calendar (`horizon`) its weekly hours apply.

Hours are those of continuous trading, auctions at the close included, as the exchanges publish them. All instants
are aware datetimes in UTC. A trading day is the local date that its trading belongs to: Sunday evening's futures are
Monday's.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from evertick.model import Instrument, Quote, Session

NEVER: Final = datetime.max.replace(tzinfo=UTC)
"""The `next_change` of what never opens or closes."""
BREAK_AT_MOST: Final = timedelta(hours=3)
"""A pause up to this long between two trading periods is a break, a longer one means closed."""
GRACE_BEFORE_CLOSE: Final = timedelta(minutes=30)
"""A price this long before the close still is the day's last: thin markets print no trade in the last minutes."""
DAILY_S: Final = 36 * 3600.0
"""What is published once a day, on every day, is fresh for a day and a half."""
LATE: Final = timedelta(hours=3)
"""What is published on working days may come so much after its hour."""
CALENDARS: Final = Path(__file__).with_name("calendars")

_DAY = 24 * 60
_INSTANT = timedelta(microseconds=1)
Hours = tuple[tuple[int, int], ...]
Period = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Exchange:
    """``week`` holds seven tuples, Monday first, of (open, close) in minutes after local midnight of that day; a close
    past 1,440 lies on a later day. An empty week never closes."""

    code: str
    name: str
    tz: str
    week: tuple[Hours, ...] = ()
    daily: bool = False
    """Not traded but published once a day: any time without a ``week``, else at the close of its working days."""
    lag: int = 0
    """Working days after which a daily figure is published."""
    begins: int = 0
    """When a trading day begins, in minutes after its local midnight; below 0 on the evening before."""

    @property
    def always(self) -> bool:
        return not self.week


@dataclass(frozen=True, slots=True)
class Calendar:
    """Exceptions to the weekly hours. Days are `date` ordinals, sorted."""

    last: int
    closed: array[int]
    early: array[int]
    closes: array[int]
    """For each of ``early``: when trading ends, in minutes after local midnight."""


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _hours(text: str) -> Hours:
    """``9:00-11:30 13:00-14:45`` as minutes; ``+1`` after a time means the day after."""
    periods = []
    for period in text.split():
        start, _, end = period.partition("-")
        end, _, later = end.partition("+")
        periods.append((_minutes(start), _minutes(end) + int(later or 0) * _DAY))
    return tuple(periods)


def _week(days: str, text: str, **others: str) -> tuple[Hours, ...]:
    """``days`` such as ``mon-fri`` or ``sun-thu`` with the same hours, single other days by name."""
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    first, _, last = days.partition("-")
    i, j = names.index(first), names.index(last or first)
    among = {names[(i + k) % 7] for k in range((j - i) % 7 + 1)}
    return tuple(_hours(others[n]) if n in others else _hours(text) if n in among else () for n in names)


def _weekdays(code: str, name: str, tz: str, hours: str, **others: str) -> Exchange:
    return Exchange(code, name, tz, _week("mon-fri", hours, **others))


_NIGHTS = "17:00-16:00+1"
_EVENING = 17 * 60 - _DAY

_TABLE = (
    Exchange("24/7", "Always open", "UTC"),
    Exchange("DAILY", "Published once a day", "UTC", daily=True),
    Exchange("TARGET", "ECB reference rates", "Europe/Berlin", _week("mon-fri", "15:45-16:00"), daily=True),
    Exchange("SIFMA", "US Treasury yields, official", "America/New_York", _week("mon-fri", "8:00-18:00"), daily=True),
    Exchange(
        "FED", "US rates, told a day later", "America/New_York", _week("mon-fri", "8:00-17:00"), daily=True, lag=1
    ),
    Exchange("VNBANK", "Banks of Vietnam", "Asia/Ho_Chi_Minh", _week("mon-fri", "8:00-16:30"), daily=True),
    Exchange("FX", "Foreign exchange", "America/New_York", _week("sun", "17:00-17:00+5"), begins=_EVENING),
    # the Americas
    _weekdays("XNYS", "New York Stock Exchange", "America/New_York", "9:30-16:00"),
    _weekdays("XNAS", "Nasdaq", "America/New_York", "9:30-16:00"),
    _weekdays("XCBO", "Cboe", "America/Chicago", "8:30-15:15"),
    _weekdays("UST", "US Treasury yields (Cboe)", "America/Chicago", "7:20-14:00"),
    Exchange("CME", "CME Globex: metals and energy", "America/Chicago", _week("sun-thu", _NIGHTS), begins=_EVENING),
    Exchange(
        "CBOT",
        "CBOT grains",
        "America/Chicago",
        _week("mon-thu", "8:30-13:20 19:00-7:45+1", fri="8:30-13:20", sun="19:00-7:45+1"),
        begins=_EVENING,
    ),
    _weekdays("CMEL", "CME livestock and lumber", "America/Chicago", "8:30-13:05"),
    _weekdays("IFUS", "ICE Futures US: softs", "America/New_York", "4:15-13:30"),
    _weekdays("XTSE", "Toronto Stock Exchange", "America/Toronto", "9:30-16:00"),
    # Mexico has no daylight saving any more, and its exchange keeps New York's hours
    _weekdays("XMEX", "Bolsa Mexicana de Valores", "America/New_York", "9:30-16:00"),
    _weekdays("BVMF", "B3, São Paulo", "America/Sao_Paulo", "10:00-17:55"),
    _weekdays("XBUE", "Buenos Aires", "America/Argentina/Buenos_Aires", "11:00-17:00"),
    _weekdays("XSGO", "Santiago", "America/Santiago", "9:30-16:00"),
    # Europe
    _weekdays("XLON", "London Stock Exchange", "Europe/London", "8:00-16:35"),
    _weekdays("XETR", "Xetra, Frankfurt", "Europe/Berlin", "9:00-17:35"),
    _weekdays("XPAR", "Euronext Paris", "Europe/Paris", "9:00-17:35"),
    _weekdays("XAMS", "Euronext Amsterdam", "Europe/Amsterdam", "9:00-17:35"),
    _weekdays("XBRU", "Euronext Brussels", "Europe/Brussels", "9:00-17:35"),
    _weekdays("XLIS", "Euronext Lisbon", "Europe/Lisbon", "8:00-16:35"),
    _weekdays("XMIL", "Borsa Italiana", "Europe/Rome", "9:00-17:35"),
    _weekdays("XMAD", "Bolsa de Madrid", "Europe/Madrid", "9:00-17:35"),
    _weekdays("XSWX", "SIX Swiss Exchange", "Europe/Zurich", "9:00-17:30"),
    _weekdays("XSTO", "Nasdaq Stockholm", "Europe/Stockholm", "9:00-17:30"),
    _weekdays("XHEL", "Nasdaq Helsinki", "Europe/Helsinki", "10:00-18:30"),
    _weekdays("XCSE", "Nasdaq Copenhagen", "Europe/Copenhagen", "9:00-17:00"),
    _weekdays("XOSL", "Oslo Børs", "Europe/Oslo", "9:00-16:25"),
    _weekdays("XWBO", "Wiener Börse", "Europe/Vienna", "9:00-17:35"),
    _weekdays("XDUB", "Euronext Dublin", "Europe/Dublin", "8:00-16:30"),
    _weekdays("XWAR", "Warsaw Stock Exchange", "Europe/Warsaw", "9:00-17:05"),
    _weekdays("XIST", "Borsa İstanbul", "Europe/Istanbul", "10:00-18:10"),
    _weekdays("ASEX", "Athens Exchange", "Europe/Athens", "10:15-17:20"),
    # Asia and the Pacific
    _weekdays("XTKS", "Tokyo Stock Exchange", "Asia/Tokyo", "9:00-11:30 12:30-15:30"),
    _weekdays("XHKG", "Hong Kong Exchange", "Asia/Hong_Kong", "9:30-12:00 13:00-16:10"),
    _weekdays("XSHG", "Shanghai Stock Exchange", "Asia/Shanghai", "9:30-11:30 13:00-15:00"),
    _weekdays("XSHE", "Shenzhen Stock Exchange", "Asia/Shanghai", "9:30-11:30 13:00-15:00"),
    _weekdays("XTAI", "Taiwan Stock Exchange", "Asia/Taipei", "9:00-13:30"),
    _weekdays("XKRX", "Korea Exchange", "Asia/Seoul", "9:00-15:30"),
    _weekdays("XBOM", "BSE, Mumbai", "Asia/Kolkata", "9:15-15:30"),
    _weekdays("XNSE", "NSE, Mumbai", "Asia/Kolkata", "9:15-15:30"),
    _weekdays("XSES", "Singapore Exchange", "Asia/Singapore", "9:00-12:00 13:00-17:16"),
    _weekdays(
        "XIDX", "Indonesia Stock Exchange", "Asia/Jakarta", "9:00-12:00 13:30-16:00", fri="9:00-11:30 14:00-16:00"
    ),
    _weekdays("XKLS", "Bursa Malaysia", "Asia/Kuala_Lumpur", "9:00-12:30 14:30-17:00"),
    _weekdays("XBKK", "Stock Exchange of Thailand", "Asia/Bangkok", "10:00-12:30 14:00-16:40"),
    _weekdays("XPHS", "Philippine Stock Exchange", "Asia/Manila", "9:30-12:00 13:00-15:00"),
    _weekdays("XSTC", "Ho Chi Minh Stock Exchange (HOSE)", "Asia/Ho_Chi_Minh", "9:00-11:30 13:00-14:45"),
    _weekdays("XHNX", "Hanoi Stock Exchange (HNX)", "Asia/Ho_Chi_Minh", "9:00-11:30 13:00-14:45"),
    _weekdays("XASX", "Australian Securities Exchange", "Australia/Sydney", "10:00-16:11"),
    _weekdays("XNZE", "New Zealand Exchange", "Pacific/Auckland", "10:00-16:45"),
    # the Middle East and Africa
    _weekdays("XTAE", "Tel Aviv Stock Exchange", "Asia/Jerusalem", "10:00-17:15", fri="10:00-13:50"),
    Exchange("XSAU", "Saudi Exchange", "Asia/Riyadh", _week("sun-thu", "10:00-15:10")),
    Exchange("XCAI", "Egyptian Exchange", "Africa/Cairo", _week("sun-thu", "10:00-14:30")),
    _weekdays("XJSE", "Johannesburg Stock Exchange", "Africa/Johannesburg", "9:00-17:00"),
)

EXCHANGES: Final[Mapping[str, Exchange]] = MappingProxyType({e.code: e for e in _TABLE})


def session(exchange: str, at: datetime) -> Session:
    """Whether ``exchange`` trades at ``at``. Raises `KeyError` for an exchange that is not in the table."""
    if _never_closes(EXCHANGES[exchange]):
        return Session.ALWAYS
    (_, closed), (opens, _) = _around(exchange, at)
    if at < closed:
        return Session.OPEN
    return Session.BREAK if opens - closed <= BREAK_AT_MOST else Session.CLOSED


def next_change(exchange: str, at: datetime) -> datetime:
    """The first instant after ``at`` at which trading starts or stops; `NEVER` for what always trades."""
    if _never_closes(EXCHANGES[exchange]):
        return NEVER
    (_, closed), (opens, _) = _around(exchange, at)
    return closed if at < closed else opens


def next_open(exchange: str, at: datetime) -> datetime:
    """The first instant after ``at`` at which trading starts, after a break too; `NEVER` for what always trades."""
    return NEVER if _never_closes(EXCHANGES[exchange]) else _around(exchange, at)[1][0]


def next_close(exchange: str, at: datetime) -> datetime:
    """The first instant after ``at`` at which trading stops, for a break too; `NEVER` for what always trades."""
    if _never_closes(EXCHANGES[exchange]):
        return NEVER
    (_, closed), (_, later) = _around(exchange, at)
    return closed if at < closed else later


def last_close(exchange: str, at: datetime) -> datetime:
    """When the last trading period before ``at`` ended, a lunch break's start too; ``at`` for what always trades."""
    if _never_closes(EXCHANGES[exchange]):
        return at
    before, _ = _around(exchange, at)
    return before[1] if before[1] <= at else _around(exchange, before[0] - _INSTANT)[0][1]


def is_trading_day(exchange: str, day: date) -> bool:
    """Whether any trading belongs to ``day``, a local date of the exchange; every day is one of what always trades."""
    return _trades(EXCHANGES[exchange], day.toordinal())


def trading_days(exchange: str, since: date, until: date) -> Iterator[date]:
    """The trading days from ``since`` to ``until``, both included."""
    e = EXCHANGES[exchange]
    return (date.fromordinal(n) for n in range(since.toordinal(), until.toordinal() + 1) if _trades(e, n))


def horizon(exchange: str) -> date | None:
    """The last day of the exchange's calendar; ``None`` where there is none and the weekly hours are all that is known."""
    EXCHANGES[exchange]
    calendar = _calendars().get(exchange)
    return date.fromordinal(calendar.last) if calendar else None


def calendar(exchange: str) -> Calendar | None:
    """The exceptions to the weekly hours of the exchange, where they are known."""
    EXCHANGES[exchange]
    return _calendars().get(exchange)


def fresh(quote: Quote, instrument: Instrument, at: datetime, within_s: float = 900) -> bool:
    """Whether ``quote`` is as new as its market lets it be.

    While the market is open: at most ``within_s`` seconds old (in the first ``within_s`` of a session the price of the
    last close counts too: delayed feeds have nothing newer). While it is closed: from the last half hour before the
    last close, or later. What is published once a day: at most 36 hours old, or, where it comes on working days only,
    of the last of them.
    """
    exchange = EXCHANGES[instrument.exchange]
    age = (at - quote.as_of).total_seconds()
    if exchange.always:
        return age <= (DAILY_S if exchange.daily else within_s)
    if age <= within_s:
        return True
    if exchange.daily:
        due = _closed_before(exchange.code, at - LATE)
        for _ in range(exchange.lag):
            due = _closed_before(exchange.code, due - _INSTANT)
        return _day_of(quote.as_of, exchange.tz) >= due.astimezone(zone(exchange.tz)).date()
    (opened, closed), _ = _around(exchange.code, at)
    if at < closed and (at - opened).total_seconds() > within_s:
        return False
    return quote.as_of >= last_close(exchange.code, at) - GRACE_BEFORE_CLOSE


def _never_closes(exchange: Exchange) -> bool:
    return exchange.always or exchange.daily


@cache
def zone(tz: str) -> ZoneInfo:
    """A time zone that is kept: `ZoneInfo` itself remembers eight, the exchanges have more, and each other one is a file to read."""
    return ZoneInfo(tz)


def _day_of(at: datetime, tz: str) -> date:
    """The day of a daily figure; some bear the midnight of that day in UTC, which in America is still the day before."""
    return max(at.astimezone(zone(tz)).date(), at.date())


def _closed_before(exchange: str, at: datetime) -> datetime:
    (opened, closed), _ = _around(exchange, at)
    return closed if closed <= at else _around(exchange, opened - _INSTANT)[0][1]


def _trades(e: Exchange, ordinal: int) -> bool:
    if e.always:
        return True
    calendar = _calendars().get(e.code)
    return _weekdays_of(e.code)[(ordinal - 1) % 7] and not (calendar and _has(calendar.closed, ordinal))


@cache
def _weekdays_of(exchange: str) -> tuple[bool, ...]:
    """Monday first: whether any of the weekly hours belong to that day."""
    e = EXCHANGES[exchange]
    days = {
        (weekday + later) % 7
        for weekday, periods in enumerate(e.week)
        for start, end in periods
        for later in range((start - e.begins) // _DAY, (end - 1 - e.begins) // _DAY + 1)
    }
    return tuple(n in days for n in range(7))


def _around(exchange: str, at: datetime) -> tuple[Period, Period]:
    """The trading period that began last, at or before ``at``, and the one that begins next."""
    e = EXCHANGES[exchange]
    today = at.astimezone(zone(e.tz)).toordinal()
    before: Period | None = None
    day = today
    while before is None:
        before = next((p for p in reversed(_periods(exchange, day)) if p[0] <= at), None)
        day -= 1
    after: Period | None = None
    day += 1
    while after is None:
        after = next((p for p in _periods(exchange, day) if p[0] > at), None)
        day += 1
    return before, after


@lru_cache(
    maxsize=512
)  # pure: a few days of every exchange, about 100 KB; without it a dashboard's answer costs 5 ms more
def _periods(exchange: str, ordinal: int) -> tuple[Period, ...]:
    """The trading periods of the weekly hours that begin on one local day, less what holidays take of them, in UTC."""
    e = EXCHANGES[exchange]
    day = date.fromordinal(ordinal)
    periods = list(e.week[day.weekday()])
    if not periods:
        return ()
    first, last = ((minutes - e.begins) // _DAY for minutes in (periods[0][0], periods[-1][1] - 1))
    for later in range(first, last + 1):
        closes = _closes(e, ordinal + later)
        if closes is not None:
            periods = list(_without(periods, later * _DAY + closes, (later + 1) * _DAY + e.begins))
    return tuple((_instant(day, start, e.tz), _instant(day, end, e.tz)) for start, end in periods)


def _closes(e: Exchange, ordinal: int) -> int | None:
    """When the trading of a day ends other than usually, in minutes after midnight: on a holiday before it begins."""
    calendar = _calendars().get(e.code)
    if calendar is None:
        return None
    if _has(calendar.closed, ordinal):
        return e.begins
    place = bisect_left(calendar.early, ordinal)
    early = place < len(calendar.early) and calendar.early[place] == ordinal
    return calendar.closes[place] if early else None


def _without(periods: list[tuple[int, int]], start: int, end: int) -> Iterator[tuple[int, int]]:
    """``periods`` without what lies between ``start`` and ``end``."""
    for opens, closes in periods:
        if opens < min(closes, start):
            yield opens, min(closes, start)
        if max(opens, end) < closes:
            yield max(opens, end), closes


def _has(days: array[int], ordinal: int) -> bool:
    place = bisect_left(days, ordinal)
    return place < len(days) and days[place] == ordinal


def _instant(day: date, minutes: int, tz: str) -> datetime:
    """The UTC instant of a wall-clock time; the earlier one of two, and what follows a gap for one that is skipped."""
    days, minute = divmod(minutes, _DAY)
    local = datetime.combine(day + timedelta(days=days), time(*divmod(minute, 60)), zone(tz))
    return local.astimezone(UTC)


@cache
def _calendars() -> Mapping[str, Calendar]:
    """Read once, at the first question about a day."""
    years: dict[str, dict[int, list[str]]] = {}
    for file in sorted(CALENDARS.glob("*.txt")):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            words = line.partition("#")[0].split()
            for code in words[0].split(",") if words else ():
                known = years.setdefault(code, {})
                if int(words[1]) in known:
                    raise ValueError(f"{file.name}, line {number}: {code} has {words[1]} already")
                known[int(words[1])] = words[2:]
    return MappingProxyType({code: _calendar(exceptions) for code, exceptions in years.items()})


def _calendar(years: Mapping[int, list[str]]) -> Calendar:
    """From each year's ``01-01 02-04..02-10 12-24@12:00``: closed on two spans of days, closing early on a third."""
    first, last = min(years), max(years)
    closed: list[int] = []
    early: list[tuple[int, int]] = []
    for year in range(first, last + 1):
        for exception in years[year]:
            days, _, closes = exception.partition("@")
            begin, _, end = days.partition("..")
            span = range(_ordinal(year, begin), _ordinal(year, end or begin) + 1)
            if closes:
                early += [(day, _minutes(closes)) for day in span]
            else:
                closed += span
    early.sort()
    return Calendar(
        date(last, 12, 31).toordinal(),
        array("i", sorted(closed)),
        array("i", [day for day, _ in early]),
        array("h", [closes for _, closes in early]),
    )


def _ordinal(year: int, month_day: str) -> int:
    month, _, day = month_day.partition("-")
    return date(year, int(month), int(day)).toordinal()

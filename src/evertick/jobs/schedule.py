"""When a job is due: pure arithmetic on instants, the same answer on every process.

======================  ================================================================================
``every 3m``, ``3m``    a fixed interval (``s``, ``m``, ``h``, ``d``; also ``1h30m``)
``every 3h..6h``        an interval drawn between the two, anew each time, from the anchor alone
``cron: 0 7 * * 1-5``   cron's five fields, in the time zone; the word ``cron:`` may be left out
``07:00,15:30``         times of day, in the time zone
``… @XNYS,XSTC``        after any of them: only while one of these exchanges is in session
======================  ================================================================================

Daylight saving: a wall-clock time that the clock jumps over runs at the instant of the jump; one that comes twice runs
the first time. A cron whose hour is ``*`` follows real time, so that ``*/15 * * * *`` is never 75 minutes apart.

In sessions: an interval that ends outside waits for the next opening and counts on from there; a cron or a time of day
outside is left out. A lunch break is outside.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from hashlib import blake2b
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from evertick.errors import SettingsError

EXAMPLES = "write for example 3m, 3h..6h, 07:00,15:30 or cron: 0 7 * * mon-fri, with @XNYS behind it for sessions only"
SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(days=366)
MISSED_SHOWN = 50
"""How many missed slots of one downtime get a row of their own; all of them are counted."""

_TICK = timedelta(microseconds=1)
_WALK = 2_000
_SKEW = timedelta(minutes=5)
"""An anchor further than this in the future means that the clock was put back, not that two machines differ."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_PIECE = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_CRON_FIELD = re.compile(
    r"(?:[0-9*,/\-#]|sun|mon|tue|wed|thu|fri|sat|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)+|l|\d+l"
)


class Timing(Protocol):
    """The next instant after another; ``seed`` tells random schedules of different jobs apart."""

    @property
    def wall(self) -> bool: ...

    def next(self, after: datetime, seed: str) -> datetime: ...


# --- the kinds -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Every:
    step: timedelta
    wall = False

    def next(self, after: datetime, seed: str) -> datetime:
        return after + self.step


@dataclass(frozen=True, slots=True)
class Between:
    """Drawn evenly from [shortest, longest] by a hash of the seed and the anchor: random to look at, equal everywhere."""

    shortest: timedelta
    longest: timedelta
    wall = False

    def next(self, after: datetime, seed: str) -> datetime:
        text = f"{seed}|{after.astimezone(UTC).isoformat()}".encode()
        share = int.from_bytes(blake2b(text, digest_size=7).digest()) / ((1 << 56) - 1)
        drawn = self.shortest + (self.longest - self.shortest) * share
        return after + timedelta(seconds=round(drawn.total_seconds()))


@dataclass(frozen=True, slots=True)
class TimesOfDay:
    times: tuple[time, ...]
    """Sorted."""
    zone: ZoneInfo
    wall = True

    def next(self, after: datetime, seed: str) -> datetime:
        return _by_wall_clock(self._naive_next, self.zone, after)

    def _naive_next(self, after: datetime) -> datetime:
        i = bisect_right(self.times, after.time())
        if i < len(self.times):
            return datetime.combine(after.date(), self.times[i])
        return datetime.combine(after.date() + timedelta(days=1), self.times[0])


@dataclass(frozen=True, slots=True)
class Cron:
    fields: str
    zone: ZoneInfo
    wall = True

    def next(self, after: datetime, seed: str) -> datetime:
        if self.fields.split()[1] == "*":
            return _by_real_time(self._naive_next, self.zone, after)
        return _by_wall_clock(self._naive_next, self.zone, after)

    def _naive_next(self, after: datetime) -> datetime:
        from croniter import croniter  # only a schedule that is a cron pays for it

        # In UTC nothing is skipped or repeated: daylight saving is dealt with here, not there.
        found: datetime = croniter(self.fields, after.replace(tzinfo=UTC)).get_next(datetime)
        return found.replace(tzinfo=None)


def _by_wall_clock(naive_next: Callable[[datetime], datetime], zone: ZoneInfo, after: datetime) -> datetime:
    """The first instant after ``after`` at which the wall clock shows a wanted time, counting a repeated hour once."""
    local = after.astimezone(zone).replace(tzinfo=None)
    while True:
        local = naive_next(local)
        instant = _instant(local, zone)
        if instant > after:
            return instant


def _instant(local: datetime, zone: ZoneInfo) -> datetime:
    """A wall-clock time as an instant: the first of two, or the end of the gap for one that does not exist."""
    instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    return _transition(zone, local.replace(tzinfo=zone, fold=1).astimezone(UTC), instant)


def _by_real_time(naive_next: Callable[[datetime], datetime], zone: ZoneInfo, after: datetime) -> datetime:
    """As above, but a repeated hour counts twice and a skipped one never was: one offset is followed at a time."""
    low = floor = after.astimezone(UTC)
    while True:
        offset = _offset(zone, low)
        instant = (naive_next((floor + offset).replace(tzinfo=None)) - offset).replace(tzinfo=UTC)
        if _offset(zone, instant) == offset:
            return instant
        low = _transition(zone, low, instant)  # go on in the new offset, the change itself included
        floor = low - _TICK


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _transition(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The instant in (before, after] at which the zone's offset changes, to the second."""
    low, high = int(before.timestamp()), -int(-after.timestamp() // 1)
    old = _offset(zone, before)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, datetime.fromtimestamp(middle, UTC)) == old:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


# --- the schedule ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Due:
    """What a schedule owes at one moment: at most one slot to run, however long the downtime was."""

    newest: datetime | None
    """The latest due time not after now; ``None``: nothing is due."""
    missed: tuple[datetime, ...]
    """The due times before it, oldest first, the newest `MISSED_SHOWN` of them."""
    coalesced: int
    """How many were missed in all. After years of downtime of a cron: at least."""
    next: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write into the ledger for one schedule: slots, and where the schedule stands then."""

    newest: datetime | None
    missed: tuple[datetime, ...]
    coalesced: int
    anchor: datetime
    next_due: datetime


@dataclass(frozen=True, slots=True)
class Schedule:
    text: str
    """The spec as it was written, without needless spaces."""
    timing: Timing
    zone: str
    exchanges: tuple[str, ...] = ()
    spread: bool = False
    """Of many jobs with one interval: each begins at its own place within the interval, told apart by the seed."""

    def __str__(self) -> str:
        """What is stored and compared: two schedules that read the same are due at the same times."""
        return f"{self.text} {self.zone}" if self.timing.wall else self.text

    def next(self, after: datetime, seed: str = "") -> datetime:
        """The first due time later than ``after`` (aware), in UTC."""
        return self._in_session(self.timing.next(after, seed).astimezone(UTC), seed)

    def _in_session(self, found: datetime, seed: str) -> datetime:
        if not self.exchanges:
            return found
        for _ in range(_WALK):
            opening = _opening(self.exchanges, found)
            if opening == found:
                return found
            if not self.timing.wall:
                return self._after_opening(opening, seed)
            found = self.timing.next(opening - _TICK, seed).astimezone(UTC)
        raise SettingsError(f"'{self.text}' is never due: these times are always outside the sessions of the exchanges")

    def plan(
        self, known: tuple[str, datetime, datetime] | None, now: datetime, *, seed: str = "", first_now: bool = False
    ) -> Plan | None:
        """What to write now, given the stored ``(spec, anchor, next_due)``; ``None``: nothing.

        The first start waits for its first due time (``first_now``: is due at once). A changed spec counts on from the
        anchor, or from now where that is past already. A clock that was put back starts afresh.
        """
        if known is None:
            return Plan(now if first_now else None, (), 0, now, self._first(now, seed))
        spec, anchor, next_due = known
        if anchor - now > _SKEW:
            return Plan(None, (), 0, now, self._first(now, seed))
        if spec != str(self):
            following = self._first(anchor, seed)
            return Plan(None, (), 0, anchor, following if following > now else self._first(now, seed))
        if next_due > now:
            return None
        found = due(self, next_due, now, seed=seed)
        assert found.newest is not None  # next_due itself is
        return Plan(found.newest, found.missed, found.coalesced, found.newest, found.next)

    def _first(self, after: datetime, seed: str) -> datetime:
        """The first due time after a start: the interval later, with ``spread`` a share of it."""
        if not self.spread or self.timing.wall:
            return self.next(after, seed)
        return self._in_session((after + self._place(after, seed)).astimezone(UTC), seed)

    def _after_opening(self, opening: datetime, seed: str) -> datetime:
        """With ``spread`` not all at the bell: each at its own place in the first interval, if that is in session."""
        later = opening + self._place(opening, seed) if self.spread else opening
        return later if _opening(self.exchanges, later) == later else opening

    def _place(self, after: datetime, seed: str) -> timedelta:
        """Where in the interval that begins at ``after`` this job stands."""
        return (self.timing.next(after, seed) - after) * (1 - _share(seed))


def _share(seed: str) -> float:
    """A place in [0, 1) for a seed, the same on every process."""
    return int.from_bytes(blake2b(seed.encode(), digest_size=7).digest()) / (1 << 56)


def due(schedule: Schedule, next_due: datetime, now: datetime, *, seed: str = "", limit: int = MISSED_SHOWN) -> Due:
    """What ``schedule`` owes at ``now``, having handed out everything before ``next_due``."""
    if next_due > now:
        return Due(None, (), 0, next_due)
    passed: deque[datetime] = deque(maxlen=limit + 1)
    count = 0
    if isinstance(schedule.timing, Every) and not schedule.exchanges:
        whole = (now - next_due) // schedule.timing.step
        skipped = max(0, whole - limit)
        next_due, count = next_due + skipped * schedule.timing.step, skipped
    at = next_due
    steps = 0
    while at <= now:
        passed.append(at)
        count += 1
        steps += 1
        at = schedule.next(at, seed)
        if steps == _WALK and at <= now:
            at = _near(schedule, at, now, seed)
    newest = passed.pop()
    return Due(newest, tuple(passed), count - 1, at)


def _near(schedule: Schedule, at: datetime, now: datetime, seed: str) -> datetime:
    """A due time close before ``now``, for a downtime so long that walking through it would take seconds."""
    for days in (1 / 24, 1, 8, 32, 400):
        start = now - timedelta(days=days)
        if start > at and (found := schedule.next(start, seed)) <= now:
            return found
    return at


def _opening(exchanges: tuple[str, ...], at: datetime) -> datetime:
    """``at`` itself if one of the exchanges is in session then, else the next opening of any."""
    from evertick.model import Session
    from evertick.sessions import next_change, session

    trading = (Session.OPEN, Session.ALWAYS)
    openings = []
    for exchange in exchanges:
        when = at
        while session(exchange, when) not in trading:
            when = next_change(exchange, when)
        openings.append(when)
    return min(openings)


# --- reading a spec --------------------------------------------------------------------------------------------------


def parse(spec: str, tz: str, *, spread: bool = False) -> Schedule:
    """Read a schedule; ``tz`` is the IANA zone of its wall-clock times, ``spread`` as in `Schedule`.

    Raises `SettingsError` that names the spec, what is wrong with it, and what one looks like.
    """
    text = " ".join(spec.split())
    if not text:
        raise SettingsError(f"a schedule is empty; {EXAMPLES}")
    if len(text) > 120:
        raise SettingsError(f"the schedule '{text[:40]}…' is longer than 120 characters; {EXAMPLES}")
    try:
        zone = ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(f"'{tz}' is not a time zone; take a name such as Asia/Ho_Chi_Minh or UTC") from None
    body, at, names = text.partition("@")
    exchanges = _exchanges(text, names) if at else ()
    schedule = Schedule(text, _timing(text, body.strip().lower(), zone), tz, exchanges, spread)
    schedule.next(datetime(2026, 1, 1, tzinfo=UTC))  # what is never due is refused here, not at night
    return schedule


def _timing(spec: str, body: str, zone: ZoneInfo) -> Timing:
    if body.startswith("cron:"):
        return _cron(spec, body.removeprefix("cron:").split(), zone)
    if len(fields := body.split()) == 5 and fields[0] != "every":
        return _cron(spec, fields, zone)
    if ":" in body:
        return TimesOfDay(_times(spec, body), zone)
    return _interval(spec, body.removeprefix("every").strip())


def _interval(spec: str, body: str) -> Timing:
    low, dots, high = body.partition("..")
    shortest = _duration(spec, low)
    if not dots:
        return Every(shortest)
    longest = _duration(spec, high)
    if longest < shortest:
        raise SettingsError(f"'{spec}' runs backwards: write the shorter interval first, {high.strip()}..{low.strip()}")
    return Every(shortest) if longest == shortest else Between(shortest, longest)


def _duration(spec: str, text: str) -> timedelta:
    text = text.replace(" ", "")
    if not _DURATION.fullmatch(text):
        unit = " (a number needs a unit: s, m, h or d)" if re.fullmatch(r"-?\d+(\.\d+)?", text) else ""
        raise SettingsError(f"'{spec}' is not a schedule: '{text}' is not a duration{unit}; {EXAMPLES}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(text))
    if seconds < SHORTEST.total_seconds():
        raise SettingsError(f"'{spec}' is too short: an interval is at least 1 s; {EXAMPLES}")
    if seconds > LONGEST.total_seconds():
        raise SettingsError(f"'{spec}' is too long: an interval is at most 366 d; {EXAMPLES}")
    return timedelta(seconds=seconds)


def _times(spec: str, body: str) -> tuple[time, ...]:
    times = set()
    for item in body.split(","):
        found = re.fullmatch(r"(\d{1,2}):(\d{2})", item.strip())
        if not found or int(found[1]) > 23 or int(found[2]) > 59:
            raise SettingsError(
                f"'{spec}' is not a schedule: '{item.strip()}' is not a time of day (00:00 to 23:59); {EXAMPLES}"
            )
        times.add(time(int(found[1]), int(found[2])))
    return tuple(sorted(times))


def _cron(spec: str, fields: list[str], zone: ZoneInfo) -> Cron:
    from croniter import CroniterError, croniter

    if len(fields) != 5:
        raise SettingsError(f"'{spec}' is not a cron of five fields (minute hour day month weekday); {EXAMPLES}")
    wrong = next((field for field in fields if not _CRON_FIELD.fullmatch(field)), None)
    text = " ".join(fields)
    if wrong is not None or not croniter.is_valid(text):
        where = f" ('{wrong}')" if wrong else ""
        raise SettingsError(f"'{spec}' is not a cron that can be read{where}; {EXAMPLES}")
    cron = Cron(text, zone)
    try:
        cron.next(datetime(2026, 1, 1, tzinfo=UTC), "")
    except CroniterError:
        raise SettingsError(f"'{spec}' names a day that never comes; {EXAMPLES}") from None
    return cron


def _exchanges(spec: str, names: str) -> tuple[str, ...]:
    from evertick.sessions import EXCHANGES

    found = tuple(dict.fromkeys(name.strip().upper() for name in names.split(",") if name.strip()))
    if not found:
        raise SettingsError(f"'{spec}' names no exchange behind the @; {EXAMPLES}")
    for name in found:
        if name not in EXCHANGES:
            raise SettingsError(
                f"'{spec}': '{name}' is not an exchange Evertick knows; it knows {', '.join(EXCHANGES)}"
            )
    return found

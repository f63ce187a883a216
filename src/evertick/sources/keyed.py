"""What the providers with a key have in common: quotas too small for every instrument in every run, and keys to keep.

A free plan grants a few requests a minute and some hundred a day. A keyed source therefore asks for a few instruments in
each run and for the next ones in the next (`Turns`); those left for later are named in `Answer.later`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from evertick.errors import SettingsError, SourceError, SourceMalformed, SourceRateLimited
from evertick.model import Bars, Clock, Instrument, Quote, Session
from evertick.sessions import EXCHANGES, is_trading_day, last_close, session, zone
from evertick.sources import daily
from evertick.sources.batches import merged
from evertick.sources.reading import Answer, decimal, leapt, positive, wrong

IN_A_ROW = 2
"""Requests that fail one after another before a run gives up: a wrong key fails them all, a symbol only its own."""
_KEY = re.compile(r"[\x21-\x7e]+")
_EXCERPT = 160


class Turns:
    """Whose turn it is: ``at_once`` instruments at most, and none again before ``every_s`` seconds have passed.

    It remembers two numbers, however many instruments there are.
    """

    def __init__(self, at_once: int, every_s: float, clock: Clock) -> None:
        self._at_once = at_once
        self._every_s = every_s
        self._clock = clock
        self._next = 0
        self._taken: float | None = None

    def take(self, instruments: Sequence[Instrument]) -> tuple[list[Instrument], tuple[str, ...]]:
        """The next ones, and the ids of those whose turn comes later."""
        now = self._clock.monotonic()
        if self._taken is not None and now - self._taken < self._every_s:
            return [], tuple(i.id for i in instruments)
        self._taken = now
        if len(instruments) <= self._at_once:
            return list(instruments), ()
        start = self._next % len(instruments)
        turned = [*instruments[start:], *instruments[:start]]
        self._next = start + self._at_once
        return turned[: self._at_once], tuple(i.id for i in turned[self._at_once :])


def usable_key(source: str, key: str | None) -> str | None:
    """``key`` without the blanks around it. Raises `SettingsError`, without the key, for one that no header can carry."""
    key = (key or "").strip()
    if key and not _KEY.fullmatch(key):
        raise SettingsError(f"SOURCES__{source.upper()}__API_KEY holds characters that no key has")
    return key or None


async def one_by_one(
    instruments: Sequence[Instrument], later: Sequence[str], ask: Callable[[Instrument], Awaitable[Answer]]
) -> Answer:
    """One request for each instrument, one after another; raises `SourceError` when none was answered.

    A request that fails costs its own instrument. A request to slow down ends the run, as do two failures in a row.
    """
    parts: list[Answer] = []
    failures: list[SourceError] = []
    in_a_row = 0
    for instrument in instruments:
        try:
            parts.append(await ask(instrument))
            in_a_row = 0
        except SourceError as error:
            failures.append(error)
            in_a_row += 1
            if in_a_row == IN_A_ROW or isinstance(error, SourceRateLimited):
                break
    return replace(merged(parts, failures), later=later)


def unknown(error: SourceError) -> bool:
    """Whether a request failed because the provider does not know what was asked for."""
    return error.came.startswith("HTTP 404")


def said(message: object, secret: str | None) -> str:
    """A provider's message as one short line, without the key that some of them repeat."""
    text = message if isinstance(message, str) else ""
    if secret:
        text = re.sub(re.escape(secret), "…", text, flags=re.IGNORECASE)
    return " ".join("".join(c if c.isprintable() else " " for c in text[:2000]).split())[:_EXCERPT]


def priced(
    instrument: Instrument,
    source: str,
    price: float | None,
    as_of: datetime | None,
    now: datetime,
    *,
    previous: float | None = None,
    opened: float | None = None,
    high: float | None = None,
    low: float | None = None,
    volume: float | None = None,
    change_pct: float | None = None,
    market_cap: float | None = None,
    line: tuple[float, ...] = (),
) -> Quote | str:
    """A quote, or why there is none. The price must be on one scale with the close before it, else with its opening."""
    before = positive(previous)
    if reason := wrong(instrument, price, as_of, now, before if before is not None else positive(opened)):
        return reason
    assert price is not None and as_of is not None
    if before is not None:
        change_pct = (price / before - 1) * 100
    top, bottom = _near(price, high), _near(price, low)
    if top is not None and bottom is not None and top < bottom:
        top = bottom = None
    return Quote(
        id=instrument.id,
        price=price,
        as_of=as_of,
        source=source,
        change_pct=change_pct,
        previous_close=before,
        day_high=top,
        day_low=bottom,
        volume=positive(volume),
        market_cap=positive(market_cap),
        spark=line,
    )


def answered(instrument: Instrument, quote: Quote | str) -> Answer:
    """The answer that holds what `priced` made of one instrument."""
    return Answer((), {instrument.id: quote}) if isinstance(quote, str) else Answer([quote])


def _near(price: float, value: float | None) -> float | None:
    """A high or a low; 0 stands for "not known" there."""
    found = positive(value)
    return None if found is None or leapt(price, found) else found


def zone_of(instrument: Instrument) -> ZoneInfo:
    return zone(EXCHANGES[instrument.exchange].tz)


def as_of_day(instrument: Instrument, day: date, now: datetime) -> datetime:
    """When a price was made that a provider dates with a day only: at its close, and while it lasts, at its beginning.

    The beginning is the latest moment that is certain; a price that may be older must not pass for a new one.
    """
    zone = zone_of(instrument)
    begins, ends = _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
    if not _through(instrument, ends):
        ends = max(begins, last_close(instrument.exchange, ends))
    return ends if ends <= now else begins


def day_of(text: object) -> date | None:
    """The day that ISO 8601 text begins with, whatever time follows it."""
    try:
        found = date.fromisoformat(text[:10]) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found is not None and 1970 <= found.year < 9999 else None


Raw = tuple[date | None, Sequence[object]]
"""A day, and its open, high, low, close and volume as a provider sends them, numbers or texts."""


def series(raw: Iterable[Raw], instrument: Instrument, since: date, now: datetime, source: str, endpoint: str) -> Bars:
    """Daily bars from ``since`` on, sorted, one a day; none of a day yet to come, of two prices or of another scale.

    Raises `SourceMalformed` where rows came and none is usable, and where one is of a weekday on which the exchange never
    trades: then all days are shifted.
    """
    zone = zone_of(instrument)
    latest = now.astimezone(zone).date()
    if _through(instrument, _midnight(latest + timedelta(days=1), zone)):  # futures and FX: tomorrow began this evening
        latest += timedelta(days=1)
    week = [latest - timedelta(days=n) for n in range(7)]
    closed = {one.weekday() for one in week if _never_trades(instrument, one)}
    rows: dict[int, daily.Row | None] = {}
    came = 0
    for day, numbers in raw:
        came += 1
        opened, high, low, close, volume = map(decimal, numbers)
        if day is None or day > latest or _alone(close, (opened, high, low)):
            continue
        if day.weekday() in closed:
            raise SourceMalformed(source, endpoint, f"a bar of {day}, a {day:%A}", expected="trading days")
        row = daily.row(instrument, day.toordinal(), close, opened, high, low, volume)
        if row is not None:
            same = rows.get(row[0], row)
            rows[row[0]] = row if same is not None and same[4] == row[4] else None
    kept = [row for _, row in sorted(rows.items()) if row is not None]
    if came and not kept:
        raise SourceMalformed(source, endpoint, "no usable bar among those sent", expected="daily bars")
    bars = daily.bars(instrument, kept)
    return bars.last(sum(day >= since.toordinal() for day in bars.day))


def _alone(close: float | None, others: Sequence[float | None]) -> bool:
    """Whether a close is on another scale than everything else of its day."""
    known = [value for value in others if value is not None and value > 0]
    return bool(known) and close is not None and all(leapt(close, value) for value in known)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _never_trades(instrument: Instrument, day: date) -> bool:
    """Whether its exchange is closed on that day of every week; what trades through the night is not held to days."""
    if _through(instrument, _midnight(day, zone_of(instrument))):
        return False
    return not any(is_trading_day(instrument.exchange, day - timedelta(weeks=n)) for n in range(4))


def _through(instrument: Instrument, midnight: datetime) -> bool:
    """Whether its trading goes on through a midnight."""
    return session(instrument.exchange, midnight) in (Session.OPEN, Session.ALWAYS)

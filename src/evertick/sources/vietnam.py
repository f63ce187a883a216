"""What the Vietnamese providers have in common: codes, units, price limits, the exchanges' days, and daily bars.

Codes are those of the namespace ``vn``: the indices ``VNINDEX VN30 HNX UPCOM``, and shares by their ticker. Prices of
shares are in VND, of indices in points; a provider that sends thousands of VND is scaled by its own module. Days and
times of day are Vietnam's (UTC+7, no daylight saving).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from math import isnan
from typing import Final
from zoneinfo import ZoneInfo

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Bars, Instrument, Quote, Session
from evertick.sessions import last_close, next_change, session
from evertick.sources import daily
from evertick.sources.reading import AHEAD_AT_MOST, Answer, decimal, instant, leapt, spark, thinned, wrong

ZONE: Final = ZoneInfo("Asia/Ho_Chi_Minh")
INDICES: Final = ("VNINDEX", "VN30", "HNX", "UPCOM")
FIRST_SESSION: Final = date(2000, 7, 28)
"""Of Ho Chi Minh City's exchange: there are no bars before."""
THOUSAND: Final = 1000.0
"""VND in the unit of a provider that quotes shares in thousands."""
FIRST_DAY_LIMIT: Final = 0.40
"""How far a share may move on its first day at most (UPCOM; HNX 30 %, HOSE 20 %)."""
_LIMITS: Final = {"XSTC": 0.07, "XHNX": 0.10}
_WIDEST: Final = 0.15
"""UPCOM's, and what counts where the exchange is not one of those above."""
_SHARE_VND: Final = (100.0, 5_000_000.0)
"""No listed share has ever cost less or more: outside, the unit is not the one it is taken for."""
_INDEX_POINTS: Final = (20.0, 20_000.0)
_AT_ONCE: Final = 3
_LONGEST_REST: Final = 30
"""Days without trading at most; Tết takes nine."""
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)

Raw = tuple[date | None, object, object, object, object, object]
"""Day, open, high, low, close, volume as a provider sends them, numbers or texts."""


def is_share(instrument: Instrument, symbol: str) -> bool:
    """Whether it is priced in VND: a share or a fund, not an index."""
    return instrument.currency == "VND" and symbol not in INDICES


def off_scale(price: float, share: bool) -> str | None:
    """Why a price cannot be in the unit it is taken for; ``None`` if it can."""
    low, high = _SHARE_VND if share else _INDEX_POINTS
    if low <= price <= high:
        return None
    return f"a share of {price:.10g} VND" if share else f"an index of {price:.10g} points"


def limit(instrument: Instrument, symbol: str) -> float:
    """The share of the reference price by which a price may differ from it on one day: HOSE 7 %, HNX 10 %, UPCOM 15 %."""
    return _WIDEST if symbol == "UPCOM" else _LIMITS.get(instrument.exchange, _WIDEST)


# --- asking ----------------------------------------------------------------------------------------------------------


async def each(ask: Callable[[Instrument], Awaitable[Answer]], instruments: Sequence[Instrument]) -> Answer:
    """The answers to one request an instrument, three at a time. One that fails costs itself; raises when all do.

    After a request to slow down, a refusal, or three failures before any answer nothing more is asked.
    """
    parts: list[Answer] = []
    failures: list[SourceError] = []
    left = iter(instruments)

    async def worker() -> None:
        for instrument in left:
            try:
                parts.append(await ask(instrument))
            except SourceError as error:
                failures.append(error)
            if any(isinstance(failure, SourceRateLimited | SourceRefused) for failure in failures):
                return
            if not parts and len(failures) >= _AT_ONCE:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(worker())
    return together(parts, failures)


def together(parts: Sequence[Answer], failures: Sequence[SourceError]) -> Answer:
    """Several answers as one. Raises the first failure where there is nothing else."""
    if failures and not parts:
        raise failures[0]
    quotes = [quote for part in parts for quote in part.quotes]
    return Answer(quotes, {k: v for part in parts for k, v in part.refused.items()}, failures)


def single(quote: Quote | str, instrument: Instrument) -> Answer:
    """The answer that consists of one quote, or of why there is none."""
    return Answer((), {instrument.id: quote}) if isinstance(quote, str) else Answer([quote])


# --- days and times --------------------------------------------------------------------------------------------------


def local_day(at: datetime) -> date:
    return at.astimezone(ZONE).date()


def day_of(seconds: object) -> date | None:
    """The day in Vietnam of Unix seconds, a number or a text; ``None`` for what is no such time."""
    at = instant(decimal(seconds))
    try:
        return local_day(at) if at is not None else None
    except OverflowError:  # the last hours of the year 9999
        return None


def midnight(day: date) -> datetime:
    """The beginning of a day in Vietnam."""
    return datetime.combine(day, time(), ZONE)


def calendar(instrument: Instrument) -> str:
    """The exchange whose days count: ``XHNX`` (Hanoi) where the instrument says so, else ``XSTC`` (Ho Chi Minh City)."""
    return "XHNX" if instrument.exchange == "XHNX" else "XSTC"


def opening(exchange: str, day: date) -> datetime | None:
    """When trading begins on ``day``; ``None`` on a day without."""
    first = next_change(exchange, midnight(day))
    return first if local_day(first) == day else None


def closing(exchange: str, day: date) -> datetime | None:
    """When trading ends on ``day``; ``None`` on a day without."""
    last = last_close(exchange, midnight(day + timedelta(days=1)))
    return last if local_day(last) == day else None


def board_time(text: object, exchange: str, now: datetime) -> datetime | None:
    """When a board's price was made, from the time of day it shows; ``None`` for what is no time of day.

    The newest moment that is not yet to come and lies in a trading session: in the morning a board shows yesterday's
    time, on a Monday Friday's, after a holiday that of the last day before. A time between two sessions, after the
    close or before the opening means the price of the close before it.
    """
    match = _CLOCK.fullmatch(text.strip()) if isinstance(text, str) and len(text) < 16 else None
    if match is None or int(match[1]) > 23 or int(match[2]) > 59 or int(match[3] or 0) > 59:
        return None
    clock = time(int(match[1]), int(match[2]), int(match[3] or 0), tzinfo=ZONE)
    shown = datetime.combine(local_day(now + AHEAD_AT_MOST), clock)
    if shown > now + AHEAD_AT_MOST:
        shown -= timedelta(days=1)
    day = shown.date()
    for _ in range(_LONGEST_REST):
        if opening(exchange, day) is not None:
            break
        day -= timedelta(days=1)
    at = datetime.combine(day, clock)
    if session(exchange, at) is not Session.OPEN:
        closed = last_close(exchange, at)
        at = closed if local_day(closed) == day else last_close(exchange, shown)
    return min(at, now).astimezone(UTC)


# --- bars ------------------------------------------------------------------------------------------------------------


def columns(
    block: Mapping[str, object], names: Sequence[str], provider: str, endpoint: str
) -> Iterator[tuple[object, ...]]:
    """The rows of a table that came as columns. Raises `SourceMalformed` where they are not lists of one length."""
    lists = [column for column in (block.get(name) for name in names) if isinstance(column, list)]
    if len(lists) < len(names) or len({len(column) for column in lists}) > 1:
        came = "columns of different lengths" if len(lists) == len(names) else "a column is missing"
        raise SourceMalformed(provider, endpoint, came, expected=f"lists {', '.join(names)} of equal length")
    return zip(*lists, strict=True)


def scaled(value: object, unit: float) -> float | None:
    """A positive price in ``unit``, sent as a number or a text; ``None`` for anything else, 0 too: it means "none"."""
    found = decimal(value)
    return round(found * unit, 4) if found is not None and 1e-4 < found < 1e12 else None


def read_bars(
    raw: Iterable[Raw], instrument: Instrument, provider: str, endpoint: str, now: datetime, *, share: bool, unit: float
) -> Bars:
    """Daily bars in VND or points, sorted, one a day, prices multiplied by ``unit``.

    Rows without a close, of a day before the first session or yet to come, or on another scale than those around them are dropped. Of two rows of
    one day the one with more volume counts: it is the later one. Raises `SourceMalformed` where no row is usable, where
    one lies on a weekend (then all days are shifted), and where prices are in another unit than the one known.
    """
    rows: dict[int, daily.Row] = {}
    came = 0
    for day, opened, high, low, close, volume in raw:
        came += 1
        if day is None or not FIRST_SESSION <= day <= local_day(now):
            continue
        row = daily.row(
            instrument,
            day.toordinal(),
            scaled(close, unit),
            scaled(opened, unit),
            scaled(high, unit),
            scaled(low, unit),
            decimal(volume),
        )
        if row is None:
            continue
        if day.weekday() > 4:
            raise SourceMalformed(provider, endpoint, f"a bar of {day}, a {day:%A}", expected="trading days")
        kept = rows.get(row[0])
        if kept is None or isnan(kept[5]) or row[5] > kept[5]:
            rows[row[0]] = row
    if came and not rows:
        raise SourceMalformed(provider, endpoint, "no usable bar among those sent", expected="daily bars")
    bars = daily.bars(instrument, (rows[day] for day in sorted(rows)))
    if any(leapt(a, b) for a, b in pairwise(bars.close)):
        raise SourceMalformed(provider, endpoint, "prices on two scales", expected="prices in one unit")
    if len(bars) and (reason := off_scale(bars.close[-1], share)):
        raise SourceMalformed(provider, endpoint, reason, expected="prices in the unit known here")
    return bars


def from_day(bars: Bars, since: date) -> Bars:
    return bars.last(sum(day >= since.toordinal() for day in bars.day))


# --- quotes from bars ------------------------------------------------------------------------------------------------


def quote_of_days(bars: Bars, instrument: Instrument, provider: str, now: datetime) -> Quote | str:
    """A quote from daily bars, or why there is none.

    ``as_of`` is the close of the newest bar's day. A day under way says no more than that its price is from after the
    opening: then that is its ``as_of``, and the quote looks as old as it may be.
    """
    exchange = calendar(instrument)
    for n in range(len(bars) - 1, -1, -1):
        day = date.fromordinal(bars.day[n])
        opened, closed = opening(exchange, day), closing(exchange, day)
        if opened is None or closed is None:
            return f"a bar of {day}, when its exchange is closed"
        if opened <= now:  # a bar from before the opening holds yesterday's price
            return made(
                instrument,
                provider,
                bars.close[n],
                closed if closed <= now else opened,
                now,
                previous=bars.close[n - 1] if n else None,
                high=bars.high[n],
                low=bars.low[n],
                volume=bars.volume[n],
                line=bars.close[max(0, n - 30) : n + 1],
            )
    return "no bars"


def made(
    instrument: Instrument,
    provider: str,
    price: float,
    as_of: datetime,
    now: datetime,
    *,
    previous: float | None,
    high: float,
    low: float,
    volume: float,
    line: Sequence[float],
) -> Quote | str:
    """A quote from bars, or why its price cannot be right. NaN is what is not known."""
    if reason := wrong(instrument, price, as_of, now, previous):
        return reason
    # further than any limit allows: not a day's move but a split or a dividend that older bars do not know of
    if previous is not None and abs(price / previous - 1) > FIRST_DAY_LIMIT:
        previous = None
    return Quote(
        instrument.id,
        price,
        as_of.astimezone(UTC),
        provider,
        change_pct=None if previous is None else (price / previous - 1) * 100,
        previous_close=previous,
        day_high=high if high >= price else None,
        day_low=low if low <= price else None,
        volume=volume if volume > 0 else None,
        spark=spark(thinned(line), price),
    )

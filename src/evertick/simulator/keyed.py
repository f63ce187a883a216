"""What the simulated providers with a key have in common: whom they let in, and their limits.

Any key is accepted, except that

* a missing key, and one that begins with ``bad``, gets the provider's own error;
* one that begins with ``limited`` is held to the limits of the free plan; all others are not, so that tests and demos run.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request

from evertick.model import Instrument
from evertick.sessions import EXCHANGES
from evertick.simulator.market import Columns, Market, Tick

BAD = "bad"
LIMITED = "limited"
_COUNTED = 64
"""Keys counted at the same time at most; then all counts begin anew."""


def wrong_key(key: str) -> bool:
    return not key or key.startswith(BAD)


def key_in(request: Request, header: str, scheme: str, parameter: str) -> str:
    """The key of a request: in a header, behind ``scheme`` where it has one, else as a parameter; empty for none."""
    value = request.headers.get(header, "")
    if scheme:
        value = value[len(scheme) :].strip() if value.lower().startswith(scheme.lower()) else ""
    return value or request.query_params.get(parameter, "")


def used(market: Market, request: Request, provider: str, key: str, seconds: int, cost: int = 1) -> int:
    """What ``key`` has used up in the present span of ``seconds`` of the market's time, this request included.

    0 for a key that is not limited. The counts belong to the running simulator.
    """
    if not key.startswith(LIMITED):
        return 0
    counts: dict[tuple[str, str, int], tuple[int, int]] | None = getattr(request.app.state, "used", None)
    if counts is None or len(counts) > _COUNTED:
        counts = request.app.state.used = {}
    span = int(market.clock.at()) // seconds
    before, count = counts.get((provider, key, seconds), (span, 0))
    count = (count if before == span else 0) + cost
    counts[provider, key, seconds] = span, count
    return count


def find(market: Market, provider: str, symbol: str) -> Instrument | None:
    """The instrument that a keyed provider knows by a symbol of its own, or by the ticker that all of them share."""
    return market.find(provider, symbol) or market.find("ticker", symbol)


def tick(market: Market, instrument: Instrument) -> Tick:
    return market.tick(instrument, market.clock.at())


def whole_days(market: Market, instrument: Instrument, first: date, last: date) -> Columns:
    """Bars of the days that have ended by now, from ``first`` to ``last``."""
    newest = tick(market, instrument)
    end = newest.day - 1 if newest.trading else newest.day
    return market.columns(instrument, first.toordinal(), min(last.toordinal(), end))


def rows(columns: Columns) -> Iterator[tuple[date, float, float, float, float, float]]:
    """Day, open, high, low, close, volume, oldest first."""
    c = columns
    for day, *numbers in zip(c.days, c.open, c.high, c.low, c.close, c.volume, strict=True):
        yield (date.fromordinal(day), *numbers)


def zone(instrument: Instrument) -> ZoneInfo:
    return ZoneInfo(EXCHANGES[instrument.exchange].tz)


def midnight(instrument: Instrument, day: date) -> int:
    """When a day of the exchange begins, seconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone(instrument)).timestamp())


def today(market: Market, instrument: Instrument) -> date:
    return datetime.fromtimestamp(market.clock.at(), zone(instrument)).date()


def asked_day(text: str, otherwise: date) -> date:
    """A day written as 2026-11-23; ``otherwise`` for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return otherwise


def utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)

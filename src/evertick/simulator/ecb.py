"""The ECB as the simulator speaks it: the market's rates at 16:00 in Frankfurt, one row a TARGET day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from starlette.requests import Request

from evertick.simulator.answers import HTML, XML, Answer, Failure, RouteOf
from evertick.simulator.hours import hours
from evertick.simulator.market import Market

BASE = "/ecb"
FIRST_DAY = date(1999, 1, 4)
FRANKFURT = ZoneInfo("Europe/Berlin")
PUBLISHED_HOUR = 16
CODES = (
    "USD", "JPY", "CZK", "DKK", "GBP", "HUF", "PLN", "SEK", "CHF", "NOK", "TRY", "AUD", "BRL", "CAD", "CNY", "HKD",
    "IDR", "ILS", "INR", "KRW", "MXN", "MYR", "NZD", "PHP", "SGD", "THB", "ZAR",
)  # fmt: skip
"""In the order of the file; the dong is not among them."""
LEV = ("BGN", "1.9558", date(2025, 12, 31))
"""Bulgaria's currency, its rate to the euro, and its last day: the set of currencies changes over the years."""
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" \
xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><gesmes:subject>Reference rates</gesmes:subject>\
<gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender><Cube>"""
_TAIL = "</Cube></gesmes:Envelope>"
_KEPT = 200
"""Days of a market whose rates are remembered: computing the 62 of a file takes 0.15 s."""
_rows: WeakKeyDictionary[Market, dict[date, str]] = WeakKeyDictionary()


def newest(at: float) -> date:
    """The day of the newest rates published at ``at`` (seconds since 1970)."""
    now = datetime.fromtimestamp(at, FRANKFURT)
    day = now.toordinal() if now.hour >= PUBLISHED_HOUR else now.toordinal() - 1
    target = hours("TARGET")
    return date.fromordinal(day if target.is_trading_day(day) else target.before(day))


def rates(market: Market, day: date) -> list[tuple[str, str]]:
    """Currency and rate of one day, with as many decimals as the ECB gives."""
    at = datetime(day.year, day.month, day.day, PUBLISHED_HOUR, tzinfo=FRANKFURT).timestamp()
    dollars = market.rate("EUR", "USD", at)
    found = [(code, _written(dollars * market.rate("USD", code, at))) for code in CODES]
    return [*found, LEV[:2]] if day <= LEV[2] else found


def _written(rate: float) -> str:
    return f"{rate:.4f}" if rate < 10 else f"{rate:.3f}" if rate < 100 else f"{rate:.2f}"


async def daily(market: Market, request: Request) -> Answer:
    """``eurofxref-daily.xml``: the newest day alone."""
    return await _answer(market, newest(market.clock.at()), 1)


async def hist_90d(market: Market, request: Request) -> Answer:
    """``eurofxref-hist-90d.xml``: the TARGET days of 90 days, the newest first."""
    return await _answer(market, newest(market.clock.at()), 90)


async def _answer(market: Market, last: date, days: int) -> Answer:
    return Answer("".join([_HEAD, *[piece async for piece in _cubes(market, last, days)], _TAIL]), media=XML)


async def _cubes(market: Market, last: date, days: int) -> AsyncIterator[str]:
    first = max(last.toordinal() - days + 1, FIRST_DAY.toordinal())
    for ordinal in reversed(hours("TARGET").days(first, last.toordinal())):
        day = date.fromordinal(ordinal)
        kept = _rows.setdefault(market, {})
        if day not in kept:
            if len(kept) >= _KEPT:
                kept.clear()
            kept[day] = "".join(f'<Cube currency="{code}" rate="{rate}"/>' for code, rate in rates(market, day))
            await asyncio.sleep(0)
        yield f'<Cube time="{day}">{kept[day]}</Cube>'


ROUTES: Sequence[RouteOf] = (
    ("GET", "/stats/eurofxref/eurofxref-daily.xml", daily),
    ("GET", "/stats/eurofxref/eurofxref-hist-90d.xml", hist_90d),
)
FAILURES: Mapping[str, Failure] = {
    "404": Answer("<!DOCTYPE html><html><head><title>Page not found</title></head></html>", 404, media=HTML),
    "200ratelimit": Answer(
        "<!DOCTYPE html><html><head><title>Too many requests</title></head></html>", 200, media=HTML
    ),
}

"""The ECB as the simulator speaks it: the market's rates at 16:00 in Frankfurt, one row a TARGET day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from starlette.requests import Request

from evertick.simulator.answers import HTML, XML, Answer, Failure, RouteOf
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


@cache
def easter(year: int) -> date:
    """Easter Sunday (J.-M. Oudin, 1940)."""
    century, golden = year // 100, year % 19
    i = (century - century // 4 - (century - (century - 17) // 25) // 3 + 19 * golden + 15) % 30
    i -= (i // 28) * (1 - (i // 28) * (29 // (i + 1)) * ((21 - golden) // 11))
    j = (year + year // 4 + i + 2 - century + century // 4) % 7
    full_moon = i - j
    month = 3 + (full_moon + 40) // 44
    return date(year, month, full_moon + 28 - 31 * (month // 4))


def target(day: date) -> bool:
    """Whether the TARGET system works on ``day``: not at weekends, New Year, Easter, 1 May and both days of Christmas."""
    fixed = ((1, 1), (5, 1), (12, 25), (12, 26))
    moving = (easter(day.year) - timedelta(days=2), easter(day.year) + timedelta(days=1))
    return day.weekday() < 5 and (day.month, day.day) not in fixed and day not in moving


def newest(at: float) -> date:
    """The day of the newest rates published at ``at`` (seconds since 1970)."""
    now = datetime.fromtimestamp(at, FRANKFURT)
    day = now.date() if now.hour >= PUBLISHED_HOUR else now.date() - timedelta(days=1)
    while not target(day):
        day -= timedelta(days=1)
    return day


def rates(market: Market, day: date) -> list[tuple[str, str]]:
    """Currency and rate of one day, to five significant digits, or six above ten thousand."""
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
    for back in range(days):
        day = last - timedelta(days=back)
        if day < FIRST_DAY:
            return
        if target(day):
            rows = "".join(f'<Cube currency="{code}" rate="{rate}"/>' for code, rate in rates(market, day))
            yield f'<Cube time="{day}">{rows}</Cube>'
            await asyncio.sleep(0)


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

"""Cboe as the simulator speaks it: the whole daily history of a volatility index as CSV, the oldest day first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request

from evertick.model import Instrument
from evertick.simulator.answers import CSV, XML, Answer, Failure, RouteOf
from evertick.simulator.market import Market

BASE = "/cboe"
CHICAGO = ZoneInfo("America/Chicago")
PUBLISHED_HOUR = 17
FIRST_DAY = date(2021, 1, 4).toordinal()
"""The provider's own files go back to 1990; these are shorter, since they are computed anew for each request."""
CLOSES_ONLY = frozenset({"VVIX"})
"""Of these the file has a column of closes, named after the index, and no others."""
_DAYS_AT_ONCE = 800
_ENDING = "_History.csv"


async def history(market: Market, request: Request) -> Answer:
    """``daily_prices/VIX_History.csv``, up to the newest close that is published."""
    name = request.path_params["file"]
    symbol = name.removesuffix(_ENDING)
    instrument = market.find("cboe", symbol)
    if instrument is None or symbol == name:
        return DENIED
    now = datetime.fromtimestamp(market.clock.at(), CHICAGO)
    last = now.date() if now.hour >= PUBLISHED_HOUR else now.date() - timedelta(days=1)
    lines = [f"DATE,{symbol}" if symbol in CLOSES_ONLY else "DATE,OPEN,HIGH,LOW,CLOSE"]
    for first in range(FIRST_DAY, last.toordinal() + 1, _DAYS_AT_ONCE):
        lines += _lines(market, instrument, first, min(first + _DAYS_AT_ONCE - 1, last.toordinal()), symbol)
        await asyncio.sleep(0)
    return Answer("\r\n".join(lines) + "\r\n", media=CSV)


def _lines(market: Market, instrument: Instrument, first: int, last: int, symbol: str) -> list[str]:
    c = market.columns(instrument, first, last)
    dates = [f"{date.fromordinal(day):%m/%d/%Y}" for day in c.days]
    if symbol in CLOSES_ONLY:
        return [f"{day},{close:.6f}" for day, close in zip(dates, c.close, strict=True)]
    rows = zip(dates, c.open, c.high, c.low, c.close, strict=True)
    return [f"{day},{o:.6f},{h:.6f},{low:.6f},{close:.6f}" for day, o, h, low, close in rows]


DENIED = Answer(
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>',
    403,
    media=XML,
)
"""What the bucket behind the address says of a file that it does not have."""
ROUTES: Sequence[RouteOf] = (("GET", "/api/global/us_indices/daily_prices/{file}", history),)
FAILURES: Mapping[str, Failure] = {"403": DENIED, "404": DENIED}

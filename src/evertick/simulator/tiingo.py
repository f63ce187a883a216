"""Tiingo as the simulator speaks it: ``/iex/`` for many tickers at once, and daily prices of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from starlette.requests import Request

from evertick.model import Instrument
from evertick.simulator.answers import TEXT, Answer, Failure, RouteOf
from evertick.simulator.keyed import asked_day, find, key_in, rows, tick, today, used, utc, whole_days, wrong_key
from evertick.simulator.market import Market

BASE = "/tiingo"
PER_HOUR = 50
HOUR = 3600
_OVER = "Error: You have run over your hourly request allocation. Please upgrade at https://api.tiingo.com/pricing"
LIMIT = Answer(_OVER, 429, media=TEXT)
INVALID = Answer({"detail": "Invalid token."}, 401)
NOT_FOUND = Answer({"detail": "Not found."}, 404)


async def iex(market: Market, request: Request) -> Answer:
    """The tickers that it knows, in the order asked for."""
    if (error := _turned_away(market, request)) is not None:
        return error
    found = []
    for ticker in dict.fromkeys(request.query_params.get("tickers", "").split(",")):
        instrument = find(market, "tiingo", ticker)
        if instrument is not None:
            found.append(_row(market, instrument, ticker))
    return Answer(found)


def _row(market: Market, instrument: Instrument, ticker: str) -> dict[str, Any]:
    now = tick(market, instrument)
    at = utc(now.at).strftime("%Y-%m-%dT%H:%M:%SZ")
    open_only = {"last": now.price, "lastSize": 100, "mid": now.price, "bidPrice": now.price, "askPrice": now.price}
    return {
        "ticker": ticker.upper(),
        "timestamp": at,
        "lastSaleTimestamp": at,
        "quoteTimestamp": at,
        "tngoLast": now.price,
        "last": None,
        "lastSize": None,
        "open": now.open,
        "high": now.high,
        "low": now.low,
        "prevClose": now.previous_close,
        "volume": int(now.volume),
        "mid": None,
        "bidPrice": None,
        "bidSize": None,
        "askPrice": None,
        "askSize": None,
    } | (open_only if now.trading else {})


async def daily(market: Market, request: Request) -> Answer:
    """Days that have ended, oldest first; without ``startDate`` the newest one."""
    if (error := _turned_away(market, request)) is not None:
        return error
    instrument = find(market, "tiingo", request.path_params["ticker"])
    if instrument is None:
        return NOT_FOUND
    now = today(market, instrument)
    start = request.query_params.get("startDate", "")
    first = asked_day(start, now - timedelta(days=14))
    last = asked_day(request.query_params.get("endDate", ""), now)
    found = [
        {
            "date": f"{day}T00:00:00.000Z",
            "close": close,
            "high": high,
            "low": low,
            "open": opened,
            "volume": int(volume),
            "adjClose": close,
            "adjHigh": high,
            "adjLow": low,
            "adjOpen": opened,
            "adjVolume": int(volume),
            "divCash": 0.0,
            "splitFactor": 1.0,
        }
        for day, opened, high, low, close, volume in rows(whole_days(market, instrument, first, last))
    ]
    return Answer(found if start else found[-1:])


def _turned_away(market: Market, request: Request) -> Answer | None:
    key = key_in(request, "authorization", "Token ", "token")
    if wrong_key(key):
        return INVALID
    return LIMIT if used(market, request, "tiingo", key, HOUR) > PER_HOUR else None


ROUTES: Sequence[RouteOf] = (
    ("GET", "/iex/", iex),
    ("GET", "/tiingo/daily/{ticker}/prices", daily),
)
FAILURES: Mapping[str, Failure] = {
    "429": LIMIT,
    "200ratelimit": Answer({"detail": _OVER}),
    "401": INVALID,
    "404": NOT_FOUND,
}

"""Massive (formerly Polygon) as the simulator speaks it: daily aggregates, the day before and a range, of days that have
ended, which is all that the free plan has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request

from evertick.simulator.answers import Answer, Failure, RouteOf
from evertick.simulator.keyed import asked_day, find, key_in, midnight, rows, today, used, whole_days, wrong_key
from evertick.simulator.market import Market
from evertick.simulator.noise import draws

BASE = "/massive"
PER_MINUTE = 5
FREE = timedelta(days=731)
"""As far back as the free plan goes."""
_OVER = (
    "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue. "
    "https://massive.com/pricing"
)
LIMIT = Answer({"status": "ERROR", "request_id": "5c1f0b8a", "error": _OVER}, 429)
INVALID = Answer({"status": "ERROR", "request_id": "5c1f0b8b", "error": "Unknown API Key"}, 401)
NOT_AUTHORIZED = Answer(
    {
        "status": "NOT_AUTHORIZED",
        "request_id": "5c1f0b8c",
        "message": "You are not entitled to this data. Please upgrade your plan at https://massive.com/pricing",
    },
    403,
)


async def previous(market: Market, request: Request) -> Answer:
    """``…/prev``: the newest day that has ended, stamped with its close."""
    if (error := _turned_away(market, request)) is not None:
        return error
    ticker = request.path_params["ticker"]
    instrument = find(market, "massive", ticker)
    if instrument is None:
        return _answer(market, ticker, [])
    now = today(market, instrument)
    days = list(rows(whole_days(market, instrument, now - timedelta(days=14), now)))
    segments = market.hours(instrument).segments
    return _answer(
        market, ticker, [{"T": ticker} | _result(day, segments(day[0].toordinal())[-1][1]) for day in days[-1:]]
    )


async def ranged(market: Market, request: Request) -> Answer:
    """``…/range/1/day/2026-01-02/2026-11-23``, each day stamped with its midnight."""
    if (error := _turned_away(market, request)) is not None:
        return error
    asked = request.path_params
    ticker = asked["ticker"]
    instrument = find(market, "massive", ticker)
    if instrument is None:
        return _answer(market, ticker, [])
    now = today(market, instrument)
    first, last = max(asked_day(asked["first"], now), now - FREE), asked_day(asked["last"], now)
    days = list(rows(whole_days(market, instrument, first, last)))
    if request.query_params.get("sort") == "desc":
        days.reverse()
    return _answer(market, ticker, [_result(day, midnight(instrument, day[0])) for day in days])


def _result(day: tuple[date, float, float, float, float, float], stamp: int) -> dict[str, Any]:
    _, opened, high, low, close, volume = day
    return {
        "v": int(volume),
        "vw": round((opened + high + low + close) / 4, 4),
        "o": opened,
        "c": close,
        "h": high,
        "l": low,
        "t": stamp * 1000,
        "n": int(volume // 110),
    }


def _answer(market: Market, ticker: str, results: list[dict[str, Any]]) -> Answer:
    found: dict[str, Any] = {
        "ticker": ticker,
        "queryCount": len(results),
        "resultsCount": len(results),
        "adjusted": True,
    }
    if results:
        found["results"] = results
    request_id = f"{draws(f'{market.seed}/{ticker}/{int(market.clock.at())}', 1)[0]:08x}"
    return Answer(found | {"status": "OK", "request_id": request_id, "count": len(results)})


def _turned_away(market: Market, request: Request) -> Answer | None:
    key = key_in(request, "authorization", "Bearer ", "apiKey")
    if wrong_key(key):
        return INVALID
    return LIMIT if used(market, request, "massive", key, 60) > PER_MINUTE else None


async def paid(market: Market, request: Request) -> Answer:
    """What the free plan does not have: snapshots, trades."""
    return INVALID if wrong_key(key_in(request, "authorization", "Bearer ", "apiKey")) else NOT_AUTHORIZED


ROUTES: Sequence[RouteOf] = (
    ("GET", "/v2/aggs/ticker/{ticker}/prev", previous),
    ("GET", "/v2/aggs/ticker/{ticker}/range/1/day/{first}/{last}", ranged),
    ("GET", "/{rest:path}", paid),
)
FAILURES: Mapping[str, Failure] = {
    "429": LIMIT,
    "200ratelimit": Answer(LIMIT.payload),
    "401": INVALID,
    "403": NOT_AUTHORIZED,
}

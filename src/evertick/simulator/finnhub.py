"""Finnhub as the simulator speaks it: ``/quote``, one symbol a request, zeros for one that it does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request

from evertick.simulator.answers import Answer, Failure, RouteOf
from evertick.simulator.keyed import find, key_in, tick, used, wrong_key
from evertick.simulator.market import Market

BASE = "/finnhub"
PER_MINUTE = 60
LIMIT = Answer({"error": "API limit reached. Please try again later. Remaining Limit: 0"}, 429)
INVALID = Answer({"error": "Invalid API key"}, 401)
NO_ACCESS = Answer({"error": "You don't have access to this resource."}, 403)
_UNKNOWN = {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}


async def quote(market: Market, request: Request) -> Answer:
    key = key_in(request, "x-finnhub-token", "", "token")
    if wrong_key(key):
        return INVALID
    if used(market, request, "finnhub", key, 60) > PER_MINUTE:
        return LIMIT
    instrument = find(market, "finnhub", request.query_params.get("symbol", ""))
    if instrument is None:
        return Answer(_UNKNOWN)
    now = tick(market, instrument)
    changed = now.price - now.previous_close
    return Answer(
        {
            "c": now.price,
            "d": round(changed, 4),
            "dp": round(changed / now.previous_close * 100, 4),
            "h": now.high,
            "l": now.low,
            "o": now.open,
            "pc": now.previous_close,
            "t": now.at,
        }
    )


async def paid(market: Market, request: Request) -> Answer:
    """What the free plan does not have: candles and the rest."""
    return INVALID if wrong_key(key_in(request, "x-finnhub-token", "", "token")) else NO_ACCESS


ROUTES: Sequence[RouteOf] = (("GET", "/api/v1/quote", quote), ("GET", "/api/v1/{rest:path}", paid))
FAILURES: Mapping[str, Failure] = {
    "429": LIMIT,
    "200ratelimit": Answer(LIMIT.payload),
    "401": INVALID,
    "403": NO_ACCESS,
}

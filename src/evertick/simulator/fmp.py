"""Financial Modeling Prep as the simulator speaks it: ``/stable/quote``, one symbol a request on the free plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request

from evertick.model import Group
from evertick.simulator.answers import TEXT, Answer, Failure, RouteOf
from evertick.simulator.keyed import find, key_in, tick, used, wrong_key
from evertick.simulator.market import Market

BASE = "/fmp"
PER_DAY = 250
DAY = 86400
LIMIT = Answer(
    {
        "Error Message": "Limit Reach . Please upgrade your plan or visit our documentation for more details at "
        "https://site.financialmodelingprep.com/"
    },
    429,
)
INVALID = Answer(
    {
        "Error Message": "Invalid API KEY. Feel free to create a Free API Key or visit "
        "https://site.financialmodelingprep.com/faqs?search=why-is-my-api-key-invalid for more information."
    },
    401,
)
LEGACY = Answer(
    {
        "Error Message": "Legacy Endpoint : Due to Legacy endpoints being no longer supported - This endpoint is only "
        "available for legacy users who have valid subscriptions prior August 31, 2025."
    },
    403,
)
PREMIUM = Answer(
    "Premium Query Parameter: 'symbol' value set for this request is not available under your current subscription",
    402,
    media=TEXT,
)


async def quote(market: Market, request: Request) -> Answer:
    key = key_in(request, "apikey", "", "apikey")
    if wrong_key(key):
        return INVALID
    if used(market, request, "fmp", key, DAY) > PER_DAY:
        return LIMIT
    symbol = request.query_params.get("symbol", "")
    if "," in symbol:
        return PREMIUM
    instrument = find(market, "fmp", symbol)
    if instrument is None:
        return Answer([])
    now = tick(market, instrument)
    _, high, low = market.current(instrument, now.day)
    changed = now.price - now.previous_close
    return Answer(
        [
            {
                "symbol": symbol,
                "name": instrument.name,
                "price": now.price,
                "changePercentage": round(changed / now.previous_close * 100, 5),
                "change": round(changed, 4),
                "volume": int(now.volume),
                "dayLow": now.low,
                "dayHigh": now.high,
                "yearHigh": high,
                "yearLow": low,
                "marketCap": None,
                "priceAvg50": round((now.price + low + high) / 3, 4),
                "priceAvg200": round((low + high) / 2, 4),
                "exchange": "INDEX" if instrument.group is Group.INDICES else "NASDAQ",
                "open": now.open,
                "previousClose": now.previous_close,
                "timestamp": now.at,
            }
        ]
    )


async def legacy(market: Market, request: Request) -> Answer:
    """``/api/v3/…``, closed to newer keys."""
    return INVALID if wrong_key(key_in(request, "apikey", "", "apikey")) else LEGACY


ROUTES: Sequence[RouteOf] = (("GET", "/stable/quote", quote), ("GET", "/api/v3/{rest:path}", legacy))
FAILURES: Mapping[str, Failure] = {
    "429": LIMIT,
    "200ratelimit": Answer(LIMIT.payload),
    "401": INVALID,
    "403": LEGACY,
    "404": Answer([], 200),
}

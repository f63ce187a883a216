"""CoinGecko as the simulator speaks it: /global, /simple/price and /coins/markets, of the same coins as Yahoo's bars.

Like the real one it looks at the market once a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request

from evertick.simulator.answers import Answer, Endpoint, Failure, RouteOf
from evertick.simulator.coins import DAY, HOUR, Coin, all_coins, coins, day_range, look, minute, whole
from evertick.simulator.market import Market
from evertick.simulator.traits import CURRENCIES, hashed

BASE = "/coingecko/api/v3"
SPARK_HOURS = 168
PER_PAGE = 250
_CHANGES = {"1h": 3600, "24h": DAY, "7d": 7 * DAY, "14d": 14 * DAY, "30d": 30 * DAY, "1y": 365 * DAY}


# --- routes ----------------------------------------------------------------------------------------------------------


async def global_(market: Market, request: Request) -> Answer:
    """``/global``: totals over all coins, and the shares of the largest."""
    at = minute(market)
    total = await whole(market, at)
    if total is None:
        return Answer({"data": {}})
    by_id = {coin.id: coin for coin in total.coins}
    units = {"usd": 1.0} | {
        code.lower(): 1 / CURRENCIES[code][0] for code in ("EUR", "GBP", "JPY", "VND", "CNY", "KRW")
    }
    for unit, id in (("btc", "bitcoin"), ("eth", "ethereum")):
        if id in by_id:
            units[unit] = 1 / by_id[id].price
    data = {
        "active_cryptocurrencies": 17164,
        "upcoming_icos": 0,
        "ongoing_icos": 49,
        "ended_icos": 3376,
        "markets": 1284,
        "total_market_cap": {unit: _amount(total.cap * rate) for unit, rate in units.items()},
        "total_volume": {unit: _amount(total.volume * rate) for unit, rate in units.items()},
        "market_cap_percentage": {c.instrument.id.lower(): total.share(c) for c in total.coins[:10]},
        "market_cap_change_percentage_24h_usd": (total.cap / total.cap_day_ago - 1) * 100,
        "updated_at": at,
    }
    return Answer({"data": data})


async def simple_price(market: Market, request: Request) -> Answer:
    """``/simple/price?ids=…&vs_currencies=usd``: unknown ids are left out."""
    asked = request.query_params
    units = [unit for unit in asked.get("vs_currencies", "").lower().split(",") if unit]
    if not units:
        return Answer({"error": "Missing parameter vs_currencies"}, 422)
    at = minute(market)
    known = dict(coins(market))
    found: dict[str, dict[str, Any]] = {}
    for id in dict.fromkeys(asked.get("ids", "").split(",")):
        if id not in known:
            continue
        coin, one = look(market, id, known[id], at), {}
        for unit in units:
            if (rate := _rate(unit)) is None:
                continue
            one[unit] = _amount(coin.price * rate)
            if asked.get("include_market_cap") == "true":
                one[f"{unit}_market_cap"] = coin.cap * rate
            if asked.get("include_24hr_vol") == "true":
                one[f"{unit}_24h_vol"] = coin.volume * rate
            if asked.get("include_24hr_change") == "true":
                one[f"{unit}_24h_change"] = (coin.price / coin.day_ago - 1) * 100
        if asked.get("include_last_updated_at") == "true":
            one["last_updated_at"] = at
        found[id] = one
    return Answer(found)


async def markets(market: Market, request: Request) -> Answer:
    """``/coins/markets?vs_currency=usd&ids=…&sparkline=true``."""
    asked = request.query_params
    rate = _rate(asked.get("vs_currency", "").lower())
    if rate is None:
        return Answer({"error": "invalid vs_currency"}, 400)
    try:
        per_page, page = int(asked.get("per_page", "100")), int(asked.get("page", "1"))
    except ValueError:
        return Answer({"error": "invalid page"}, 400)
    per_page, page = min(max(per_page, 1), PER_PAGE), max(page, 1)
    at = minute(market)
    sparkline = asked.get("sparkline") == "true"
    ranked = list(enumerate(await all_coins(market, at, SPARK_HOURS // 24 if sparkline else 1), 1))
    if asked.get("order") == "market_cap_asc":
        ranked.reverse()
    if wanted := {id for id in asked.get("ids", "").split(",") if id}:
        ranked = [(rank, coin) for rank, coin in ranked if coin.id in wanted]
    changes = [c for c in asked.get("price_change_percentage", "").split(",") if c in _CHANGES]
    rows = []
    for number, (rank, coin) in enumerate(ranked[(page - 1) * per_page : page * per_page]):
        rows.append(_row(market, coin, rank, at, rate, sparkline, changes))
        if number % 8 == 7:
            await asyncio.sleep(0)
    return Answer(rows)


async def missing(market: Market, request: Request) -> Answer:
    """Whatever else is asked for."""
    return Answer({"error": "coin not found"}, 404)


# --- rows ------------------------------------------------------------------------------------------------------------


def _row(
    market: Market, coin: Coin, rank: int, at: int, rate: float, sparkline: bool, changes: Sequence[str]
) -> dict[str, Any]:
    i = coin.instrument
    high, low = day_range(market, coin, at)
    changed = coin.price - coin.day_ago
    percent = round((coin.price / coin.day_ago - 1) * 100, 5)
    capped = coin.supply * changed
    peak = max(market.traits(i).price * (1.15 + 2.5 * hashed(i.id + "/ath")), high)
    trough = market.traits(i).price * 0.002 * (1 + hashed(i.id + "/atl"))
    bounded = hashed(i.id + "/max") < 0.5
    found: dict[str, Any] = {
        "id": coin.id,
        "symbol": i.id.lower(),
        "name": i.name,
        "image": f"https://coin-images.coingecko.com/coins/images/{rank}/large/{coin.id}.png?1696501400",
        "current_price": _amount(coin.price * rate),
        "market_cap": _amount(coin.cap * rate),
        "market_cap_rank": rank,
        "fully_diluted_valuation": _amount(coin.cap * rate * 1.06) if bounded else None,
        "total_volume": _amount(coin.volume * rate),
        "high_24h": _amount(high * rate),
        "low_24h": _amount(low * rate),
        "price_change_24h": changed * rate,
        "price_change_percentage_24h": percent,
        "market_cap_change_24h": capped * rate,
        "market_cap_change_percentage_24h": percent,
        "circulating_supply": coin.supply,
        "total_supply": round(coin.supply * 1.04, 1),
        "max_supply": round(coin.supply * 1.06, 1) if bounded else None,
        "ath": _amount(round(peak, market.traits(i).decimals) * rate),
        "ath_change_percentage": round((coin.price / peak - 1) * 100, 5),
        "ath_date": "2025-10-06T18:57:42.558Z",
        "atl": trough * rate,
        "atl_change_percentage": round((coin.price / trough - 1) * 100, 5),
        "atl_date": "2015-10-20T00:00:00.000Z",
        "roi": None,
        "last_updated": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}.{int(hashed(i.id) * 1000):03d}Z",
    }
    if sparkline:
        hours = [price for bar in coin.bars for price in market.marks(bar)[:24]]
        end = (len(coin.bars) - 1) * 24 + at % DAY // HOUR + 1
        hours = hours[end - SPARK_HOURS : end]
        found["sparkline_in_7d"] = {"price": hours if rate == 1 else [price * rate for price in hours]}
    for change in changes:
        before = market.price(i, at - _CHANGES[change])
        found[f"price_change_percentage_{change}_in_currency"] = (coin.price / before - 1) * 100
    return found


def _rate(unit: str) -> float | None:
    """USD in another currency, at the anchor's rate."""
    if unit == "usd":
        return 1.0
    return 1 / CURRENCIES[unit.upper()][0] if unit.upper() in CURRENCIES else None


def _amount(value: float) -> float | int:
    """CoinGecko writes whole numbers without a point."""
    return int(value) if abs(value) >= 1e6 or value == int(value) else value


def _keyed(endpoint: Endpoint) -> Endpoint:
    """``endpoint``, which also answers without a key, but not with a wrong one: one that begins with ``bad``."""

    async def answer(market: Market, request: Request) -> Answer:
        if request.headers.get(KEY_HEADER, "").startswith("bad"):
            return _WRONG_KEY
        return await endpoint(market, request)

    return answer


KEY_HEADER = "x-cg-demo-api-key"
ROUTES: Sequence[RouteOf] = (
    ("GET", "/global", _keyed(global_)),
    ("GET", "/simple/price", _keyed(simple_price)),
    ("GET", "/coins/markets", _keyed(markets)),
    ("GET", "/{rest:path}", missing),
)
_WRONG_KEY = Answer({"status": {"error_code": 10002, "error_message": "API Key Missing"}}, 401)
_RATE_LIMIT = {
    "status": {
        "error_code": 429,
        "error_message": "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing "
        "to subscribe to our API plans for higher rate limits.",
    }
}
FAILURES: Mapping[str, Failure] = {
    "429": Answer(_RATE_LIMIT, 429),
    "200ratelimit": Answer(_RATE_LIMIT),
    "401": _WRONG_KEY,
    "404": Answer({"error": "coin not found"}, 404),
}

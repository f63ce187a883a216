"""CoinPaprika as the simulator speaks it: the whole crypto market, which it counts a little differently from CoinGecko."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from starlette.requests import Request

from evertick.simulator.answers import Answer, Failure, RouteOf
from evertick.simulator.coins import DAY, minute, whole
from evertick.simulator.market import Market
from evertick.simulator.traits import hashed

BASE = "/coinpaprika"


async def global_(market: Market, request: Request) -> Answer:
    """``/v1/global``: whole dollars, changes of 24 hours in percent."""
    at = minute(market)
    total = await whole(market, at)
    if total is None:
        return Answer({"error": "no coins"}, 404)
    counted = 1 + (hashed("coinpaprika/cap") - 0.5) * 1e-3
    bitcoin = next((coin for coin in total.coins if coin.id == "bitcoin"), None)
    yesterday = sum(coin.bars[-2].volume for coin in total.coins)
    today = sum(coin.volume for coin in total.coins)
    peak = total.cap * 1.37
    return Answer(
        {
            "market_cap_usd": int(total.cap * counted),
            "volume_24h_usd": int(total.volume * counted),
            "bitcoin_dominance_percentage": round(total.share(bitcoin), 2) if bitcoin else 0,
            "cryptocurrencies_number": 12639,
            "market_cap_ath_value": int(peak),
            "market_cap_ath_date": f"{datetime.fromtimestamp(at, UTC) - timedelta(seconds=300 * DAY):%Y-%m-%dT00:00:00Z}",
            "market_cap_change_24h": round((total.cap / total.cap_day_ago - 1) * 100, 2),
            "volume_24h_change_24h": round((today / yesterday - 1) * 100, 2) if yesterday else 0,
            "last_updated": at,
        }
    )


async def missing(market: Market, request: Request) -> Answer:
    """Whatever else is asked for: what it has of the past costs money."""
    if "historical" in request.url.path:
        return Answer({"error": "Getting historical data for this plan is not allowed"}, 402)
    return Answer({"error": "id not found"}, 404)


ROUTES: Sequence[RouteOf] = (
    ("GET", "/v1/global", global_),
    ("GET", "/v1/{rest:path}", missing),
)
FAILURES: Mapping[str, Failure] = {
    "429": Answer({"error": "too many requests"}, 429),
    "200ratelimit": Answer({"error": "too many requests"}),
    "404": Answer({"error": "id not found"}, 404),
}

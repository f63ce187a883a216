"""alternative.me as the simulator speaks it: the Fear & Greed index of crypto, one value a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from math import sqrt

from starlette.requests import Request

from evertick.simulator.answers import Answer, Failure, RouteOf
from evertick.simulator.hours import EPOCH
from evertick.simulator.market import Market
from evertick.simulator.noise import block_of, draws, normal

BASE = "/alternative"
FIRST_DAY = date(2018, 2, 1).toordinal()
DAY = 86400
_BANDS = ((25, "Extreme Fear"), (46, "Fear"), (55, "Neutral"), (76, "Greed"), (101, "Extreme Greed"))


def index(market: Market, day: int) -> int:
    """The index of a day, 5 to 95: how far crypto has moved in 30 days, and a mood of its own."""

    def level(at: int) -> float:
        block, place = block_of(at)
        return market.factor("crypto", block)[place]

    momentum = (level(day - 1) - level(day - 31)) / sqrt(30)
    mood = normal()[draws(f"{market.seed}/mood/{day}", 1)[0] >> 4]
    return round(min(95.0, max(5.0, 48 + 17 * momentum + 3.5 * mood)))


def classification(value: int) -> str:
    return next(name for below, name in _BANDS if value < below)


async def fng(market: Market, request: Request) -> Answer:
    """``/fng/?limit=30``: newest first, all strings; ``limit=0`` is all there is."""
    try:
        limit = int(request.query_params.get("limit", "1"))
    except ValueError:
        limit = 1
    at = int(market.clock.at())
    today = EPOCH + at // DAY
    first = FIRST_DAY if limit <= 0 else max(FIRST_DAY, today - limit + 1)
    data: list[dict[str, str]] = []
    for day in range(today, first - 1, -1):
        value = index(market, day)
        data.append(
            {"value": str(value), "value_classification": classification(value), "timestamp": str((day - EPOCH) * DAY)}
        )
    if data:
        data[0]["time_until_update"] = str(DAY - at % DAY)
    return Answer({"name": "Fear and Greed Index", "data": data, "metadata": {"error": None}})


ROUTES: Sequence[RouteOf] = (("GET", "/fng/", fng), ("GET", "/fng", fng))
FAILURES: Mapping[str, Failure] = {
    "429": Answer({"error": "Too many requests", "metadata": {"error": "rate limit"}}, 429),
    "401": Answer({"error": "unauthorized"}, 401),
    "404": Answer({"name": "Fear and Greed Index", "data": [], "metadata": {"error": "not found"}}, 404),
}

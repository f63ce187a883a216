"""Vietcap as the simulator speaks it: series as columns, asked for with POST, one symbol at a time, times as texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from evertick.simulator.answers import Answer, Failure, RouteOf
from evertick.simulator.market import Market
from evertick.simulator.vietnam import days, find, local

BASE = "/vci/api"
NAMES = {"HNX": "HNXIndex", "UPCOM": "HNXUpcomIndex"}
MAX_BODY = 64 << 10
MAX_BARS = 10_000
BAD_REQUEST = Answer({"status": 400, "message": "Bad Request"}, 400)


async def gap_chart(market: Market, request: Request) -> Answer:
    """``{"timeFrame": "ONE_DAY", "symbols": ["FPT"], "to": 1790826723, "countBack": 300}``: an empty list for an unknown
    symbol, and for several."""
    asked = await _body(request)
    symbols, to, count = asked.get("symbols"), asked.get("to"), asked.get("countBack")
    if (
        asked.get("timeFrame") != "ONE_DAY"
        or not isinstance(symbols, list)
        or type(to) is not int
        or type(count) is not int
    ):
        return BAD_REQUEST
    instrument = find(market, str(symbols[0]), NAMES) if len(symbols) == 1 else None
    if instrument is None or not 0 < to < 10**11:
        return Answer([])
    count, last = max(1, min(count, MAX_BARS)), local(to).toordinal()
    # a third more days than asked for are trading days, and Tết and the like besides
    bars = (await days(market, instrument, last - count * 3 // 2 - 30, last))[-count:]
    if not bars:
        return Answer([])
    series = {
        "symbol": symbols[0],
        "o": [d.open for d in bars],
        "h": [d.high for d in bars],
        "l": [d.low for d in bars],
        "c": [d.close for d in bars],
        "v": [d.volume for d in bars],
        "t": [str(d.stamp) for d in bars],
        "accumulatedVolume": [d.volume for d in bars],
        "accumulatedValue": [round(d.volume * d.close / 1e6, 1) for d in bars],
        "minBatchTruncTime": str(bars[0].stamp),
    }
    return Answer([series])


async def _body(request: Request) -> Mapping[str, Any]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


ROUTES: Sequence[RouteOf] = (("POST", "/chart/OHLCChart/gap-chart", gap_chart),)
FAILURES: Mapping[str, Failure] = {
    "403": Answer({"status": 403, "message": "Forbidden"}, 403),
    "404": Answer({"status": 404, "message": "Not Found"}, 404),
    "429": Answer({"status": 429, "message": "Too Many Requests"}, 429),
}

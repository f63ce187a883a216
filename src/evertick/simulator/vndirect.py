"""VNDirect's chart feed as the simulator speaks it: TradingView's UDF, shares in thousands of VND."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from evertick.model import Instrument
from evertick.simulator.answers import HTML, TEXT, Answer, Failure, RouteOf
from evertick.simulator.market import Market
from evertick.simulator.vietnam import days, find, is_index, local

BASE = "/vndirect"
NAMES = {"HNX": "HNXINDEX"}
"""An index that is also known by another name."""
INTRADAY = {"1": 60, "5": 300, "15": 900, "30": 1800, "60": 3600}
DAILY = ("D", "1D")
INTRADAY_DAYS = 90
NO_DATA: Mapping[str, Any] = {"t": [], "c": [], "o": [], "h": [], "l": [], "v": [], "s": "no_data"}

Bar = tuple[int, float, float, float, float, int]


async def history(market: Market, request: Request) -> Answer:
    """``/dchart/history?resolution=D&symbol=FPT&from=…&to=…``: seconds; ``no_data`` for what is not there."""
    asked = request.query_params
    symbol = asked.get("symbol", "").upper()
    instrument, resolution = find(market, symbol, NAMES), asked.get("resolution", "D")
    try:
        first = local(int(asked.get("from", "0"))).toordinal()
        last = local(int(asked.get("to", str(int(market.clock.at()))))).toordinal()
    except (ValueError, OverflowError, OSError):
        return Answer({"s": "error", "errmsg": "from and to are seconds"}, 400)
    if instrument is None:
        return Answer(NO_DATA)
    if resolution in DAILY:
        bars: list[Bar] = [
            (d.stamp, d.open, d.high, d.low, d.close, d.volume) for d in await days(market, instrument, first, last)
        ]
    elif resolution in INTRADAY:
        bars = await _intraday(market, instrument, max(first, last - INTRADAY_DAYS), last, INTRADAY[resolution])
    else:
        return Answer({"s": "error", "errmsg": "unsupported resolution"}, 400)
    if not bars:
        return Answer(NO_DATA)
    unit, places = (1, 2) if is_index(instrument.symbols["vn"]) else (1000, 5)
    columns = list(zip(*bars, strict=True))
    o, h, low, c = ([round(price / unit, places) for price in column] for column in columns[1:5])
    return Answer({"t": list(columns[0]), "c": c, "o": o, "h": h, "l": low, "v": list(columns[5]), "s": "ok"})


async def _intraday(market: Market, instrument: Instrument, first: int, last: int, interval: int) -> list[Bar]:
    at, found = market.clock.at(), []
    tick = market.tick(instrument, at)
    for day in market.hours(instrument).days(first, min(last, tick.day)):
        c = market.candles(instrument, day, interval, at)
        found += list(zip(c.at, c.open, c.high, c.low, c.close, map(int, c.volume), strict=True))
        await asyncio.sleep(0)
    return found


ROUTES: Sequence[RouteOf] = (("GET", "/dchart/history", history),)
FAILURES: Mapping[str, Failure] = {
    "404": Answer("<html><body><h1>404 Not Found</h1></body></html>", 404, media=HTML),
    "429": Answer("Too Many Requests", 429, media=TEXT),
}

"""KB Securities Vietnam as the simulator speaks it: daily bars, all texts, the newest day first, shares in VND."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from starlette.requests import Request

from evertick.simulator.answers import Answer, Failure, RouteOf
from evertick.simulator.market import Market
from evertick.simulator.vietnam import days, find, is_index, local

BASE = "/kbs/iis-server/investment"
NAMES = {"HNX": "HNXINDEX", "UPCOM": "UPCOMINDEX"}
NOT_FOUND = Answer({"status": 404, "message": "Data not found"}, 404)


async def index(market: Market, request: Request) -> Answer:
    """``/index/VNINDEX/data_day?sdate=01-10-2026&edate=20-11-2026``"""
    return await _bars(market, request, True)


async def stocks(market: Market, request: Request) -> Answer:
    """``/stocks/FPT/data_day``, with the same parameters."""
    return await _bars(market, request, False)


async def _bars(market: Market, request: Request, wants_index: bool) -> Answer:
    symbol = request.path_params["symbol"]
    instrument = find(market, symbol, NAMES)
    if instrument is None or is_index(instrument.symbols["vn"]) != wants_index:
        return NOT_FOUND
    today = local(market.clock.at()).date()
    first, last = _day(request, "sdate", date(2000, 7, 28)), _day(request, "edate", today)
    if first is None or last is None:
        return Answer({"status": 400, "message": "Invalid date"}, 400)
    rows = [
        {
            "t": f"{date.fromordinal(d.day)} 07:00",
            "o": f"{d.open:.10g}",
            "h": f"{d.high:.10g}",
            "l": f"{d.low:.10g}",
            "c": f"{d.close:.10g}",
            "v": str(d.volume),
        }
        for d in await days(market, instrument, first.toordinal(), last.toordinal())
    ]
    return Answer({"symbol": symbol, "data_day": rows[::-1]})


def _day(request: Request, name: str, default: date) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        return datetime.strptime(text, "%d-%m-%Y").date()
    except ValueError:
        return None


ROUTES: Sequence[RouteOf] = (("GET", "/index/{symbol}/data_day", index), ("GET", "/stocks/{symbol}/data_day", stocks))
FAILURES: Mapping[str, Failure] = {
    "404": NOT_FOUND,
    "429": Answer({"status": 429, "message": "Too many requests"}, 429),
}

"""VPS as the simulator speaks it: the price board, indices with their breadth, shares in thousands of VND."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from evertick.model import Instrument
from evertick.simulator.answers import HTML, Answer, Failure, RouteOf
from evertick.simulator.hours import hours
from evertick.simulator.limits import limits
from evertick.simulator.market import Market, Tick
from evertick.simulator.vietnam import is_index, local, shares

BASE = "/vps"
CODES = {
    "10": ("VNINDEX", "XSTC", 390),
    "11": ("VN30", "XSTC", 30),
    "02": ("HNX", "XHNX", 305),
    "03": ("UPCOM", "XHNX", 870),
}
"""Code to index, exchange, and how many shares are listed in it."""
STILL = 0.16
"""Share of the listed shares that do not move on an ordinary day."""
LOT = 10
VND_A_SHARE = 26_000
"""What a traded share costs on average."""


async def indices(market: Market, request: Request) -> Answer:
    """``/getlistindexdetail/10,11,02,03``: unknown codes are left out."""
    codes = [code for code in request.path_params["codes"].split(",") if code in CODES]
    risen = await _risen(market) if codes else {}
    return Answer([_index(market, code, risen) for code in dict.fromkeys(codes)])


def _index(market: Market, code: str, risen: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    name, exchange, listed = CODES[code]
    instrument, at = market.find("vn", name), market.clock.at()
    row = {
        "id": 1101,
        "mc": code,
        "status": "O" if _open(exchange, at) else "C",
        "accVol": 0,
        "time": _time(exchange, at),
    }
    if instrument is None:  # the board has the row all the same
        return {**row, "cIndex": 0, "oIndex": 0, "vol": 0, "value": 0, "ot": "0|0%|0|0|0|0"}
    tick = market.tick(instrument, at)
    change = abs(tick.price - tick.previous_close)
    value = int(tick.volume * VND_A_SHARE / 1e6)
    up, down, still = _breadth(tick, listed, risen.get(exchange) or _sum(risen))
    ot = f"{change:.2f}|{change / tick.previous_close * 100:.2f}%|{value // 100}|{up}|{down}|{still}"
    return {
        **row,
        "cIndex": round(tick.price, 2),
        "oIndex": round(tick.previous_close, 2),
        "vol": int(tick.volume),
        "value": value,
        "ot": ot,
    }


async def _risen(market: Market) -> dict[str, tuple[int, int]]:
    """Exchange to how many of its shares in the universe have risen, and how many have moved at all."""
    found: dict[str, tuple[int, int]] = {}
    at = market.clock.at()
    for number, (_, instrument) in enumerate(shares(market)):
        tick = market.tick(instrument, at)
        up, moved = found.get(instrument.exchange, (0, 0))
        found[instrument.exchange] = (
            up + (tick.price > tick.previous_close),
            moved + (tick.price != tick.previous_close),
        )
        if number % 8 == 7:
            await asyncio.sleep(0)
    return found


def _sum(risen: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    return sum(up for up, _ in risen.values()), sum(moved for _, moved in risen.values())


def _breadth(tick: Tick, listed: int, risen: tuple[int, int]) -> tuple[int, int, int]:
    """Shares up, down and still: those of the universe stand for the whole exchange; without any the index does."""
    still = round(listed * STILL)
    up, moved = risen if risen[1] else (6 if tick.price > tick.previous_close else 3, 9)
    # a few that all rise do not mean that the whole exchange does (Laplace's rule of succession)
    advances = round((listed - still) * (up + 1) / (moved + 2))
    return advances, listed - still - advances, still


async def stocks(market: Market, request: Request) -> Answer:
    """``/getliststockdata/FPT,VCB``: unknown symbols are left out."""
    rows = []
    for symbol in dict.fromkeys(request.path_params["symbols"].upper().split(",")):
        instrument = market.find("vn", symbol)
        if instrument is not None and not is_index(symbol):
            rows.append(_share(market, symbol, instrument))
        if len(rows) % 8 == 7:
            await asyncio.sleep(0)
    return Answer(rows)


def _share(market: Market, symbol: str, instrument: Instrument) -> dict[str, Any]:
    tick = market.tick(instrument, market.clock.at())
    before, traits = tick.previous_close, market.traits(instrument)
    floor, ceiling = limits(traits, before) if traits.limit else (before * 0.85, before * 1.15)
    change = abs(tick.price - before)
    return {
        "id": 2100,
        "boardId": "G1",
        "marketId": "STO" if instrument.exchange == "XSTC" else "STX",
        "sym": symbol,
        "mc": "10" if instrument.exchange == "XSTC" else "02",
        "c": _thousands(ceiling),
        "f": _thousands(floor),
        "r": _thousands(before),
        "lastPrice": _thousands(tick.price),
        "lastVolume": 10,
        "lot": int(tick.volume) // LOT,
        "ot": f"{change / 1000:.2f}",
        "changePc": f"{change / before * 100:.2f}",
        "openPrice": str(_thousands(tick.open)),
        "highPrice": str(_thousands(tick.high)),
        "lowPrice": str(_thousands(tick.low)),
        "fBVol": str(int(tick.volume) // 90),
        "fSVolume": str(int(tick.volume) // 80),
        "closePrice": f"{before:.1f}",
    }


def _thousands(price: float) -> float:
    return round(price / 1000, 5)


def _time(exchange: str, at: float) -> str:
    """The time of day of the last trade: before the opening yesterday's, over lunch the morning's last."""
    h = hours(exchange)
    segments = h.segments(h.day_at(at))
    last = max(min(at, end) for start, end in segments if start <= at)
    return f"{local(last):%H:%M:%S}"


def _open(exchange: str, at: float) -> bool:
    h = hours(exchange)
    return any(start <= at < end for start, end in h.segments(h.day_at(at)))


ROUTES: Sequence[RouteOf] = (
    ("GET", "/getlistindexdetail/{codes}", indices),
    ("GET", "/getliststockdata/{symbols}", stocks),
)
FAILURES: Mapping[str, Failure] = {
    "404": Answer("<html><body><pre>Cannot GET</pre></body></html>", 404, media=HTML),
}

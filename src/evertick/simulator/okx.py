"""OKX as the simulator speaks it: spot tickers of 24 hours, of the same coins as CoinGecko's.

Its answers are HTTP 200 whatever happened; ``code`` says whether it went well. Every number is a text. Beside each pair
with USDT stands one with USDC, so that most of a list is of no use to who asks for the universe's, as at OKX.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from starlette.requests import Request

from evertick.model import Instrument
from evertick.simulator.answers import Answer, Failure, RouteOf
from evertick.simulator.coins import DAY, apart, day_range, look
from evertick.simulator.market import Market

BASE = "/okx"
SHARE = 0.08
"""Of the world's volume."""
MIDNIGHT_UTC8 = 16 * 3600
"""Second of a day of UTC at which the day begins eight hours to the east."""


def _error(code: str, message: str, status: int = 200) -> Answer:
    return Answer({"code": code, "msg": message, "data": []}, status)


# --- routes ----------------------------------------------------------------------------------------------------------


async def tickers(market: Market, request: Request) -> Answer:
    """``/api/v5/market/tickers?instType=SPOT``: all pairs; there is no filter."""
    kind = request.query_params.get("instType")
    if not kind:
        return _error("50014", "Parameter instType can not be empty")
    if kind != "SPOT":
        return _error("51000", "Parameter instType error") if kind not in ("SWAP", "FUTURES", "OPTION") else _rows([])
    rows = []
    for number, (pair, instrument) in enumerate(market.listed("okx")):
        rows.append(_ticker(market, instrument, pair))
        if pair.endswith("-USDT"):
            rows.append(_ticker(market, instrument, pair.removesuffix("T") + "C"))
        if number % 16 == 15:
            await asyncio.sleep(0)
    return _rows(rows)


async def ticker(market: Market, request: Request) -> Answer:
    """``/api/v5/market/ticker?instId=BTC-USDT``: one pair."""
    pair = request.query_params.get("instId")
    if not pair:
        return _error("50014", "Parameter instId can not be empty")
    instrument = market.find("okx", pair)
    if instrument is None:
        return _error("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
    return _rows([_ticker(market, instrument, instrument.symbols["okx"])])


def _rows(rows: list[dict[str, Any]]) -> Answer:
    return Answer({"code": "0", "msg": "", "data": rows})


# --- rows ------------------------------------------------------------------------------------------------------------


def _ticker(market: Market, instrument: Instrument, pair: str) -> dict[str, Any]:
    at = int(market.clock.at())
    coin = look(market, pair, instrument, at)
    high, low = day_range(market, coin, at)
    by = apart("okx" if pair.endswith("-USDT") else pair, instrument)
    price, volume = coin.price * by, coin.volume * SHARE
    in_hong_kong = coin.bars[-1] if at % DAY >= MIDNIGHT_UTC8 else coin.bars[-2]
    return {
        "instType": "SPOT",
        "instId": pair,
        "last": _text(price),
        "lastSz": _text(25 / price),
        "askPx": _text(price * 1.00002),
        "askSz": _text(400 / price),
        "bidPx": _text(price * 0.99998),
        "bidSz": _text(500 / price),
        "open24h": _text(coin.day_ago * by),
        "high24h": _text(high * by),
        "low24h": _text(low * by),
        "volCcy24h": _text(volume),
        "vol24h": _text(volume / price),
        "ts": str(int(market.clock.at() * 1000)),
        "sodUtc0": _text(coin.bars[-1].open * by),
        "sodUtc8": _text(market.price_in(instrument, in_hong_kong, MIDNIGHT_UTC8) * by),
    }


def _text(value: float) -> str:
    """Eight digits that count, without a power of ten."""
    return f"{Decimal(f'{value:.8g}'):f}"


_SLOWER = {"code": "50011", "msg": "Too Many Requests", "data": []}
ROUTES: Sequence[RouteOf] = (
    ("GET", "/api/v5/market/tickers", tickers),
    ("GET", "/api/v5/market/ticker", ticker),
)
FAILURES: Mapping[str, Failure] = {
    "429": Answer(_SLOWER, 429),
    "200ratelimit": Answer(_SLOWER),
    "401": _error("50103", "Request header OK-ACCESS-KEY can not be empty.", 401),
    "404": _error("404", "Not Found", 404),
    "503": _error("50001", "Service temporarily unavailable. Try again later.", 503),
}

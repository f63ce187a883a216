"""Binance as the simulator speaks it: the tickers of 24 hours and daily bars, of the same coins as CoinGecko's.

One unknown symbol fails a request for many, as there. Every number is a text; volumes are in USDT, at a third of what
the whole world trades.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from evertick.model import Instrument
from evertick.simulator.answers import HTML, Answer, Failure, RouteOf
from evertick.simulator.coins import DAY, apart, day_range, look
from evertick.simulator.hours import EPOCH
from evertick.simulator.market import Market

BASE = "/binance"
LIMIT = 1000
"""Bars an answer holds at most; 500 unless asked."""
SHARE = 0.35
"""Of the world's volume."""
BAN_S = 90
_SYMBOL = re.compile(r"[A-Z0-9_.-]{1,20}", re.ASCII)
_DAY_MS = DAY * 1000
_INTERVALS = ("1d", "1D")


def _error(code: int, message: str, status: int = 400) -> Answer:
    return Answer({"code": code, "msg": message}, status)


_INVALID_SYMBOL = _error(-1121, "Invalid symbol.")
_ILLEGAL = _error(
    -1100,
    "Illegal characters found in parameter 'symbols'; legal range is "
    '\'^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$\'.',
)
_NO_SYMBOL = _error(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")


# --- routes ----------------------------------------------------------------------------------------------------------


async def ticker(market: Market, request: Request) -> Answer:
    """``/api/v3/ticker/24hr``: ``symbol=`` is answered with an object, ``symbols=[…]`` with a list, neither with all."""
    asked = request.query_params
    if "symbol" in asked and "symbols" in asked:
        return _error(-1128, "Combination of optional parameters invalid.")
    names = _names(asked["symbols"]) if "symbols" in asked else None
    if "symbols" in asked and names is None:
        return _ILLEGAL
    if "symbol" in asked:
        names = [asked["symbol"]]
    found = [_listed(market, name) for name in names] if names is not None else [i for _, i in market.listed("binance")]
    if None in found:
        return _INVALID_SYMBOL
    rows = []
    for number, instrument in enumerate(found):
        assert instrument is not None
        rows.append(_ticker(market, instrument))
        if number % 16 == 15:
            await asyncio.sleep(0)
    headers = {"x-mbx-used-weight-1m": str(2 if len(rows) <= 20 else 40 if len(rows) <= 100 else 80)}
    return Answer(rows[0] if "symbol" in asked else rows, headers=headers)


async def klines(market: Market, request: Request) -> Answer:
    """``/api/v3/klines?symbol=BTCUSDT&interval=1d``: the newest, or from ``startTime`` on; the last has not ended."""
    asked = request.query_params
    if not asked.get("symbol"):
        return _NO_SYMBOL
    instrument = _listed(market, asked["symbol"])
    if instrument is None:
        return _INVALID_SYMBOL
    if asked.get("interval") not in _INTERVALS:
        return _error(-1120, "Invalid interval.")
    now = int(market.clock.at())
    try:
        limit = min(max(int(asked.get("limit", "500")), 1), LIMIT)
        until = min(int(asked.get("endTime", now * 1000)), now * 1000)
        start = int(asked["startTime"]) if "startTime" in asked else None
    except ValueError:
        return _error(-1100, "Illegal characters found in a parameter.")
    last = EPOCH + until // _DAY_MS
    first = last - limit + 1 if start is None else EPOCH - (-start // _DAY_MS)
    first = max(first, market.traits(instrument).first_day)
    return Answer(_klines(market, instrument, first, min(last, first + limit - 1), now))


def _names(text: str) -> list[str] | None:
    """The symbols of a JSON list; ``None`` for what is none."""
    try:
        names = json.loads(text)
    except ValueError:
        return None
    if not isinstance(names, list) or not all(isinstance(n, str) and _SYMBOL.fullmatch(n) for n in names):
        return None
    return names


def _listed(market: Market, symbol: str) -> Instrument | None:
    """Unlike the market's own names, Binance's are in capitals or unknown."""
    return market.find("binance", symbol) if symbol == symbol.upper() else None


# --- rows ------------------------------------------------------------------------------------------------------------


def _ticker(market: Market, instrument: Instrument) -> dict[str, Any]:
    at = market.clock.at()
    symbol = instrument.symbols["binance"]
    coin = look(market, symbol, instrument, int(at))
    high, low = day_range(market, coin, int(at))
    by = apart("binance", instrument)
    price, before = coin.price * by, coin.day_ago * by
    volume = coin.volume * SHARE
    middle = (price + before) / 2
    return {
        "symbol": symbol,
        "priceChange": _text(price - before),
        "priceChangePercent": f"{(price / before - 1) * 100:.3f}",
        "weightedAvgPrice": _text(middle),
        "prevClosePrice": _text(before),
        "lastPrice": _text(price),
        "lastQty": _text(25 / price),
        "bidPrice": _text(price * 0.99999),
        "bidQty": _text(500 / price),
        "askPrice": _text(price * 1.00001),
        "askQty": _text(400 / price),
        "openPrice": _text(before),
        "highPrice": _text(high * by),
        "lowPrice": _text(low * by),
        "volume": _text(volume / middle),
        "quoteVolume": _text(volume),
        "openTime": int(at * 1000) - _DAY_MS,
        "closeTime": int(at * 1000),
        "firstId": 53572675,
        "lastId": 53572675 + int(volume / 15_000),
        "count": int(volume / 15_000) + 1,
    }


def _klines(market: Market, instrument: Instrument, first: int, last: int, now: int) -> list[list[Any]]:
    by, today = apart("binance", instrument), EPOCH + now // DAY
    columns = market.columns(instrument, first, min(last, today - 1))
    rows = [
        _kline(day, [price * by for price in prices], volume)
        for day, *prices, volume in zip(
            columns.days, columns.open, columns.high, columns.low, columns.close, columns.volume, strict=True
        )
    ]
    if first <= today <= last:
        tick = market.tick(instrument, now)
        prices = [price * by for price in (tick.open, tick.high, tick.low, tick.price)]
        rows.append(_kline(today, prices, tick.volume))
    return rows


def _kline(day: int, prices: Sequence[float], world: float) -> list[Any]:
    """``prices``: open, high, low, close; ``world``: the world's volume in USD."""
    start, volume = (day - EPOCH) * _DAY_MS, world * SHARE
    amount = volume / prices[3]
    return [
        start,
        *(_text(price) for price in prices),
        _text(amount),
        start + _DAY_MS - 1,
        _text(volume),
        int(volume / 15_000) + 1,
        _text(amount * 0.51),
        _text(volume * 0.51),
        "0",
    ]


def _text(value: float) -> str:
    return f"{value:.8f}"


# --- failures --------------------------------------------------------------------------------------------------------


def _ban(status: int) -> Failure:
    def answer(market: Market, request: Request) -> Answer:
        until = int((market.clock.at() + BAN_S) * 1000)
        message = (
            f"Way too much request weight used; IP banned until {until}. Please use the websocket for live updates to "
            "avoid bans."
        )
        return Answer({"code": -1003, "msg": message}, status, {"retry-after": str(BAN_S)} if status != 200 else {})

    return answer


ROUTES: Sequence[RouteOf] = (
    ("GET", "/api/v3/ticker/24hr", ticker),
    ("GET", "/api/v3/klines", klines),
)
FAILURES: Mapping[str, Failure] = {
    "429": _ban(429),
    "418": _ban(418),
    "200ratelimit": _ban(200),
    "403html": Answer(
        "<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY><H1>403 ERROR</H1></BODY></HTML>",
        403,
        media=HTML,
    ),
    "404": _INVALID_SYMBOL,
    "451": _error(
        0,
        "Service unavailable from a restricted location according to 'b. Eligibility' in "
        "https://www.binance.com/en/terms. Please contact customer service if you believe you received this message in "
        "error.",
        451,
    ),
}

"""Answers of the providers in the shapes they have, with numbers of our own, and instruments to read them for."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from evertick.model import Group, Instrument

NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
STAMP = int(NOW.timestamp())


def instrument(id_: str, group: Group = Group.INDICES, exchange: str = "XNYS", currency: str = "pts", **symbols: str):
    return Instrument(id_, id_, group, "americas", currency, exchange, 2, symbols or {"yahoo": id_})


SPX = instrument("SPX", yahoo="^GSPC")
VIX = instrument("VIX", Group.VOLATILITY, yahoo="^VIX")
US3M = instrument("US3M", Group.RATES, currency="%", yahoo="^IRX")
WTI = instrument("WTI", Group.COMMODITIES, "CME", "USD", yahoo="CL=F")
EURUSD = instrument("EURUSD", Group.FX, "FX", "USD", yahoo="EURUSD=X")
BTC = instrument("BTC", Group.CRYPTO, "24/7", "USD", yahoo="BTC-USD", coingecko="bitcoin")
PEPE = instrument("PEPE", Group.CRYPTO, "24/7", "USD", coingecko="pepe")
CAP = instrument("CRYPTO_CAP", Group.CRYPTO, "24/7", "USD", coingecko="global:total_market_cap.usd")
DOM = instrument("BTC_DOM", Group.CRYPTO, "24/7", "%", coingecko="global:market_cap_percentage.btc")
FNG = instrument("FNG", Group.SENTIMENT, "DAILY", alternative="fng")


def meta(symbol: str = "^GSPC", price: float = 7012.45, **more: Any) -> dict[str, Any]:
    return {
        "currency": "USD",
        "symbol": symbol,
        "gmtoffset": -18000,
        "exchangeTimezoneName": "America/New_York",
        "regularMarketTime": STAMP - 60,
        "regularMarketPrice": price,
        "regularMarketChangePercent": -0.064,
        "regularMarketDayHigh": price * 1.01,
        "regularMarketDayLow": price * 0.99,
        "regularMarketVolume": 2143000000,
        "chartPreviousClose": price / 1.02,
        "dataGranularity": "1d",
    } | more


def item(symbol: str, price: float, closes: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    closes = [price * 0.999, None, price] if closes is None else closes
    answer = {
        "meta": meta(symbol, price, dataGranularity="5m", **more),
        "timestamp": [STAMP - 300 * n for n in range(len(closes))][::-1],
        "indicators": {"quote": [{"close": closes}]},
    }
    return {"symbol": symbol, "response": [answer]}


def spark_answer(*items: dict[str, Any]) -> dict[str, Any]:
    return {"spark": {"result": list(items), "error": None}}


def day(text: str, clock: str = "14:30") -> int:
    return int(datetime.fromisoformat(f"{text}T{clock}:00+00:00").timestamp())


def chart_answer(stamps: list[Any] | None = None, closes: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    stamps = [day("2026-11-19"), day("2026-11-20"), day("2026-11-23")] if stamps is None else stamps
    closes = [6990.5, 7016.94, 7012.45] if closes is None else closes
    quote = {
        "open": [c * 0.998 if isinstance(c, float) else None for c in closes],
        "high": [c * 1.01 if isinstance(c, float) else None for c in closes],
        "low": [c * 0.99 if isinstance(c, float) else None for c in closes],
        "close": closes,
        "volume": [1_000_000 for _ in closes],
    }
    block = {
        "meta": meta(**more),
        "timestamp": stamps,
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": closes}]},
    }
    return {"chart": {"result": [block], "error": None}}


def coin(id_: str = "bitcoin", price: Any = 66526, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "symbol": "btc",
        "name": "Bitcoin",
        "current_price": price,
        "market_cap": 1312806485784,
        "market_cap_rank": 1,
        "fully_diluted_valuation": None,
        "total_volume": 25951454601,
        "high_24h": 66695,
        "low_24h": 65488,
        "price_change_percentage_24h": 0.35911,
        "circulating_supply": 19733778.0,
        "max_supply": None,
        "roi": None,
        "last_updated": "2026-11-23T15:59:01.595Z",
        "sparkline_in_7d": {"price": [66000.0 + n for n in range(168)]},
    } | more


GLOBAL = {
    "data": {
        "active_cryptocurrencies": 17164,
        "total_market_cap": {"btc": 33859078.98, "usd": 2830792311397.48, "vnd": 72278634665492460},
        "total_volume": {"btc": 1034275.95, "usd": 86470764020.53},
        "market_cap_percentage": {"btc": 58.58960312785831, "eth": 8.1},
        "market_cap_change_percentage_24h_usd": -2.4093849321207177,
        "updated_at": STAMP - 120,
    }
}
RATE_LIMIT = {"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}}


def fng(*values: Any, newest: str = "2026-11-23") -> dict[str, Any]:
    start = day(newest, "00:00")
    rows = [
        {"value": v, "value_classification": "Fear", "timestamp": str(start - n * 86_400)} for n, v in enumerate(values)
    ]
    return {"name": "Fear and Greed Index", "data": rows, "metadata": {"error": None}}


def changed(answer: Any, path: str, value: Any) -> Any:
    """A copy of ``answer`` with another value at ``path``."""
    copy = deepcopy(answer)
    at = copy
    *way, last = path.split("/")
    for step in way:
        at = at[int(step) if step.isdecimal() else step]
    at[int(last) if last.isdecimal() else last] = value
    return copy

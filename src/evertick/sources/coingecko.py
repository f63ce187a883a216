"""CoinGecko: prices of coins (``/coins/markets``) and the whole market (``/global``), without a key or with a demo key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Any

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Clock, Instrument, Quote
from evertick.sources.batches import gathered
from evertick.sources.http import Getter
from evertick.sources.reading import (
    Answer,
    before,
    change,
    instant,
    kind,
    leapt,
    line,
    mapping,
    number,
    plain,
    positive,
    spark,
    written,
    wrong,
)
from evertick.sources.tickers import reach

BASE_URL = "https://api.coingecko.com/api/v3"
PAGE = 100
"""Coins a request: an answer of about 0.5 MB with the week's hourly prices in it."""
MARKETS = "/coins/markets"
GLOBAL = "/global"
WHOLE = "global:"
"""How the symbol of an instrument begins that is a number of ``/global``; the path to that number follows."""
_CAP_USD = (1e10, 1e14)
"""Between the market of 2016 and the wealth of a continent."""
_TURNOVER = 0.05
"""What a day's volume is of the capitalisation, within a factor of some tens."""
_SHARE = (0.1, 100.0)
"""Percent: only the ten largest coins are named, and the tenth has more than a thousandth of the whole."""
_KEY_PROBLEMS = frozenset({401, 403, 1020, 10002, 10005, 10010, 10011, 10012})
"""Codes of its own for a key that is missing, wrong, or of another plan."""
_MARKETS_BYTES = 2 << 20
_GLOBAL_BYTES = 512 << 10


class CoinGecko:
    name = "coingecko"
    title = "CoinGecko"
    namespaces = ("coingecko",)
    per_day: int | None = None
    every_s = 0.0
    needs_key = False
    rate = (5, 60.0)
    """What the endpoint without a key bears: about five a minute."""

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")
        self._headers = {"x-cg-demo-api-key": api_key} if api_key else None

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The latest prices. Of several requests the ones that fail cost their own instruments; raises when all do."""
        whole = [i for i in instruments if i.symbols[self.name].startswith(WHOLE)]
        coins = [i for i in instruments if not i.symbols[self.name].startswith(WHOLE)]
        asked: list[Awaitable[Answer]] = [self._markets(http, coins[n : n + PAGE]) for n in range(0, len(coins), PAGE)]
        if whole:
            asked.append(self._global(http, whole))
        return await gathered(asked)

    async def _markets(self, http: Getter, coins: Sequence[Instrument]) -> Answer:
        params = {
            "vs_currency": "usd",
            "ids": ",".join(i.symbols[self.name] for i in coins),
            "order": "market_cap_desc",
            "per_page": str(PAGE),
            "page": "1",
            "sparkline": "true",
            "price_change_percentage": "24h",
        }
        payload = await http.get_json(self.name, self._base + MARKETS, params, self._headers, at_most=_MARKETS_BYTES)
        await asyncio.sleep(0)
        return parse_markets(payload, coins, self._clock.now())

    async def _global(self, http: Getter, whole: Sequence[Instrument]) -> Answer:
        payload = await http.get_json(self.name, self._base + GLOBAL, None, self._headers, at_most=_GLOBAL_BYTES)
        return parse_global(payload, whole, self._clock.now())


def parse_markets(payload: object, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """Quotes from ``/coins/markets``, change against 24 hours ago. Coins it does not know are simply not in it.

    Raises `SourceMalformed`, and `SourceRateLimited` for the request to slow down that comes with HTTP 200.
    """
    if not isinstance(payload, list):
        raise _reported(payload, MARKETS, "a list of coins")
    by_coin = {i.symbols["coingecko"]: i for i in instruments}
    quotes: dict[str, Quote] = {}
    refused: dict[str, str] = {}
    for row in payload:
        coin = mapping(row).get("id")
        instrument = by_coin.get(coin) if isinstance(coin, str) else None
        if instrument is None:
            continue
        quote = _quote(row, instrument, now)
        if isinstance(quote, str):
            refused[instrument.id] = quote
        else:
            quotes[instrument.id] = quote
    if payload and not quotes and not refused:
        raise SourceMalformed("coingecko", MARKETS, "items of other coins than those asked for")
    return Answer(list(quotes.values()), {k: v for k, v in refused.items() if k not in quotes})


def _quote(row: Mapping[str, Any], instrument: Instrument, now: datetime) -> Quote | str:
    """A quote, or why there is none."""
    price, as_of = number(row.get("current_price")), written(row.get("last_updated"))
    week = line(mapping(row.get("sparkline_in_7d")).get("price"))
    if reason := wrong(instrument, price, as_of, now, _usual(row, week)):
        return reason
    assert price is not None and as_of is not None
    moved = change(row.get("price_change_percentage_24h"))
    high, low = reach(price, row.get("high_24h"), row.get("low_24h"))
    cap, volume = positive(row.get("market_cap")), positive(row.get("total_volume"))
    return Quote(
        id=instrument.id,
        price=price,
        as_of=as_of,
        source="coingecko",
        change_pct=moved,
        previous_close=before(price, moved),
        day_high=high,
        day_low=low,
        volume=volume,
        market_cap=cap,
        spark=spark(week, price),
    )


def _usual(row: Mapping[str, Any], line: Sequence[float]) -> float | None:
    """What the price must be near to: the week's median, else capitalisation by supply."""
    if line:
        return median(line)
    cap, supply = positive(row.get("market_cap")), positive(row.get("circulating_supply"))
    return cap / supply if cap is not None and supply is not None else None


def parse_global(payload: object, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """Quotes of the whole market from ``/global``: capitalisation in dollars, shares of it in percent.

    Raises `SourceMalformed`, and `SourceRateLimited` as `parse_markets` does.
    """
    data = mapping(payload).get("data") if isinstance(payload, dict) else None
    if not isinstance(data, dict):
        raise _reported(payload, GLOBAL, "an object with 'data'")
    as_of = instant(data.get("updated_at"))
    quotes: list[Quote] = []
    refused: dict[str, str] = {}
    for instrument in instruments:
        path = instrument.symbols["coingecko"].removeprefix(WHOLE)
        price = number(_at(data, path))
        reason = wrong(instrument, price, as_of, now) or _implausible(path, price, data)
        if reason is not None:
            refused[instrument.id] = reason
            continue
        assert price is not None and as_of is not None
        capitalisation = path.startswith("total_market_cap.")
        moved = change(data.get("market_cap_change_percentage_24h_usd")) if capitalisation else None
        quotes.append(
            Quote(
                id=instrument.id,
                price=price,
                as_of=as_of,
                source="coingecko",
                change_pct=moved,
                previous_close=before(price, moved),
                volume=positive(_at(data, path.replace("total_market_cap", "total_volume")))
                if capitalisation
                else None,
            )
        )
    return Answer(quotes, refused)


def _implausible(path: str, price: float | None, data: Mapping[str, Any]) -> str | None:
    """Why a number of the whole market cannot be right, by its own kind and by the capitalisation beside it."""
    if price is None:
        return None
    what, _, unit = path.partition(".")
    cap = positive(_at(data, f"total_market_cap.{unit}"))
    if unit == "usd" and cap is not None and not _CAP_USD[0] < cap < _CAP_USD[1]:
        return f"a capitalisation of {cap:g} dollars"
    if what == "total_volume" and (cap is None or leapt(price, cap * _TURNOVER)):
        return f"a volume of {price:g} beside the capitalisation"
    if what == "market_cap_percentage" and not _SHARE[0] < price <= _SHARE[1]:
        return f"{price:g} % of the whole"
    return None


def _at(data: Mapping[str, Any], path: str) -> object:
    value: object = data
    for step in path.split("."):
        value = mapping(value).get(step)
    return value


def _reported(payload: object, endpoint: str, expected: str) -> SourceError:
    """The error in an answer that reports one, or in one of an unknown shape. Any of them also comes with HTTP 200."""
    status = mapping(mapping(payload).get("status") or payload)
    said = status.get("error_message") or mapping(payload).get("error")
    text = plain(said)
    code = number(status.get("error_code"))
    if code == 429:
        return SourceRateLimited("coingecko", endpoint, f"asked to slow down: {text}")
    if code in _KEY_PROBLEMS:
        return SourceRefused("coingecko", endpoint, f"error {code:g}: {text}")
    return SourceMalformed("coingecko", endpoint, text or kind(payload), expected=expected)

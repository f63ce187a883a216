"""OKX: prices of coins in USDT, without a key. Asked for what Binance does not answer.

A few pairs are asked for one by one, more of them all at once: ``/api/v5/market/tickers`` has no filter and lists every
spot pair of the exchange, about 0.3 MB. OKX answers HTTP 200 to everything and says in ``code`` whether it went well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.model import Clock, Instrument, Quote
from evertick.sources import tickers
from evertick.sources.batches import gathered
from evertick.sources.http import Getter
from evertick.sources.reading import Answer, decimal, instant, kind, mapping, plain, symbol_of

BASE_URL = "https://www.okx.com"
TICKER = "/api/v5/market/ticker"
TICKERS = "/api/v5/market/tickers"
FEW = 3
"""Up to so many pairs are asked for one by one."""
_TICKER_BYTES = 64 << 10
_TICKERS_BYTES = 2 << 20
_LIMITS = frozenset({"50011", "50040", "50061"})
"""Codes of requests that come too fast."""
_AWAY = frozenset({"50001", "50004", "50013", "50026"})
"""Codes of a service that is down or busy."""
_NO_SUCH_PAIR = "51001"


class Okx:
    name = "okx"
    title = "OKX"
    namespaces = ("okx",)
    per_day: int | None = None
    every_s = 0.0
    needs_key = False
    rate = (10, 2.0)
    """Half of what it allows for each of the two endpoints."""

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The latest prices; pairs that OKX does not have are simply not in them. Raises `SourceError`."""
        if len(instruments) > FEW:
            params = {"instType": "SPOT"}
            payload = await http.get_json(self.name, self._base + TICKERS, params, at_most=_TICKERS_BYTES)
            return parse_tickers(payload, instruments, self._clock.now(), TICKERS)
        return await gathered([self._ticker(http, instrument) for instrument in instruments])

    async def _ticker(self, http: Getter, instrument: Instrument) -> Answer:
        params = {"instId": symbol_of(instrument, self.namespaces) or ""}
        payload = await http.get_json(self.name, self._base + TICKER, params, at_most=_TICKER_BYTES)
        if mapping(payload).get("code") == _NO_SUCH_PAIR:
            return Answer((), {instrument.id: f"{params['instId']}: a pair that OKX does not have"})
        return parse_tickers(payload, [instrument], self._clock.now(), TICKER)


def parse_tickers(payload: object, instruments: Sequence[Instrument], now: datetime, endpoint: str = TICKERS) -> Answer:
    """Quotes from ``/api/v5/market/tickers``, change and previous price of 24 hours ago, volume in USDT.

    Every number is a text. Raises `SourceMalformed`, and for an error that is reported the `SourceError` it amounts to.
    """
    rows = mapping(payload).get("data")
    if mapping(payload).get("code") != "0" or not isinstance(rows, list):
        raise _reported(payload, endpoint)
    by_pair = {i.symbols["okx"]: i for i in instruments if "okx" in i.symbols}
    quotes: dict[str, Quote] = {}
    refused: dict[str, str] = {}
    for row in rows:
        pair = mapping(row).get("instId")
        instrument = by_pair.get(pair) if isinstance(pair, str) else None
        if instrument is None:
            continue
        quote = _quote(row, instrument, now)
        if isinstance(quote, str):
            refused[instrument.id] = quote
        else:
            quotes[instrument.id] = quote
    if rows and not any("instId" in mapping(row) for row in rows):
        raise SourceMalformed("okx", endpoint, "a list of something else", expected="tickers with 'instId'")
    return Answer(list(quotes.values()), {k: v for k, v in refused.items() if k not in quotes})


def _quote(row: Mapping[str, Any], instrument: Instrument, now: datetime) -> Quote | str:
    """A quote, or why there is none."""
    milliseconds = decimal(row.get("ts"))
    return tickers.quote(
        instrument,
        "okx",
        now,
        None if milliseconds is None else instant(milliseconds / 1000),
        price=row.get("last"),
        before=row.get("open24h"),
        high=row.get("high24h"),
        low=row.get("low24h"),
        amount=row.get("vol24h"),
        turnover=row.get("volCcy24h"),
        others=(row.get("sodUtc0"), row.get("sodUtc8")),
    )


def _reported(payload: object, endpoint: str) -> SourceError:
    """The error in an answer that reports one with its ``code``, or in one of an unknown shape."""
    code, said = mapping(payload).get("code"), plain(mapping(payload).get("msg"))
    if not isinstance(code, str) or not code.isdecimal() or code == "0":
        return SourceMalformed("okx", endpoint, kind(payload), expected="an object with code '0' and a list as 'data'")
    came = f"error {code[:8]}: {said}"
    if code in _LIMITS:
        return SourceRateLimited("okx", endpoint, came)
    if code in _AWAY:
        return SourceUnavailable("okx", endpoint, came)
    if code.startswith("501"):  # keys, permissions, places it does not serve
        return SourceRefused("okx", endpoint, came)
    return SourceMalformed("okx", endpoint, came, expected="code '0'")

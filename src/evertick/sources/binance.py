"""Binance: prices of coins in USDT (``/api/v3/ticker/24hr``, in batches) and their daily bars (``/api/v3/klines``).

No key; from the host that has market data alone, which is not closed to the countries that the exchange is closed to.
A price in USDT is taken for one in dollars: they differ by a few hundredths of a percent on an ordinary day.
"""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Bars, Clock, Instrument, Quote
from evertick.sources import daily, tickers
from evertick.sources.batches import merged
from evertick.sources.http import Getter
from evertick.sources.reading import (
    Answer,
    decimal,
    instant,
    kind,
    mapping,
    number,
    plain,
    symbol_of,
)

BASE_URL = "https://data-api.binance.vision"
TICKER = "/api/v3/ticker/24hr"
KLINES = "/api/v3/klines"
BATCH = 20
"""Symbols a request: up to 20 weigh 2 of the 6,000 that an address may use a minute, 21 to 100 weigh 40."""
SPLITS = 20
"""Batches with an unknown symbol that are halved in one run to find it: at most 40 more requests."""
UNKNOWN_FOR = timedelta(days=1)
"""A symbol that Binance does not know is not asked for again until then."""
LIMIT = 1000
"""Bars a request; more are not given."""
SHORTEST_BAN_S = 120.0
"""Of a ban that does not say until when."""
_DAY_MS = 86_400_000
_TICKER_BYTES = 256 << 10
_KLINES_BYTES = 1 << 20
_SYMBOL = re.compile(r"[A-Z0-9_.-]{1,20}", re.ASCII)
_UNKNOWN = re.compile(r"invalid symbol", re.IGNORECASE)
_BANNED = re.compile(r"banned until (\d{13})\b", re.ASCII)
_NOT_KNOWN = "a symbol that Binance does not know"


class UnknownSymbol(SourceMalformed):
    """One symbol at least of those asked for is none at Binance: error −1121, which fails the whole batch."""


class Binance:
    name = "binance"
    title = "Binance"
    namespaces = ("binance",)
    per_day: int | None = None
    every_s = 0.0
    needs_key = False
    rate = (50, 10.0)
    """A twentieth of what it allows: 6,000 of weight a minute, of which a batch weighs 2."""
    bars_at_once = 1

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")
        self._unknown: dict[str, datetime] = {}
        """Symbol to when it may be asked for again."""

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The latest prices. A batch that fails costs its own instruments; raises `SourceError` when all do.

        A batch that fails for one unknown symbol is halved until the symbol is found; it is refused for a day, and the
        others get their prices. After a request to slow down, or a refusal, no further batch is sent.
        """
        asked, refused = self._asked_for(instruments)
        parts = [Answer((), refused)] if refused else []
        unknown: list[str] = []
        failures: list[SourceError] = []
        waiting = deque(asked[n : n + BATCH] for n in range(0, len(asked), BATCH))
        splits = SPLITS
        while waiting:
            batch = waiting.popleft()
            try:
                parts.append(await self._tickers(http, batch))
            except UnknownSymbol as error:
                if len(batch) == 1:
                    unknown.append(self._symbol(batch[0]))
                    parts.append(Answer((), {batch[0].id: f"{unknown[-1]}: {_NOT_KNOWN}"}))
                elif splits:
                    splits -= 1
                    half = len(batch) // 2
                    waiting.extendleft((batch[half:], batch[:half]))
                else:
                    failures.append(error)
            except (SourceRateLimited, SourceRefused) as error:
                failures.append(error)
                break
            except SourceError as error:
                failures.append(error)
        if any(part.quotes for part in parts):  # else it may be Binance that is confused
            self._unknown |= dict.fromkeys(unknown, self._clock.now() + UNKNOWN_FOR)
        return merged(parts, failures)

    def _asked_for(self, instruments: Sequence[Instrument]) -> tuple[list[Instrument], dict[str, str]]:
        """Those worth asking for, and why the others are not."""
        now = self._clock.now()
        self._unknown = {symbol: until for symbol, until in self._unknown.items() if until > now}
        asked: list[Instrument] = []
        refused: dict[str, str] = {}
        for instrument in instruments:
            symbol = self._symbol(instrument)
            if _SYMBOL.fullmatch(symbol) and symbol not in self._unknown:
                asked.append(instrument)
            else:
                refused[instrument.id] = f"{plain(symbol)}: {_NOT_KNOWN}"
        return asked, refused

    def _symbol(self, instrument: Instrument) -> str:
        return symbol_of(instrument, self.namespaces) or ""

    async def _tickers(self, http: Getter, batch: Sequence[Instrument]) -> Answer:
        symbols = json.dumps([self._symbol(i) for i in batch], separators=(",", ":"))
        payload = await self._get(http, TICKER, {"symbols": symbols, "type": "FULL"}, _TICKER_BYTES)
        return parse_tickers(payload, batch, self._clock.now())

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Daily bars from ``since`` (UTC) on, today's unfinished one included; none where Binance has none.

        Raises `SourceError`.
        """
        return [await self._bars(http, instrument, since) for instrument in instruments]

    async def _bars(self, http: Getter, instrument: Instrument, since: date) -> Bars:
        if not self._asked_for([instrument])[0]:
            return Bars.empty(instrument.id)
        rows: list[Any] = []
        start = int(datetime(since.year, since.month, since.day, tzinfo=UTC).timestamp() * 1000)
        now = self._clock.now()
        while start <= now.timestamp() * 1000:
            params = {
                "symbol": self._symbol(instrument),
                "interval": "1d",
                "startTime": str(start),
                "limit": str(LIMIT),
            }
            try:
                page = await self._get(http, KLINES, params, _KLINES_BYTES)
            except UnknownSymbol:
                return Bars.empty(instrument.id)
            rows += _page(page, start, now)
            if len(page) < LIMIT:
                break
            start = rows[-1][0] + _DAY_MS
        return parse_klines(rows, instrument, since, now)

    async def _get(self, http: Getter, path: str, params: Mapping[str, str], at_most: int) -> Any:
        """The payload; errors of HTTP as the kind that Binance means by them."""
        try:
            return await http.get_json(self.name, self._base + path, params, at_most=at_most)
        except SourceError as error:
            raise _meant(error, path, self._clock.now()) from error


def _meant(error: SourceError, endpoint: str, now: datetime) -> SourceError:
    """What an error of HTTP means here: 418 is a ban that ends, 400 may name an unknown symbol."""
    if isinstance(error, SourceMalformed) and _UNKNOWN.search(error.came):
        return UnknownSymbol("binance", endpoint, _NOT_KNOWN)
    told = error.retry_after if isinstance(error, SourceRateLimited) else None
    until = _banned_for(error.came, now)
    if until is None and error.came.startswith("HTTP 418"):
        until = SHORTEST_BAN_S
    if until is not None:
        return SourceRateLimited("binance", endpoint, error.came, retry_after=max(until, told or 0.0))
    return error


def _banned_for(text: str, now: datetime) -> float | None:
    """Seconds until the moment that a text names in milliseconds."""
    match = _BANNED.search(text)
    until = instant(int(match[1]) / 1000) if match else None
    return max(0.0, (until - now).total_seconds()) if until else None


def _reported(payload: object, endpoint: str, now: datetime, expected: str) -> SourceError:
    """The error in an answer that reports one, or in one of an unknown shape."""
    said, code = plain(mapping(payload).get("msg")), number(mapping(payload).get("code"))
    if code == -1121:
        return UnknownSymbol("binance", endpoint, _NOT_KNOWN)
    if code in (-1003, -1015):
        return SourceRateLimited("binance", endpoint, f"error {code:g}: {said}", retry_after=_banned_for(said, now))
    if code == 0 and "restricted location" in said:
        return SourceRefused("binance", endpoint, said)
    if code is not None:
        return SourceMalformed("binance", endpoint, f"error {code:g}: {said}", expected=expected)
    return SourceMalformed("binance", endpoint, kind(payload), expected=expected)


def parse_tickers(payload: object, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """Quotes from ``/api/v3/ticker/24hr``, change and previous price of 24 hours ago, volume in USDT.

    One symbol's answer is an object, that of several a list. Every number is a text. Raises `SourceMalformed`,
    `UnknownSymbol`, and `SourceRateLimited` or `SourceRefused` for an error that is reported with HTTP 200.
    """
    rows = [payload] if isinstance(payload, dict) and "symbol" in payload else payload
    if not isinstance(rows, list):
        raise _reported(payload, TICKER, now, "a list of tickers")
    by_symbol = {i.symbols["binance"]: i for i in instruments if "binance" in i.symbols}
    quotes: dict[str, Quote] = {}
    refused: dict[str, str] = {}
    for row in rows:
        symbol = mapping(row).get("symbol")
        instrument = by_symbol.get(symbol) if isinstance(symbol, str) else None
        if instrument is None:
            continue
        quote = _quote(row, instrument, now)
        if isinstance(quote, str):
            refused[instrument.id] = quote
        else:
            quotes[instrument.id] = quote
    if rows and not quotes and not refused:
        raise SourceMalformed("binance", TICKER, "tickers of other symbols than those asked for")
    return Answer(list(quotes.values()), {k: v for k, v in refused.items() if k not in quotes})


def _quote(row: Mapping[str, Any], instrument: Instrument, now: datetime) -> Quote | str:
    """A quote, or why there is none."""
    return tickers.quote(
        instrument,
        "binance",
        now,
        _moment(row.get("closeTime")),
        price=row.get("lastPrice"),
        before=row.get("openPrice"),
        high=row.get("highPrice"),
        low=row.get("lowPrice"),
        amount=row.get("volume"),
        turnover=row.get("quoteVolume"),
        others=(row.get("weightedAvgPrice"), row.get("prevClosePrice")),
    )


def _moment(milliseconds: object) -> datetime | None:
    found = number(milliseconds)
    return None if found is None else instant(found / 1000)


def _page(payload: object, start: int, now: datetime) -> list[Any]:
    """The rows of one answer. Raises for an error that it reports, and for a full page that leads nowhere."""
    if not isinstance(payload, list):
        raise _reported(payload, KLINES, now, "a list of bars")
    if len(payload) < LIMIT:
        return payload
    last = payload[-1][0] if isinstance(payload[-1], list) and payload[-1] else None
    if type(last) is not int or not 0 <= last - start - (LIMIT - 1) * _DAY_MS < now.timestamp() * 1000:
        raise SourceMalformed("binance", KLINES, "a page of bars that does not lead on", expected="bars in order")
    return payload


def parse_klines(payload: object, instrument: Instrument, since: date, now: datetime) -> Bars:
    """Daily bars from ``/api/v3/klines``: days of UTC, volume in USDT. Raises as `parse_tickers` does.

    Bars that are not of one day, or not yet begun, are left out; of two of one day the one sent later counts.
    """
    if not isinstance(payload, list):
        raise _reported(payload, KLINES, now, "a list of bars")
    rows: dict[int, daily.Row] = {}
    for item in payload:
        row = _row(item, instrument, now)
        if row is not None and row[0] >= since.toordinal():
            rows[row[0]] = row
    if payload and not rows and not any(_before(item, since) for item in payload):
        raise SourceMalformed("binance", KLINES, "no usable bar among those sent", expected="bars of 1d")
    return daily.bars(instrument, [rows[day] for day in sorted(rows)])


def _row(item: object, instrument: Instrument, now: datetime) -> daily.Row | None:
    if not isinstance(item, list) or len(item) < 8:
        return None
    opened_at, closed_at = number(item[0]), number(item[6])
    if opened_at is None or closed_at is None or opened_at % _DAY_MS or closed_at - opened_at != _DAY_MS - 1:
        return None
    at = instant(opened_at / 1000)
    if at is None or at > now:
        return None
    opened, high, low, close = (decimal(cell) for cell in item[1:5])
    volume = decimal(item[7])
    return daily.row(instrument, at.toordinal(), close, opened, high, low, math.nan if volume is None else volume)


def _before(item: object, since: date) -> bool:
    """Whether a row is a bar of a day that was not asked for."""
    at = _moment(item[0]) if isinstance(item, list) and item else None
    return at is not None and at.date() < since

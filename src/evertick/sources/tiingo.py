"""Tiingo: quotes of US shares and funds (``/iex/``, many tickers a request) and daily bars, with a key.

The free plan grants 50 requests an hour, 1,000 a day and 500 tickers a month. All quotes of a run are one request, every
five minutes: 12 an hour, 288 a day; the rest is left for daily bars, one request each. Of more than 100 instruments a run
asks for 100, in rotation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote as quoted

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Bars, Clock, Instrument, Quote
from evertick.sources.http import Getter
from evertick.sources.keyed import Raw, Turns, day_of, priced, said, series, unknown, usable_key
from evertick.sources.reading import Answer, decimal, kind, mapping, number, symbol_of, written

BASE_URL = "https://api.tiingo.com"
IEX = "/iex/"
DAILY = "/tiingo/daily/{}/prices"
AT_ONCE = 100
LOOK_BACK = timedelta(days=10)
"""Days before the first one asked for: closes are judged by those around them, and days without trading are many."""
_QUOTES_BYTES = 512 << 10
_BARS_BYTES = 2 << 20
_LIMITED = "Error: You have run over"
_REFUSED = ("Invalid token", "Please supply a token", "Authentication credentials", "Not authorized")


class Tiingo:
    name = "tiingo"
    title = "Tiingo"
    namespaces = ("tiingo", "ticker")
    per_day: int | None = 1000
    every_s = 300.0
    needs_key = True
    bars_at_once = 1
    rate = (25, 3600.0)
    """Half of what the plan grants: a burst and what is refilled meanwhile make the whole."""

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")
        self._key = usable_key(self.name, api_key)
        self._headers = {"Authorization": f"Token {self._key}"} if self._key else None
        self._turns = Turns(AT_ONCE, self.every_s, clock)

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The latest prices, in one request. Raises `SourceError`."""
        asked, later = self._turns.take(instruments)
        if not asked:
            return Answer(later=later)
        params = {"tickers": ",".join(symbol_of(i, self.namespaces) or "" for i in asked).lower()}
        payload = await http.get_json(self.name, self._base + IEX, params, self._headers, at_most=_QUOTES_BYTES)
        return replace(parse_quotes(payload, asked, self._clock.now(), self._key), later=later)

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Daily bars from ``since`` on, yesterday's the newest while the market is open; empty ones of an unknown ticker. Raises `SourceError`."""
        return [await self._daily(http, instrument, since) for instrument in instruments]

    async def _daily(self, http: Getter, instrument: Instrument, since: date) -> Bars:
        path = DAILY.format(quoted((symbol_of(instrument, self.namespaces) or "").lower(), safe=""))
        params = {"startDate": (since - LOOK_BACK).isoformat(), "format": "json"}
        try:
            payload = await http.get_json(self.name, self._base + path, params, self._headers, at_most=_BARS_BYTES)
        except SourceError as error:
            if unknown(error):
                return Bars.empty(instrument.id)
            raise
        return parse_bars(payload, instrument, since, self._clock.now(), self._key)


def parse_quotes(
    payload: object, instruments: Sequence[Instrument], now: datetime, secret: str | None = None
) -> Answer:
    """Quotes from ``/iex/``; tickers that Tiingo does not know are simply not in it.

    Raises the `SourceError` that fits an error sent with HTTP 200; ``secret`` is masked in what it says.
    """
    if not isinstance(payload, list):
        raise _error(payload, IEX, secret, "a list of quotes")
    by_ticker = {(symbol_of(i, Tiingo.namespaces) or "").upper(): i for i in instruments}
    quotes: dict[str, Quote] = {}
    refused: dict[str, str] = {}
    for item in payload:
        row = mapping(item)
        ticker = row.get("ticker")
        instrument = by_ticker.get(ticker.upper()) if isinstance(ticker, str) else None
        if instrument is None:
            continue
        quote = _quote(row, instrument, now)
        if isinstance(quote, str):
            refused[instrument.id] = quote
        else:
            quotes[instrument.id] = quote
    if payload and not quotes and not refused:
        raise SourceMalformed("tiingo", IEX, "items of other tickers than those asked for")
    return Answer(list(quotes.values()), {k: v for k, v in refused.items() if k not in quotes})


def _quote(row: Mapping[str, Any], instrument: Instrument, now: datetime) -> Quote | str:
    last = number(row.get("tngoLast"))
    return priced(
        instrument,
        "tiingo",
        number(row.get("last")) if last is None else last,
        written(row.get("timestamp")),
        now,
        previous=number(row.get("prevClose")),
        opened=number(row.get("open")),
        high=number(row.get("high")),
        low=number(row.get("low")),
        volume=number(row.get("volume")),
    )


def parse_bars(payload: object, instrument: Instrument, since: date, now: datetime, secret: str | None = None) -> Bars:
    """Daily bars from ``/tiingo/daily/…/prices``, adjusted for splits but, like a quote, not for dividends.

    Raises `SourceError`.
    """
    endpoint = DAILY.format(symbol_of(instrument, Tiingo.namespaces))
    if not isinstance(payload, list):
        raise _error(payload, endpoint, secret, "a list of days")
    return series(_split_adjusted(payload), instrument, since, now, "tiingo", endpoint)


def _split_adjusted(rows: Sequence[object]) -> Iterator[Raw]:
    """Rows with their prices in today's shares: ``splitFactor`` stands on the first day after a split, 1 on the others."""
    dated = [(day_of(mapping(row).get("date")), mapping(row)) for row in rows]
    factor = 1.0
    for day, row in sorted(dated, key=lambda pair: pair[0] or date.min, reverse=True):
        prices = [_divided(row.get(name), factor) for name in ("open", "high", "low", "close")]
        yield day, [*prices, row.get("volume")]
        split = number(row.get("splitFactor"))
        factor *= split if split is not None and 0.001 < split < 1000 else 1.0


def _divided(value: object, factor: float) -> float | None:
    found = decimal(value)
    return None if found is None else found if factor == 1 else round(found / factor, 6)


def _error(payload: object, endpoint: str, secret: str | None, expected: str) -> SourceError:
    text = said(payload.get("detail"), secret) if isinstance(payload, dict) else ""
    if text.startswith(_LIMITED):
        return SourceRateLimited("tiingo", endpoint, text)
    if text.startswith(_REFUSED):
        return SourceRefused("tiingo", endpoint, text)
    return SourceMalformed("tiingo", endpoint, text or kind(payload), expected=expected)

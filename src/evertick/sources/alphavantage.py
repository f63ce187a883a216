"""Alpha Vantage: quotes and daily bars of US shares and funds (``/query``), one request each, with a key.

The free plan grants 25 requests a day, one a second. One quote every two hours, in rotation, is twelve a day; the other
thirteen are left for daily bars. The last resort, and a slow one. Every error comes with HTTP 200.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Bars, Clock, Instrument
from evertick.sources.http import Getter
from evertick.sources.keyed import Turns, answered, as_of_day, day_of, one_by_one, priced, said, series, usable_key
from evertick.sources.reading import Answer, change, decimal, kind, mapping, symbol_of

BASE_URL = "https://www.alphavantage.co"
QUERY = "/query"
AT_ONCE = 1
COMPACT = 100
"""Days that the free plan's ``outputsize=compact`` goes back, in bars."""
_QUOTE_BYTES = 16 << 10
_BARS_BYTES = 256 << 10
_ROOT = "Global Quote"
_SERIES = "Time Series (Daily)"
_KEY_ECHOED = re.compile(r"(API key as )\S+")


class AlphaVantage:
    name = "alphavantage"
    title = "Alpha Vantage"
    namespaces = ("alphavantage", "ticker")
    per_day: int | None = 25
    every_s = 7200.0
    needs_key = True
    bars_at_once = 1
    rate = (1, 2.0)

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")
        self._key = usable_key(self.name, api_key)
        self._turns = Turns(AT_ONCE, self.every_s, clock)

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The latest price of the next instrument. Raises `SourceError`."""
        asked, later = self._turns.take(instruments)
        return await one_by_one(asked, later, lambda instrument: self._quote(http, instrument))

    async def _quote(self, http: Getter, instrument: Instrument) -> Answer:
        payload = await self._query(http, "GLOBAL_QUOTE", instrument, {}, _QUOTE_BYTES)
        return parse_quote(payload, instrument, self._clock.now(), self._key)

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """The newest hundred daily bars at most, from ``since`` on, as traded: a split is not in them. Raises `SourceError`."""
        found: list[Bars] = []
        for instrument in instruments:
            payload = await self._query(http, "TIME_SERIES_DAILY", instrument, {"outputsize": "compact"}, _BARS_BYTES)
            found.append(parse_bars(payload, instrument, since, self._clock.now(), self._key))
        return found

    async def _query(
        self, http: Getter, function: str, instrument: Instrument, more: Mapping[str, str], at_most: int
    ) -> Any:
        """The key can only be a parameter; errors hold the path alone."""
        params = {"function": function, "symbol": symbol_of(instrument, self.namespaces) or "", **more}
        if self._key:
            params["apikey"] = self._key
        return await http.get_json(self.name, self._base + QUERY, params, at_most=at_most)


def parse_quote(payload: object, instrument: Instrument, now: datetime, secret: str | None = None) -> Answer:
    """A quote from ``GLOBAL_QUOTE``, all texts; an unknown symbol is an empty object.

    ``as_of`` is the close of the latest trading day, its beginning while it lasts. Raises the `SourceError` that fits the
    message of an error, without the key that some repeat.
    """
    row = mapping(payload).get(_ROOT)
    if not isinstance(row, dict):
        raise _error(payload, secret, f"an object with '{_ROOT}'")
    if not row:
        return Answer()
    if row.get("01. symbol") != symbol_of(instrument, AlphaVantage.namespaces):
        raise SourceMalformed("alphavantage", QUERY, "a quote of another symbol than the one asked for")
    day = day_of(row.get("07. latest trading day"))
    percent = row.get("10. change percent")
    return answered(
        instrument,
        priced(
            instrument,
            "alphavantage",
            decimal(row.get("05. price")),
            as_of_day(instrument, day, now) if day else None,
            now,
            previous=decimal(row.get("08. previous close")),
            opened=decimal(row.get("02. open")),
            high=decimal(row.get("03. high")),
            low=decimal(row.get("04. low")),
            volume=decimal(row.get("06. volume")),
            change_pct=change(decimal(percent.removesuffix("%"))) if isinstance(percent, str) else None,
        ),
    )


def parse_bars(payload: object, instrument: Instrument, since: date, now: datetime, secret: str | None = None) -> Bars:
    """Daily bars from ``TIME_SERIES_DAILY``; empty where it does not know the symbol. Raises `SourceError`."""
    days = mapping(payload).get(_SERIES)
    if not isinstance(days, dict):
        error = _error(payload, secret, f"an object with '{_SERIES}'")
        # the symbol is all that may be wrong with the call
        if isinstance(error, SourceMalformed) and error.came.startswith("Invalid API call"):
            return Bars.empty(instrument.id)
        raise error
    names = ("1. open", "2. high", "3. low", "4. close", "5. volume")
    rows = ((day_of(day), [mapping(row).get(name) for name in names]) for day, row in days.items())
    return series(rows, instrument, since, now, "alphavantage", QUERY)


def _error(payload: object, secret: str | None, expected: str) -> SourceError:
    body = mapping(payload)
    message = next((body[name] for name in ("Note", "Information", "Error Message") if name in body), None)
    text = _KEY_ECHOED.sub(r"\1…", said(message, secret))
    if "Note" in body or re.search(r"rate limit|requests? per|call frequency", text, re.IGNORECASE):
        return SourceRateLimited("alphavantage", QUERY, text)
    if "Information" in body or "apikey" in text:  # a premium endpoint, the demo key; no key or a wrong one
        return SourceRefused("alphavantage", QUERY, text)
    return SourceMalformed("alphavantage", QUERY, text or kind(payload), expected=expected)

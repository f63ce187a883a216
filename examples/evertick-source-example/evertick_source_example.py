"""A source for Evertick: prices from a small CSV file at an address of your own.

The file names its columns in its first row; ``previous`` may be empty::

    symbol,price,previous,at
    bar-1kg,84230.50,84110.00,2026-11-23T15:59:30Z

An instrument of the universe that has the symbol ``csvprices=bar-1kg`` gets its price from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from evertick.errors import SettingsError, SourceMalformed
from evertick.model import Clock, Instrument, Quote
from evertick.sources.http import Getter
from evertick.sources.reading import Answer, decimal, positive, symbol_of, written, wrong
from evertick.sources.tables import plain, table

COLUMNS = ("symbol", "price", "previous", "at")
_BYTES = 256 << 10


class CsvPrices:
    name = "csvprices"
    title = "Prices of our own"
    namespaces = ("csvprices",)
    rate = (1, 10.0)
    """One request in ten seconds at most; an address in the settings is the user's own, and asked without limits."""
    per_day: int | None = None
    every_s = 60.0
    needs_key = False

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        """``base_url`` is the address of the file; ``api_key``, where there is one, is sent as a bearer token."""
        if base_url is None:
            raise SettingsError("EVERTICK_SOURCES__CSVPRICES__BASE_URL is not set; it is the address of the file")
        self._clock = clock
        self._url = base_url
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else None

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """All prices are one request. Raises `SourceError`."""
        body = await http.get_text(self.name, self._url, None, self._headers, form="csv", at_most=_BYTES)
        return parse_prices(body, instruments, self._clock.now(), urlsplit(self._url).path or "/")


def parse_prices(body: bytes, instruments: Sequence[Instrument], now: datetime, endpoint: str = "/") -> Answer:
    """Quotes from the file; symbols that are not in it are missing. Raises `SourceMalformed` for another table."""
    names, rows = table("csvprices", endpoint, body)
    if missing := [column for column in COLUMNS if column not in names]:
        came = f"a table without {', '.join(missing)}; its columns are {plain(names)}"
        raise SourceMalformed("csvprices", endpoint, came, expected=f"CSV with {', '.join(COLUMNS)}")
    at = [names.index(column) for column in COLUMNS]
    by_symbol: dict[str, list[list[str]]] = {}
    for row in rows:
        symbol, *cells = (row[n] for n in at)
        by_symbol.setdefault(symbol, []).append(cells)
    quotes: list[Quote] = []
    refused: dict[str, str] = {}
    for instrument in instruments:
        found = by_symbol.get(symbol_of(instrument, CsvPrices.namespaces) or "", [])
        if not found:
            continue
        quote = _quote(found, instrument, now)
        if isinstance(quote, str):
            refused[instrument.id] = quote
        else:
            quotes.append(quote)
    return Answer(quotes, refused)


def _quote(rows: Sequence[Sequence[str]], instrument: Instrument, now: datetime) -> Quote | str:
    """A quote, or why there is none."""
    if any(row != rows[0] for row in rows):
        return "several rows that contradict each other"
    price, previous, as_of = decimal(rows[0][0]), positive(decimal(rows[0][1])), written(rows[0][2])
    if reason := wrong(instrument, price, as_of, now, previous):
        return reason
    assert price is not None and as_of is not None
    change = (price / previous - 1) * 100 if previous is not None else None
    return Quote(instrument.id, price, as_of, CsvPrices.name, change_pct=change, previous_close=previous)

"""Cboe: the daily history of its volatility indices, a CSV file each, without a key. Its last row is the last close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time
from urllib.parse import quote as quoted
from zoneinfo import ZoneInfo

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited
from evertick.model import SPARK_POINTS, Bars, Clock, Instrument, Quote
from evertick.sources import daily
from evertick.sources.http import Getter
from evertick.sources.reading import Answer, decimal, leapt
from evertick.sources.tables import local, plain, table, tail, us_day

BASE_URL = "https://cdn.cboe.com"
HISTORY = "/api/global/us_indices/daily_prices/{symbol}_History.csv"
CHICAGO = ZoneInfo("America/Chicago")
CLOSE = time(15, 15)
_BYTES = 4 << 20
"""The whole history since 1990 is about half a megabyte, and grows by 13 KB a year."""
_QUOTE_ROWS = 2 * SPARK_POINTS


class Cboe:
    name = "cboe"
    title = "Cboe"
    namespaces = ("cboe",)
    per_day: int | None = None
    every_s = 6 * 3600.0
    """The file changes once a day, and is read whole."""
    needs_key = False
    rate = (6, 60.0)
    bars_at_once = 1

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The last closes, a request each. One that fails costs its own instrument; raises `SourceError` when all do."""
        quotes: list[Quote] = []
        refused: dict[str, str] = {}
        failures: list[SourceError] = []
        for instrument in instruments:
            try:
                quote = parse_quote(await self._history(http, instrument), instrument, self._clock.now())
            except SourceError as error:
                failures.append(error)
                if isinstance(error, SourceRateLimited):
                    break
                continue
            if isinstance(quote, str):
                refused[instrument.id] = quote
            else:
                quotes.append(quote)
        if failures and not quotes and not refused:
            raise failures[0]
        return Answer(quotes, refused, failures)

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Daily bars from ``since`` on, without volume, a request for each instrument. Raises `SourceError`."""
        return [parse_bars(await self._history(http, i), i, since, self._clock.now()) for i in instruments]

    async def _history(self, http: Getter, instrument: Instrument) -> bytes:
        return await http.get_text(self.name, self._base + endpoint(instrument), form="csv", at_most=_BYTES)


def endpoint(instrument: Instrument) -> str:
    return HISTORY.format(symbol=quoted(instrument.symbols["cboe"], safe=""))


def parse_quote(body: bytes, instrument: Instrument, now: datetime) -> Quote | str:
    """The last close as a quote, as of 15:15 in Chicago on its day; or why there is none. Raises `SourceMalformed`."""
    rows = _rows(body, instrument, _QUOTE_ROWS)
    quote = daily.newest(instrument, "cboe", {day: row[4] for day, row in rows.items()}, closed, now, daily.WITHIN)
    if isinstance(quote, str):
        return quote
    _, _, high, low, price, _ = rows[max(rows)]
    return replace(quote, day_high=_near(price, high), day_low=_near(price, low))


def _near(price: float, value: float) -> float | None:
    return value if value > 0 and not leapt(price, value) else None


def parse_bars(body: bytes, instrument: Instrument, since: date, now: datetime) -> Bars:
    """Daily bars from ``since`` on; an index of which there are closes only has nothing else. Raises `SourceMalformed`."""
    first, last = since.toordinal(), now.toordinal()
    rows = _rows(body, instrument, max(_QUOTE_ROWS, last - first))  # no more rows than days
    return daily.bars(instrument, [rows[day] for day in sorted(rows) if first <= day <= last])


def _rows(body: bytes, instrument: Instrument, count: int) -> dict[int, daily.Row]:
    """Day to row, of the last ``count`` rows: the file is in the order of the days, and only its end is cut up.

    Of a day that is there twice with two closes nothing is taken. Raises `SourceMalformed`.
    """
    at, symbol = endpoint(instrument), instrument.symbols["cboe"].upper()
    head, recent = body[: body.find(b"\n") + 1], tail(body, count)
    names, rows = table("cboe", at, recent if recent is body else head + recent)
    names = [name.upper() for name in names]
    close = "CLOSE" if "CLOSE" in names else symbol
    if "DATE" not in names or close not in names or len(set(names)) < len(names):
        raise SourceMalformed("cboe", at, f"columns {plain(names)}", expected="DATE, OPEN, HIGH, LOW, CLOSE")
    found: dict[int, daily.Row] = {}
    doubted: set[int] = set()
    for cells in rows:
        row = _row(dict(zip(names, cells, strict=True)), close, instrument)
        if row is not None and found.setdefault(row[0], row)[4] != row[4]:
            doubted.add(row[0])
    if not found:
        raise SourceMalformed("cboe", at, "no row that can be read", expected="rows as 11/23/2026,16.1,16.9,15.9,16.1")
    return {day: row for day, row in found.items() if day not in doubted}


def _row(cells: Mapping[str, str], close: str, instrument: Instrument) -> daily.Row | None:
    day = us_day(cells["DATE"])
    if day is None:
        return None
    opened, high, low = (decimal(cells.get(name)) for name in ("OPEN", "HIGH", "LOW"))
    return daily.row(instrument, day, decimal(cells[close]), opened, high, low)


def closed(day: date) -> datetime:
    """When regular trading of ``day`` ended."""
    return local(day, CLOSE, CHICAGO)

"""The US Treasury's daily par yield curve, without a key: a CSV file for every year, in the public domain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from evertick.errors import SourceMalformed
from evertick.model import Bars, Clock, Instrument, Quote
from evertick.sources import daily
from evertick.sources.http import Getter
from evertick.sources.reading import Answer, decimal
from evertick.sources.tables import local, plain, table, us_day

BASE_URL = "https://home.treasury.gov"
CURVE = "/resource-center/data-chart-center/interest-rates/daily-treasury-rates.csv/{year}/all"
FIRST_YEAR = 1990
NEW_YORK = ZoneInfo("America/New_York")
OBSERVED = time(15, 30)
"""The curve is made of the bids of about half past three in New York, and published by six."""
_YEAR_BEFORE = 50
"""Days of a year in which the file of the year before is read too, for the line and for the day before the first."""
_FIRST_FILE = 7
"""Days into a year by which its file must be there."""
_BYTES = 512 << 10
_YIELDS = (-5.0, 30.0)
"""Percent a year. Above, a number is no yield of the United States, which have paid 16 % at most (1981)."""

Curve = Mapping[str, Mapping[int, float]]
"""Column, its blanks removed, to day (ordinal) to yield in percent; NaN where a day is there twice with two yields."""


class Treasury:
    name = "treasury"
    title = "US Treasury"
    namespaces = ("treasury",)
    per_day: int | None = None
    every_s = 3600.0
    needs_key = False
    rate = (6, 60.0)
    bars_at_once = 100

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The newest yields, the last days as their line. Raises `SourceError`."""
        today = self._today()
        early = today.timetuple().tm_yday <= _YEAR_BEFORE
        curve = await self._curve(http, today.year - early, today)
        return quotes(curve, instruments, self._clock.now())

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Daily bars with a close alone; a request for every year since ``since``. Raises `SourceError`.

        A file that does not reach back to January is half a file: that would leave a gap for good.
        """
        today = self._today()
        curve = await self._curve(http, min(since.year, today.year), today, whole=True)
        return [bars(curve, instrument, since, self._clock.now()) for instrument in instruments]

    async def _curve(self, http: Getter, first: int, today: date, *, whole: bool = False) -> Curve:
        """Of the years from ``first`` on, one after the other.

        The file of a year that has just begun may not be there; an earlier year's must, if all of it is wanted.
        """
        found: dict[str, dict[int, float]] = {}
        for year in range(max(first, FIRST_YEAR), today.year + 1):
            try:
                _join(found, await self._year(http, year, whole))
            except SourceMalformed:
                due = not found or today.timetuple().tm_yday > _FIRST_FILE
                needed = whole if year < today.year else due
                if needed:
                    raise
        return found

    async def _year(self, http: Getter, year: int, whole: bool) -> Curve:
        endpoint = CURVE.format(year=year)
        params = {
            "type": "daily_treasury_yield_curve",
            "field_tdr_date_value": str(year),
            "page": "",
            "_format": "csv",
        }
        body = await http.get_text(self.name, self._base + endpoint, params, form="csv", at_most=_BYTES)
        curve = parse_curve(body, endpoint)
        oldest = date.fromordinal(min(day for values in curve.values() for day in values))
        if whole and oldest > date(year, 1, _FIRST_FILE):
            raise SourceMalformed(self.name, endpoint, f"rows back to {oldest} only", expected=f"all of {year}")
        return curve

    def _today(self) -> date:
        return self._clock.now().astimezone(NEW_YORK).date()


def parse_curve(body: bytes, endpoint: str = CURVE) -> Curve:
    """The yields in a year's file, by the names of its columns: those differ from year to year.

    What is no number, or no yield, is left out (``N/A``). Raises `SourceMalformed`.
    """
    names, rows = table("treasury", endpoint, body)
    columns = ["".join(name.split()) for name in names]
    if "Date" not in columns or len(set(columns)) < max(2, len(columns)):
        raise SourceMalformed("treasury", endpoint, f"columns {plain(columns)}", expected="Date, 1 Mo, …")
    dated = columns.index("Date")
    curve: dict[str, dict[int, float]] = {name: {} for n, name in enumerate(columns) if n != dated}
    for cells in rows:
        if (day := us_day(cells[dated])) is None:
            continue
        for name, cell in zip(columns, cells, strict=True):
            value = decimal(cell)
            if name in curve and value is not None and _YIELDS[0] < value < _YIELDS[1]:
                daily.put(curve[name], day, value)
    if not any(curve.values()):
        raise SourceMalformed("treasury", endpoint, "no yield of any day", expected="a row a day, as 11/23/2026")
    return curve


def _join(found: dict[str, dict[int, float]], year: Curve) -> None:
    for name, values in year.items():
        found.setdefault(name, {}).update(values)


def quotes(curve: Curve, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """Quotes as of half past three in New York on the newest day, changes against the day before."""
    taken: list[Quote] = []
    refused: dict[str, str] = {}
    for instrument in instruments:
        symbol = instrument.symbols["treasury"]
        quote = _quote(curve, symbol, instrument, now)
        if isinstance(quote, str):
            refused[instrument.id] = quote
        else:
            taken.append(quote)
    return Answer(taken, refused)


def _quote(curve: Curve, symbol: str, instrument: Instrument, now: datetime) -> Quote | str:
    if symbol not in curve:
        return f"no column {symbol}"
    if not any(math.isfinite(value) for value in curve[symbol].values()):
        return f"no yield between {_YIELDS[0]:g} and {_YIELDS[1]:g} percent"
    return daily.newest(instrument, "treasury", curve[symbol], observed, now, daily.WITHIN)


def bars(curve: Curve, instrument: Instrument, since: date, now: datetime) -> Bars:
    """Daily bars from ``since`` on: all but the close is NaN. None of a column that is not there."""
    return daily.closes(instrument, curve.get(instrument.symbols.get("treasury", ""), {}), since, now)


def observed(day: date) -> datetime:
    """When the yields of ``day`` were observed."""
    return local(day, OBSERVED, NEW_YORK)

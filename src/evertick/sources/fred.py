"""FRED, the data bank of the Federal Reserve Bank of St. Louis: any of its series, daily or rarer.

Without a key the file behind its charts (``fredgraph.csv``), several series in one request; with a key its API, a
request for each series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from evertick import __version__
from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Bars, Clock, Instrument, Quote
from evertick.sources import daily
from evertick.sources.http import Getter
from evertick.sources.reading import Answer, decimal, kind, mapping
from evertick.sources.tables import iso_day, local, plain, table

CSV_URL = "https://fred.stlouisfed.org"
API_URL = "https://api.stlouisfed.org"
GRAPH = "/graph/fredgraph.csv"
OBSERVATIONS = "/fred/series/observations"
NEW_YORK = ZoneInfo("America/New_York")
AFTERNOON = time(16, 0)
"""The files name days, not times: what is of a day counts as of its afternoon in New York, when its markets close."""
HEADERS = {"user-agent": f"Evertick/{__version__} (self-hosted market reports)"}
"""A browser's name has been seen to time out here, a program's own name to be answered."""
_DAYS = 120
"""So far back a quote's line goes: far enough for a monthly series to have a value before its last."""
_BYTES = 2 << 20

Series = Mapping[int, float]
"""Day (ordinal) to value; NaN where a day is there twice with two values."""


class Fred:
    name = "fred"
    title = "FRED"
    namespaces = ("fred",)
    per_day: int | None = None
    every_s = 86_400.0 / 4
    """Its daily series get one value a day, at about 16:15 in New York for the day before; asked four times a day, it is
    shown at most six hours late, and the site, which blocks who asks often, is left in peace."""
    needs_key = False
    rate = (1, 1.0)
    bars_at_once = 20

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or (API_URL if api_key else CSV_URL)).rstrip("/")
        self._key = api_key

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The newest values. A series that fails costs its own instrument; raises `SourceError` when all do."""
        now = self._clock.now()
        series, failures = await self._series(http, instruments, (now - timedelta(days=_DAYS)).date())
        if failures and not series:
            raise failures[0]
        answer = quotes(series, instruments, now)
        return Answer(answer.quotes, answer.refused, failures)

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Bars with a close alone, on the days that have a value. Raises `SourceError` when every series fails."""
        series, failures = await self._series(http, instruments, since)
        if failures and not series:
            raise failures[0]
        return [bars(series, instrument, since, self._clock.now()) for instrument in instruments]

    async def _series(
        self, http: Getter, instruments: Sequence[Instrument], since: date
    ) -> tuple[dict[str, Series], list[SourceError]]:
        """Series by their ids, and what failed. One unknown id fails a whole file: then each is asked for alone."""
        ids = list(dict.fromkeys(i.symbols["fred"] for i in instruments))
        if self._key is None:
            try:
                return await self._graph(http, ids, since), []
            except SourceMalformed as error:
                if len(ids) == 1:
                    return {}, [error]
        found: dict[str, Series] = {}
        failures: list[SourceError] = []
        for one in ids:
            try:
                found |= await (self._graph(http, [one], since) if self._key is None else self._api(http, one, since))
            except SourceError as error:
                failures.append(error)
                if isinstance(error, SourceRateLimited | SourceRefused):
                    break
        return found, failures

    async def _graph(self, http: Getter, ids: Sequence[str], since: date) -> dict[str, Series]:
        params = {"id": ",".join(ids), "cosd": since.isoformat()}
        body = await http.get_text(self.name, self._base + GRAPH, params, HEADERS, form="csv", at_most=_BYTES)
        return parse_graph(body)

    async def _api(self, http: Getter, one: str, since: date) -> dict[str, Series]:
        params = {
            "series_id": one,
            "api_key": self._key or "",
            "file_type": "json",
            "observation_start": since.isoformat(),
        }
        try:
            payload = await http.get_json(self.name, self._base + OBSERVATIONS, params, HEADERS, at_most=_BYTES)
        except SourceMalformed as error:
            # FRED answers a wrong key and a wrong series alike with HTTP 400; only the text tells them apart.
            if "api_key" in error.came:
                raise SourceRefused(self.name, OBSERVATIONS, error.came, hint="Check the API key.") from error
            raise
        return {one: parse_observations(payload)}


def parse_graph(body: bytes) -> dict[str, Series]:
    """The series of a ``fredgraph.csv`` by their ids; ``.`` and an empty cell stand for no value. Raises `SourceMalformed`."""
    names, rows = table("fred", GRAPH, body)
    if len(names) < 2 or names[0].upper() not in ("OBSERVATION_DATE", "DATE") or len(set(names)) < len(names):
        raise SourceMalformed("fred", GRAPH, f"columns {plain(names)}", expected="observation_date and series")
    found: dict[str, dict[int, float]] = {name: {} for name in names[1:]}
    for cells in rows:
        day = iso_day(cells[0])
        for name, cell in zip(names[1:], cells[1:], strict=True):
            value = decimal(cell)
            if day is not None and value is not None:
                daily.put(found[name], day, value)
    return dict(found)


def parse_observations(payload: object) -> Series:
    """The values of one series from the API: texts, ``.`` for none. Raises `SourceError` for what it reports, or else is."""
    said = mapping(payload)
    if (code := said.get("error_code")) is not None:
        text = said.get("error_message")
        came = "".join(c for c in text if c.isprintable())[:120] if isinstance(text, str) else "an error"
        if code == 429:
            raise SourceRateLimited("fred", OBSERVATIONS, came)
        raise (SourceRefused if "api_key" in came else SourceMalformed)("fred", OBSERVATIONS, came)
    rows: Any = said.get("observations")
    if not isinstance(rows, list):
        raise SourceMalformed("fred", OBSERVATIONS, kind(payload), expected="an object with a list as 'observations'")
    found: dict[int, float] = {}
    for item in map(mapping, rows):
        written, value = item.get("date"), decimal(item.get("value"))
        day = iso_day(written) if isinstance(written, str) else None
        if day is not None and value is not None:
            daily.put(found, day, value)
    return found


def quotes(series: Mapping[str, Series], instruments: Sequence[Instrument], now: datetime) -> Answer:
    """The newest value of each series as a quote, changes against the value before it."""
    taken: list[Quote] = []
    refused: dict[str, str] = {}
    for instrument in instruments:
        symbol = instrument.symbols["fred"]
        if symbol not in series:
            refused[instrument.id] = f"no series {symbol} in the answer"
            continue
        quote = daily.newest(instrument, "fred", series[symbol], observed, now, timedelta(days=_DAYS))
        if isinstance(quote, str):
            refused[instrument.id] = quote
        else:
            taken.append(quote)
    return Answer(taken, refused)


def bars(series: Mapping[str, Series], instrument: Instrument, since: date, now: datetime) -> Bars:
    """Bars from ``since`` on: all but the close is NaN. None of a series that is not there."""
    return daily.closes(instrument, series.get(instrument.symbols.get("fred", ""), {}), since, now)


def observed(day: date) -> datetime:
    """What the value of ``day`` counts as of."""
    return local(day, AFTERNOON, NEW_YORK)

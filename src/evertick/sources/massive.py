"""Massive, formerly Polygon: daily bars of US shares and funds (``/v2/aggs/…/range``), and quotes from them, with a key.

The free plan grants five requests a minute and ends with the day before: a quote is the last close, with its change. Three
instruments every ten minutes, in rotation, leave more than half of the minute's requests to the bars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from urllib.parse import quote as quoted

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Bars, Clock, Instrument
from evertick.sources.http import Getter
from evertick.sources.keyed import (
    Raw,
    Turns,
    answered,
    as_of_day,
    one_by_one,
    priced,
    said,
    series,
    usable_key,
    zone_of,
)
from evertick.sources.reading import Answer, instant, kind, mapping, number, spark, symbol_of

BASE_URL = "https://api.massive.com"
AGGS = "/v2/aggs/ticker/{}/range/1/day"
AT_ONCE = 3
MINUTE_S = 60.0
QUOTE_DAYS = timedelta(days=14)
"""As many days back as a quote needs: the close before the last one, over the longest holidays, and a short line."""
_BYTES = 1 << 20
_LIMITED = "You've exceeded the maximum requests per minute"
_REFUSED = ("Unknown API Key", "API Key was not provided", "You are not entitled")


class Massive:
    name = "massive"
    title = "Massive (Polygon)"
    namespaces = ("massive", "ticker")
    per_day: int | None = None
    every_s = 600.0
    needs_key = True
    bars_at_once = 1
    rate = (3, 60.0)
    """A burst of three and the two that are refilled within the minute make the five of the plan."""

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")
        self._key = usable_key(self.name, api_key)
        self._headers = {"Authorization": f"Bearer {self._key}"} if self._key else None
        self._turns = Turns(AT_ONCE, self.every_s, clock)

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The last closes of the next three. One that fails costs only itself; raises `SourceError` when all do."""
        asked, later = self._turns.take(instruments)
        return await one_by_one(asked, later, lambda instrument: self._quote(http, instrument))

    async def _quote(self, http: Getter, instrument: Instrument) -> Answer:
        now = self._clock.now()
        payload = await self._aggs(http, instrument, (now - QUOTE_DAYS).date(), now)
        return parse_quote(payload, instrument, now, self._key)

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Daily bars from ``since`` on (two years back at most), adjusted for splits. Raises `SourceError`."""
        now = self._clock.now()
        found: list[Bars] = []
        for instrument in instruments:
            payload = await self._aggs(http, instrument, since - QUOTE_DAYS, now)
            found.append(parse_bars(payload, instrument, since, now, self._key))
        return found

    async def _aggs(self, http: Getter, instrument: Instrument, since: date, now: datetime) -> object:
        path = AGGS.format(quoted(symbol_of(instrument, self.namespaces) or "", safe=":"))
        url = f"{self._base}{path}/{since}/{now.astimezone(zone_of(instrument)).date()}"
        params = {"adjusted": "true", "sort": "asc", "limit": "5000"}
        return await http.get_json(self.name, url, params, self._headers, at_most=_BYTES)


def parse_quote(payload: object, instrument: Instrument, now: datetime, secret: str | None = None) -> Answer:
    """A quote from daily aggregates: the last close, ``as_of`` the close of its day. No results: an unknown ticker.

    Raises the `SourceError` that fits an error sent with HTTP 200; ``secret`` is masked in what it says.
    """
    bars = parse_bars(payload, instrument, date.min, now, secret)
    if not len(bars):
        return Answer()
    last = date.fromordinal(bars.day[-1])
    quote = priced(
        instrument,
        "massive",
        bars.close[-1],
        as_of_day(instrument, last, now),
        now,
        previous=bars.close[-2] if len(bars) > 1 else None,
        opened=bars.open[-1],
        high=bars.high[-1],
        low=bars.low[-1],
        volume=bars.volume[-1],
        line=spark(bars.close, bars.close[-1]),
    )
    return answered(instrument, quote)


def parse_bars(payload: object, instrument: Instrument, since: date, now: datetime, secret: str | None = None) -> Bars:
    """Daily bars from aggregates; empty where there are no results. Raises `SourceError`."""
    symbol = symbol_of(instrument, Massive.namespaces)
    endpoint = AGGS.format(symbol)
    body = mapping(payload)
    if body.get("status") == "NOT_FOUND":
        return Bars.empty(instrument.id)
    if body.get("status") not in ("OK", "DELAYED"):
        raise _error(payload, endpoint, secret)
    if body.get("ticker") != symbol:
        raise SourceMalformed("massive", endpoint, "aggregates of another ticker than the one asked for")
    results = body.get("results")
    if results is None and body.get("resultsCount") == 0:
        return Bars.empty(instrument.id)
    if not isinstance(results, list):
        raise SourceMalformed("massive", endpoint, f"{kind(results)} as 'results'", expected="a list")
    return series(_rows(results, instrument), instrument, since, now, "massive", endpoint)


def _rows(results: Sequence[object], instrument: Instrument) -> Iterator[Raw]:
    """``t`` is a moment of the day, in milliseconds: its midnight in a range, its close in ``…/prev``."""
    zone = zone_of(instrument)
    for result in results:
        row = mapping(result)
        milliseconds = number(row.get("t"))
        at = instant(milliseconds / 1000) if milliseconds is not None else None
        yield at.astimezone(zone).date() if at else None, [row.get(name) for name in ("o", "h", "l", "c", "v")]


def _error(payload: object, endpoint: str, secret: str | None) -> SourceError:
    body = mapping(payload)
    text = said(body.get("error") or body.get("message"), secret)
    if text.startswith(_LIMITED):
        return SourceRateLimited("massive", endpoint, text, retry_after=MINUTE_S)
    if body.get("status") == "NOT_AUTHORIZED" or text.startswith(_REFUSED):
        return SourceRefused("massive", endpoint, text or "not authorized")
    return SourceMalformed("massive", endpoint, text or kind(payload), expected="an object with status OK")

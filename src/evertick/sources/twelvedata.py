"""Twelve Data: quotes (``/quote``) and daily bars (``/time_series``), several symbols a request, with a key.

The free plan grants 8 credits a minute and 800 a day, and every symbol of a request costs one. A request therefore names
four symbols at most, two requests a minute and 200 a day are the plan, and that is how they are counted here. Four
instruments every eight minutes, in rotation, are 720 credits a day; the other 80 are left for daily bars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused, SourceUnavailable
from evertick.model import Bars, Clock, Instrument, Quote
from evertick.sources.http import Getter
from evertick.sources.keyed import Turns, as_of_day, day_of, priced, said, series, unknown, usable_key, zone_of
from evertick.sources.reading import Answer, change, decimal, instant, kind, mapping, symbol_of

BASE_URL = "https://api.twelvedata.com"
QUOTE = "/quote"
SERIES = "/time_series"
AT_ONCE = 4
MINUTE_S = 60.0
LOOK_BACK = timedelta(days=10)
"""Days before the first one asked for: closes are judged by those around them, and days without trading are many."""
_QUOTE_BYTES = 64 << 10
_SERIES_BYTES = 2 << 20
_UNKNOWN = 404


class TwelveData:
    name = "twelvedata"
    title = "Twelve Data"
    namespaces = ("twelvedata", "ticker")
    per_day: int | None = 800 // AT_ONCE
    every_s = 480.0
    needs_key = True
    bars_at_once = AT_ONCE
    rate = (1, 30.0)

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")
        self._key = usable_key(self.name, api_key)
        self._headers = {"Authorization": f"apikey {self._key}"} if self._key else None
        self._turns = Turns(AT_ONCE, self.every_s, clock)

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The latest prices of the next four, in one request. Raises `SourceError`."""
        asked, later = self._turns.take(instruments)
        if not asked:
            return Answer(later=later)
        payload = await self._get(http, QUOTE, {"symbol": self._symbols(asked)}, _QUOTE_BYTES)
        return replace(parse_quotes(payload, asked, self._clock.now(), self._key), later=later)

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Daily bars from ``since`` on, adjusted for splits, of four instruments at most. Raises `SourceError`."""
        params = {
            "symbol": self._symbols(instruments),
            "interval": "1day",
            "start_date": (since - LOOK_BACK).isoformat(),
            "outputsize": "5000",
        }
        payload = await self._get(http, SERIES, params, _SERIES_BYTES)
        return parse_series(payload, instruments, since, self._clock.now(), self._key)

    async def _get(self, http: Getter, path: str, params: Mapping[str, str], at_most: int) -> Any:
        """The answer; that no symbol is known comes with HTTP 404 or with 200, and is read as with 200."""
        try:
            return await http.get_json(self.name, self._base + path, params, self._headers, at_most=at_most)
        except SourceError as error:
            if unknown(error):
                return {"code": _UNKNOWN, "message": "", "status": "error"}
            raise

    def _symbols(self, instruments: Sequence[Instrument]) -> str:
        return ",".join(symbol_of(i, self.namespaces) or "" for i in instruments)


def parse_quotes(
    payload: object, instruments: Sequence[Instrument], now: datetime, secret: str | None = None
) -> Answer:
    """Quotes from ``/quote``: texts, one object for one symbol, else an object of them by symbol.

    A symbol that Twelve Data does not know is missing; one that it refuses costs itself, or all where the reason is not
    the symbol. Raises the `SourceError` that fits an error sent with HTTP 200; ``secret`` is masked in what it says.
    """
    quotes: list[Quote] = []
    refused: dict[str, str] = {}
    failures: list[SourceError] = []
    for instrument, row in _by_instrument(payload, instruments, QUOTE, secret):
        if (error := _error(row, QUOTE, secret)) is not None:
            failures.append(error)
        elif _reports(row):
            continue
        elif isinstance(quote := _quote(row, instrument, now), str):
            refused[instrument.id] = quote
        else:
            quotes.append(quote)
    if failures and not quotes and not refused:
        raise failures[0]
    return Answer(quotes, refused, failures)


def _quote(row: Mapping[str, Any], instrument: Instrument, now: datetime) -> Quote | str:
    return priced(
        instrument,
        "twelvedata",
        decimal(row.get("close")),
        _as_of(row, instrument, now),
        now,
        previous=decimal(row.get("previous_close")),
        opened=decimal(row.get("open")),
        high=decimal(row.get("high")),
        low=decimal(row.get("low")),
        volume=decimal(row.get("volume")),
        change_pct=change(decimal(row.get("percent_change"))),
    )


def _as_of(row: Mapping[str, Any], instrument: Instrument, now: datetime) -> datetime | None:
    """When it was quoted last; a midnight of the exchange stands for the whole day."""
    at = instant(decimal(row.get("last_quote_at"))) or instant(decimal(row.get("timestamp")))
    if at is None:
        return None
    local = at.astimezone(zone_of(instrument))
    return as_of_day(instrument, local.date(), now) if local.time() == time() else at


def parse_series(
    payload: object, instruments: Sequence[Instrument], since: date, now: datetime, secret: str | None = None
) -> list[Bars]:
    """Daily bars from ``/time_series``, in the shapes of `parse_quotes`; empty ones of unknown symbols. Raises `SourceError`."""
    found = {i.id: Bars.empty(i.id) for i in instruments}
    for instrument, row in _by_instrument(payload, instruments, SERIES, secret):
        if (error := _error(row, SERIES, secret)) is not None:
            raise error
        if _reports(row):
            continue
        values = row.get("values")
        if not isinstance(values, list):
            raise SourceMalformed("twelvedata", SERIES, f"{kind(values)} as 'values'", expected="a list of days")
        names = ("open", "high", "low", "close", "volume")
        rows = ((day_of(mapping(v).get("datetime")), [mapping(v).get(name) for name in names]) for v in values)
        found[instrument.id] = series(rows, instrument, since, now, "twelvedata", SERIES)
    return list(found.values())


def _by_instrument(
    payload: object, instruments: Sequence[Instrument], endpoint: str, secret: str | None
) -> list[tuple[Instrument, Mapping[str, Any]]]:
    """Each instrument with its part of the answer, errors among them. Raises the error that is the whole answer."""
    body = mapping(payload)
    if _reports(body):
        if (error := _error(body, endpoint, secret)) is not None:
            raise error
        return []
    if len(instruments) == 1 and _symbol_in(body):
        rows = [(instruments[0], body)]
    else:
        rows = [(i, mapping(body.get(_named(i)))) for i in instruments]
    found = [(i, row) for i, row in rows if _reports(row) or _same(_named(i), _symbol_in(row))]
    if not found:
        came = "an answer for other symbols than those asked for" if body else kind(payload)
        raise SourceMalformed("twelvedata", endpoint, came, expected="an object by symbol")
    return found


def _named(instrument: Instrument) -> str:
    return symbol_of(instrument, TwelveData.namespaces) or ""


def _symbol_in(row: Mapping[str, Any]) -> object:
    return row.get("symbol") or mapping(row.get("meta")).get("symbol")


def _same(asked: str, answered: object) -> bool:
    """Whether two symbols are one: the answer leaves out the exchange of ``VOD:LSE``."""
    return isinstance(answered, str) and asked.partition(":")[0].upper() == answered.partition(":")[0].upper()


def _reports(body: Mapping[str, Any]) -> bool:
    """Whether an object is one of Twelve Data's errors."""
    return body.get("status") == "error" or ("code" in body and "message" in body)


def _error(body: Mapping[str, Any], endpoint: str, secret: str | None) -> SourceError | None:
    """The error that an object reports; ``None`` where it reports none, or only that it does not know a symbol."""
    if not _reports(body):
        return None
    code, text = decimal(body.get("code")), said(body.get("message"), secret)
    if code == _UNKNOWN:
        return None
    if code == 429:
        return SourceRateLimited(
            "twelvedata", endpoint, text, retry_after=MINUTE_S if "current minute" in text else None
        )
    if code in (401, 403):
        return SourceRefused("twelvedata", endpoint, text)
    if code is not None and code >= 500:
        return SourceUnavailable("twelvedata", endpoint, text)
    return SourceMalformed("twelvedata", endpoint, text or "an error without a message", expected="an object by symbol")

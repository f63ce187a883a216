"""KB Securities Vietnam: daily bars of Vietnamese indices and shares, and quotes made of them.

The feed is the broker's own, undocumented: whatever is not the shape known here is an error that says so. Numbers are
texts, the newest day comes first, shares are in VND.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from urllib.parse import quote as quoted

from evertick.errors import SourceMalformed
from evertick.model import Bars, Clock, Instrument
from evertick.sources.http import Getter
from evertick.sources.reading import Answer, kind, mapping, symbol_of
from evertick.sources.vietnam import (
    Raw,
    each,
    from_day,
    is_share,
    local_day,
    quote_of_days,
    read_bars,
    single,
)

BASE_URL = "https://kbbuddywts.kbsec.com.vn/iis-server/investment"
HEADERS = {"Referer": "https://kbsec.com.vn/", "Origin": "https://kbsec.com.vn"}
_NAMES = {"HNX": "HNXINDEX", "UPCOM": "UPCOMINDEX"}
"""Its own names of the indices, where they are not ours."""
_LOOK_BACK = timedelta(days=45)
_BYTES = 2 << 20


class Kbs:
    name = "kbs"
    title = "KB Securities Vietnam"
    namespaces = ("kbs", "vn")
    per_day: int | None = None
    every_s = 900.0
    """Its quotes come from daily bars, one request each."""
    needs_key = False
    rate = (30, 60.0)
    bars_at_once = 1

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """Prices from the newest daily bars, one request an instrument. Raises `SourceError` when all fail."""

        async def one(instrument: Instrument) -> Answer:
            now = self._clock.now()
            payload = await self._days(http, instrument, local_day(now - _LOOK_BACK))
            return parse_quotes(payload, [instrument], now)

        return await each(one, instruments)

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Daily bars from ``since`` on, today's unfinished one included. Raises `SourceError`."""
        found = []
        for instrument in instruments:
            if symbol_of(instrument, self.namespaces) is None:
                found.append(Bars.empty(instrument.id))
                continue
            payload = await self._days(http, instrument, since)
            found.append(parse_bars(payload, instrument, since, self._clock.now()))
        return found

    async def _days(self, http: Getter, instrument: Instrument, since: date) -> object:
        params = {"sdate": f"{since:%d-%m-%Y}", "edate": f"{local_day(self._clock.now()):%d-%m-%Y}"}
        return await http.get_json(self.name, self._base + path(instrument), params, HEADERS, at_most=_BYTES)


def path(instrument: Instrument) -> str:
    """What follows the base address for the daily bars of an instrument."""
    symbol = symbol_of(instrument, Kbs.namespaces) or ""
    if is_share(instrument, symbol):
        return f"/stocks/{quoted(symbol, safe='')}/data_day"
    return f"/index/{quoted(_NAMES.get(symbol, symbol), safe='')}/data_day"


def parse_bars(payload: object, instrument: Instrument, since: date, now: datetime) -> Bars:
    """Daily bars; none where it has no data. Raises `SourceMalformed`."""
    symbol = symbol_of(instrument, Kbs.namespaces) or ""
    share = is_share(instrument, symbol)
    rows = _rows(payload, path(instrument), symbol)
    return from_day(read_bars(rows, instrument, "kbs", path(instrument), now, share=share, unit=1.0), since)


def parse_quotes(payload: object, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """The quote of the one instrument asked for, from its daily bars (`quote_of_days`). Raises `SourceMalformed`."""
    (instrument,) = instruments
    bars = parse_bars(payload, instrument, date.min, now)
    return single(quote_of_days(bars, instrument, "kbs", now), instrument)


def _rows(payload: object, endpoint: str, symbol: str) -> Iterator[Raw]:
    answer = mapping(payload)
    if answer.get("status") == 404:
        return
    days = answer.get("data_day")
    if not isinstance(days, list):
        came = f"status {answer['status']}" if isinstance(answer.get("status"), int) else kind(payload)
        raise SourceMalformed("kbs", endpoint, came, expected="an object with a list as 'data_day'")
    named = answer.get("symbol")
    if isinstance(named, str) and named not in (symbol, _NAMES.get(symbol)):
        raise SourceMalformed("kbs", endpoint, "bars of another symbol", expected="those asked for")
    for item in days:
        row = mapping(item)
        yield _day(row.get("t")), row.get("o"), row.get("h"), row.get("l"), row.get("c"), row.get("v")


def _day(text: object) -> date | None:
    """The day of ``2026-10-07 07:00``: its beginning in UTC, written in Vietnam's time."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text[:10]).date()
    except ValueError:
        return None

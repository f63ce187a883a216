"""Vietcap (VCI): daily bars of Vietnamese indices and shares, and quotes made of them.

The feed is the broker's own, undocumented, and closed to some data centres: whatever is not the shape known here is an
error that says so. One symbol a request: with several the answer has been seen empty. Shares are in VND.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from evertick.errors import SourceMalformed
from evertick.model import Bars, Clock, Instrument
from evertick.sources.http import Getter
from evertick.sources.reading import Answer, kind, mapping, symbol_of
from evertick.sources.vietnam import (
    Raw,
    columns,
    day_of,
    each,
    from_day,
    is_share,
    local_day,
    quote_of_days,
    read_bars,
    single,
)

BASE_URL = "https://trading.vietcap.com.vn/api"
CHART = "/chart/OHLCChart/gap-chart"
HEADERS = {"Referer": "https://trading.vietcap.com.vn/", "Origin": "https://trading.vietcap.com.vn"}
_NAMES = {"HNX": "HNXIndex", "UPCOM": "HNXUpcomIndex"}
"""Its own names of the indices, where they are not ours."""
_LINE = 32
"""Bars that a quote is made of."""
_BYTES = 2 << 20


class Vci:
    name = "vci"
    title = "Vietcap"
    namespaces = ("vci", "vn")
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
            payload = await self._chart(http, name(instrument), _LINE)
            return parse_quotes(payload, [instrument], self._clock.now())

        return await each(one, instruments)

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Daily bars from ``since`` on, today's unfinished one included. Raises `SourceError`."""
        found = []
        for instrument in instruments:
            if symbol_of(instrument, self.namespaces) is None:
                found.append(Bars.empty(instrument.id))
                continue
            days = max(0, (local_day(self._clock.now()) - since).days)
            payload = await self._chart(http, name(instrument), days * 5 // 7 + 10)  # it counts trading days
            found.append(parse_bars(payload, instrument, since, self._clock.now()))
        return found

    async def _chart(self, http: Getter, symbol: str, bars: int) -> object:
        body = {
            "timeFrame": "ONE_DAY",
            "symbols": [symbol],
            "to": int(self._clock.now().timestamp()),
            "countBack": bars,
        }
        return await http.post_json(self.name, self._base + CHART, body, HEADERS, at_most=_BYTES)


def name(instrument: Instrument) -> str:
    """What Vietcap calls an instrument."""
    symbol = symbol_of(instrument, Vci.namespaces) or ""
    return _NAMES.get(symbol, symbol)


def parse_bars(payload: object, instrument: Instrument, since: date, now: datetime) -> Bars:
    """Daily bars; none where it knows none. Raises `SourceMalformed`."""
    share = is_share(instrument, symbol_of(instrument, Vci.namespaces) or "")
    rows = _rows(payload, name(instrument))
    return from_day(read_bars(rows, instrument, "vci", CHART, now, share=share, unit=1.0), since)


def parse_quotes(payload: object, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """The quote of the one instrument asked for, from its daily bars (`quote_of_days`). Raises `SourceMalformed`."""
    (instrument,) = instruments
    bars = parse_bars(payload, instrument, date.min, now)
    return single(quote_of_days(bars, instrument, "vci", now), instrument)


def _rows(payload: object, symbol: str) -> Iterator[Raw]:
    if not isinstance(payload, list):
        said = mapping(payload).get("message")
        came = "".join(c for c in said if c.isprintable())[:120] if isinstance(said, str) else ""
        raise SourceMalformed("vci", CHART, came or kind(payload), expected="a list of series")
    series: list[Mapping[str, Any]] = [mapping(item) for item in payload]
    mine = [one for one in series if str(one.get("symbol", ""))[:40].upper() == symbol.upper()]
    if series and not mine:
        raise SourceMalformed("vci", CHART, "series of other symbols", expected=f"one of {symbol[:40]}")
    for one in mine[:1]:
        for stamp, *values in columns(one, ("t", "o", "h", "l", "c", "v"), "vci", CHART):
            opened, high, low, close, volume = values
            yield day_of(stamp), opened, high, low, close, volume

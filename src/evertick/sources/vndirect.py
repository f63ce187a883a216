"""VNDirect: daily bars of Vietnamese indices and shares from its chart feed (TradingView's UDF), and quotes made of them.

The feed is the broker's own, undocumented: whatever is not the shape known here is an error that says so. Shares are in
thousands of VND. Numbers come with the content type of text as often as with that of JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from evertick.errors import SourceMalformed
from evertick.model import Bars, Clock, Instrument, Quote
from evertick.sources.http import Getter
from evertick.sources.reading import Answer, decimal, instant, kind, leapt, symbol_of, wrong
from evertick.sources.vietnam import (
    FIRST_SESSION,
    THOUSAND,
    calendar,
    columns,
    day_of,
    each,
    from_day,
    is_share,
    local_day,
    made,
    midnight,
    off_scale,
    opening,
    read_bars,
    scaled,
    single,
)

BASE_URL = "https://dchart-api.vndirect.com.vn"
HISTORY = "/dchart/history"
HEADERS = {"Referer": "https://dchart.vndirect.com.vn/", "Origin": "https://dchart.vndirect.com.vn"}
MINUTES = 15
"""Of the bars that quotes are made of: a bar says when it began, so a price looks at most this much older than it is."""
_LOOK_BACK = timedelta(days=12)
"""Over Tết there are nine days without trading; the day before is needed for the change."""
_BYTES = 2 << 20


class VnDirect:
    name = "vndirect"
    title = "VNDirect"
    namespaces = ("vndirect", "vn")
    per_day: int | None = None
    every_s = 0.0
    needs_key = False
    rate = (60, 60.0)
    """A request for each instrument. Its own limit is not known; 429 has been seen."""
    bars_at_once = 1

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """Prices from the newest bars of 15 minutes, one request an instrument, until it asks to slow down.

        An instrument that fails costs itself; raises `SourceError` when all do.
        """

        async def one(instrument: Instrument) -> Answer:
            since = self._clock.now() - _LOOK_BACK
            payload = await self._history(http, symbol_of(instrument, self.namespaces), str(MINUTES), since)
            return parse_quotes(payload, [instrument], self._clock.now())

        return await each(one, instruments)

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Daily bars from ``since`` on, today's unfinished one included. Raises `SourceError`."""
        found = []
        for instrument in instruments:
            symbol = symbol_of(instrument, self.namespaces)
            if symbol is None:
                found.append(Bars.empty(instrument.id))
                continue
            payload = await self._history(http, symbol, "D", midnight(max(since, FIRST_SESSION)))
            found.append(parse_bars(payload, instrument, since, self._clock.now()))
        return found

    async def _history(self, http: Getter, symbol: str | None, resolution: str, since: datetime) -> object:
        params = {
            "resolution": resolution,
            "symbol": symbol or "",
            "from": str(int(since.timestamp())),
            "to": str(int(self._clock.now().timestamp())),
        }
        return await http.get_json(self.name, self._base + HISTORY, params, HEADERS, at_most=_BYTES)


def parse_bars(payload: object, instrument: Instrument, since: date, now: datetime) -> Bars:
    """Daily bars from a UDF answer; none where it knows none. Raises `SourceMalformed`."""
    share = is_share(instrument, symbol_of(instrument, VnDirect.namespaces) or "")
    rows = ((day_of(row[0]), row[1], row[2], row[3], row[4], row[5]) for row in _rows(payload))
    unit = THOUSAND if share else 1.0
    return from_day(read_bars(rows, instrument, "vndirect", HISTORY, now, share=share, unit=unit), since)


def parse_quotes(payload: object, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """The quote of the one instrument asked for, from bars of `MINUTES`. Raises `SourceMalformed`.

    ``as_of`` is the beginning of the newest bar: the feed does not say when within it the price was made.
    """
    (instrument,) = instruments
    return single(_quote(payload, instrument, now), instrument)


def _quote(payload: object, instrument: Instrument, now: datetime) -> Quote | str:
    """A quote, or why there is none."""
    share = is_share(instrument, symbol_of(instrument, VnDirect.namespaces) or "")
    found = _bars(payload, THOUSAND if share else 1.0, calendar(instrument), now)
    if not found:
        return "no bars"
    usual = median(bar.close for bar in found.values())
    newest = max(found)
    price, day = found[newest].close, local_day(newest)
    if reason := off_scale(price, share) or wrong(instrument, price, newest, now, usual):
        return reason
    kept = [(local_day(at), found[at]) for at in sorted(found) if not leapt(found[at].close, price)]
    today, before = [bar for d, bar in kept if d == day], [bar.close for d, bar in kept if d < day]
    return made(
        instrument,
        "vndirect",
        price,
        newest,
        now,
        previous=before[-1] if before else None,
        high=max(bar.high for bar in today),
        low=min(bar.low for bar in today),
        volume=sum(bar.volume for bar in today),
        line=[bar.close for bar in today],
    )


@dataclass(frozen=True, slots=True)
class _Bar:
    high: float
    low: float
    close: float
    volume: float


def _bars(payload: object, unit: float, exchange: str, now: datetime) -> dict[datetime, _Bar]:
    """Beginning to bar, of trading days only. A high or low that is missing or on another scale is the close."""
    found: dict[datetime, _Bar] = {}
    openings: dict[date, datetime | None] = {}
    for stamp, _, high, low, last, traded in _rows(payload):
        at, close, volume = instant(decimal(stamp)), scaled(last, unit), decimal(traded)
        if at is None or close is None or not midnight(FIRST_SESSION) <= at <= now:
            continue
        day = local_day(at)
        if day not in openings:
            openings[day] = opening(exchange, day)
        opened = openings[day]
        if opened is None or at < opened:
            continue
        high, low = (
            v if v is not None and not leapt(v, close) else close for v in (scaled(high, unit), scaled(low, unit))
        )
        volume = volume if volume is not None and 0 < volume < 1e15 else 0.0
        found[at] = _Bar(max(high, close), min(low, close), close, volume)
    return found


def _rows(payload: object) -> Iterator[tuple[object, ...]]:
    """Rows of time, open, high, low, close, volume; none where the feed says it has no data, in whatever words."""
    if not isinstance(payload, dict) or not isinstance(payload.get("s"), str):
        raise SourceMalformed("vndirect", HISTORY, kind(payload), expected="an object with 's': 'ok' or 'no_data'")
    if payload["s"] != "ok":
        return iter(())
    return columns(payload, ("t", "o", "h", "l", "c", "v"), "vndirect", HISTORY)

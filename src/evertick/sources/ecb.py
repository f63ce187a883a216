"""The European Central Bank's euro reference rates: one a currency and TARGET day, at about 16:00 in Frankfurt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from evertick.errors import SourceMalformed
from evertick.model import Bars, Clock, Instrument, Quote
from evertick.sources import daily
from evertick.sources.http import Getter
from evertick.sources.markup import elements
from evertick.sources.reading import Answer, decimal
from evertick.sources.tables import iso_day, local

BASE_URL = "https://www.ecb.europa.eu"
DAYS_90 = "/stats/eurofxref/eurofxref-hist-90d.xml"
"""About 62 days of 30 rates: 40 KB. The whole history since 1999 is several megabytes and is never asked for."""
NEWEST = "/stats/eurofxref/eurofxref-daily.xml"
PUBLISHED = time(16, 0)
FRANKFURT = ZoneInfo("Europe/Berlin")
_BYTES = 1 << 20
_SYMBOL = re.compile(r"(?:(?P<base>[A-Z]{3})/)?(?P<quote>[A-Z]{3})")

Rates = Mapping[int, Mapping[str, float]]
"""Day (ordinal) to currency to how much of it one euro is; a currency that is twice there with two rates is NaN."""


class Ecb:
    name = "ecb"
    title = "European Central Bank"
    namespaces = ("ecb",)
    per_day: int | None = None
    every_s = 3600.0
    needs_key = False
    rate = (6, 60.0)
    bars_at_once = 500

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The newest reference rates, the last days as their line. Raises `SourceError`.

        When the file of 90 days is not what it should be, the newest day's file still gives the rates themselves.
        """
        try:
            rates = await self._rates(http, DAYS_90)
        except SourceMalformed:
            rates = await self._rates(http, NEWEST)
        return quotes(rates, instruments, self._clock.now())

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Daily bars with a close alone, of the last 90 days at most, all from one request. Raises `SourceError`."""
        rates = await self._rates(http, DAYS_90)
        return [bars(rates, instrument, since, self._clock.now()) for instrument in instruments]

    async def _rates(self, http: Getter, path: str) -> Rates:
        return parse_rates(await http.get_text(self.name, self._base + path, form="xml", at_most=_BYTES), path)


def parse_rates(body: bytes, endpoint: str = DAYS_90) -> Rates:
    """The rates in either file. The set of currencies is that of the day: it changes over the years.

    Rates that are no positive number are left out, as are days that are none. Raises `SourceMalformed`.
    """
    found: dict[int, dict[str, float]] = {}
    day: int | None = None
    for name, attributes in elements("ecb", endpoint, body):
        if name != "Cube":
            continue
        if "time" in attributes:
            day = iso_day(attributes["time"])
        code, rate = attributes.get("currency"), decimal(attributes.get("rate"))
        if day is not None and code is not None and rate is not None and rate > 0:
            of_day = found.setdefault(day, {"EUR": 1.0})
            of_day[code] = rate if of_day.get(code, rate) == rate else float("nan")
    if not found:
        raise SourceMalformed("ecb", endpoint, "no rates", expected="cubes with time, currency and rate")
    return found


def quotes(rates: Rates, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """Quotes as of the publication of the newest day, changes against the day before."""
    taken: list[Quote] = []
    refused: dict[str, str] = {}
    last = max(rates)
    for instrument in instruments:
        line = _line(rates, instrument.symbols["ecb"])
        quote: Quote | str = f"no rate of {instrument.symbols['ecb']} on {date.fromordinal(last)}"
        if last in line:
            quote = daily.newest(instrument, "ecb", line, published, now, daily.WITHIN)
        if isinstance(quote, str):
            refused[instrument.id] = quote
        else:
            taken.append(quote)
    return Answer(taken, refused)


def bars(rates: Rates, instrument: Instrument, since: date, now: datetime) -> Bars:
    """Daily bars from ``since`` on. There is one rate a day: all but the close is NaN."""
    return daily.closes(instrument, _line(rates, instrument.symbols.get("ecb", "")), since, now)


def published(day: date) -> datetime:
    """When the rates of ``day`` were published."""
    return local(day, PUBLISHED, FRANKFURT)


def _line(rates: Rates, symbol: str) -> dict[int, float]:
    """Day to rate of ``USD`` (dollars per euro) or ``USD/JPY`` (yen per dollar); days without it are left out."""
    pair = _SYMBOL.fullmatch(symbol)
    if pair is None:
        return {}
    base, quote = pair["base"] or "EUR", pair["quote"]
    found: dict[int, float] = {}
    for day, of_day in rates.items():
        if base in of_day and quote in of_day:
            found[day] = float(f"{of_day[quote] / of_day[base]:.7g}")
    return daily.settled(found)

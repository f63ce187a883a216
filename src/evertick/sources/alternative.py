"""alternative.me: the Fear & Greed index of the crypto market, published once a day, without a key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from evertick.errors import SourceMalformed
from evertick.model import Clock, Instrument, Quote
from evertick.sources.http import Getter
from evertick.sources.reading import AHEAD_AT_MOST, Answer, decimal, instant, kind, mapping, plain

BASE_URL = "https://api.alternative.me"
FNG = "/fng/"
DAYS = 30
_BYTES = 64 << 10


class Alternative:
    name = "alternative"
    title = "alternative.me"
    namespaces = ("alternative",)
    per_day: int | None = None
    every_s = 3600.0
    needs_key = False
    rate = (10, 60.0)

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The index of the newest day, the last 30 days as its spark. Raises `SourceError`."""
        params = {"limit": str(DAYS), "format": "json"}
        payload = await http.get_json(self.name, self._base + FNG, params, at_most=_BYTES)
        return parse_fng(payload, instruments, self._clock.now())


def parse_fng(payload: object, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """A quote from ``/fng/``: 0 (extreme fear) to 100 (extreme greed), ``as_of`` the day it was published for.

    Everything in it is a text, the newest day first; days out of order are put in order, repeated ones counted once.
    A change in percent of an index of moods would mean little: there is none. Raises `SourceMalformed`.
    """
    rows = mapping(payload).get("data") if isinstance(payload, dict) else None
    error = mapping(mapping(payload).get("metadata")).get("error")
    if error or not isinstance(rows, list):
        raise SourceMalformed(
            "alternative", FNG, plain(error) or kind(payload), expected="an object with a list as 'data'"
        )
    days: dict[datetime, float] = {}
    refused = "no days in the answer"
    for row in rows:
        value, day = decimal(mapping(row).get("value")), instant(decimal(mapping(row).get("timestamp")))
        if value is None or day is None:
            refused = "no value" if value is None else "no time"
        elif not 1 <= value <= 100:
            refused = f"{value:g} on a scale from 1 to 100"
        else:
            days.setdefault(day, value)
    mine = [i for i in instruments if i.symbols.get("alternative") == "fng"]
    newest = max(days, default=None)
    if newest is not None and newest > now + AHEAD_AT_MOST:  # then the other days are shifted as well
        newest, refused = None, f"a value of {newest:%Y-%m-%d}, which is yet to come"
    if newest is None:
        return Answer((), {i.id: refused for i in mine})
    line = [days[day] for day in sorted(days)][-DAYS:]
    previous = line[-2] if len(line) > 1 else None
    quotes = [
        Quote(i.id, days[newest], newest, "alternative", previous_close=previous, spark=tuple(line)) for i in mine
    ]
    return Answer(quotes)

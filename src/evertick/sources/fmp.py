"""Financial Modeling Prep: quotes (``/stable/quote``), one symbol a request on the free plan, with a key.

The free plan grants 250 requests a day: five instruments every half hour, in rotation, are 240. Which symbols it covers
changes; one that it does not is refused alone (HTTP 402). Daily bars are left to others: each would cost a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Clock, Instrument
from evertick.sources.http import Getter
from evertick.sources.keyed import Turns, answered, one_by_one, priced, said, usable_key
from evertick.sources.reading import Answer, change, first, instant, kind, number, symbol_of

BASE_URL = "https://financialmodelingprep.com"
QUOTE = "/stable/quote"
AT_ONCE = 5
_BYTES = 64 << 10
_LIMITED = "limit reach"
_REFUSED = ("api key", "legacy endpoint", "premium", "exclusive endpoint", "special endpoint", "subscription")


class Fmp:
    name = "fmp"
    title = "Financial Modeling Prep"
    namespaces = ("fmp", "ticker")
    per_day: int | None = 250
    every_s = 1800.0
    needs_key = True
    rate = (5, 60.0)
    """Our own courtesy: the plan states a limit by the day only."""

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")
        self._key = usable_key(self.name, api_key)
        self._headers = {"apikey": self._key} if self._key else None
        self._turns = Turns(AT_ONCE, self.every_s, clock)

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The latest prices of the next five. One that fails costs only itself; raises `SourceError` when all do."""
        asked, later = self._turns.take(instruments)
        return await one_by_one(asked, later, lambda instrument: self._quote(http, instrument))

    async def _quote(self, http: Getter, instrument: Instrument) -> Answer:
        params = {"symbol": symbol_of(instrument, self.namespaces) or ""}
        payload = await http.get_json(self.name, self._base + QUOTE, params, self._headers, at_most=_BYTES)
        return parse_quote(payload, instrument, self._clock.now(), self._key)


def parse_quote(payload: object, instrument: Instrument, now: datetime, secret: str | None = None) -> Answer:
    """A quote from ``/stable/quote``; an unknown symbol is an empty list.

    Raises the `SourceError` that fits an error sent with HTTP 200; ``secret`` is masked in what it says.
    """
    if not isinstance(payload, list):
        raise _error(payload, secret)
    if not payload:
        return Answer()
    row = first(payload)
    if row.get("symbol") != symbol_of(instrument, Fmp.namespaces):
        raise SourceMalformed("fmp", QUOTE, "an item of another symbol than the one asked for")
    return answered(
        instrument,
        priced(
            instrument,
            "fmp",
            number(row.get("price")),
            instant(row.get("timestamp")),
            now,
            previous=number(row.get("previousClose")),
            opened=number(row.get("open")),
            high=number(row.get("dayHigh")),
            low=number(row.get("dayLow")),
            volume=number(row.get("volume")),
            change_pct=change(row.get("changePercentage")),
            market_cap=number(row.get("marketCap")),
        ),
    )


def _error(payload: object, secret: str | None) -> SourceError:
    text = said(payload.get("Error Message"), secret) if isinstance(payload, dict) else ""
    if text.lower().startswith(_LIMITED):
        return SourceRateLimited("fmp", QUOTE, text)
    if any(sign in text.lower() for sign in _REFUSED):
        return SourceRefused("fmp", QUOTE, text)
    return SourceMalformed("fmp", QUOTE, text or kind(payload), expected="a list of quotes")

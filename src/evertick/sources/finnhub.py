"""Finnhub: quotes of US shares and funds (``/api/v1/quote``), one request each, with a key.

The free plan grants 60 requests a minute and states no daily limit. A run asks for 30 instruments at most, in rotation:
a second run within the minute still finds the other half. Daily bars (``/stock/candle``) are in the paid plans only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited, SourceRefused
from evertick.model import Clock, Instrument
from evertick.sources.http import Getter
from evertick.sources.keyed import Turns, answered, one_by_one, priced, said, usable_key
from evertick.sources.reading import Answer, change, instant, kind, number, symbol_of

BASE_URL = "https://finnhub.io"
QUOTE = "/api/v1/quote"
AT_ONCE = 30
_BYTES = 16 << 10
_LIMITED = "API limit reached"
_REFUSED = ("You don't have access", "Invalid API key", "Please use an API key")


class Finnhub:
    name = "finnhub"
    title = "Finnhub"
    namespaces = ("finnhub", "ticker")
    per_day: int | None = None
    every_s = 0.0
    needs_key = True
    rate = (30, 60.0)
    """Half of what the plan grants: a burst and what is refilled meanwhile make the whole."""

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")
        self._key = usable_key(self.name, api_key)
        self._headers = {"X-Finnhub-Token": self._key} if self._key else None
        self._turns = Turns(AT_ONCE, self.every_s, clock)

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The latest prices of the next 30. One that fails costs only itself; raises `SourceError` when all do."""
        asked, later = self._turns.take(instruments)
        return await one_by_one(asked, later, lambda instrument: self._quote(http, instrument))

    async def _quote(self, http: Getter, instrument: Instrument) -> Answer:
        params = {"symbol": symbol_of(instrument, self.namespaces) or ""}
        payload = await http.get_json(self.name, self._base + QUOTE, params, self._headers, at_most=_BYTES)
        return parse_quote(payload, instrument, self._clock.now(), self._key)


def parse_quote(payload: object, instrument: Instrument, now: datetime, secret: str | None = None) -> Answer:
    """A quote from ``/quote``; a symbol that Finnhub does not know is answered with zeros, which are refused.

    Raises the `SourceError` that fits an error sent with HTTP 200; ``secret`` is masked in what it says.
    """
    if not isinstance(payload, dict) or "c" not in payload:
        raise _error(payload, secret)
    if number(payload["c"]) == 0 and number(payload.get("t")) == 0:
        return Answer((), {instrument.id: "zeros only: it does not know the symbol"})
    return answered(
        instrument,
        priced(
            instrument,
            "finnhub",
            number(payload["c"]),
            instant(payload.get("t")),
            now,
            previous=number(payload.get("pc")),
            opened=number(payload.get("o")),
            high=number(payload.get("h")),
            low=number(payload.get("l")),
            change_pct=change(payload.get("dp")),
        ),
    )


def _error(payload: object, secret: str | None) -> SourceError:
    text = said(payload.get("error"), secret) if isinstance(payload, dict) else ""
    if text.startswith(_LIMITED):
        return SourceRateLimited("finnhub", QUOTE, text)
    if text.startswith(_REFUSED):
        return SourceRefused("finnhub", QUOTE, text)
    return SourceMalformed("finnhub", QUOTE, text or kind(payload), expected="an object with 'c'")

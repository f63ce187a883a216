"""CoinPaprika: the whole crypto market (``/v1/global``), without a key. Asked for what CoinGecko does not answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from evertick.errors import SourceError, SourceMalformed, SourceRateLimited
from evertick.model import Clock, Instrument, Quote
from evertick.sources.http import Getter
from evertick.sources.reading import (
    Answer,
    before,
    change,
    instant,
    kind,
    leapt,
    mapping,
    number,
    plain,
    symbol_of,
    wrong,
)

BASE_URL = "https://api.coinpaprika.com"
GLOBAL = "/v1/global"
WHOLE = "global:"
"""How every symbol begins; the name of a number of ``/v1/global`` follows."""
CAP, VOLUME, SHARE = "market_cap_usd", "volume_24h_usd", "bitcoin_dominance_percentage"
CHANGES = {CAP: "market_cap_change_24h", VOLUME: "volume_24h_change_24h"}
"""Number to the name of its change in percent."""
_CAP_USD = (1e10, 1e14)
"""Between the market of 2016 and the wealth of a continent."""
_TURNOVER = 0.05
"""What a day's volume is of the capitalisation, within a factor of some tens."""
_SHARE = (10.0, 100.0)
"""Percent. Bitcoin has never stood below a third of the whole."""
_BYTES = 64 << 10


class CoinPaprika:
    name = "coinpaprika"
    title = "CoinPaprika"
    namespaces = ("coinpaprika",)
    per_day: int | None = 600
    """Its free plan grants 20,000 requests a month."""
    every_s = 0.0
    needs_key = False
    rate = (10, 60.0)

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None:
        self._clock = clock
        self._base = (base_url or BASE_URL).rstrip("/")

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The totals, all of one request. Raises `SourceError`."""
        payload = await http.get_json(self.name, self._base + GLOBAL, at_most=_BYTES)
        return parse_global(payload, instruments, self._clock.now())


def parse_global(payload: object, instruments: Sequence[Instrument], now: datetime) -> Answer:
    """Quotes of the whole market from ``/v1/global``: dollars, and bitcoin's share in percent.

    Raises `SourceMalformed`, and `SourceRateLimited` for a request to slow down that comes with HTTP 200.
    """
    data = mapping(payload)
    if "error" in data or not {CAP, VOLUME, SHARE} & data.keys():
        raise _reported(payload)
    as_of = instant(data.get("last_updated"))
    quotes: list[Quote] = []
    refused: dict[str, str] = {}
    for instrument in instruments:
        name = (symbol_of(instrument, CoinPaprika.namespaces) or "").removeprefix(WHOLE)
        price = number(data.get(name))
        reason = wrong(instrument, price, as_of, now) or _implausible(name, price, data)
        if reason is not None:
            refused[instrument.id] = reason
            continue
        assert price is not None and as_of is not None
        moved = change(data.get(CHANGES[name])) if name in CHANGES else None
        quotes.append(
            Quote(
                id=instrument.id,
                price=price,
                as_of=as_of,
                source="coinpaprika",
                change_pct=moved,
                previous_close=before(price, moved),
                volume=_volume(data) if name == CAP else None,
            )
        )
    return Answer(quotes, refused)


def _implausible(name: str, price: float | None, data: Mapping[str, Any]) -> str | None:
    """Why a number cannot be right, by its own kind and by the others in the answer."""
    if price is None:
        return None
    if name == CAP and not _CAP_USD[0] < price < _CAP_USD[1]:
        return f"a capitalisation of {price:g} dollars"
    if name == VOLUME and _volume(data) is None:
        return f"a volume of {price:g} dollars beside the capitalisation"
    if name == SHARE and not _SHARE[0] < price <= _SHARE[1]:
        return f"{price:g} % of the whole"
    return None


def _volume(data: Mapping[str, Any]) -> float | None:
    """Of 24 hours, in dollars; ``None`` for one that cannot be that of the capitalisation beside it."""
    cap, volume = number(data.get(CAP)), number(data.get(VOLUME))
    if volume is None or volume <= 0 or cap is None or not _CAP_USD[0] < cap < _CAP_USD[1]:
        return None
    return None if leapt(volume, cap * _TURNOVER) else volume


def _reported(payload: object) -> SourceError:
    """The error in an answer that reports one, or in one of an unknown shape."""
    said = plain(mapping(payload).get("error"))
    if any(sign in said.lower() for sign in ("too many", "limit")):
        return SourceRateLimited("coinpaprika", GLOBAL, f"asked to slow down: {said}")
    return SourceMalformed("coinpaprika", GLOBAL, said or kind(payload), expected=f"an object with '{CAP}'")

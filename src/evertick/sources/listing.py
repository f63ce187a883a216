"""Which sources there are: the built-in ones and those that installed packages bring (entry points ``evertick.sources``).

A source's module is imported when it is switched on, not before: a dozen keyed providers cost nothing without a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

import structlog

from evertick.errors import SettingsError
from evertick.model import Bars, Clock, Instrument
from evertick.sources.http import Getter
from evertick.sources.reading import Answer

log = structlog.get_logger()

GROUP = "evertick.sources"
_NAME = re.compile(r"[a-z][a-z0-9]{1,30}")
"""It is part of settings (``SOURCES__<NAME>__…``) and a namespace of symbols."""
_NEEDED = ("name", "title", "namespaces", "rate", "per_day", "every_s", "needs_key", "fetch")


class Source(Protocol):
    """What every provider's class has. It owns nothing: ``http`` comes with each call.

    A class that also has `HistorySource`'s ``bars`` is asked for daily bars.
    """

    name: str
    title: str
    """The provider's name for people."""
    namespaces: tuple[str, ...]
    """Where its symbols are found in `Instrument.symbols`, the first that is there counts: its own name, or one that
    several providers share (``ticker``: US shares and funds; ``vn``: Vietnamese codes)."""
    rate: tuple[int, float]
    """At most so many requests in every span of so many seconds."""
    per_day: int | None
    """Requests that the provider grants a day; ``None``: it states none."""
    every_s: float
    """Its quotes are asked for no more often than this, because they do not change more often; 0: in every run."""
    needs_key: bool

    def __init__(self, clock: Clock, base_url: str | None = None, api_key: str | None = None) -> None: ...

    async def fetch(self, http: Getter, instruments: Sequence[Instrument]) -> Answer:
        """The latest quotes of ``instruments``, all of which it has a symbol for.

        A part that fails costs its own instruments (``failures``); raises `SourceError` when all of it does.
        """


class HistorySource(Source, Protocol):
    bars_at_once: int
    """Instruments that one call of ``bars`` takes: 1 where each costs a request, more where one answer holds many."""

    async def bars(self, http: Getter, instruments: Sequence[Instrument], since: date) -> Sequence[Bars]:
        """Daily bars from ``since`` on, today's unfinished one included; empty ones where it has none. Raises `SourceError`."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A source that could be switched on."""

    name: str
    title: str
    needs_key: bool
    where: str = ""
    """``module:Class`` of a built-in source."""
    point: EntryPoint | None = None
    """Of one that an installed package brings."""

    def load(self) -> type[Any]:
        """Its class, imported now. Raises `SettingsError` for a package's class that is no source, or whatever its import raises."""
        if self.point is not None:
            return _checked(self.point.load(), self.name)
        module, _, name = self.where.partition(":")
        return getattr(import_module(module), name)


def _built_in(module: str, name: str, title: str, needs_key: bool = False) -> Listed:
    return Listed(module, title, needs_key, f"evertick.sources.{module}:{name}")


BUILT_IN = (
    _built_in("coingecko", "CoinGecko", "CoinGecko"),
    _built_in("coinpaprika", "CoinPaprika", "CoinPaprika"),
    _built_in("binance", "Binance", "Binance"),
    _built_in("okx", "Okx", "OKX"),
    _built_in("alternative", "Alternative", "alternative.me"),
    _built_in("vps", "Vps", "VPS Securities"),
    _built_in("vndirect", "VnDirect", "VNDirect"),
    _built_in("kbs", "Kbs", "KB Securities Vietnam"),
    _built_in("vci", "Vci", "Vietcap"),
    _built_in("vietcombank", "Vietcombank", "Vietcombank"),
    _built_in("yahoo", "Yahoo", "Yahoo Finance"),
    _built_in("cboe", "Cboe", "Cboe"),
    _built_in("treasury", "Treasury", "US Treasury"),
    _built_in("fred", "Fred", "FRED"),
    _built_in("ecb", "Ecb", "European Central Bank"),
    _built_in("twelvedata", "TwelveData", "Twelve Data", needs_key=True),
    _built_in("finnhub", "Finnhub", "Finnhub", needs_key=True),
    _built_in("fmp", "Fmp", "Financial Modeling Prep", needs_key=True),
    _built_in("tiingo", "Tiingo", "Tiingo", needs_key=True),
    _built_in("massive", "Massive", "Massive (Polygon)", needs_key=True),
    _built_in("alphavantage", "AlphaVantage", "Alpha Vantage", needs_key=True),
)
"""In order of preference: an instrument is asked of the first that knows it, of the next when that one has no answer."""


@cache
def sources() -> tuple[Listed, ...]:
    """All sources in order of preference: the built-in ones, then those of installed packages by name.

    A package's source that may not have its name is left out, and that is logged, once.
    """
    found, refused = chosen(BUILT_IN, sorted(entry_points(group=GROUP), key=lambda point: point.name))
    for reason in refused:
        log.warning("source refused", reason=reason)
    return found


def chosen(built_in: Sequence[Listed], points: Iterable[EntryPoint]) -> tuple[tuple[Listed, ...], list[str]]:
    """``built_in`` and the sources of ``points``, and why some of these are not among them."""
    listed = {one.name: one for one in built_in}
    refused: list[str] = []
    for point in points:
        taken = listed.get(point.name)
        if not _NAME.fullmatch(point.name):
            refused.append(f"{_origin(point)}: '{point.name[:40]}' is no name for a source; use a-z and 0-9")
        elif taken is not None:
            whose = _origin(taken.point) if taken.point else "a built-in source"
            refused.append(f"{_origin(point)}: the name '{point.name}' belongs to {whose}")
        else:
            listed[point.name] = Listed(point.name, point.name, False, point=point)
    return tuple(listed.values()), refused


def _origin(point: EntryPoint) -> str:
    return f"package {point.dist.name if point.dist else point.value}"


def _checked(found: type[Any], name: str) -> type[Any]:
    """The class that an entry point called ``name`` leads to, if it has what a `Source` has."""
    lacks = [wanted for wanted in _NEEDED if not hasattr(found, wanted)]
    if hasattr(found, "bars") and not hasattr(found, "bars_at_once"):
        lacks.append("bars_at_once")
    if lacks:
        raise SettingsError(f"its class is no source: it lacks {', '.join(lacks)}")
    if found.name != name:
        raise SettingsError(f"its class is called '{found.name}', its entry point '{name}'")
    return found

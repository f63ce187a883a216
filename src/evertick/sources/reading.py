"""Reading what providers send: numbers that are numbers, times that are times, prices that can be right.

Pure. Whatever JSON comes in, a reader gives a value or ``None`` and never fails.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from evertick.errors import SourceError
from evertick.model import SPARK_POINTS, Group, Instrument, Quote

AHEAD_AT_MOST = timedelta(minutes=10)
"""A price from further in the future is refused: the clocks of the world do not differ that much."""
LEAP = 300.0
"""A price this many times the one before it, or this fraction of it, is a change of scale (×1,000), not of the market."""

BELOW_ZERO = frozenset({Group.RATES, Group.COMMODITIES})
"""Whose prices may be negative."""
LOWEST_YIELD = -3.0
"""Percent. No yield and no spread between two has been lower in fifty years: below, the sign is wrong."""
LARGEST = 1e18
"""No price is above this in any currency: all crypto assets together are 1e17 dong."""
NEAR_ZERO = 0.5
"""A yield of exactly 0 is believed next to yields below this, in percent; elsewhere 0 stands for "not known"."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source made of its answers."""

    quotes: Sequence[Quote] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    """Instrument id to why its price was not taken."""
    failures: Sequence[SourceError] = ()
    """Parts of the run that failed while others did not."""
    later: Collection[str] = ()
    """Ids left for a later run to keep within a quota: neither asked for nor missing."""


def symbol_of(instrument: Instrument, namespaces: Sequence[str]) -> str | None:
    """What a source that reads ``namespaces`` knows the instrument by; the first that is there counts."""
    return next((instrument.symbols[n] for n in namespaces if n in instrument.symbols), None)


def number(value: object) -> float | None:
    """A finite JSON number; ``None`` for anything else, ``true`` and texts among them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        as_float = float(value)
    except OverflowError:
        return None
    return as_float if math.isfinite(as_float) else None


def decimal(value: object) -> float | None:
    """A number that may be written as a text, as some providers do."""
    if not isinstance(value, str):
        return number(value)
    if len(value) > 40 or not value.isascii() or "_" in value:
        return None
    try:
        return number(float(value))
    except ValueError:
        return None


def positive(value: object) -> float | None:
    found = number(value)
    return found if found is not None and found > 0 else None


def instant(seconds: object) -> datetime | None:
    """A UTC datetime from Unix seconds; ``None`` outside the years 1970 to 9999."""
    found = number(seconds)
    if found is None or not 0 < found < 253_402_300_800:
        return None
    return datetime.fromtimestamp(found, UTC)


def written(text: object) -> datetime | None:
    """A UTC datetime from ISO 8601 text with a zone."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def positives(values: object) -> list[float]:
    """The positive, finite numbers in a JSON list; none where there is no list."""
    if not isinstance(values, list):
        return []
    return [v for v in values if (type(v) is float or type(v) is int) and 0 < v < 1e300]


def thinned(values: Sequence[float], points: int = SPARK_POINTS) -> Sequence[float]:
    """At most ``points`` of ``values``, evenly spread, the first and the last among them."""
    if len(values) <= points:
        return values
    step = (len(values) - 1) / (points - 1)
    return [values[round(i * step)] for i in range(points)]


def line(values: object, points: int = SPARK_POINTS) -> Sequence[float]:
    """At most ``points`` of the positive numbers in a JSON list, evenly spread; the newest, which is last, among them."""
    if isinstance(values, list) and len(values) > points:
        few = thinned(values, points)
        chosen = positives(few)
        if len(chosen) == len(few):  # the usual case: nothing is missing, so the rest need not be looked at
            return chosen
    return thinned(positives(values), points)


def spark(values: Iterable[float], price: float) -> tuple[float, ...]:
    """``values`` for a sparkline that ends near ``price``: those on another scale dropped, the rest rounded.

    Six digits of the price are enough for a line of a few dozen pixels, and a third less to keep and to send.
    """
    if price <= 0:
        return tuple([float(f"{value:.6g}") for value in values])
    low, high, digits = price / LEAP, price * LEAP, 5 - math.floor(math.log10(price))
    return tuple([round(value, digits) for value in values if value <= 0 or low < value < high])


def wrong(
    instrument: Instrument, price: float | None, as_of: datetime | None, now: datetime, usual: float | None = None
) -> str | None:
    """Why a price cannot be right; ``None`` if it can. ``usual`` is what it must be on one scale with."""
    if price is None:
        return "no price"
    if abs(price) > LARGEST:
        return f"price {price:g}"
    if price == 0 and not (instrument.group is Group.RATES and usual is not None and usual < NEAR_ZERO):
        return "price 0"
    if price < 0 and (instrument.group not in BELOW_ZERO or fallen(instrument, price, usual)):
        return "price below 0"
    if as_of is None:
        return "no time"
    if as_of > now + AHEAD_AT_MOST:
        return f"a price from {as_of:%Y-%m-%d %H:%M} UTC, which is yet to come"
    if usual is not None and leapt(price, usual):
        return f"price {price:g}, {price / usual:.4g} times the one before it"
    if usual is not None and min(price, usual) <= 0 and abs(price) > LEAP * max(abs(usual), NEAR_ZERO):
        return f"price {price:g} after {usual:g}"
    return None


def leapt(price: float, usual: float | None) -> bool:
    """Whether ``price`` is on another scale than ``usual``; numbers that are not positive have none."""
    if usual is None or usual <= 0 or price <= 0:
        return False
    return not 1 / LEAP < price / usual < LEAP


def change(value: object) -> float | None:
    """A change in percent that a price can have made; ``None`` for one that would be a change of scale."""
    found = number(value)
    return found if found is not None and 1 / LEAP < 1 + found / 100 < LEAP else None


def before(price: float, change_pct: float | None) -> float | None:
    """What ``price`` was before it changed by ``change_pct`` percent, to ten digits."""
    if change_pct is None or change_pct <= -100:
        return None
    return float(f"{price / (1 + change_pct / 100):.10g}")


def fallen(instrument: Instrument, price: float, usual: float | None) -> bool:
    """Whether a price below 0 cannot have come from the usual one: a yield that was far above 0, or a wrong sign.

    (Oil did close at −37 in 2020, after 18.)
    """
    if instrument.group is Group.RATES and price < LOWEST_YIELD:
        return True
    if usual is None or usual <= NEAR_ZERO:
        return False
    return (instrument.group is Group.RATES and usual > 2 * NEAR_ZERO) or abs(price + usual) < 0.2 * usual


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def first(value: object) -> Mapping[str, Any]:
    """The first item of a JSON list if it is an object, else an empty one."""
    return mapping(value[0]) if isinstance(value, list) and value else {}


def plain(text: object) -> str:
    """What a provider said, fit to stand in an error: one line of at most 120 characters; empty for what is no text."""
    if not isinstance(text, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in text[:400]).split())[:120]


def kind(value: object) -> str:
    """What a JSON value is, for an error: never the value itself."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a flag", type(None): "null"}
    return names.get(type(value), "a number")

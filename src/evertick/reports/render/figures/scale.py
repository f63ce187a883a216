"""Scales, ticks and paths that the figures share. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis from ``low`` to ``high`` with round ``ticks``, written with ``decimals``."""

    low: float
    high: float
    ticks: tuple[float, ...]
    decimals: int

    def share(self, value: float) -> float:
        """0 at ``low``, 1 at ``high``."""
        return (value - self.low) / (self.high - self.low)


def axis(values: Iterable[float], *, count: int = 4, zero: bool = False, room: float = 0.04) -> Axis | None:
    """An axis round all finite ``values`` with about ``count`` ticks; ``None`` when there is none.

    ``zero`` makes it reach 0; ``room`` is the share of the span left free above and below.
    """
    low, high = math.inf, -math.inf
    for value in values:
        if value < low:
            low = value
        if value > high:
            high = value
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high == low:
        pad = abs(low) * 0.01 or 1.0
        low, high = low - pad, high + pad
    span = high - low
    low -= span * room if not (zero and low == 0) else 0.0
    high += span * room if not (zero and high == 0) else 0.0
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s for s in _STEPS if s * power >= raw * 0.999) * power
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if decimals < 12 and abs(round(step, decimals) - step) > step * 1e-6:
        decimals += 1
    return Axis(low, high, tuple(i * step for i in range(first, last + 1)), decimals)


def months(dates: Sequence[date], count: int = 6) -> list[date]:
    """The firsts of months within ``dates`` (sorted), about ``count`` of them, evenly apart."""
    first, last = dates[0], dates[-1]
    start = first.year * 12 + first.month - 1 + (first.day > 1)
    end = last.year * 12 + last.month - 1
    step = next((s for s in (1, 2, 3, 6, 12, 24, 60, 120) if (end - start) / s <= count), 240)
    return [date(m // 12, m % 12 + 1, 1) for m in range(start, end + 1) if m % step == 0]


def thin(length: int, most: int) -> range | list[int]:
    """Indices of at most about ``most`` of ``length`` points, always with the last."""
    if length <= most:
        return range(length)
    step = math.ceil(length / most)
    chosen = list(range((length - 1) % step, length, step))
    return chosen if chosen[0] == 0 else [0, *chosen]


def path(points: Iterable[tuple[float, float] | None]) -> str:
    """An SVG path through ``points`` in whole units, relative to save bytes; ``None`` breaks the line."""
    pieces: list[str] = []
    add = pieces.append
    lastx = lasty = 0
    pen = False
    for point in points:
        if point is None:
            pen = False
            continue
        x, y = round(point[0]), round(point[1])
        if not pen:
            add(f"M{x} {y}")
            pen = True
        else:
            dy = y - lasty
            add(f"l{x - lastx}{dy}" if dy < 0 else f"l{x - lastx} {dy}")
        lastx, lasty = x, y
    return "".join(pieces)

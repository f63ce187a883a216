"""The way of a price through one trading day, from its open by its high and its low to its close. Pure.

The daily bar comes first, and the path is tied to it: marks every half hour (every hour where trading never stops)
reach the bar's high and low and never leave them; between two marks lie steps of five minutes, between those ticks.
Positions are seconds of *trading*, without the breaks.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import sqrt

from evertick.simulator.noise import draws, normal

STEP = 300
"""Seconds between two points of a path."""
TICK = 15
"""Seconds for which a price stands still."""


@dataclass(frozen=True, slots=True)
class DayBar:
    """One whole trading day of one instrument, and what its path is drawn with."""

    day: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    previous_close: float
    key: str
    """Seeds the path."""
    seconds: int
    """Of trading."""
    sigma: float
    """Of the price's move in a whole day, in units of the price."""

    @property
    def mark(self) -> int:
        """Seconds between two marks."""
        return 3600 if self.seconds >= 86400 else 1800


def marks(bar: DayBar) -> array[float]:
    """Prices at second 0, ``bar.mark``, twice that… and at the end of the day: ``array('d')``, high and low among them."""
    count = -(-bar.seconds // bar.mark)
    words = draws(f"{bar.key}/marks", count + 2)
    pins = {0: bar.open, count: bar.close}
    inner = count - 1
    if bar.high > max(bar.open, bar.close) and inner >= 1:
        pins[1 + words[-1] * inner // 65536] = bar.high
    if bar.low < min(bar.open, bar.close) and inner >= 2:
        at = 1 + words[-2] * inner // 65536
        while at in pins:
            at = at % inner + 1
        pins[at] = bar.low
    z = normal()
    size = bar.sigma * 0.7 / sqrt(count)
    places = sorted(pins)
    found = array("d", [bar.open])
    for a, b in pairwise(places):
        found.extend(_bridge(pins[a], pins[b], [z[w >> 4] * size for w in words[a:b]], bar.low, bar.high))
    return found


def steps(bar: DayBar, marked: Sequence[float], mark: int, words: Sequence[int] | None = None) -> list[float]:
    """Prices every five minutes after mark number ``mark``, up to and including the next."""
    per_mark = bar.mark // STEP
    start = mark * bar.mark
    count = -(-(min(bar.seconds, start + bar.mark) - start) // STEP)
    if words is None:
        words = _words(bar)
    z = normal()
    size = bar.sigma * 0.7 * sqrt(STEP / bar.seconds)
    shocks = [z[w >> 4] * size for w in words[mark * per_mark : mark * per_mark + count]]
    return _bridge(marked[mark], marked[mark + 1], shocks, bar.low, bar.high)


def path(bar: DayBar, marked: Sequence[float]) -> array[float]:
    """Prices every five minutes of the whole day, from the open to the close: ``array('d')``."""
    words = _words(bar)
    found = array("d", [bar.open])
    for mark in range(len(marked) - 1):
        found.extend(steps(bar, marked, mark, words))
    return found


def price_at(bar: DayBar, marked: Sequence[float], elapsed: float) -> float:
    """The price after ``elapsed`` seconds of trading; it changes every `TICK`."""
    if elapsed <= 0:
        return bar.open
    if elapsed >= bar.seconds:
        return bar.close
    mark = int(elapsed // bar.mark)
    return _tick(bar, [marked[mark], *steps(bar, marked, mark)], mark * bar.mark, elapsed)


def price_on(bar: DayBar, points: Sequence[float], elapsed: float) -> float:
    """The same from a whole `path`: quicker where many are asked for."""
    if elapsed <= 0:
        return bar.open
    if elapsed >= bar.seconds:
        return bar.close
    return _tick(bar, points, 0, elapsed)


def _tick(bar: DayBar, points: Sequence[float], start: int, elapsed: float) -> float:
    """Between two of the ``points`` that begin at second ``start``."""
    number = int(elapsed // TICK)
    at = number * TICK
    step, rest = divmod(at - start, STEP)
    if not rest:
        return points[step]
    length = min(STEP, bar.seconds - at + rest)
    a, b, u = points[step], points[step + 1], rest / length
    wiggle = (
        normal()[draws(f"{bar.key}.{number}", 1)[0] >> 4] * bar.sigma * 0.7 * sqrt(length / bar.seconds * u * (1 - u))
    )
    return min(bar.high, max(bar.low, a + (b - a) * u + wiggle))


def volume_until(bar: DayBar, elapsed: float) -> float:
    """Volume traded in the first ``elapsed`` seconds: much at the open and at the close, less at noon."""
    x = min(1.0, max(0.0, elapsed / bar.seconds))
    # the integral of 0.7 + 0.9 (2x - 1)^2, which is 1 over the day
    return bar.volume * (0.7 * x + 0.15 * ((2 * x - 1) ** 3 + 1))


def _words(bar: DayBar) -> array[int]:
    return draws(f"{bar.key}/steps", -(-bar.seconds // STEP))


def _bridge(start: float, end: float, shocks: list[float], low: float, high: float) -> list[float]:
    """Points after ``start`` up to and including ``end``, reflected at ``low`` and ``high``."""
    moves = list(accumulate(shocks))
    slope = (end - start - moves[-1]) / len(moves)
    found = [start + moved + i * slope for i, moved in enumerate(moves, 1)]
    found[-1] = end
    if max(found) > high or min(found) < low:
        found = [max(low, 2 * high - v) if v > high else min(high, 2 * low - v) if v < low else v for v in found]
    return found

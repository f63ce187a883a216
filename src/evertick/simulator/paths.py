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


@dataclass(frozen=True, slots=True, eq=False)
class DayBar:
    """One whole trading day of one instrument, and what its path is drawn with; equal where the ``key`` is."""

    day: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    previous_close: float
    key: str
    """Of the market, the instrument and the day: whoever has it has the same bar. Seeds the path."""
    seconds: int
    """Of trading."""
    sigma: float
    """Of the price's move in a whole day, in units of the price."""
    decimals: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DayBar) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def mark(self) -> int:
        """Seconds between two marks; at least three in a day, so that high and low both have their place."""
        return 3600 if self.seconds >= 86400 else 1800 if self.seconds >= 7200 else STEP


def marks(bar: DayBar) -> array[float]:
    """Prices at second 0, ``bar.mark``, twice that… and at the end of the day, high and low among them: ``array('d')``,
    rounded as prices are."""
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
    return array("d", [round(price, bar.decimals) for price in found])


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A whole day in steps of five minutes, each ``array('d')``, rounded as prices are."""

    points: array[float]
    """One more than there are steps: the open first, the close last."""
    high: array[float]
    """Of each step; no tick within leaves high and low."""
    low: array[float]


def path(bar: DayBar, marked: Sequence[float]) -> Path:
    """The whole of a day."""
    words = _words(bar)
    points, highs, lows = array("d", [bar.open]), array("d"), array("d")
    for mark in range(len(marked) - 1):
        points.extend(_steps(bar, marked, mark, words))
    z, size, places = normal(), _shadow(bar), bar.decimals
    top, bottom = bar.high, bar.low
    # as `_reach` has it, for all steps at once
    for (a, b), up, down in zip(pairwise(points), words[1::3], words[2::3], strict=True):
        a, b = (a, b) if a > b else (b, a)
        highs.append(min(round(a + abs(z[up >> 4]) * size, places), top))
        lows.append(max(round(b - abs(z[down >> 4]) * size, places), bottom))
    return Path(points, highs, lows)


def price_at(bar: DayBar, marked: Sequence[float], elapsed: float) -> float:
    """The price after ``elapsed`` seconds of trading; it changes every `TICK`."""
    if elapsed <= 0:
        return bar.open
    if elapsed >= bar.seconds:
        return bar.close
    mark, within = divmod(int(elapsed), bar.mark)
    words = _words(bar)
    points = [marked[mark], *_steps(bar, marked, mark, words)]
    place = within // STEP
    step = mark * (bar.mark // STEP) + place
    a, b = points[place], points[place + 1]
    return _tick(bar, step, int(within % STEP // TICK), a, b, *_reach(bar, words, step, a, b))


def price_on(bar: DayBar, path: Path, elapsed: float) -> float:
    """The same from a whole `path`: quicker where many are asked for."""
    if elapsed <= 0:
        return bar.open
    if elapsed >= bar.seconds:
        return bar.close
    step, within = divmod(int(elapsed), STEP)
    a, b = path.points[step], path.points[step + 1]
    return _tick(bar, step, within // TICK, a, b, path.high[step], path.low[step])


def ticks(bar: DayBar, path: Path, step: int) -> list[float]:
    """Prices within a step, one every `TICK`; the first is the step's point."""
    return _ticks(bar, step, path.points[step], path.points[step + 1], path.high[step], path.low[step])


def between(bar: DayBar, path: Path, start: float, end: float) -> tuple[float, float, float, float]:
    """Open, high, low and close from second ``start`` to second ``end`` of trading, the price at both included.

    A stretch that is cut further has the same high and low: whole steps count as they are, and of a step begun or
    broken off only the ticks that lie within.
    """
    first, last = price_on(bar, path, start), price_on(bar, path, end)
    from_step, until_step = int(-(-start // STEP)), min(int(end // STEP), len(path.high))
    if end >= bar.seconds:
        until_step = len(path.high)
    highs, lows = [first, last, *path.high[from_step:until_step]], [first, last, *path.low[from_step:until_step]]
    for step in {int(start // STEP), until_step} - set(range(from_step, until_step)):
        if step < len(path.high) and step * STEP < end:
            a = max(0, int(-(-(start - step * STEP) // TICK)))
            b = int(min(end - step * STEP, STEP) // TICK)
            inside = ticks(bar, path, step)[a : b + 1]
            highs += inside
            lows += inside
    return first, max(highs), min(lows), last


def volume_until(bar: DayBar, elapsed: float) -> float:
    """Volume traded in the first ``elapsed`` seconds: much at the open and at the close, less at noon."""
    x = min(1.0, max(0.0, elapsed / bar.seconds))
    # the integral of 0.7 + 0.9 (2x - 1)^2, which is 1 over the day
    return bar.volume * (0.7 * x + 0.15 * ((2 * x - 1) ** 3 + 1))


def _words(bar: DayBar) -> array[int]:
    """Three draws for each step: its move, its upper and its lower shadow."""
    return draws(f"{bar.key}/steps", 3 * -(-bar.seconds // STEP))


def _steps(bar: DayBar, marked: Sequence[float], mark: int, words: Sequence[int]) -> list[float]:
    """Prices every five minutes after mark number ``mark``, up to and including the next."""
    per_mark = bar.mark // STEP
    start = mark * bar.mark
    count = -(-(min(bar.seconds, start + bar.mark) - start) // STEP)
    z = normal()
    size = bar.sigma * 0.7 * sqrt(STEP / bar.seconds)
    first = 3 * mark * per_mark
    shocks = [z[w >> 4] * size for w in words[first : first + 3 * count : 3]]
    places = bar.decimals
    return [round(p, places) for p in _bridge(marked[mark], marked[mark + 1], shocks, bar.low, bar.high)]


def _shadow(bar: DayBar) -> float:
    """Size of what a step reaches beyond its ends."""
    return bar.sigma * 0.3 * sqrt(STEP / bar.seconds)


def _reach(bar: DayBar, words: Sequence[int], step: int, a: float, b: float) -> tuple[float, float]:
    """High and low of a step from ``a`` to ``b``."""
    z = normal()
    size = _shadow(bar)
    top, bottom = (a, b) if a > b else (b, a)
    high = top + abs(z[words[3 * step + 1] >> 4]) * size
    low = bottom - abs(z[words[3 * step + 2] >> 4]) * size
    return min(round(high, bar.decimals), bar.high), max(round(low, bar.decimals), bar.low)


def _tick(bar: DayBar, step: int, number: int, a: float, b: float, high: float, low: float) -> float:
    """One of `_ticks`, without the others: each is drawn for itself."""
    if number == 0:
        return a
    length = min(STEP, bar.seconds - step * STEP)
    u = number * TICK / length
    shock = normal()[draws(f"{bar.key}.{step}", number)[-1] >> 4] * bar.sigma * 0.7 * sqrt(length / bar.seconds)
    return min(high, max(low, a + (b - a) * u + shock * sqrt(u * (1 - u))))


def _ticks(bar: DayBar, step: int, a: float, b: float, high: float, low: float) -> list[float]:
    length = min(STEP, bar.seconds - step * STEP)
    count = -(-length // TICK)
    z = normal()
    size = bar.sigma * 0.7 * sqrt(length / bar.seconds)
    found = [a]
    for number, word in enumerate(draws(f"{bar.key}.{step}", count - 1), 1):
        u = number * TICK / length
        found.append(min(high, max(low, a + (b - a) * u + z[word >> 4] * size * sqrt(u * (1 - u)))))
    return found


def _bridge(start: float, end: float, shocks: list[float], low: float, high: float) -> list[float]:
    """Points after ``start`` up to and including ``end``, reflected at ``low`` and ``high``."""
    moves = list(accumulate(shocks))
    slope = (end - start - moves[-1]) / len(moves)
    found = [start + moved + i * slope for i, moved in enumerate(moves, 1)]
    found[-1] = end
    if max(found) > high or min(found) < low:
        found = [max(low, 2 * high - v) if v > high else min(high, 2 * low - v) if v < low else v for v in found]
    return found

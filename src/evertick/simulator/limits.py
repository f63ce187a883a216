"""Steps of prices, and how far an exchange lets them go in a day: Ho Chi Minh City's and Hanoi's. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log
from typing import TYPE_CHECKING

from evertick.simulator.traits import Ticks, Traits

if TYPE_CHECKING:
    from evertick.simulator.market import Columns


def snap(price: float, ticks: Ticks) -> float:
    """``price`` on its nearest step."""
    step = next(step for below, step in ticks if price < below)
    return float(round(price / step) * step)


def rounded(t: Traits, price: float) -> float:
    return snap(price, t.ticks) if t.ticks else round(price, t.decimals)


def least(t: Traits) -> float:
    """The smallest price there is."""
    return t.ticks[0][1] if t.ticks else 10.0**-t.decimals


def limits(t: Traits, reference: float) -> tuple[float, float]:
    """Floor and ceiling of a day by the close before: the limit, rounded to the step that is nearer."""
    low, high = reference * (1 - t.limit), reference * (1 + t.limit)
    if not t.ticks:
        return round(low, t.decimals), round(high, t.decimals)
    step_low, step_high = (next(s for below, s in t.ticks if price < below) for price in (low, high))
    return ceil(low / step_low - 1e-9) * step_low, floor(high / step_high + 1e-9) * step_high


def tame(levels: list[float], before: float, places: Sequence[int], t: Traits) -> None:
    """Keep the moves from one trading day to the next within the exchange's limit, and both ends of the block as they are.

    ``places`` are the trading days; the last one takes the block's last level, so that the next block goes on from it.
    What a day may not move, the days after (or, towards the end, before) it do.
    """
    # of the limit so much that no rounding to a step passes it
    most = 0.885 * log(1 + t.limit)
    wanted = [levels[place] for place in places[:-1]] + [levels[-1]]
    kept: list[float] = []
    level = before
    for value in wanted[:-1]:
        level = min(max(value, level - most), level + most)
        kept.append(level)
    level = wanted[-1]
    for n in range(len(kept) - 1, -1, -1):
        level = kept[n] = min(max(kept[n], level - most), level + most)
    kept.append(wanted[-1])
    for place, level in zip(places, kept, strict=True):
        levels[place] = level


def keep_to_limits(t: Traits, before: float, c: Columns) -> None:
    """Open, high and low on the exchange's price steps, and between the day's floor and ceiling."""
    for n, close in enumerate(c.close):
        bottom, top = limits(t, before)
        opened = min(max(rounded(t, c.open[n]), bottom), top)
        c.open[n] = opened
        c.high[n] = max(opened, close, min(rounded(t, c.high[n]), top))
        c.low[n] = min(opened, close, max(rounded(t, c.low[n]), bottom))
        before = close

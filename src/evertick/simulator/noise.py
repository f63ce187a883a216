"""Random walks whose level at any day can be computed without the days before it.

A walk is a Brownian bridge of bridges. Days are cut into blocks of `BLOCK`; the level at a block's edge comes from Lévy's
midpoint construction (P. Lévy, *Processus stochastiques et mouvement brownien*, 1948), ten hashes deep, and the days
within a block are drawn at once and tied to both edges. So a day costs the same wherever it lies, nothing is stored, and
whoever asks for it, in whatever range, gets the same number. Every walk is 0 at the end of `ANCHOR`.

Days are proleptic Gregorian ordinals (``date.toordinal()``). Draws come from SHAKE-128 of seed, name and block, so they
do not depend on the Python version.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence
from datetime import date
from functools import cache
from hashlib import shake_128
from itertools import accumulate
from math import exp, sqrt, tanh
from statistics import NormalDist
from typing import TypeAlias

ANCHOR = date(2026, 11, 22).toordinal()
"""A Sunday: at the end of it every instrument stands at the price its traits name."""
BLOCK = 126
"""Days of one block: 18 weeks, so that every block begins on a Monday."""
SPAN = 1 << 10
"""Blocks on each side of the anchor: 353 years."""
FIRST_DAY = date(1900, 1, 1).toordinal()
LAST_DAY = date(2199, 12, 31).toordinal()

WEEKDAYS = (1.0, 1.0, 1.0, 1.0, 1.0, 0.3, 0.3)
"""Size of a day's move, Monday first, where markets rest at the weekend: news goes on, and opens Monday with a gap."""
ALWAYS = (1.0,) * 7


def block_of(day: int) -> tuple[int, int]:
    """The block a day lies in, and its place within, 0 to ``BLOCK - 1``."""
    return divmod(day - ANCHOR - 1, BLOCK)


def first_of(block: int) -> int:
    """The first day of a block, always a Monday."""
    return ANCHOR + 1 + block * BLOCK


def draws(key: str, count: int) -> array[int]:
    """``count`` uniform 16-bit numbers."""
    words = array("H", shake_128(key.encode()).digest(2 * count))
    if sys.byteorder == "big":
        words.byteswap()
    return words


@cache
def normal() -> tuple[float, ...]:
    """4,096 quantiles of the standard normal distribution: ``normal()[word >> 4]`` is a draw from it."""
    inverse = NormalDist().inv_cdf
    return tuple(inverse((i + 0.5) / 4096) for i in range(4096))


@cache
def fat() -> tuple[float, ...]:
    """The same with fat tails (a cubic Cornish-Fisher term, excess kurtosis about 3) and unit variance."""
    raw = [z * (1 + 0.07 * z * z) for z in normal()]
    scale = sqrt(sum(z * z for z in raw) / len(raw))
    return tuple(z / scale for z in raw)


@cache
def _week(week: tuple[float, ...]) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Weights of a block's days, share of the block's variance passed at each, and that variance."""
    weights = week * (BLOCK // 7)
    passed = list(accumulate(w * w for w in weights))
    return weights, tuple(p / passed[-1] for p in passed), passed[-1]


def edge(key: str, block: int, week: tuple[float, ...]) -> float:
    """Level of the walk before the first day of ``block``; 0 at block 0; one weekday has variance 1."""
    if block == 0:
        return 0.0
    if not -SPAN <= block <= SPAN:
        raise ValueError(f"day {first_of(block)} lies beyond the {SPAN} blocks of the simulated market")
    z, variance = normal(), _week(week)[2]
    side = 1 if block > 0 else -1
    target, low, high = abs(block), 0, SPAN
    at_low, at_high = 0.0, z[draws(f"{key}/{side * SPAN}", 1)[0] >> 4] * sqrt(SPAN * variance)
    while target != high:
        middle = (low + high) // 2
        spread = sqrt((high - low) / 4 * variance)
        at_middle = (at_low + at_high) / 2 + z[draws(f"{key}/{side * middle}", 1)[0] >> 4] * spread
        if target < middle:
            high, at_high = middle, at_middle
        elif target == middle:
            return at_middle
        else:
            low, at_low = middle, at_middle
    return at_high


def shocks(key: str, block: int) -> list[float]:
    """One fat-tailed draw of unit variance for every day of the block."""
    table = fat()
    return [table[word >> 4] for word in draws(f"{key}:{block}", BLOCK)]


def walk(key: str, block: int, week: tuple[float, ...], steps: Sequence[float] | None = None) -> array[float]:
    """Levels of the walk at the end of each day of ``block``: ``array('d')`` of `BLOCK`.

    ``steps`` replaces the walk's own shocks, where they are made elsewhere (the world's, whose size follows the stress).
    """
    weights, share, _ = _week(week)
    start, end = edge(key, block, week), edge(key, block + 1, week)
    moves = list(accumulate(s * w for s, w in zip(steps or shocks(key, block), weights, strict=True)))
    tie = end - start - moves[-1]
    return array("d", [start + m + f * tie for m, f in zip(moves, share, strict=True)])


# --- the two factors that move together: the world's shares and their volatility -------------------------------------

_MEMORY = 0.965
"""Share of the stress that is left after a trading day."""
_LEVERAGE = -0.88
"""Correlation of a day's stress with the world's move: volatility rises when shares fall."""
_OWN = sqrt((1 - _MEMORY**2) * (1 - _LEVERAGE**2))
_FROM_WORLD = sqrt(1 - _MEMORY**2) * _LEVERAGE


def stress_and_world(key: str, block: int) -> tuple[array[float], list[float]]:
    """Stress (log-volatility, unit variance, mean-reverting) at the end of each day, and the world's shocks scaled by it.

    A stochastic-volatility model with leverage (Taylor 1986; Harvey and Shephard 1996). It is run over the block before
    to forget where it began (0.965^90 = 4 %), so that it too needs no history.
    """
    level = 0.0
    levels: list[float] = []
    scaled: list[float] = []
    for number in (block - 1, block):
        levels.clear()
        scaled.clear()
        world, own = shocks(f"{key}/world", number), shocks(f"{key}/stress", number)
        for place, (w, s) in enumerate(zip(world, own, strict=True)):
            scaled.append(w * exp(0.36 * level - 0.13))
            if place % 7 < 5:
                level = _MEMORY * level + _FROM_WORLD * w + _OWN * s
            levels.append(level)
    return array("d", levels), scaled


Levels: TypeAlias = "Callable[[int], array[float]]"


def factors(seed: str) -> dict[str, Levels]:
    """The market's common factors by name: each maps a block to its levels, one weekday's move having unit variance."""

    def plain(name: str, week: tuple[float, ...]) -> Levels:
        return lambda block: walk(f"{seed}/{name}", block, week)

    def bounded(name: str, far: float) -> Levels:
        # what has no trend stays within reach of its price: the further off, the smaller the moves
        return lambda block: array("d", [far * tanh(v / far) for v in walk(f"{seed}/{name}", block, WEEKDAYS)])

    found = {name: plain(name, WEEKDAYS) for name in WEEKDAY_FACTORS}
    found |= {name: bounded(name, far) for name, far in _BOUNDS.items()}
    found["crypto"] = plain("crypto", ALWAYS)
    found["stress"] = lambda block: stress_and_world(seed, block)[0]
    found["world"] = lambda block: walk(f"{seed}/world", block, WEEKDAYS, stress_and_world(seed, block)[1])
    return found


WEEKDAY_FACTORS = (
    "americas", "europe", "asia", "africa", "vietnam", "tech", "dollar", "metals", "energy", "agriculture",
    "yields", "curve", "hump",
)  # fmt: skip
_BOUNDS = {"dollar": 60.0, "yields": 55.0, "curve": 40.0, "hump": 30.0}
"""How far a factor without a trend gets at most, in weekday moves."""
FACTORS = (*WEEKDAY_FACTORS, "crypto", "stress", "world")

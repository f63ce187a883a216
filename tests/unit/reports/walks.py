"""Fifty random walks and whatever is degenerate, for tests against references: closes by day, as pandas holds them."""

from __future__ import annotations

import random
from array import array
from datetime import date, timedelta

import pandas as pd

from evertick.model import Bars

START = date(2024, 11, 4)


def walk(
    seed: int, count: int, *, weekdays: bool = True, gaps: float = 0.0, low: float = 1.0, start: date = START
) -> pd.Series:
    """A random walk of closes by day, never below ``low`` (negative for rates); some days are missing."""
    own = random.Random(seed)
    days: list[date] = []
    day = start
    while len(days) < count:
        if (not weekdays or day.weekday() < 5) and own.random() >= gaps:
            days.append(day)
        day += timedelta(days=1)
    level = own.uniform(low, 200)
    values = []
    for _ in days:
        level = max(low, level + own.gauss(0, 2))
        values.append(level)
    return pd.Series(values, index=pd.DatetimeIndex(days), dtype=float)


def split(series: pd.Series, by: float = 4) -> pd.Series:
    half = len(series) // 2
    return pd.concat([series[:half], series[half:] / by])


SERIES = {
    **{f"random {seed}": walk(seed, 60 + 14 * seed, weekdays=seed % 2 == 0, gaps=seed % 5 / 10) for seed in range(50)},
    "one bar": walk(1, 1),
    "two bars": walk(2, 2),
    "flat": walk(3, 300) * 0 + 7.5,
    "flat at the end": pd.concat([walk(3, 200), walk(8, 100, start=date(2026, 1, 5)) * 0 + 31.07]),
    "gaps of weeks": walk(4, 120, gaps=0.93),
    "split": split(walk(5, 400)),
    "split a thousandfold": split(walk(7, 500), 1000),
    "reverse split": split(walk(9, 500), 1 / 1000),
    "rises only": pd.Series(range(1, 301), index=walk(10, 300).index, dtype=float),
    "falls only": pd.Series(range(300, 0, -1), index=walk(11, 300).index, dtype=float),
    "tiny prices": walk(12, 400) * 1e-9,
    "huge prices": walk(13, 400) * 1e12,
    "negative rates": walk(6, 300, low=-0.9) / 100 - 0.5,
    "through zero": walk(14, 300, low=-200.0) - 100,
    "down to zero": pd.concat([walk(15, 200), walk(16, 100, start=date(2026, 1, 5)) * 0]),
}


def columns(series: pd.Series) -> tuple[array[int], array[float]]:
    return array("i", (d.date().toordinal() for d in series.index)), array("d", series)


def bars(name: str) -> Bars:
    """Bars round the closes of a series: highs and lows about them, some of them missing, as of providers who lack them."""
    own = random.Random(name)
    day, close = columns(SERIES[name])
    flat = name.startswith("flat")
    opened, high, low, volume = (array("d") for _ in range(4))
    for c in close:
        reach = 0.0 if flat else abs(c) * 0.01
        opened.append(c)
        high.append(c + reach * own.random() if own.random() > 0.05 else float("nan"))
        low.append(c - reach * own.random() if own.random() > 0.05 else float("nan"))
        volume.append(float("nan") if own.random() < 0.1 else float(own.randrange(10**6)))
    return Bars("X", day, opened, high, low, close, volume)

"""Does it grow? Slopes with their intervals, and a verdict in words. Pure: numbers in, numbers and text out.

The slope is Theil–Sen's, the median of the slopes between all pairs of points (P. K. Sen, JASA 63, 1968), which a few
wild points do not move. Its 95 % interval is Sen's, from the variance of Kendall's S, widened where one point resembles
the one before it, as memory does (the effective sample size of Bayley and Hammersley, 1946, which Hamed and Rao, 1998,
brought to this test). Only points of one process are compared, so that a restart is no growth; the warm-up of
each process is left out; and one or two abrupt steps (a cache that filled, a library that was loaded) divide a process
in the same way and are told apart from growth.

A job has no heap of its own, so the growth of a component is not a slope: it is what the heap rose from the start of each of
its runs to the start of the next run, summed for every hour, and the Hodges–Lehmann estimate of those sums with the interval
of Wilcoxon's signed ranks (Hodges and Lehmann, 1963).
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise
from math import ceil, inf, sqrt
from statistics import median, median_low
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

HEAP_BOUND = 64 << 10
"""Bytes a day below which the whole heap is called flat."""
RSS_BOUND = 256 << 10
COMPONENT_BOUND = 32 << 10
WARM_UP_S = 900.0
"""Left out at the beginning of each process: first requests, first report, caches that fill."""
EARLY_S = 3600.0
"""Of measured time after the warm-up; with less nothing is said."""
POINTS = 160
"""A timeline is thinned to so many medians: what it costs is their square, in time and in memory."""
SUMS = 112
"""And the runs of a component to so many sums."""
_FEWEST = 12
_DAY = 86_400.0
_HOUR = 3600.0
_Z = 1.959964
_STEPS = 2
_STEP_SCALE = 8.0
MB = 1 << 20


class Point(NamedTuple):
    at: float
    """Seconds since 1970."""
    value: float
    """Bytes."""
    process: str = ""
    """Points of different processes are never compared."""


class Step(NamedTuple):
    at: float
    by: float


@dataclass(frozen=True, slots=True)
class Trend:
    """Bytes a day, with the ends of the 95 % interval."""

    per_day: float
    low: float
    high: float
    span_s: float
    """Of measured time, warm-ups left out."""
    points: int
    steps: tuple[Step, ...] = ()


State = Literal["early", "flat", "growing", "shrinking", "unclear"]


@dataclass(frozen=True, slots=True)
class Verdict:
    state: State
    text: str
    trend: Trend | None
    full_at: datetime | None = None
    """When the limit is reached at the upper end of the interval; ``None``: never, or not for years."""


def trend(points: Iterable[Point], *, warm_up_s: float = WARM_UP_S) -> Trend | None:
    """The slope of a timeline; ``None`` while there are too few points to say anything. In any order."""
    runs = [_warm(run, warm_up_s) for run in _by_process(points)]
    runs = [run for run in runs if len(run) > 1]
    span = sum(run[-1].at - run[0].at for run in runs)
    if span <= 0:
        return None
    width = span / POINTS
    pieces, steps = _divided([_thinned(run, width) for run in runs])
    pieces = [piece for piece in pieces if len(piece) > 2]
    slopes = _slopes(pieces)
    if sum(map(len, pieces)) < _FEWEST or not slopes:
        return None
    middle = _middle(slopes)
    inflation = _inflation(pieces, middle)
    variance = sum(n * (n - 1) * (2 * n + 5) / 18 for n in map(len, pieces)) * inflation
    # With few independent points the normal quantile is too narrow; Student's at n − 2 degrees, to its first two terms.
    freedom = max(sum(map(len, pieces)) / inflation - 2, 1.0)
    reach = _Z * (1 + (_Z**2 + 1) / (4 * freedom) + _Z**2 * (5 * _Z**2 + 16) / (96 * freedom**2)) * sqrt(variance)
    low, high = _at(slopes, (len(slopes) - reach) / 2), _at(slopes, (len(slopes) + reach) / 2)
    return Trend(middle * _DAY, low * _DAY, high * _DAY, span, sum(map(len, pieces)), steps)


def kept(retained: Iterable[tuple[float, float]]) -> Trend | None:
    """The growth of one component: (when, bytes kept) of its runs, of the last two weeks of them.

    Summed for every hour; over longer where they come less than hourly, and where the hours would be more than `SUMS`.
    """
    hours: dict[int, float] = defaultdict(float)
    runs, first, last = 0, inf, -inf
    for at, value in retained:
        hours[int(at // _HOUR)] += value
        runs, first, last = runs + 1, min(first, at), max(last, at)
    if runs < _FEWEST // 2:
        return None
    spaced = max(1, ceil((last - first) / (runs - 1) / _HOUR))
    newest = max(hours)
    oldest = max(min(hours), newest - 24 * 14 * spaced + 1)
    width = spaced * ceil((newest - oldest + 1) / spaced / SUMS)
    spans: dict[int, float] = defaultdict(float)
    for hour, value in hours.items():
        if hour >= oldest:
            spans[hour // width] += value
    sums = [spans.get(span, 0.0) for span in range(oldest // width, newest // width + 1)]
    if len(sums) > 2:  # the first one warmed up, and the last one is not over
        sums = sums[1:-1] or sums
    n = len(sums)
    if n < 6:
        return None
    walsh = array("d", sorted((a + b) / 2 for i, a in enumerate(sums) for b in sums[i:]))
    reach = _Z * sqrt(n * (n + 1) * (2 * n + 1) / 24)
    low, high = _at(walsh, len(walsh) / 2 - reach), _at(walsh, len(walsh) / 2 + reach)
    a_day = _DAY / (width * _HOUR)
    return Trend(_middle(walsh) * a_day, low * a_day, high * a_day, n * width * _HOUR, n)


def verdict(
    found: Trend | None,
    *,
    bound: float,
    now: datetime,
    seen_s: float = 0.0,
    used: float | None = None,
    limit: float | None = None,
    component: str | None = None,
    zone: tzinfo | None = None,
) -> Verdict:
    """What a trend means, in words.

    ``bound``: bytes a day below which it is flat. ``seen_s``: how long has been measured, where there is no trend yet.
    ``used`` and ``limit`` (bytes) tell when the limit is reached; ``component`` is the one that keeps most.
    """
    span = found.span_s if found is not None else seen_s
    if found is None or span < EARLY_S:
        return Verdict("early", f"too early to say: {duration(span)}", found)
    over = f"over {duration(span)}{_stepped(found, zone)}"
    if found.high < bound:
        if found.high < 0:
            return Verdict("shrinking", f"shrinking: {_mb(found.per_day)} MB a day, {over}", found)
        return Verdict("flat", f"flat: {_mb(found.per_day)} MB a day, at most {_mb(found.high, False)}, {over}", found)
    full = _full(found.high, used, limit, now)
    if found.low > 0:
        when = f", full {_when(full, now, zone)}" if full else ""
        who = f", component {component}" if component else ""
        return Verdict("growing", f"growing {_mb(found.per_day, False)} MB a day{when}{who}, {over}", found, full)
    text = f"not settled: between {_mb(found.low)} and {_mb(found.high)} MB a day, {over}"
    return Verdict("unclear", text, found, full)


def duration(seconds: float) -> str:
    """``40 min``, ``26 h``, ``12 days``.

    >>> duration(2400), duration(93_600), duration(1_036_800)
    ('40 min', '26 h', '12 days')
    """
    if seconds < 2 * _HOUR:
        return f"{seconds / 60:.0f} min"
    if seconds < 3 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} days"


def _by_process(points: Iterable[Point]) -> list[list[Point]]:
    runs: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        runs[point.process].append(point)
    for run in runs.values():
        run.sort()
    return sorted(runs.values())


def _warm(run: list[Point], warm_up_s: float) -> list[Point]:
    return [point for point in run if point.at - run[0].at >= warm_up_s]


def _thinned(run: Sequence[Point], width: float) -> list[Point]:
    """The median of every span of ``width`` seconds that has points, at the median of their times.

    The lower of two in the middle, so that a step within a span stays one step.
    """
    spans: dict[int, list[Point]] = defaultdict(list)
    for point in run:
        spans[int((point.at - run[0].at) // width)].append(point)
    return [Point(median(p.at for p in span), median_low(p.value for p in span)) for span in spans.values()]


def _divided(runs: Sequence[list[Point]]) -> tuple[list[list[Point]], tuple[Step, ...]]:
    """The runs, cut at abrupt steps if there are only one or two: more of them are how something grows."""
    jumps = [(b.value - a.value, b.at) for run in runs for a, b in pairwise(run)]
    if len(jumps) < _FEWEST:
        return list(runs), ()
    middle = median(by for by, _ in jumps)
    scale = 1.4826 * median(abs(by - middle) for by, _ in jumps) or 1.0
    abrupt = [(by, at) for by, at in jumps if abs(by - middle) > max(_STEP_SCALE * scale, 16 << 10)]
    if not 0 < len(abrupt) <= _STEPS:
        return list(runs), ()
    cuts = {at for _, at in abrupt}
    pieces: list[list[Point]] = []
    for run in runs:
        piece: list[Point] = []
        for point in run:
            if point.at in cuts and piece:
                pieces.append(piece)
                piece = []
            piece.append(point)
        pieces.append(piece)
    return pieces, tuple(Step(at, by) for by, at in abrupt)


def _slopes(pieces: Sequence[Sequence[Point]]) -> array[float]:
    """Between all pairs of points of one piece, sorted; bytes a second."""
    slopes = array("d")
    for piece in pieces:
        for i, a in enumerate(piece):
            slopes.extend((b.value - a.value) / (b.at - a.at) for b in piece[i + 1 :] if b.at > a.at)
    return array("d", sorted(slopes))


def _inflation(pieces: Sequence[Sequence[Point]], slope: float) -> float:
    """How many times the variance is larger because neighbours resemble each other (lag one, after detrending)."""
    top = bottom = 0.0
    count = 0
    for piece in pieces:
        base = median(p.value - slope * p.at for p in piece)
        rest = [p.value - slope * p.at - base for p in piece]
        mean = sum(rest) / len(rest)
        top += sum((a - mean) * (b - mean) for a, b in pairwise(rest))
        bottom += sum((a - mean) ** 2 for a in rest)
        count += len(rest)
    if bottom <= 0:
        return 1.0
    rho = top / bottom
    rho += (1 + 3 * max(rho, 0.0)) / count * len(pieces)  # the estimate is too small by so much (Kendall, 1954)
    rho = min(max(rho, 0.0), 0.98)
    return (1 + rho) / (1 - rho)


def _middle(ordered: array[float]) -> float:
    """Their median; `statistics.median` would make a list of them, which is four times as large."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _at(values: array[float], place: float) -> float:
    if place < 0:
        return -inf
    if place > len(values) - 1:
        return inf
    return values[round(place)]


def _full(per_day: float, used: float | None, limit: float | None, now: datetime) -> datetime | None:
    if used is None or limit is None or per_day <= 0 or per_day == inf:
        return None
    seconds = max(0.0, limit - used) / per_day * _DAY
    return None if seconds > 3650 * _DAY else datetime.fromtimestamp(now.timestamp() + seconds, now.tzinfo)


def _when(full: datetime, now: datetime, zone: tzinfo | None) -> str:
    at = full.astimezone(zone or ZoneInfo("UTC"))
    ahead = (full - now).total_seconds() / _DAY
    if ahead < 6.5:
        return f"on {at:%A %H:%M}"
    return f"on {at.day} {at:%B %Y}"


def _stepped(found: Trend, zone: tzinfo | None) -> str:
    if not found.steps:
        return ""
    told = (
        f"{_mb(step.by)} MB on {datetime.fromtimestamp(step.at, zone or ZoneInfo('UTC')):%A %H:%M}"
        for step in found.steps
    )
    return f", beside {'a step' if len(found.steps) == 1 else 'steps'} of {' and '.join(told)}"


def _mb(value: float, sign: bool = True) -> str:
    """Megabytes (2^20) with as many digits as say something; a plus before what grows."""
    if value in (inf, -inf):
        return "+∞" if value > 0 else "−∞"
    mb = value / MB
    digits = 0 if abs(mb) >= 100 else 1 if abs(mb) >= 1 else 2 if abs(mb) >= 0.01 else 3
    text = f"{abs(mb):.{digits}f}"
    if float(text) == 0:
        return "0.000" if digits == 3 else text
    return ("−" if mb < 0 else "+" if sign else "") + text

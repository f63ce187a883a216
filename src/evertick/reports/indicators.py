"""Indicators over columns of daily bars: pure functions of ``array('d')``, oldest first, without pandas.

A function that gives a series gives one as long as its input, NaN where it is not yet defined; one that gives a number gives
NaN when the input is too short or degenerate (flat, not positive). The formulas are the textbook ones, named in each
docstring; tests hold them against pandas and numpy to 1e-9.
"""

from __future__ import annotations

import calendar
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import accumulate, islice, pairwise
from math import fsum, isfinite, log, sqrt
from operator import mul, sub, truediv
from typing import overload

NAN = float("nan")

SESSIONS_A_YEAR = 252
DAYS_A_YEAR = 365
"""For what trades every day (crypto)."""


def _nans(count: int) -> array[float]:
    return array("d", [NAN]) * count


def sma(values: Sequence[float], n: int) -> array[float]:
    """Simple moving average of the last ``n``."""
    if len(values) < n:
        return _nans(len(values))
    sums = running(values)
    out = _nans(n - 1)
    out.extend([(b - a) / n for a, b in zip(sums, sums[n:], strict=False)])
    return out


class Average(Sequence[float]):
    """`sma` of which each value is worked out when it is asked for: a report looks at a few of the newest."""

    __slots__ = ("_n", "_sums")

    def __init__(self, sums: Sequence[float], n: int) -> None:
        """``sums`` are 0 and then the sums of the first values, the first two, and so on: `running`."""
        self._sums = sums
        self._n = n

    def __len__(self) -> int:
        return len(self._sums) - 1

    @overload
    def __getitem__(self, at: int) -> float: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[float]: ...
    def __getitem__(self, at: int | slice) -> float | Sequence[float]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        end = at + 1 if at >= 0 else len(self._sums) + at
        if not 0 < end < len(self._sums):
            raise IndexError(at)
        return (self._sums[end] - self._sums[end - self._n]) / self._n if end >= self._n else NAN


def running(values: Sequence[float]) -> list[float]:
    """The sums that an `Average` is made from."""
    return [0.0, *accumulate(values)]


def ema(values: Sequence[float], n: int) -> array[float]:
    """Exponential moving average, smoothing 2 / (n + 1), started at the first value, shown from the ``n``-th on."""
    return _shown_from(_ema(values, n), n - 1)


def _ema(values: Sequence[float], n: int) -> array[float]:
    alpha = 2 / (n + 1)
    keep = 1 - alpha
    return array("d", accumulate(values, lambda average, value: keep * average + alpha * value))


def _shown_from(series: array[float], start: int) -> array[float]:
    start = min(start, len(series))
    series[:start] = _nans(start)
    return series


def macd(
    values: Sequence[float], fast: int = 12, slow: int = 26, signal: int = 9
) -> tuple[array[float], array[float], array[float]]:
    """Appel's MACD: the line (fast EMA minus slow EMA), its signal (EMA of the line) and the histogram (line minus signal)."""
    line = array("d", (a - b for a, b in zip(_ema(values, fast), _ema(values, slow), strict=True)))
    smooth = _ema(line, signal)
    histogram = array("d", (a - b for a, b in zip(line, smooth, strict=True)))
    ready = slow + signal - 2
    return _shown_from(line, slow - 1), _shown_from(smooth, ready), _shown_from(histogram, ready)


def averages(values: Sequence[float]) -> tuple[float, float, float, float, float]:
    """The last of ``ema(12)``, ``ema(26)`` and of `macd`'s line, signal and histogram, in one walk; NaN where not yet defined."""
    if not len(values):
        return NAN, NAN, NAN, NAN, NAN
    a12, a26, a9 = 2 / 13, 2 / 27, 2 / 10
    k12, k26, k9 = 1 - a12, 1 - a26, 1 - a9
    fast = slow = values[0]
    signal = 0.0
    for value in islice(values, 1, None):
        fast = k12 * fast + a12 * value
        slow = k26 * slow + a26 * value
        signal = k9 * signal + a9 * (fast - slow)
    count, line = len(values), fast - slow
    return (
        fast if count >= 12 else NAN,
        slow if count >= 26 else NAN,
        line if count >= 26 else NAN,
        signal if count >= 34 else NAN,
        line - signal if count >= 34 else NAN,
    )


def rsi(values: Sequence[float], n: int = 14) -> array[float]:
    """Wilder's relative strength index (New Concepts in Technical Trading Systems, 1978), 0 to 100.

    The first averages are plain means of ``n`` changes, then each new change weighs 1 / n. 50 where nothing moved.
    """
    if len(values) <= n:
        return _nans(len(values))
    out = _nans(n)
    changes = [b - a for a, b in pairwise(values)]
    gain = sum(c for c in changes[:n] if c > 0) / n
    loss = -sum(c for c in changes[:n] if c < 0) / n
    out.append(_strength(gain, loss))
    keep = n - 1
    for c in changes[n:]:
        if c > 0:
            gain = (gain * keep + c) / n
            loss = loss * keep / n
        else:
            gain = gain * keep / n
            loss = (loss * keep - c) / n
        both = gain + loss
        out.append(100 * gain / both if both else 50.0)
    return out


def strength(values: Sequence[float], n: int = 14) -> float:
    """The last of `rsi`, but for rounding; NaN where not yet defined. Both averages are ``n`` times what they are there."""
    if len(values) <= n:
        return NAN
    changes = list(map(sub, islice(values, 1, None), values))
    gain = sum(c for c in changes[:n] if c > 0)
    loss = -sum(c for c in changes[:n] if c < 0)
    keep = (n - 1) / n
    for c in changes[n:]:
        if c > 0:
            gain = gain * keep + c
            loss *= keep
        else:
            gain *= keep
            loss = loss * keep - c
    return _strength(gain, loss)


def _strength(gain: float, loss: float) -> float:
    both = gain + loss
    return 100 * gain / both if both else 50.0


def bollinger(values: Sequence[float], n: int = 20, width: float = 2.0) -> tuple[float, float, float]:
    """Bollinger bands at the last value: (lower, middle, upper), the middle ± ``width`` population standard deviations."""
    if len(values) < n:
        return NAN, NAN, NAN
    window = values[len(values) - n :]
    middle = fsum(window) / n
    reach = width * sqrt(fsum([(v - middle) ** 2 for v in window]) / n)
    return middle - reach, middle, middle + reach


def atr(high: Sequence[float], low: Sequence[float], close: Sequence[float], n: int = 14) -> float:
    """Wilder's average true range at the last bar, in price units; a missing high or low counts as the close."""
    if len(close) <= n:
        return NAN
    if not isfinite(sum(high) + sum(low)):
        high = [h if h == h else c for h, c in zip(high, close, strict=True)]
        low = [v if v == v else c for v, c in zip(low, close, strict=True)]
    ranges = [
        (h if h > before else before) - (v if v < before else before)
        for before, h, v in zip(close, islice(high, 1, None), islice(low, 1, None), strict=False)
    ]
    total = sum(ranges[:n])  # n times the average
    keep = (n - 1) / n
    for r in ranges[n:]:
        total = total * keep + r
    return total / n


def log_returns(close: Sequence[float]) -> array[float]:
    """ln(close / close before), one shorter than its input; NaN where a price is not positive."""
    if len(close) and min(close) > 0:  # a NaN in front is not: what is not all prices takes the careful way
        return array("d", map(log, map(truediv, islice(close, 1, None), close)))
    return array("d", (log(b / a) if a > 0 and b > 0 else NAN for a, b in pairwise(close)))


def deviation(values: Sequence[float]) -> float:
    """Sample standard deviation (n − 1)."""
    n = len(values)
    if n < 2:
        return NAN
    mean = fsum(values) / n
    return sqrt(fsum([(v - mean) ** 2 for v in values]) / (n - 1))


def volatility(returns: Sequence[float], n: int, periods: int = SESSIONS_A_YEAR) -> float:
    """Realised volatility of the last ``n`` log returns, annualised by the square root of ``periods``, in percent."""
    if len(returns) < n:
        return NAN
    return 100 * sqrt(periods) * deviation(returns[len(returns) - n :])


def drawdowns(close: Sequence[float]) -> array[float]:
    """Percent below the highest close so far: 0 or negative; NaN where that high is not positive."""
    tops = accumulate(close, max)
    return array("d", [100 * (c / top - 1) if top > 0 else NAN for c, top in zip(close, tops, strict=True)])


def fall(close: Sequence[float]) -> tuple[float, float]:
    """The last and the lowest of `drawdowns`."""
    if close[0] > 0:  # then so are all highs, and the lowest share of a high is the deepest fall
        top, least = close[0], 1.0
        for c in close:
            if c > top:
                top = c
            elif c / top < least:
                least = c / top
        return 100 * (close[-1] / top - 1), 100 * (least - 1)
    falls = drawdowns(close)
    return falls[-1], min(falls)


def reach(low: Sequence[float], high: Sequence[float]) -> tuple[float, float]:
    """The lowest and the highest of what is known; NaN where nothing is."""
    if not isfinite(sum(low) + sum(high)):
        low, high = [v for v in low if v == v], [v for v in high if v == v]
    return min(low, default=NAN), max(high, default=NAN)


def position(value: float, low: float, high: float) -> float:
    """Where ``value`` stands between ``low`` (0) and ``high`` (1), held within; NaN where there is no distance."""
    if not high > low:
        return NAN
    return min(1.0, max(0.0, (value - low) / (high - low)))


def zscore(values: Sequence[float], n: int = 60) -> float:
    """The last value's distance from the mean of the last ``n``, in their sample standard deviations."""
    if len(values) < n:
        return NAN
    window = values[len(values) - n :]
    spread = deviation(window)
    # Equal prices may differ by rounding of the mean alone; a spread that small is no spread.
    return (values[-1] - fsum(window) / n) / spread if spread > 1e-12 * abs(values[-1]) else NAN


def beta_correlation(own: Sequence[float], other: Sequence[float], least: int = 30) -> tuple[float, float]:
    """(beta, Pearson correlation) of paired returns; NaN below ``least`` pairs or when one of them does not move."""
    n = len(own)
    if n < least:
        return NAN, NAN
    mean_x, mean_y = fsum(own) / n, fsum(other) / n
    dx = [x - mean_x for x in own]
    dy = [y - mean_y for y in other]
    xx, xy, yy = sum(map(mul, dx, dx)), sum(map(mul, dx, dy)), sum(map(mul, dy, dy))
    if not (xx > 1e-24 and yy > 1e-24):
        return NAN, NAN
    return xy / yy, max(-1.0, min(1.0, xy / sqrt(xx * yy)))


def paired(
    days: Sequence[int], returns: Sequence[float], other: Mapping[int, float], n: int = 60
) -> tuple[list[float], list[float]]:
    """The newest ``n`` returns of days that ``other`` (day to return) has too, newest first.

    ``days`` are those of the bars: one more than ``returns``, whose first belongs to ``days[1]``.
    """
    own: list[float] = []
    theirs: list[float] = []
    for i in range(len(returns) - 1, -1, -1):
        there = other.get(days[i + 1])
        if there is not None and isfinite(there) and isfinite(returns[i]):
            own.append(returns[i])
            theirs.append(there)
            if len(own) == n:
                break
    return own, theirs


def months_before(day: date, months: int) -> date:
    """The same day of the month, ``months`` earlier; the last of that month where it is shorter."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def reference_days(day: date) -> dict[str, int]:
    """Ordinals of the days that returns count from: 1W, 1M, 3M, 1Y before ``day``, and the last day of the year before."""
    return {
        "ret_1w": day.toordinal() - 7,
        "ret_1m": months_before(day, 1).toordinal(),
        "ret_3m": months_before(day, 3).toordinal(),
        "ret_ytd": date(day.year - 1, 12, 31).toordinal(),
        "ret_1y": months_before(day, 12).toordinal(),
    }


def level_at(days: Sequence[int], values: Sequence[float], target: int, *, gap: int = 10) -> float:
    """The last value on or before ``target`` (an ordinal); NaN where history has nothing within ``gap`` days before it."""
    at = bisect_right(days, target) - 1
    return values[at] if at >= 0 and target - days[at] <= gap else NAN


def change_since(days: Sequence[int], close: Sequence[float], target: int, *, gap: int = 10) -> float:
    """Percent from the last close on or before ``target`` (an ordinal) to the newest.

    NaN where history begins later, has nothing within ``gap`` days before ``target``, or the old price is not positive.
    """
    before = level_at(days, close, target, gap=gap)
    return 100 * (close[-1] / before - 1) if before > 0 else NAN


def changes(close: Sequence[float]) -> array[float]:
    """Percent from each close to the next, one shorter than its input; NaN where the earlier one is not positive."""
    return array("d", (100 * (b / a - 1) if a > 0 else NAN for a, b in pairwise(close)))


def month_returns(days: Sequence[int], close: Sequence[float]) -> tuple[array[int], array[float]]:
    """Percent from the last close of a month to the last close of the next, the newest month up to its newest close.

    Gives the ordinals of the months' first days and the returns. A month after one without bars is left out, and so is the
    first, which has no close before it; NaN where the earlier close is not positive.
    """
    ends: dict[int, float] = {}
    for day, value in zip(days, close, strict=True):
        on = date.fromordinal(day)
        ends[on.year * 12 + on.month - 1] = value
    firsts, returns = array("i"), array("d")
    for (before, base), (month, end) in pairwise(ends.items()):
        if month == before + 1:
            firsts.append(date(month // 12, month % 12 + 1, 1).toordinal())
            returns.append(100 * (end / base - 1) if base > 0 else NAN)
    return firsts, returns


def difference(
    days: Sequence[int], values: Sequence[float], other_days: Sequence[int], other: Sequence[float]
) -> tuple[array[int], array[float]]:
    """``values`` less ``other`` on the days that both have."""
    theirs = dict(zip(other_days, other, strict=True))
    both = [(day, value - theirs[day]) for day, value in zip(days, values, strict=True) if day in theirs]
    return array("i", (day for day, _ in both)), array("d", (gap for _, gap in both))


def cross_rates(worth: Sequence[float]) -> array[float]:
    """How much of each currency (column) one unit of each (row) buys, row by row; ``worth`` in one common currency."""
    return array("d", (own / other if other > 0 else NAN for own in worth for other in worth))


def cross_changes(moves: Sequence[float]) -> array[float]:
    """Percent by which each (row) moved against each (column), from the ``moves`` of all against one, in percent."""
    return array(
        "d", (100 * ((100 + own) / (100 + other) - 1) if other > -100 else NAN for own in moves for other in moves)
    )


def year_start(days: Sequence[int]) -> int:
    """Index of the first bar within 365 days of the newest."""
    return bisect_left(days, days[-1] - 365) if len(days) else 0


def sessions_to_as_large(returns: Sequence[float]) -> float:
    """How many sessions back the last move as large as the newest was; all of them, when there was none; NaN without a newest."""
    if not len(returns):
        return 0
    size = abs(returns[-1])
    if size != size:
        return NAN
    for back in range(1, len(returns)):
        if abs(returns[-1 - back]) >= size:
            return back
    return len(returns)


def streak(close: Sequence[float]) -> int:
    """Sessions in a row, up to the newest, that closed higher (positive) or lower (negative) than the one before."""
    count = 0
    for i in range(len(close) - 1, 0, -1):
        step = (close[i] > close[i - 1]) - (close[i] < close[i - 1])
        if not step or count * step < 0:
            break
        count += step
    return count


def cross(fast: Sequence[float], slow: Sequence[float], within: int = 5) -> float:
    """When ``fast`` went over (positive) or under (negative) ``slow``: sessions ago, 1 for the newest; NaN if not ``within``."""
    for back in range(1, min(within, len(fast) - 1) + 1):
        now, before = fast[-back] - slow[-back], fast[-back - 1] - slow[-back - 1]
        if now > 0 >= before:
            return back
        if now < 0 <= before:
            return -back
    return NAN


def turn(close: Sequence[float], average: Sequence[float], least: int = 10) -> float:
    """The newest close crossed ``average``: how many sessions it had been on the other side, signed as the crossing.

    NaN when it did not cross, or when the other side had lasted fewer than ``least`` sessions.
    """
    if len(close) < 2 or not isfinite(average[-1]):
        return NAN
    sign = 1 if close[-1] > average[-1] else -1
    count = 0
    for i in range(len(close) - 2, -1, -1):
        if not (average[i] - close[i]) * sign > 0:
            break
        count += 1
    return sign * count if count >= least else NAN

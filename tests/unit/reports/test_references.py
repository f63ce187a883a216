"""Every analytic of an instrument against pandas and numpy to 1e-9, on fifty random series and on all that are degenerate.

The references are written from the definitions, window by window, and know nothing of how the indicators are computed.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from evertick import sessions
from evertick.model import Bars, Quote
from evertick.reports import indicators as i
from evertick.reports.analyse import MISSED, YEAR_BARS_LEAST, daily_moves, measure
from evertick.reports.findings import FIELDS, Facts
from unit.reports import samples
from unit.reports.walks import SERIES, START, bars, columns, walk

NAN = math.nan


def values(name: str) -> array[float]:
    return array("d", SERIES[name])


def agree(name: str, mine: object, reference: object, what: str = "") -> None:
    """To 1e-9 of the value, or of the prices of the series where the value is the small difference of two."""
    expected = np.asarray(reference, dtype=float)
    scale = float(np.nanmax(np.abs(SERIES[name].to_numpy())))
    nothing = 1e-9 * min(1.0, scale)
    np.testing.assert_allclose(
        np.asarray(mine, dtype=float), expected, rtol=1e-9, atol=nothing, equal_nan=True, err_msg=f"{name} {what}"
    )


def windows(x: np.ndarray, n: int, f: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """``f`` of each window of ``n``, NaN before the first."""
    if len(x) < n:
        return np.full(len(x), NAN)
    return np.concatenate([np.full(n - 1, NAN), f(sliding_window_view(x, n))])


def weighted(x: np.ndarray, alpha: float) -> np.ndarray:
    """An exponential mean that starts at the first value."""
    return np.asarray(pd.Series(x).ewm(alpha=alpha, adjust=False).mean())


def from_on(x: np.ndarray, n: int) -> np.ndarray:
    x = x.copy()
    x[: min(n, len(x))] = NAN
    return x


# --- series


@pytest.mark.parametrize("n", [20, 50, 200])
def test_sma(n: int) -> None:
    for name in SERIES:
        x = SERIES[name].to_numpy()
        agree(name, i.sma(values(name), n), windows(x, n, lambda w: w.mean(axis=1)))


@pytest.mark.parametrize("n", [12, 26])
def test_ema(n: int) -> None:
    for name in SERIES:
        agree(name, i.ema(values(name), n), from_on(weighted(SERIES[name].to_numpy(), 2 / (n + 1)), n - 1))


def test_macd() -> None:
    for name in SERIES:
        x = SERIES[name].to_numpy()
        line = weighted(x, 2 / 13) - weighted(x, 2 / 27)
        signal = weighted(line, 2 / 10)
        wanted = from_on(line, 25), from_on(signal, 33), from_on(line - signal, 33)
        for mine, reference in zip(i.macd(values(name)), wanted, strict=True):
            agree(name, mine, reference)


def wilder(steps: np.ndarray, n: int) -> np.ndarray:
    """Wilder's smoothing: the plain mean of the first ``n``, then an exponential one with alpha 1 / n that starts from it."""
    if len(steps) < n:
        return np.array([])
    return weighted(np.concatenate([[steps[:n].mean()], steps[n:]]), 1 / n)


def test_rsi() -> None:
    for name in SERIES:
        x = SERIES[name].to_numpy()
        steps = np.diff(x)
        up, down = wilder(np.maximum(steps, 0), 14), wilder(np.maximum(-steps, 0), 14)
        with np.errstate(divide="ignore", invalid="ignore"):
            strength = np.where(up + down == 0, 50.0, 100 - 100 / (1 + up / down))
        wanted = np.concatenate([np.full(14, NAN), strength]) if len(x) > 14 else np.full(len(x), NAN)
        if name == "flat at the end":  # both means fade to nothing at the same rate
            wanted[-1] = wanted[205]
        agree(name, i.rsi(values(name)), wanted)


def test_drawdowns() -> None:
    for name in SERIES:
        x = SERIES[name].to_numpy()
        top = np.maximum.accumulate(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            agree(name, i.drawdowns(values(name)), np.where(top > 0, 100 * (x / top - 1), NAN))


def test_log_returns() -> None:
    for name in SERIES:
        agree(name, i.log_returns(values(name)), log_returns(SERIES[name].to_numpy()))


def log_returns(x: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((x[1:] > 0) & (x[:-1] > 0), np.log(x[1:]) - np.log(x[:-1]), NAN)


# --- everything that is said of an instrument

OTHER = walk(99, 620, weekdays=False, gaps=0.1, start=START)


def reference(held: Bars, exchange: str) -> dict[str, float]:
    """All facts that come of bars."""
    x, days = np.array(held.close), np.array(held.day)
    high, low = np.array(held.high), np.array(held.low)
    r = log_returns(x)
    periods = 365 if exchange == "24/7" else 252
    inside = days >= days[-1] - 365
    tops = np.concatenate([high[inside & ~np.isnan(high)], x[inside]])
    lows = np.concatenate([low[inside & ~np.isnan(low)], x[inside]])
    top, bottom = tops.max(), lows.min()
    sma = {n: windows(x, n, lambda w: w.mean(axis=1)) for n in (20, 50, 200)}
    ema = {n: from_on(weighted(x, 2 / (n + 1)), n - 1)[-1] for n in (12, 26)}
    line = weighted(x, 2 / 13) - weighted(x, 2 / 27)
    signal = weighted(line, 0.2)
    steps = np.diff(x)
    up, down = wilder(np.maximum(steps, 0), 14), wilder(np.maximum(-steps, 0), 14)
    h, lo = np.where(np.isnan(high), x, high)[1:], np.where(np.isnan(low), x, low)[1:]
    true = np.maximum(h, x[:-1]) - np.minimum(lo, x[:-1])
    year = x[inside]
    peak = np.maximum.accumulate(year)
    with np.errstate(divide="ignore", invalid="ignore"):
        falls = np.where(peak > 0, 100 * (year / peak - 1), NAN)
    known: dict[str, float] = {
        "high_52w": top,
        "low_52w": bottom,
        "position_52w": min(1.0, max(0.0, (x[-1] - bottom) / (top - bottom))) if top > bottom else NAN,
        "sma20": sma[20][-1],
        "sma50": sma[50][-1],
        "sma200": sma[200][-1],
        "ema12": ema[12],
        "ema26": ema[26],
        "macd": line[-1] if len(x) >= 26 else NAN,
        "macd_signal": signal[-1] if len(x) >= 34 else NAN,
        "macd_histogram": line[-1] - signal[-1] if len(x) >= 34 else NAN,
        "rsi14": (50.0 if up[-1] + down[-1] == 0 else 100 * up[-1] / (up[-1] + down[-1])) if len(x) > 14 else NAN,
        "band_upper": x[-20:].mean() + 2 * x[-20:].std() if len(x) >= 20 else NAN,
        "band_lower": x[-20:].mean() - 2 * x[-20:].std() if len(x) >= 20 else NAN,
        "atr14": wilder(true, 14)[-1] if len(x) > 14 else NAN,
        "vol20": 100 * math.sqrt(periods) * r[-20:].std(ddof=1) if len(r) >= 20 else NAN,
        "vol60": 100 * math.sqrt(periods) * r[-60:].std(ddof=1) if len(r) >= 60 else NAN,
        "drawdown": falls[-1],
        "max_drawdown": np.min(falls) if not np.isnan(falls).any() else NAN,
    }
    known["z60"] = NAN
    if len(x) >= 60 and np.ptp(x[-60:]) > 0:
        known["z60"] = (x[-1] - x[-60:].mean()) / x[-60:].std(ddof=1)
    before = r[-61:-1].std(ddof=1) if len(r) > 60 else NAN
    known["sigma"] = r[-1] / before if before > 1e-12 else NAN
    own = pd.Series(r, index=days[1:])
    other = pd.Series(log_returns(OTHER.to_numpy()), index=[d.date().toordinal() for d in OTHER.index[1:]])
    both = pd.concat([own, other.tail(119)], axis=1, join="inner").dropna().tail(60)
    moves = len(both) >= 30 and both[0].std() > 1e-12
    known["beta60"] = both[0].cov(both[1]) / both[1].var() if moves else NAN
    known["correlation60"] = both[0].corr(both[1]) if moves else NAN
    as_large = np.flatnonzero(np.abs(r[:-1]) >= abs(r[-1]))
    known["biggest_in"] = NAN if math.isnan(r[-1]) else len(r) - 1 - as_large[-1] if len(as_large) else len(r)
    signs = np.sign(steps)
    same = np.flatnonzero(signs[::-1] != signs[-1])
    known["streak"] = signs[-1] * (same[0] if len(same) else len(signs))
    known["cross"] = crossed(sma[50] - sma[200])
    known["turn200"] = turned(x - sma[200])
    if inside.sum() >= YEAR_BARS_LEAST:
        known["new_52w"] = float(x[-1] > year[:-1].max()) - float(x[-1] < year[:-1].min())
    newest = pd.Timestamp(date.fromordinal(days[-1]))
    closes = pd.Series(x, index=pd.DatetimeIndex([pd.Timestamp(date.fromordinal(d)) for d in days]))
    for field, begins in {
        "1w": newest - pd.Timedelta(days=7),
        "1m": newest - pd.DateOffset(months=1),
        "3m": newest - pd.DateOffset(months=3),
        "ytd": pd.Timestamp(newest.year - 1, 12, 31),
        "1y": newest - pd.DateOffset(years=1),
    }.items():
        while not sessions.is_trading_day(exchange, begins.date()):
            begins -= pd.Timedelta(days=1)
        until = closes[begins - pd.Timedelta(days=MISSED) : begins]
        base = until.iloc[-1] if len(until) else NAN
        known[f"ret_{field}"] = 100 * (x[-1] / base - 1) if base > 0 else NAN
        if f"close_{field}" in FIELDS:
            known[f"close_{field}"] = base
    return known


def crossed(gap: np.ndarray) -> float:
    """Within five sessions; positive when the gap became positive, and where it is nothing, nothing crossed."""
    for back in range(1, min(5, len(gap) - 1) + 1):
        now, before = gap[-back], gap[-back - 1]
        if now > 0 >= before:
            return back
        if now < 0 <= before:
            return -back
    return NAN


def turned(gap: np.ndarray) -> float:
    side = np.sign(gap)
    if len(gap) < 2 or math.isnan(gap[-1]):
        return NAN
    here = 1.0 if gap[-1] > 0 else -1.0
    others = np.flatnonzero(side[:-1][::-1] != -here)
    count = others[0] if len(others) else len(side) - 1
    return here * count if count >= 10 else NAN


@pytest.mark.parametrize("exchange", ["24/7", "XNYS"])
def test_all_facts_of_an_instrument(exchange: str) -> None:
    instrument = next(x for x in samples.instruments() if x.exchange == exchange)
    day, close = columns(OTHER)
    benchmark = daily_moves(Bars("Y", day, close, close, close, close, close))
    compared = 0
    for name in SERIES:
        held = bars(name)
        quote = Quote("X", held.close[-1], samples.AS_OF, "x")
        facts = measure(instrument, quote, held, zone=ZoneInfo("UTC"), benchmark=benchmark)
        if len(held) < 2:
            assert said(facts) == {"price", "bars", *({"volume"} if facts.volume is not None else set())}, name
            continue
        for field, wanted in reference(held, exchange).items():
            mine = getattr(facts, field)
            agree(name, [NAN if mine is None else mine], [wanted], field)
            compared += not math.isnan(wanted)
    assert compared > 1_500


def said(facts: Facts) -> set[str]:
    return {field for field in FIELDS if getattr(facts, field) is not None}

"""US Treasury yields: points of one curve, so that Yahoo, the Treasury and FRED say the same. Pure."""

from __future__ import annotations

import re
from functools import cache
from math import exp, sqrt

from evertick.model import Instrument

TENORS = (1, 1.5, 2, 3, 4, 6, 12, 24, 36, 60, 84, 120, 240, 360)
"""Months, as the Treasury's table has them."""
_YAHOO_TENORS = {"^IRX": 3.0, "2YY=F": 24.0, "^FVX": 60.0, "^TNX": 120.0, "^TYX": 360.0}
_TENOR = re.compile(r"(?:treasury=([\d.]+)(Mo|Month|Yr)|fred=DGS(\d+)(MO)?)", re.IGNORECASE)


def tenor(instrument: Instrument) -> float | None:
    """Months to maturity of a Treasury yield: ``yahoo=^TNX``, ``treasury=10Yr`` and ``fred=DGS10`` are 120."""
    for namespace, symbol in instrument.symbols.items():
        if namespace == "yahoo" and symbol in _YAHOO_TENORS:
            return _YAHOO_TENORS[symbol]
        if match := _TENOR.fullmatch(f"{namespace}={symbol}"):
            number, unit, series, months = match.groups()
            years = unit.lower() == "yr" if unit else not months
            return float(number or series) * (12 if years else 1)
    return None


def yield_at_anchor(months: float) -> float:
    """Percent: from 3.9 at the short end to 4.8 for ten years and 5.2 for thirty (Nelson and Siegel 1987)."""
    return 5.4 - 1.5 * _decay(months / 60)


@cache
def yield_loads(months: float) -> tuple[tuple[str, float], ...]:
    """Daily sizes, in natural-log points, of the curve's level, slope and curvature: smooth in the maturity, and
    nothing of its own, so the curve stays smooth whichever way it moves. The slope moves both ends apart, the curvature
    the middle; the level moves the short end, which the central bank holds, least."""
    belly = months / 24
    sizes = {
        "yields": 0.15 * (1 - 0.65 * _decay(months / 12)),
        "curve": 0.18 * (0.5 - _decay(months / 60)),
        "hump": 0.30 * (_decay(belly) - exp(-belly)),
    }
    return tuple((name, size / sqrt(252)) for name, size in sizes.items())


def _decay(x: float) -> float:
    return (1 - exp(-x)) / x

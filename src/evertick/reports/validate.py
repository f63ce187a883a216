"""Decides whether findings may become a report. Pure; either it passes, or it raises `ReportRejected` with every reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from math import isinf

from evertick.errors import ReportRejected
from evertick.model import Group
from evertick.reports.findings import FIELDS, Facts, Findings

AHEAD = timedelta(minutes=10)
"""Clocks of providers may differ from ours by this much."""
REASONS = 12
"""No more are told: whoever reads them needs the kind of trouble, not each case."""

_MAY_BE_NEGATIVE = frozenset({Group.RATES, Group.COMMODITIES})
"""Yields go below zero, and so did oil in April 2020."""
_WITHIN = {
    "rsi14": (0.0, 100.0),
    "position_52w": (0.0, 1.0),
    "correlation60": (-1.0, 1.0),
    "vol20": (0.0, float("inf")),
    "vol60": (0.0, float("inf")),
    "atr14": (0.0, float("inf")),
    "market_cap": (0.0, float("inf")),
    "volume": (0.0, float("inf")),
}


def validate(findings: Findings) -> None:
    found = _reasons(findings)
    reasons = list(islice(found, REASONS))
    if more := sum(1 for _ in found):
        reasons.append(f"and {more} more")
    if reasons:
        raise ReportRejected(reasons)


def _reasons(findings: Findings) -> Iterator[str]:
    if not findings.quoted:
        yield "no instrument has a quote; see the sources on the dashboard, then try `evertick poll`"
        return
    if not any(f.fresh for f in findings.facts if f.price is not None):
        newest = max((f.as_of for f in findings.facts if f.price is not None and f.as_of is not None), default=None)
        yield (
            f"every quote is stale, the newest is of {newest:%Y-%m-%d %H:%M} UTC" if newest else "every quote is stale"
        )
    for f in findings.facts:
        if f.price is not None:
            yield from _impossible(f, findings)


def _impossible(f: Facts, findings: Findings) -> Iterator[str]:
    for name, value in zip(FIELDS, f.values, strict=True):
        if isinf(value):
            yield f"{f.id}: {name} is not finite"
    price = f.price or 0.0
    if price <= 0 and f.group not in _MAY_BE_NEGATIVE:
        yield f"{f.id}: price {price:g} is impossible"
    if f.as_of is not None and f.as_of > findings.made + AHEAD:
        yield f"{f.id}: its quote is from the future ({f.as_of:%Y-%m-%d %H:%M} UTC)"
    if f.change is not None and f.change < -100 and f.group not in _MAY_BE_NEGATIVE:
        yield f"{f.id}: a fall of {-f.change:.1f} % is impossible"
    for name, (low, high) in _WITHIN.items():
        value = getattr(f, name)
        if value is not None and not low <= value <= high:
            yield f"{f.id}: {name} {value:g} is outside {low:g} to {high:g}"
    if f.low_52w is not None and f.high_52w is not None and f.low_52w > f.high_52w:
        yield f"{f.id}: the 52-week low is above the high"

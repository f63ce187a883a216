"""The bars of one card as JSON for the page script: whole numbers, as differences, so that a year is about 4 KB."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from evertick.reports.render.figures.lines import deltas, safe_json

DIGITS = 6
"""Significant digits a chart keeps; a screen shows fewer."""


def chart(data: Mapping[str, Any]) -> str:
    """``{"day", "open", "high", "low", "close", "decimals"}`` (see `blocks.Card`) packed:

    ``d`` days since 1970 as differences, ``c`` closes times 10**``p`` as differences, ``o`` opens less the close before
    (the first: less its own close), ``h`` highs less the larger of open and close, ``l`` the smaller of them less lows.
    An unknown open, high or low is written as if it were the close. Bars without a close are left out.
    """
    closes: Sequence[float] = data["close"]
    known = [i for i, c in enumerate(closes) if c is not None and math.isfinite(c)]
    if not known:
        return "{}"
    largest = max(abs(closes[i]) for i in known)
    places = min(int(data["decimals"]), max(0, DIGITS - 1 - math.floor(math.log10(largest)))) if largest else 0
    scale = 10**places
    c, o, h, low = [], [], [], []
    before = 0
    for i in known:
        close = round(closes[i] * scale)
        opened = _whole(data["open"][i], scale, close)
        top, bottom = max(opened, close), min(opened, close)
        c.append(close)
        o.append(opened - (before if c[:-1] else close))
        h.append(max(_whole(data["high"][i], scale, top), top) - top)
        low.append(bottom - min(_whole(data["low"][i], scale, bottom), bottom))
        before = close
    days = deltas([int(data["day"][i]) for i in known])
    return safe_json({"p": places, "f": int(data["decimals"]), "d": days, "c": deltas(c), "o": o, "h": h, "l": low})


def _whole(value: float | None, scale: int, instead: int) -> int:
    return instead if value is None or not math.isfinite(value) else round(value * scale)

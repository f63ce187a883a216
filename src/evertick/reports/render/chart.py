"""The bars of one card as JSON for the page script: numbers as differences in few characters, so that a year is about 3 KB."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evertick.reports.render.figures.lines import safe_json

DIGITS = 6
"""Significant digits a chart keeps; a screen shows fewer."""
ALPHABET = "".join(c for c in map(chr, range(0x20, 0x7F)) if c not in '"\\<>&')
"""What stands in JSON within HTML as it is: 90 characters."""
LAST = 45
"""So many of them end a number, the others go before."""


def chart(data: Mapping[str, Any]) -> str:
    """``{"day", "open", "high", "low", "close", "decimals"}`` (see `blocks.Card`) packed:

    ``d`` days since 1970 as differences, ``c`` closes times 10**``p`` as differences, ``o`` opens less the close before
    (the first: less its own close), ``h`` highs less the larger of open and close, ``l`` the smaller of them less lows;
    each a text as `written` makes it, of `signed` numbers in ``d``, ``c`` and ``o``.
    An unknown open, high or low is written as if it were the close. Bars without a close are left out.
    """
    closes: Sequence[float] = data["close"]
    known = [i for i, c in enumerate(closes) if c is not None and math.isfinite(c)]
    if not known:
        return "{}"
    largest = max(abs(closes[i]) for i in known)
    places = min(int(data["decimals"]), max(0, DIGITS - 1 - math.floor(math.log10(largest)))) if largest else 0
    scale = 10**places
    c: list[int] = []
    o: list[int] = []
    h: list[int] = []
    low: list[int] = []
    before = 0
    for i in known:
        close = round(closes[i] * scale)
        opened = _whole(data["open"][i], scale, close)
        top, bottom = max(opened, close), min(opened, close)
        c.append(close - before)
        o.append(opened - (before if o else close))
        h.append(max(_whole(data["high"][i], scale, top), top) - top)
        low.append(bottom - min(_whole(data["low"][i], scale, bottom), bottom))
        before = close
    days = [int(data["day"][i]) for i in known]
    days = [day - last for last, day in zip([0, *days], days, strict=False)]
    packed = {
        "d": written(signed(days)),
        "c": written(signed(c)),
        "o": written(signed(o)),
        "h": written(h),
        "l": written(low),
    }
    return safe_json({"p": places, "f": int(data["decimals"]), **packed})


def signed(numbers: Iterable[int]) -> Iterable[int]:
    """0, −1, 1, −2, 2 … as 0, 1, 2, 3, 4 …: small ones of either sign stay small."""
    return (2 * n if n >= 0 else -2 * n - 1 for n in numbers)


def written(numbers: Iterable[int]) -> str:
    """Numbers from 0 on, one after the other: each in base 45, its last digit in the first half of `ALPHABET`, those before
    in the second, so that none needs a separator."""
    out: list[str] = []
    for n in numbers:
        if n < 0:
            raise ValueError(f"{n} is below 0; `signed` makes room for it")
        n, digit = divmod(n, LAST)
        digits = ALPHABET[digit]
        while n:
            n, digit = divmod(n - 1, LAST)
            digits = ALPHABET[LAST + digit] + digits
        out.append(digits)
    return "".join(out)


def _whole(value: float | None, scale: int, instead: int) -> int:
    return instead if value is None or not math.isfinite(value) else round(value * scale)

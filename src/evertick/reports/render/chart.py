"""The bars of one card as JSON for the page script: numbers as differences in few characters, so that a year is about 3 KB."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import sub
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
    each a text as `written` makes it, or as `signed` makes it in ``d``, ``c`` and ``o``.
    An unknown open, high or low is written as if it were the close. Bars without a close are left out.
    """
    columns = [data[name] for name in ("close", "open", "high", "low")]
    days: Sequence[int] = data["day"]
    if not _all_known(columns[0]):
        known = [i for i, c in enumerate(columns[0]) if c is not None and math.isfinite(c)]
        columns = [[column[i] for i in known] for column in columns]
        days = [days[i] for i in known]
    closes = columns[0]
    if not len(closes):
        return "{}"
    largest = max(max(closes), -min(closes))
    places = min(int(data["decimals"]), max(0, DIGITS - 1 - math.floor(math.log10(largest)))) if largest else 0
    scale = 10**places
    # Comprehensions here: max and min of two are slow to call, and so is round by way of map.
    close = [round(v * scale) for v in closes]
    opened = _whole(columns[1], scale, close)
    top = [o if o > c else c for o, c in zip(opened, close, strict=True)]
    bottom = [o if o < c else c for o, c in zip(opened, close, strict=True)]
    high = [h if h > t else t for h, t in zip(_whole(columns[2], scale, top), top, strict=True)]
    low = [v if v < b else b for v, b in zip(_whole(columns[3], scale, bottom), bottom, strict=True)]
    packed = {
        "d": signed(map(sub, days, [0, *days])),
        "c": signed(map(sub, close, [0, *close])),
        "o": signed(map(sub, opened, [close[0], *close])),
        "h": written(map(sub, high, top)),
        "l": written(map(sub, bottom, low)),
    }
    return safe_json({"p": places, "f": int(data["decimals"]), **packed})


def _all_known(column: Sequence[float | None]) -> bool:
    """Whether there is a number in every place. ``False`` also where their sum is not one: then each is looked at."""
    try:
        return math.isfinite(sum(column))  # type: ignore[arg-type]
    except TypeError:  # None
        return False


def written(numbers: Iterable[int]) -> str:
    """Numbers from 0 on, one after the other: each in base 45, its last digit in the first half of `ALPHABET`, those before
    in the second, so that none needs a separator."""
    return "".join(map(_WRITTEN.__getitem__, numbers))


def signed(numbers: Iterable[int]) -> str:
    """As `written`, of 0, −1, 1, −2, 2 … as 0, 1, 2, 3, 4 …: small ones of either sign stay small."""
    return "".join(map(_SIGNED.__getitem__, numbers))


SHORT = ALPHABET[:LAST]
READY = 512
"""Numbers, to either side of 0, whose text is made once: nine of ten in a chart."""


def _long(n: int) -> str:
    if n < 0:
        raise ValueError(f"{n} is below 0; `signed` makes room for it")
    n, digit = divmod(n, LAST)
    digits = SHORT[digit]
    while n:
        n, digit = divmod(n - 1, LAST)
        digits = ALPHABET[LAST + digit] + digits
    return digits


_BEFORE = [_long(n * LAST)[:-1] for n in range(READY)]
"""What stands before the last digit: most of the other numbers in a chart are two such pieces."""


def _joined(n: int) -> str:
    before = n // LAST
    return _BEFORE[before] + SHORT[n % LAST] if 0 <= before < READY else _long(n)


class _Written(dict[int, str]):
    """The texts of small numbers; those of others are made when they are asked for and not kept."""

    def __missing__(self, n: int) -> str:
        return _joined(n)


class _Signed(dict[int, str]):
    def __missing__(self, n: int) -> str:
        return _joined(2 * n if n >= 0 else -2 * n - 1)


_WRITTEN = _Written((n, _long(n)) for n in range(READY))
_SIGNED = _Signed((n, _WRITTEN[2 * n if n >= 0 else -2 * n - 1]) for n in range(-READY, READY))


def _whole(column: Sequence[float | None], scale: int, instead: Sequence[int]) -> list[int]:
    """``column`` times ``scale``, rounded; ``instead`` where it is not known."""
    try:
        return [round(v * scale) for v in column]  # type: ignore[operator]
    except (TypeError, ValueError, OverflowError):  # None, NaN, infinity
        pairs = zip(column, instead, strict=True)
        return [round(v * scale) if v is not None and math.isfinite(v) else other for v, other in pairs]

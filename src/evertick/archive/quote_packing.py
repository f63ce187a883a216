"""Quotes as small blobs: those of one refresh (a row of the log), and those of one instrument and day.

::

    one refresh         "R1"  count:u16  bytes of ids:u32 | deflated: ids, one a line; times; prices
    instrument and day  "Q1"  count:u16 | deflated: times, each but the first less the one before; prices

Times are Unix seconds (u32). Prices are a type byte and a column: ``0`` to ``8`` when all of them are decimal numbers of
so many places, which then are whole numbers, each less the one before; else ``f`` or ``d`` as in `packing`. Whichever
it is, a price comes back to the last bit. Columns are stored by significance of their bytes, little-endian.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

from isal import isal_zlib

from evertick.archive.packing import Unreadable, narrowed, shuffled, unshuffled

Series = tuple[array, array]
"""Times (``q``, Unix seconds, rising) and prices (``d``) of one instrument."""

LAST_SECOND = 2**32 - 1
_RUN = struct.Struct("<2sHI")
_DAY = struct.Struct("<2sH")
_PLACES = 9
_LARGEST = 2**52


def empty() -> Series:
    return array("q"), array("d")


def pack_run(ids: Sequence[str], times: Sequence[int], prices: Sequence[float]) -> bytes:
    """The new quotes of one refresh; the three have one length, at most 65,535. No id has a line break in it."""
    names = "\n".join(ids).encode()
    body = names + shuffled(array("I", times)) + _plain(array("d", prices))
    return _RUN.pack(b"R1", len(ids), len(names)) + _deflated(body)


def unpack_run(blob: bytes) -> tuple[list[str], array, array]:
    """Ids, times and prices of one refresh. Raises `Unreadable`."""
    count, length = _head(_RUN, blob, b"R1")
    body = _inflated(blob, _RUN.size)
    try:
        ids = str(body[:length], "utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise Unreadable("ids that are no text") from error
    if len(ids) != count:
        raise Unreadable(f"{len(ids)} ids for {count} quotes")
    times, at = unshuffled("I", body, length, count)
    return ids, array("q", times), _prices(body, at, count)


def pack_day(times: Sequence[int], prices: array) -> bytes:
    """The quotes of one instrument on one day, by rising time; at least one, at most 65,535."""
    steps = array("I", [times[0], *(b - a for a, b in pairwise(times))])
    return _DAY.pack(b"Q1", len(times)) + _deflated(shuffled(steps) + (_decimal(prices) or _plain(prices)))


def unpack_day(blob: bytes) -> Series:
    """Raises `Unreadable`."""
    (count,) = _head(_DAY, blob, b"Q1")
    body = _inflated(blob, _DAY.size)
    steps, at = unshuffled("I", body, 0, count)
    return array("q", accumulate(steps)), _prices(body, at, count)


def merged(old: Series, new: Series) -> Series:
    """Both, by time; where both have a second, the new price counts. ``new`` may be in any order."""
    times, prices = new
    rising = all(a < b for a, b in pairwise(times))
    if rising and (not old[0] or not times or times[0] > old[0][-1]):
        return old[0] + times, old[1] + prices
    by_time = dict(zip(old[0], old[1], strict=True)) | dict(zip(times, prices, strict=True))
    order = sorted(by_time)
    return array("q", order), array("d", [by_time[second] for second in order])


def between(series: Series, first: int, last: int) -> Series:
    """What of ``series`` lies from ``first`` to ``last``, both included."""
    times, prices = series
    part = slice(bisect_left(times, first), bisect_right(times, last))
    return times[part], prices[part]


# --- columns of prices -----------------------------------------------------------------------------------------------


def _decimal(prices: array) -> bytes | None:
    """As differences of whole numbers, where few places are enough to write every price."""
    for places in range(_PLACES):
        scale = 10**places
        if not all(abs(price) * scale <= _LARGEST for price in prices):  # NaN neither
            return None
        whole = [round(price * scale) for price in prices]
        if all(number / scale == price for number, price in zip(whole, prices, strict=True)):
            break
    else:
        return None
    if 0 in whole and any(price == 0 and str(price) == "-0.0" for price in prices):
        return None
    steps = [whole[0], *(b - a for a, b in pairwise(whole))]
    folded = [step << 1 if step >= 0 else (-step << 1) - 1 for step in steps]  # small whatever the sign
    return str(places).encode() + struct.pack("<Q", folded[0]) + _unsigned(folded[1:])


def _unsigned(folded: list[int]) -> bytes:
    code = "I" if max(folded, default=0) <= 0xFFFFFFFF else "Q"
    return code.encode() + shuffled(array(code, folded))


def _plain(prices: array) -> bytes:
    narrow = narrowed(prices)
    return narrow.typecode.encode() + shuffled(narrow)


def _prices(body: memoryview, at: int, count: int) -> array:
    code = chr(body[at]) if at < len(body) else "?"
    if code in "fd":
        column, end = unshuffled(code, body, at + 1, count)
        prices = array("d", column)
    elif code.isdecimal() and at + 10 <= len(body) and chr(body[at + 9]) in "IQ" and count:
        (start,) = struct.unpack_from("<Q", body, at + 1)
        column, end = unshuffled(chr(body[at + 9]), body, at + 10, count - 1)
        scale = 10 ** int(code)
        steps = [(n >> 1) if not n & 1 else -((n + 1) >> 1) for n in (start, *column)]
        prices = array("d", [number / scale for number in accumulate(steps)])
    else:
        raise Unreadable(f"column type {code!r}")
    if end != len(body):
        raise Unreadable("bytes left over")
    return prices


# --- bytes -----------------------------------------------------------------------------------------------------------


def _head(shape: struct.Struct, blob: bytes, magic: bytes) -> tuple[int, ...]:
    """The numbers behind ``magic``."""
    if len(blob) < shape.size:
        raise Unreadable("too short")
    found, *numbers = shape.unpack_from(blob)
    if found != magic:
        raise Unreadable(f"format {found!r}")
    return tuple(numbers)


def _deflated(body: bytes) -> bytes:
    packed: bytes = isal_zlib.compress(body, 3)
    return packed


def _inflated(blob: bytes, start: int) -> memoryview:
    try:
        return memoryview(isal_zlib.decompress(memoryview(blob)[start:]))
    except isal_zlib.IsalError as error:  # type: ignore[misc]
        raise Unreadable(str(error)) from error

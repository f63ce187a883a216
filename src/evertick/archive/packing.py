"""A year of daily bars of one instrument as one small blob, exact to the last bit.

::

    "B1"  count:u16  last day:i32  first day:i32 | deflated: days as u16 offsets from the first, then five columns

A column is a type byte and its values: ``f`` when all of them survive the way through 32 bits (many providers send
such), else ``d``. The bytes of a column are stored by significance, all first bytes, all second bytes, and so on:
neighbouring prices share their sign, exponent and first digits, and those runs deflate to little. Little-endian.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable
from datetime import date

from isal import isal_zlib

from evertick.model import Bars

_HEAD = struct.Struct("<2sHii")
_MAGIC = b"B1"
HEAD_BYTES = _HEAD.size


class Unreadable(ValueError):
    """The blob is damaged, or a newer version wrote it."""


def pack(bars: Bars) -> bytes:
    """``bars`` holds at most one calendar year, sorted, at least one bar."""
    first, last = bars.day[0], bars.day[-1]
    offsets = array("H", [day - first for day in bars.day])
    pieces = [shuffled(offsets)]
    for column in (bars.open, bars.high, bars.low, bars.close, bars.volume):
        narrow = narrowed(column)
        pieces += [narrow.typecode.encode(), shuffled(narrow)]
    body = isal_zlib.compress(b"".join(pieces), 3)
    return _HEAD.pack(_MAGIC, len(bars), last, first) + body


def last_day(head: bytes) -> date:
    """The newest day of a blob, from its first `HEAD_BYTES` bytes. Raises `Unreadable`."""
    return date.fromordinal(_head(head)[1])


def unpack(instrument: str, blob: bytes) -> Bars:
    """Raises `Unreadable`."""
    count, _, first = _head(blob)
    try:
        body = memoryview(isal_zlib.decompress(memoryview(blob)[HEAD_BYTES:]))
    except isal_zlib.IsalError as error:  # type: ignore[misc]
        raise Unreadable(str(error)) from error
    offsets, at = unshuffled("H", body, 0, count)
    columns = []
    for _ in range(5):
        code = chr(body[at]) if at < len(body) else "?"
        if code not in "fd":
            raise Unreadable(f"column type {code!r}")
        column, at = unshuffled(code, body, at + 1, count)
        columns.append(column if code == "d" else array("d", column))
    if at != len(body):
        raise Unreadable("bytes left over")
    return Bars(instrument, array("i", [first + offset for offset in offsets]), *columns)


def by_year(bars: Bars) -> Iterable[tuple[int, Bars]]:
    """The bars of each calendar year. Days are sorted; of a day that comes twice the later bar counts."""
    days = bars.day
    if any(days[i] >= days[i + 1] for i in range(len(days) - 1)):
        bars = _ordered(bars)
        days = bars.day
    start = 0
    while start < len(days):
        year = date.fromordinal(days[start]).year
        end_of_year = date(year, 12, 31).toordinal()
        end = start
        while end < len(days) and days[end] <= end_of_year:
            end += 1
        yield year, cut(bars, start, end)
        start = end


def merged(old: Bars, new: Bars) -> Bars:
    """Both, by day; where both have a day, the new bar counts."""
    if not len(old) or (len(new) and new.day[0] > old.day[-1]):
        return _joined(old, new)
    return _ordered(_joined(old, new))


def cut(bars: Bars, start: int, end: int) -> Bars:
    if start == 0 and end == len(bars):
        return bars
    part = slice(start, end)
    return Bars(
        bars.instrument,
        bars.day[part],
        bars.open[part],
        bars.high[part],
        bars.low[part],
        bars.close[part],
        bars.volume[part],
    )


def _joined(first: Bars, second: Bars) -> Bars:
    return Bars(
        second.instrument,
        first.day + second.day,
        first.open + second.open,
        first.high + second.high,
        first.low + second.low,
        first.close + second.close,
        first.volume + second.volume,
    )


def _ordered(bars: Bars) -> Bars:
    place = {day: index for index, day in enumerate(bars.day)}  # the later of two indices stays
    order = [place[day] for day in sorted(place)]

    def pick(column: array[float]) -> array[float]:
        return array("d", [column[i] for i in order])

    return Bars(
        bars.instrument,
        array("i", [bars.day[i] for i in order]),
        pick(bars.open),
        pick(bars.high),
        pick(bars.low),
        pick(bars.close),
        pick(bars.volume),
    )


def _head(blob: bytes) -> tuple[int, int, int]:
    if len(blob) < HEAD_BYTES:
        raise Unreadable("too short")
    magic, count, last, first = _HEAD.unpack_from(blob)
    if magic != _MAGIC:
        raise Unreadable(f"format {magic!r}")
    return count, last, first


def narrowed(column: array[float]) -> array[float]:
    try:
        narrow = array("f", column)
    except OverflowError:
        return column
    for i, value in enumerate(column):
        if narrow[i] != value and value == value:  # NaN stays NaN
            return column
    return narrow


def shuffled(column: array) -> bytes:
    if sys.byteorder == "big":
        column = array(column.typecode, column)
        column.byteswap()
    plain, width = column.tobytes(), column.itemsize
    return b"".join(plain[i::width] for i in range(width))


def unshuffled(code: str, body: memoryview, at: int, count: int) -> tuple[array, int]:
    column = array(code)
    width = column.itemsize
    if at + width * count > len(body):
        raise Unreadable("too short")
    plain = bytearray(width * count)
    for i in range(width):
        plain[i::width] = body[at + i * count : at + (i + 1) * count]
    column.frombytes(plain)
    if sys.byteorder == "big":
        column.byteswap()
    return column, at + width * count

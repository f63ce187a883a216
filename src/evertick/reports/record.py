"""The facts of a report, saved with it: JSON lines from which it is compared with others and rendered again.

::

    {"format": 1, "report": "…", "title": {…}, "fields": ["price", …], …}   # the heading
    {"fact": {…}}                                                           # one for each instrument
    {"finding": "breadth", "value": {…}}                                    # every other field of the findings
    {"bars": "BTC", "count": 261, "columns": "…"}                           # in the order of the cards

Written and read line by line; a line is at most about 100 KB. Numbers come back exactly, NaN as ``null`` among
columns. Bars are base64 of their columns, packed without loss; the bytes of each stand by significance, which makes runs for the gzip
around it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from itertools import accumulate, repeat
from operator import sub, truediv
from types import NoneType, UnionType
from typing import Any, Generic, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from isal import isal_zlib

from evertick.errors import ReportError
from evertick.model import Bars, Instrument
from evertick.reports.blocks import Text
from evertick.reports.collect import BarReader
from evertick.reports.findings import FIELDS, MANY, NAN, Facts, Findings
from evertick.reports.roll import Roll
from evertick.reports.shelf import Shelf

PART = "facts"
FORMAT = 1
BARS = 261
"""The newest bars that a section is given: what cards show, and the one before for its change."""
TURN = 8
"""Instruments between two turns of the event loop: about 1 ms."""
PIECE = 64 << 10
DECIMALS = 6
"""Prices with more decimals are kept as floats."""
SAMPLED = 29
"""Every so many values of a column are tried before all of them."""
LINE = 16 << 20
"""No line is as long: what is longer is damaged."""

T = TypeVar("T")


class Writer(Protocol):
    async def write(self, content: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Heading:
    """What a renderer needs beside the findings."""

    report: str
    title: Text
    languages: tuple[str, ...]
    timezone: str


# --- writing ---------------------------------------------------------------------------------------------------------


class Recorder:
    """Writes down what a report is made from while it is made. One for one report."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def begin(self, heading: Heading, findings: Findings) -> None:
        await self._line({"format": FORMAT, "fields": FIELDS, **plain(heading)})
        for count, fact in enumerate(findings.facts, 1):
            await self._line({"fact": plain(fact)})
            if count % TURN == 0:
                await asyncio.sleep(0)
        for name in _findings():
            await self._line({"finding": name, "value": plain(getattr(findings, name))})
            await asyncio.sleep(0)

    def reader(self, bars: BarReader) -> BarReader:
        """``bars`` for the cards, cut to `BARS`, each written down as it is given."""

        async def read(instrument: Instrument) -> Bars:
            given = (await bars(instrument)).last(BARS)
            name = _json({"bars": given.instrument, "count": len(given)})[:-1]
            columns = b64encode(pack(given))  # in JSON as it is
            await self._writer.write(b'%s,"columns":"%s"}\n' % (name.encode(), columns))
            return given

        return read

    async def _line(self, value: Mapping[str, Any]) -> None:
        await self._writer.write(f"{_json(value)}\n".encode())


_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def pack(bars: Bars) -> bytes:
    """The days and five columns, each as `_column` makes it."""
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    return _integers(0, bars.day.tolist()) + b"".join(map(_column, columns))


def _column(column: array[float]) -> bytes:
    """A column without loss: as integers where its values have a few decimals, else as 32-bit or 64-bit floats.

    A digit (the decimals) and ``i`` or ``q``, or ``f`` or ``d``; then the bytes of the column by significance.
    """
    for decimals in range(DECIMALS + 1):
        scale = 10**decimals
        if all(v - v == 0 and round(v * scale) / scale == v for v in column[::SAMPLED]):
            with suppress(ValueError, OverflowError):  # NaN or infinity
                if not decimals:  # volumes
                    whole = list(map(int, column))
                    same = array("d", whole)
                else:
                    whole = [round(v * scale) for v in column]
                    same = array("d", map(truediv, whole, repeat(scale)))
                if same.tobytes() == column.tobytes():
                    return _integers(decimals, whole)
            break
    with suppress(OverflowError):
        narrow = array("f", column)  # as many providers send them
        if array("d", narrow).tobytes() == column.tobytes():
            return b"f" + _shuffled(narrow)
    return b"d" + _shuffled(column)


def _integers(decimals: int, whole: list[int]) -> bytes:
    """The first of them and then the steps, which are small. Raises `OverflowError` beyond 64 bits."""
    steps = list(map(sub, whole, (0, *whole)))
    try:
        column: array[int] = array("i", steps)
    except OverflowError:
        column = array("q", steps)
    return f"{decimals}{column.typecode}".encode() + _shuffled(column)


def _shuffled(column: array[Any]) -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    plain_bytes, width = column.tobytes(), column.itemsize
    return b"".join(plain_bytes[i::width] for i in range(width))


# --- reading ---------------------------------------------------------------------------------------------------------


async def lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """The lines of a gzip stream of facts. Raises `ReportError` for what is none."""
    inflate = isal_zlib.decompressobj(31)
    rest = b""
    async with aclosing(pieces):  # type: ignore[type-var]
        async for piece in pieces:
            while piece:
                rest += inflate.decompress(piece, PIECE)
                piece = inflate.unconsumed_tail
                *whole, rest = rest.split(b"\n")
                for line in whole:
                    yield _object(line)
                if len(rest) > LINE:
                    raise ReportError("the saved facts are damaged: a line does not end")
    for line in (rest + inflate.flush()).splitlines():
        yield _object(line)


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise ReportError(f"the saved facts are damaged: {error}") from error
    if not isinstance(value, dict):
        raise ReportError("the saved facts are damaged: a line is no object")
    return value


def facts_of(line: Mapping[str, Any], names: list[str]) -> Facts:
    """The facts in a line; ``names`` are the fields of the heading, which an older version may have had fewer of."""
    found: Facts = _value(Facts, line["fact"])
    if names == list(FIELDS):
        return found
    known = dict(zip(names, found.values, strict=True))
    values = array("d", (known.get(name, NAN) for name in FIELDS))
    return Facts(found.instrument, found.as_of, found.source, found.fresh, found.session, found.spark, values)


def fields_of(line: Mapping[str, Any]) -> list[str]:
    """The names of the numbers in the lines of facts, from the heading. Raises `ReportError` for another format."""
    if line.get("format") != FORMAT:
        raise ReportError(f"the saved facts have format {line.get('format')}, this version reads {FORMAT}")
    return list(line["fields"])


def finding_of(line: Mapping[str, Any]) -> Any:
    """The value in a line of one of the findings."""
    return _value(_hints(Findings)[line["finding"]], line["value"])


async def heading_and_findings(
    pieces: AsyncIterator[bytes], rows: Roll | None = None, shelf: Shelf | None = None
) -> tuple[Heading, Findings]:
    """What the bars come after. Raises `ReportError` where a version wrote it that had other findings.

    The facts are put on the ``shelf``, their instruments into its ``rows``: then those of any number are read in the memory of
    a thousand. Both must stay open as long as the findings are used.
    """
    heading: Heading | None = None
    names: list[str] = []
    facts: list[Facts] = []
    count = 0
    found: dict[str, Any] = {}
    hints = _hints(Findings)
    async with aclosing(lines(pieces)) as read:  # type: ignore[type-var]
        async for line in read:
            if heading is None:
                names = fields_of(line)
                heading = _value(Heading, line)
            elif "fact" in line:
                fact = facts_of(line, names)
                if rows is None or shelf is None:
                    facts.append(fact)
                else:
                    rows.put(fact.instrument)
                    shelf.put(fact)
                count += 1
                if count % TURN == 0:
                    await asyncio.sleep(0)
            elif "finding" in line:
                if line["finding"] in hints:
                    found[line["finding"]] = finding_of(line)
            else:
                break
    if heading is None:
        raise ReportError("the saved facts are damaged: there are none")
    try:
        if shelf is not None and count > MANY:  # it looks at all of them
            return heading, await asyncio.to_thread(Findings, facts=shelf, **found)
        return heading, Findings(facts=tuple(facts) if shelf is None else shelf, **found)
    except TypeError as error:
        raise ReportError(f"the saved facts are of another version of Evertick: {error}") from error


class Replay:
    """A `BarReader` that gives the cards what they were given when the report was made, in the same order."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._lines = lines(pieces)

    async def __aenter__(self) -> Replay:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._lines.aclose()  # type: ignore[attr-defined]

    async def __call__(self, instrument: Instrument) -> Bars:
        async for line in self._lines:
            if "bars" in line:
                given = _bars(line)
                if given.instrument == instrument.id:
                    return given
                break
        raise ReportError(f"the saved facts have no bars of {instrument.id} in this place")


def _bars(line: Mapping[str, Any]) -> Bars:
    try:
        body, count = memoryview(b64decode(line["columns"])), line["count"]
        day, at = _read(body, 0, count)
        columns = []
        for _ in range(5):
            values, at = _read(body, at, count)
            columns.append(array("d", values))
        return Bars(line["bars"], array("i", map(int, day)), *columns)
    except (ValueError, IndexError, TypeError) as error:
        raise ReportError(f"the saved bars of {line['bars']} are damaged: {error}") from error


def _read(body: memoryview, at: int, count: int) -> tuple[Iterable[float], int]:
    """One column of `pack`, and where the next one begins."""
    code = chr(body[at])
    if not code.isdigit():
        return _unshuffled(code, body, at + 1, count)
    steps, end = _unshuffled(chr(body[at + 1]), body, at + 2, count)
    scale = 10 ** int(code)
    return (n / scale for n in accumulate(steps)), end


def _unshuffled(code: str, body: memoryview, at: int, count: int) -> tuple[array[Any], int]:
    column: array[Any] = array(code)
    width = column.itemsize
    ordered = bytearray(width * count)
    for i in range(width):
        ordered[i::width] = body[at + i * count : at + (i + 1) * count]
    column.frombytes(ordered)
    if sys.byteorder == "big":
        column.byteswap()
    return column, at + width * count


# --- values as JSON, by their types ------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A dataclass, or what one is made of, as JSON. Raises `TypeError` for anything else."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, array):
        return {"type": value.typecode, "values": [*_numbers(value)]}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value) if f.init}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be saved with the facts of a report")


def _numbers(column: array[Any]) -> Iterator[Any]:
    short = column.typecode == "f"
    for value in column:
        if value != value:
            yield None
        elif value - value != 0:
            yield str(value)
        else:
            yield float(f"{value:.9g}") if short else value  # nine digits tell one 32-bit float from the next


def _value(hint: Any, value: Any) -> Any:
    """What `plain` was given, from its type."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        if value is None:
            return None
        (hint,) = (argument for argument in get_args(hint) if argument is not NoneType)
        return _value(hint, value)
    if hint is Any:
        return value
    if origin is _Column:
        return array(
            value["type"], (NAN if v is None else float(v) if isinstance(v, str) else v for v in value["values"])
        )
    if hint is float:
        return float(value)
    if hint in (datetime, date):
        return hint.fromisoformat(value)
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass(hint, value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if origin is not None and issubclass(origin, Mapping):
        key, item = get_args(hint)
        return {_value(key, k): _value(item, v) for k, v in value.items()}
    if origin is tuple and get_args(hint)[1:] != (...,):
        return tuple(_value(part, v) for part, v in zip(get_args(hint), value, strict=True))
    if origin is not None and origin is not tuple and not hasattr(origin, "__iter__"):
        raise TypeError(f"{hint} cannot be read back")
    if origin is not None:
        return tuple(_value(get_args(hint)[0], v) for v in value)
    return value


def _dataclass(made: Any, value: Mapping[str, Any]) -> Any:
    hints = _hints(made)
    given = {name: _value(hints[name], item) for name, item in value.items() if name in hints}
    try:
        return made(**given)
    except TypeError as error:
        raise ReportError(f"the saved facts are of another version of Evertick: {error}") from error


class _Column(Generic[T]):
    """Stands for ``array`` in the hints, which this Python does not let be subscripted."""


@cache
def _hints(made: Any) -> dict[str, Any]:
    hints = get_type_hints(made, localns={"array": _Column})
    return {f.name: hints[f.name] for f in fields(made) if f.init}


@cache
def _findings() -> tuple[str, ...]:
    return tuple(f.name for f in fields(Findings) if f.init and f.name != "facts")

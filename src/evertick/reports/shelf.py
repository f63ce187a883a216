"""Keeps the facts of any number of instruments in the memory of a thousand: the others lie in a file without a name.

A record has a fixed width, so that one instrument is one read; the file's pages are the system's, and it is gone with the process.
"""

from __future__ import annotations

import os
import struct
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, overload

from evertick.errors import ReportError
from evertick.model import Instrument, Session
from evertick.reports.findings import FIELDS, Facts

HELD = 1_000
"""Facts that are kept as they are: about 0.75 MB."""
SPARK = 32
_AT_ONCE = 64
_HEAD = struct.Struct(f"<q4B{SPARK}f")
_VALUES = 8 * len(FIELDS)
WIDTH = _HEAD.size + _VALUES
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NEVER = -(1 << 63)
_SESSIONS = tuple(Session)


class Shelf(Sequence[Facts]):
    """Facts in the order in which they were `put`, one for each of ``rows``, which may grow before each of them. The file is closed at the end of the ``with`` block."""

    def __init__(self, rows: Sequence[Instrument], folder: Path | None = None) -> None:
        self._rows = rows
        self._folder = folder
        self._held: list[Facts] = []
        self._waiting = bytearray()
        self._sources: list[str | None] = [None]
        self._file: IO[bytes] | None = None
        self._count = 0

    def put(self, facts: Facts) -> None:
        """Raises `ReportError` when there is no room on the disk."""
        self._count += 1
        if len(self._rows) <= HELD:
            self._held.append(facts)
            return
        if self._held:  # there were fewer rows before: who reads a report does not know how many will come
            for held in self._held:
                self._waiting += self._packed(held)
            self._held.clear()
        self._waiting += self._packed(facts)
        if len(self._waiting) >= _AT_ONCE * WIDTH:
            self._write()

    def __enter__(self) -> Shelf:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Facts]:
        if self._held or not self._count:
            yield from self._held
            return
        for start in range(0, self._count, _AT_ONCE):
            body = self._read(start, min(_AT_ONCE, self._count - start))
            for at in range(0, len(body), WIDTH):
                yield self._facts(start + at // WIDTH, body, at)

    @overload
    def __getitem__(self, index: int) -> Facts: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Facts]: ...
    def __getitem__(self, index: int | slice) -> Facts | Sequence[Facts]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        if self._held:
            return self._held[index]
        if not -self._count <= index < self._count:
            raise IndexError(index)
        index %= self._count
        return self._facts(index, self._read(index, 1), 0)

    def _packed(self, f: Facts) -> bytes:
        if f.source not in self._sources:
            self._sources.append(f.source)
        at = _NEVER if f.as_of is None else (f.as_of - _EPOCH) // _MICROSECOND
        spark = f.spark[-SPARK:]
        head = _HEAD.pack(
            at, self._sources.index(f.source), f.fresh, _SESSIONS.index(f.session), len(spark),
            *spark, *(0.0,) * (SPARK - len(spark)),
        )  # fmt: skip
        return head + f.values.tobytes()

    def _facts(self, index: int, body: bytes, at: int) -> Facts:
        moment, source, fresh, session, count = struct.unpack_from("<q4B", body, at)
        spark, values = array("f"), array("d")
        start = at + 12
        spark.frombytes(body[start : start + 4 * count])
        values.frombytes(body[at + _HEAD.size : at + WIDTH])
        return Facts(
            self._rows[index],
            None if moment == _NEVER else _EPOCH + moment * _MICROSECOND,
            self._sources[source],
            bool(fresh),
            _SESSIONS[session],
            spark,
            values,
        )

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 — see __exit__
            self._file.write(self._waiting)
        except OSError as error:
            folder = self._folder or tempfile.gettempdir()
            raise ReportError(
                f"the facts of {len(self._rows)} instruments have no room in {folder}: {error}"
            ) from error
        del self._waiting[:]

    def _read(self, start: int, count: int) -> bytes:
        if self._waiting:
            self._write()
        assert self._file is not None
        return os.pread(self._file.fileno(), count * WIDTH, start * WIDTH)

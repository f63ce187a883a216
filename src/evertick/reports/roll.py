"""Instruments that a saved report names: a thousand of them in memory, more in a file without a name, as the facts of a `Shelf`.

A report that is made has its universe anyway; one that is rendered again would hold its own beside it.
"""

from __future__ import annotations

import marshal
import os
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, overload

from evertick.errors import ReportError
from evertick.model import Group, Instrument
from evertick.reports.shelf import HELD

_AT_ONCE = 32 << 10
"""Bytes that wait for the file."""


class Roll(Sequence[Instrument]):
    """Instruments in the order in which they were `put`. The file is closed at the end of the ``with`` block."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._held: list[Instrument] = []
        self._starts = array("Q", [0])
        self._waiting = bytearray()
        self._file: IO[bytes] | None = None

    def put(self, instrument: Instrument) -> None:
        """Raises `ReportError` when there is no room on the disk."""
        if self._file is None and len(self._held) < HELD:
            self._held.append(instrument)
            return
        if self._held:
            self._open()
            self._pack(self._held)
            self._held.clear()
        self._pack((instrument,))
        if len(self._waiting) >= _AT_ONCE:
            self._write()

    def __enter__(self) -> Roll:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        return len(self._held) or len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> Instrument: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Instrument]: ...
    def __getitem__(self, index: int | slice) -> Instrument | Sequence[Instrument]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if self._file is None:
            return self._held[index]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        if self._waiting:
            self._write()
        start, end = self._starts[index % len(self)], self._starts[index % len(self) + 1]
        id, name, group, *more = marshal.loads(os.pread(self._file.fileno(), end - start, start))
        return Instrument(id, name, Group(group), *more)

    def _pack(self, instruments: Iterable[Instrument]) -> None:
        for i in instruments:
            row = (i.id, i.name, i.group.value, i.region, i.currency, i.exchange, i.decimals, dict(i.symbols), i.core)
            body = marshal.dumps(row)
            self._waiting += body
            self._starts.append(self._starts[-1] + len(body))

    def _open(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 — see __exit__
        except OSError as error:
            raise self._no_room(error) from error

    def _write(self) -> None:
        assert self._file is not None
        try:
            self._file.write(self._waiting)
        except OSError as error:
            raise self._no_room(error) from error
        del self._waiting[:]

    def _no_room(self, error: OSError) -> ReportError:
        folder = self._folder or tempfile.gettempdir()
        return ReportError(f"the instruments of a report have no room in {folder}: {error}")

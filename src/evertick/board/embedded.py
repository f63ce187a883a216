"""The board of a single process: one reference in memory, and a file so that a restart begins with the last good values."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import structlog

from evertick.board.document import NotASnapshot, dumps, loads
from evertick.board.newest import Newest
from evertick.model import Snapshot

log = structlog.get_logger()

LARGEST = 16 << 20
"""Bytes of a file that is read at most: a thousand times less than this is usual."""


@asynccontextmanager
async def open_embedded(path: Path | None) -> AsyncIterator[EmbeddedBoard]:
    """Open the board; with ``path`` it starts from that file, if there is one, and keeps it up to date.

    A file that cannot be read or is damaged counts as none, one that cannot be written (a full disk) costs only the
    restart's first values: both are logged, neither is raised.
    """
    board = EmbeddedBoard(path, await asyncio.to_thread(_read, path) if path else None)
    try:
        yield board
    finally:
        await board.settle()


class EmbeddedBoard:
    kind = "embedded"

    def __init__(self, path: Path | None, snapshot: Snapshot | None) -> None:
        self._path = path
        self._snapshot = snapshot
        self._newest = Newest()
        self._writing = asyncio.Lock()
        self._lost = False

    async def load(self) -> Snapshot | None:
        return self._snapshot

    async def save(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._newest.tell(snapshot.as_of)
        if self._path is not None:
            async with self._writing:
                # A save that waited for the lock writes what is newest by then, not what it was called with.
                await self._keep(self._path, self._snapshot)

    async def _keep(self, path: Path, snapshot: Snapshot) -> None:
        try:
            await asyncio.to_thread(_replace, path, dumps(snapshot))
        except OSError as error:
            if not self._lost:
                log.warning("board file not written", path=str(path), error=error.strerror or type(error).__name__)
            self._lost = True
        else:
            if self._lost:
                log.info("board file written again", path=str(path))
            self._lost = False

    async def settle(self) -> None:
        """Wait until a write under way has ended."""
        async with self._writing:
            pass

    @asynccontextmanager
    async def updates(self) -> AsyncIterator[AsyncIterator[datetime]]:
        with self._newest.subscribed() as updates:
            yield updates

    async def ping(self) -> None:
        return

    def connections(self) -> int:
        return 0


def _read(path: Path) -> Snapshot | None:
    try:
        with path.open("rb") as file:
            body = file.read(LARGEST + 1)
        if len(body) > LARGEST:
            raise NotASnapshot(f"larger than {LARGEST} bytes")
        return loads(body)
    except FileNotFoundError:
        return None
    except (OSError, NotASnapshot) as error:
        log.warning("board file not used", path=str(path), error=str(error))
        return None


def _replace(path: Path, body: bytes) -> None:
    """Write ``body`` so that a reader, or a machine that lost power, finds the old file or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise

"""The latest quotes as the web hands them out: loaded once for each update of the board, made into bytes once a second at most.

Any number of requests and streams share one snapshot and one body, so that a request costs no more than sending bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic_core import to_json as to_json_bytes

from evertick.desks import Desk
from evertick.errors import BoardError
from evertick.model import Clock, Snapshot
from evertick.web.services import Board, Document, Universe
from evertick.web.streams import frame

log = structlog.get_logger()

RELOAD_S = 1.0
"""Between two loads while nobody tells of updates."""
TRUST_S = 30.0
"""After so long the board is read even though no update was told: a notice may have been lost."""
RESUBSCRIBE_S = 2.0
BODIES = 16
"""Of so many desks, and with and without sparklines, answers are kept for the next request; up to some 100 KB each."""

EMPTY: Mapping[str, Any] = {"as_of": None, "quotes": [], "sources": []}
"""Before the first poll."""


@dataclass(slots=True)
class Body:
    """One answer as bytes. ``packed`` (gzip) and ``event`` (for event streams) are made when the first client needs them, and
    shared by all: two hundred streams hold one copy."""

    plain: bytes
    as_of: str | None
    version: int
    made: float
    _packed: bytes | None = None
    _event: bytes | None = None

    @property
    def packed(self) -> bytes:
        if self._packed is None:
            from isal import igzip

            self._packed = igzip.compress(self.plain, 1, mtime=0)
        return self._packed

    @property
    def event(self) -> bytes:
        if self._event is None:
            self._event = frame(self.plain, event="indices", id=self.as_of)
        return self._event


def to_json(document: Mapping[str, Any]) -> bytes:
    """Fifteen times as fast as ``json`` with so many floats; what is not finite becomes null."""
    return to_json_bytes(document, inf_nan_mode="null")


class Feed:
    """``version`` grows with every new snapshot. Times are of the clock's `monotonic`."""

    def __init__(self, board: Board, document: Document, universe: Universe, clock: Clock) -> None:
        self._board, self._document, self._universe, self._clock = board, document, universe, clock
        self.snapshot: Snapshot | None = None
        self.version = 0
        self.closed = False
        self._loaded = float("-inf")
        self._told = False
        self._watched = False
        self._failure: BoardError | None = None
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._bodies: dict[tuple[str | None, bool], Body] = {}

    async def current(self) -> Snapshot | None:
        """The latest snapshot, None before the first one. The last known stays when the board cannot be reached;
        `BoardError` is raised only where nothing is known."""
        if self._due():
            async with self._lock:
                if self._due():
                    await self._load()
        if self._failure is not None and self.snapshot is None:
            raise self._failure
        return self.snapshot

    async def reload(self) -> Snapshot | None:
        """`current`, but surely not older than this call."""
        async with self._lock:
            await self._load()
        return self.snapshot

    async def body(self, spark: bool = False, desk: Desk | None = None) -> Body:
        """``GET /api/v1/indices`` as bytes, at most one second old; with ``desk`` its instruments only."""
        snapshot = await self.current()
        now = self._clock.monotonic()
        key = None if desk is None else desk.id, spark
        body = self._bodies.pop(key, None)
        if body is None or body.version != self.version or not 0 <= now - body.made < 1.0:
            document = self.document(snapshot, spark, desk)
            body = Body(to_json(document), document["as_of"], self.version, now)
        self._bodies[key] = body
        if len(self._bodies) > BODIES:
            del self._bodies[next(iter(self._bodies))]
        return body

    def document(self, snapshot: Snapshot | None, spark: bool = False, desk: Desk | None = None) -> Mapping[str, Any]:
        if snapshot is None:
            return EMPTY
        seen = self._universe if desk is None else desk.universe
        return self._document(snapshot, seen, self._clock.now(), spark=spark)

    async def wait(self, version: int) -> int:
        """Return as soon as there is another version than this one, or the feed has closed."""
        while self.version == version and not self.closed:
            await self._changed.wait()
        return self.version

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """While this lasts, updates of the board wake whoever waits."""
        task = asyncio.create_task(self._watch(), name="web: board updates")
        try:
            yield
        finally:
            self.close()
            while not task.done():  # redis-py may swallow a cancellation that comes while it connects
                task.cancel()
                await asyncio.wait((task,), timeout=0.5)
            self._watched = False

    def close(self) -> None:
        """Let the streams end."""
        self.closed = True
        self._wake()

    def _due(self) -> bool:
        if self._told:
            return True
        age = self._clock.monotonic() - self._loaded
        return age >= (TRUST_S if self._watched and self.snapshot is not None else RELOAD_S) or age < 0

    async def _load(self) -> None:
        self._told = False
        self._loaded = self._clock.monotonic()
        try:
            snapshot = await self._board.load()
        except BoardError as error:
            # The last known quotes stay, with their age; /readyz says that the board is away. The error is kept without
            # its frames, for whoever asks before the next try.
            self._failure = error.with_traceback(None)
            return
        self._failure = None
        if snapshot is not None and snapshot != self.snapshot:
            self.snapshot = snapshot
            self.version += 1
            self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _watch(self) -> None:
        while True:
            try:
                async with self._board.updates() as updates:
                    self._watched = True
                    await self.reload()  # what was saved before we subscribed
                    async for _ in updates:
                        self._told = True
                        await self.current()
            except BoardError as error:
                log.debug("board updates lost", error=str(error))  # the board itself logs its loss and its recovery
            except Exception:
                log.exception("board updates failed")
            finally:
                self._watched = False
            await self._clock.sleep(RESUBSCRIBE_S)

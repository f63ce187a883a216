"""The parts of a report: pieces of one gzip stream of about 64 KB, written and read one at a time; and as rows.

However long a part is, one piece of it is in memory. Every row goes in by a transaction of its own (short: other
writers wait for a row, not for a report) that checks that the draft is still ours. Where else the pieces may go is said in
`evertick.archive.bodies`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from types import TracebackType
from typing import TYPE_CHECKING, Any

from isal import isal_zlib
from sqlalchemy import insert, select

from evertick.archive.connection import Engine
from evertick.archive.tables import assets, report_parts, reports
from evertick.errors import Fenced, NotFound
from evertick.model import PartMeta

if TYPE_CHECKING:
    from evertick.archive.bodies import Sink

PIECE = 64 * 1024
"""Bytes of a stored piece, about."""
LEVEL = 2
_GZIP = 31
_STEP = 256 * 1024
"""Bytes compressed between two turns of the loop: about 0.5 ms."""


def compressor() -> Any:
    """A gzip stream; its header has no time in it, so that equal content gives equal bytes."""
    return isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, _GZIP)


def compressed(content: bytes) -> bytes:
    stream = compressor()
    return bytes(stream.compress(content) + stream.flush())


async def write_piece(engine: Engine, report: str, token: int, part: str, seq: int, body: bytes) -> None:
    """Store one row of the draft. Raises `Fenced` when the draft is gone, published, or another lease's."""
    async with engine.begin() as connection:
        held = select(reports.c.id).where(_draft(report, token)).with_for_update(read=True)
        if await connection.scalar(held) is None:
            raise _lost_draft(report, token)
        await connection.execute(insert(report_parts).values(report=report, token=token, part=part, seq=seq, body=body))


async def held(engine: Engine, report: str, token: int) -> None:
    """Raises `Fenced` when the draft is gone, published, or another lease's."""
    async with engine.connect() as connection:
        if await connection.scalar(select(reports.c.id).where(_draft(report, token))) is None:
            raise _lost_draft(report, token)


def _lost_draft(report: str, token: int) -> Fenced:
    return Fenced(f"The draft of report {report} is no longer held under token {token}.")


def _draft(report: str, token: int) -> Any:
    return (reports.c.id == report) & (reports.c.token == token) & (reports.c.state == "draft")


class PartWriter:
    """Compresses what is written and hands it piece by piece to where it is kept; `meta` is there when the block has ended well.

    ::

        async with store.writer(report, token, "html", language="vi") as part:
            async for piece in rendered:
                await part.write(piece)
        part.meta  # PartMeta
    """

    def __init__(self, open_sink: Callable[[], Awaitable[Sink]], report: str, part: str, language: str) -> None:
        self.report, self.part, self.language = report, part, language
        self.size = 0
        self.stored = 0
        self._open = open_sink
        self._sink: Any = None
        self._stream: Any = None
        self._waiting = bytearray()
        self._hash = sha256()
        self._meta: PartMeta | None = None

    @property
    def meta(self) -> PartMeta:
        if self._meta is None:
            raise RuntimeError(f"part {self.part} of {self.report} is not complete")
        return self._meta

    async def __aenter__(self) -> PartWriter:
        self._sink = await self._open()
        self._stream = compressor()
        return self

    async def write(self, content: bytes) -> None:
        """Take the next bytes of the part (uncompressed, as a reader sees them). Raises `Fenced`, `ArchiveError`."""
        for start in range(0, len(content), _STEP):
            if start:
                await asyncio.sleep(0)
            chunk = content if len(content) <= _STEP else content[start : start + _STEP]
            self.size += len(chunk)
            self._waiting += self._stream.compress(chunk)
            while len(self._waiting) >= PIECE:
                await self._store(PIECE)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stream, self._stream = self._stream, None
        complete = False
        try:
            if error is None:
                self._waiting += stream.flush()
                while self._waiting:
                    await self._store(PIECE)
                await self._sink.close()
                complete = True
                digest = self._hash.hexdigest()
                self._meta = PartMeta(self.part, self.language, self.size, self.stored, digest)
        finally:
            self._waiting = bytearray()
            if not complete:
                await self._sink.abort()

    async def _store(self, length: int) -> None:
        body = bytes(self._waiting[:length])
        del self._waiting[:length]
        await self._sink.add(body)
        self.stored += len(body)
        self._hash.update(body)


async def read_pieces(
    engine: Engine, report: str, token: int, part: PartMeta, at_once: Callable[[], int] = lambda: 1
) -> AsyncIterator[bytes]:
    """The stored pieces in order, ``at_once`` of them by each short read. Raises `NotFound` if the report is deleted meanwhile."""
    read = 0
    seq = 0
    seqs = report_parts.c.seq
    at = (
        select(report_parts.c.body)
        .where(report_parts.c.report == report, report_parts.c.token == token, report_parts.c.part == part.part)
        .order_by(seqs)
    )
    while read < part.stored:
        async with engine.connect() as connection:
            bodies = (await connection.scalars(at.where(seqs >= seq, seqs < seq + at_once()))).all()
        if not bodies:  # an end without this would look like a complete page
            raise NotFound(f"Part {part.part} of report {report} is no longer there.")
        for body in bodies:
            read += len(body)
            seq += 1
            yield body


async def read_asset(engine: Engine, digest: str) -> tuple[str, bytes]:
    async with engine.connect() as connection:
        row = (await connection.execute(select(assets.c.kind, assets.c.body).where(assets.c.hash == digest))).first()
    if row is None:
        raise NotFound(f"There is no asset {digest[:12]}….")
    return row.kind, row.body

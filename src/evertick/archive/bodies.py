"""Where the bodies of reports are: in rows of the database, or as objects of a store beside it.

The row of a report says which, so both are read whatever the settings say now: they decide where new reports go, and the old
ones go when their time has come. A place outside gets a folder of its own for each database, so that two Evertick on one
bucket never meet, not even when one of them looks for what nobody owns.

::

    s3://bucket/prefix / 5f0c…  / 20261123T093000-1bdac559 / 3     / html_en
    ARCHIVE__BODIES      folder   report                     token   part: one gzip stream
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from secrets import token_hex
from typing import Any, Protocol

from sqlalchemy import delete, func, select

from evertick.archive.connection import Connection, Engine
from evertick.archive.parts import held, read_pieces, write_piece
from evertick.archive.tables import body_places, report_parts
from evertick.model import Clock, PartMeta
from evertick.settings import ArchiveSettings

ROWS = 16
"""Pieces deleted by one transaction: about 1 MB."""


class Sink(Protocol):
    """Takes the pieces of one part, in order."""

    async def add(self, piece: bytes) -> None:
        """Raises `Fenced` when the draft went to another run, `ArchiveError` when it cannot be stored."""

    async def close(self) -> None:
        """All of it is stored when this returns. Raises what `add` raises."""

    async def abort(self) -> None:
        """Give up, and leave nothing that would have to be looked for."""


class Bodies(Protocol):
    def sink(self, report: str, token: int, part: str) -> Sink: ...

    async def stored(self, report: str, token: int) -> Mapping[str, int]:
        """The parts that are there, and their bytes."""

    def read(self, report: str, token: int, part: PartMeta) -> AsyncIterator[bytes]:
        """The part, piece by piece; whoever stops early has held nothing."""

    async def remove(self, report: str, hidden: Callable[[], Awaitable[bool]]) -> None:
        """Delete all of a report, whatever its tokens, while ``hidden`` says that no run has begun it anew."""


PIECES_HELD = 24
"""Pieces (64 KB) that all readers together may hold before each reads one at a time."""


class Rows:
    """In the database, piece by piece. See `evertick.archive.parts`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = 0

    def sink(self, report: str, token: int, part: str) -> Sink:
        return _RowSink(self._engine, report, token, part)

    async def stored(self, report: str, token: int) -> Mapping[str, int]:
        query = (
            select(report_parts.c.part, func.sum(func.length(report_parts.c.body)).label("stored"))
            .where(report_parts.c.report == report, report_parts.c.token == token)
            .group_by(report_parts.c.part)
        )
        async with self._engine.connect() as connection:
            return {row.part: int(row.stored) for row in await connection.execute(query)}

    def read(self, report: str, token: int, part: PartMeta) -> AsyncIterator[bytes]:
        return self._read(report, token, part)

    async def _read(self, report: str, token: int, part: PartMeta) -> AsyncIterator[bytes]:
        self._readers += 1
        try:
            async with aclosing(read_pieces(self._engine, report, token, part, self._at_once)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    yield piece
        finally:
            self._readers -= 1

    def _at_once(self) -> int:
        """Pieces of one read: several while few read, for what waits to be sent is held by each reader."""
        return max(1, PIECES_HELD // self._readers)

    async def remove(self, report: str, hidden: Callable[[], Awaitable[bool]]) -> None:
        """In steps so small that no other writer notices."""
        async with self._engine.connect() as connection:
            found = await connection.execute(
                select(report_parts.c.token, report_parts.c.part, func.max(report_parts.c.seq).label("last"))
                .where(report_parts.c.report == report)
                .group_by(report_parts.c.token, report_parts.c.part)
            )
            streams = [(row.token, row.part, row.last) for row in found]
        if not streams or not await hidden():
            return
        for token, part, last in streams:
            for seq in range(0, last + 1, ROWS):
                async with self._engine.begin() as connection:
                    await connection.execute(
                        delete(report_parts).where(
                            report_parts.c.report == report,
                            report_parts.c.token == token,
                            report_parts.c.part == part,
                            report_parts.c.seq.between(seq, seq + ROWS - 1),
                        )
                    )


class _RowSink:
    def __init__(self, engine: Engine, report: str, token: int, part: str) -> None:
        self._engine = engine
        self._at = (report, token, part)
        self._seq = 0

    async def add(self, piece: bytes) -> None:
        await write_piece(self._engine, *self._at, self._seq, piece)
        self._seq += 1

    async def close(self) -> None:
        pass

    async def abort(self) -> None:
        """The rows go with the draft."""


class Places:
    """All places where reports of this database are, each opened when it is first asked for.

    ``settings`` may name the place of new reports (``bodies``), and say how to reach those outside of the database.
    """

    def __init__(self, engine: Engine, settings: ArchiveSettings, clock: Clock) -> None:
        self.rows = Rows(engine)
        self._engine = engine
        self._settings = settings
        self._clock = clock
        self._new: str | None = None
        self._opened: dict[str, Any] = {}

    async def new(self) -> str | None:
        """The location of the reports that are made from now on; None: the database."""
        base = self._settings.bodies
        if base is not None and self._new is None:
            async with self._engine.begin() as connection:
                given = {"base": base, "location": f"{base}/{token_hex(8)}", "since": self._clock.now()}
                await connection.execute(_insert_new(connection).values(**given))
                query = select(body_places.c.location).where(body_places.c.base == base)
                self._new = await connection.scalar(query)
        return self._new

    def at(self, location: str | None) -> Bodies:
        return self.rows if location is None else self.outside(location)

    def outside(self, location: str) -> Any:
        """The `evertick.archive.objects.Objects` there. Imports obstore, which a server without them never does."""
        if location not in self._opened:
            from evertick.archive.objects import Objects

            self._opened[location] = Objects(
                location, self._settings, lambda report, token: held(self._engine, report, token)
            )
        return self._opened[location]

    async def ping(self) -> str | None:
        """The place of new reports, which answers; None: it is the database. Raises `ArchiveError`; changes nothing."""
        if self._settings.bodies is not None:
            await self.outside(self._settings.bodies).ping()
        return self._settings.bodies


def _insert_new(connection: Connection) -> Any:
    """An insert that another process may be making at the same time."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(body_places).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(body_places).on_conflict_do_nothing()

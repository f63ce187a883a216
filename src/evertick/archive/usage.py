"""How many requests each source was sent a day, so that a daily quota survives a restart."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import delete, func, select

from evertick.archive.connection import Connection, Engine
from evertick.archive.tables import source_usage as table


class UsageStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def load(self) -> Mapping[str, tuple[date, int]]:
        """For every source its newest day (UTC) and the requests counted on it."""
        newest = select(table.c.source, func.max(table.c.day).label("day")).group_by(table.c.source).subquery()
        query = select(table).join(newest, (table.c.source == newest.c.source) & (table.c.day == newest.c.day))
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return {row.source: (date.fromordinal(row.day), row.requests) for row in rows}

    async def add(self, source: str, day: date, requests: int) -> None:
        """Count ``requests`` more on that day; processes that share the database add up."""
        async with self._engine.begin() as connection:
            row = {"source": source, "day": day.toordinal(), "requests": requests}
            await connection.execute(_counted(connection), row)

    async def prune(self, before: date) -> int:
        """Forget the days before ``before``; returns how many rows (one for each source and day)."""
        async with self._engine.begin() as connection:
            return (await connection.execute(delete(table).where(table.c.day < before.toordinal()))).rowcount


def _counted(connection: Connection) -> Any:
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        insert: Any = sqlite.insert(table)
    else:
        from sqlalchemy.dialects import postgresql

        insert = postgresql.insert(table)
    return insert.on_conflict_do_update(
        index_elements=["source", "day"], set_={"requests": table.c.requests + insert.excluded.requests}
    )

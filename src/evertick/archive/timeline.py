"""Memory over time: the samples of every process of a deployment, the receipts of their requests, their diagnoses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, and_, delete, func, insert, literal, or_, select, tuple_

from evertick.archive.connection import Engine
from evertick.archive.tables import diagnoses, memory_samples, web_receipts
from evertick.model import MemorySample, WebReceipt

KEPT: Mapping[int, timedelta] = {10: timedelta(hours=1), 60: timedelta(days=1), 600: timedelta(days=90)}
"""Step of the samples in seconds to how long they are kept."""
DIAGNOSES_KEPT = timedelta(days=90)
_BATCH = 256
"""Rows read by one statement."""
_SAMPLE = [memory_samples.c[field.name] for field in fields(MemorySample)]
_RECEIPT = [web_receipts.c[field.name] for field in fields(WebReceipt)]


class TimelineStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, samples: Sequence[MemorySample], receipts: Sequence[WebReceipt] = ()) -> None:
        """Both in one transaction: they come once a minute. A sample that is there already is left as it is."""
        async with self._engine.begin() as connection:
            for table, rows in ((memory_samples, samples), (web_receipts, receipts)):
                if rows:
                    await connection.execute(
                        _unless_there(table, connection.dialect.name), [asdict(row) for row in rows]
                    )

    async def samples(
        self, since: datetime, until: datetime, step_s: int, process: str | None = None
    ) -> AsyncIterator[MemorySample]:
        """Those of one step from ``since`` on and before ``until``, oldest first; of all processes or of one.

        Read a few hundred at a time, and no connection is held between two: of a day they would be 2 MB.
        """
        c = memory_samples.c
        query = (
            select(*_SAMPLE)
            .where(c.step_s == step_s, c.at >= since, c.at < until)
            .order_by(c.at, c.process)
            .limit(_BATCH)
        )
        if process is not None:
            query = query.where(c.process == process)
        rows = await self._engine.look(query)
        while rows:
            for row in rows:
                yield MemorySample(*tuple(row))
            if len(rows) < _BATCH:
                return
            behind = tuple_(literal(row.at, c.at.type), literal(row.process))
            rows = await self._engine.look(query.where(tuple_(c.at, c.process) > behind))

    async def counts(self, since: datetime, until: datetime, step_s: int) -> Mapping[str, int]:
        """How many samples of each process `samples` has."""
        c = memory_samples.c
        query = (
            select(c.process, func.count()).where(c.step_s == step_s, c.at >= since, c.at < until).group_by(c.process)
        )
        return dict(map(tuple, await self._engine.look(query)))

    async def web(self, since: datetime, until: datetime) -> list[WebReceipt]:
        """The receipts of requests by route, all minutes from ``since`` on and before ``until`` added up, by name of route.

        ``minute`` is the first of them, ``process`` empty; ``open`` and what was counted at the end of a minute is the
        most that was seen.
        """
        c = web_receipts.c
        query = (
            select(
                func.min(c.minute, type_=c.minute.type), c.route, func.sum(c.requests), func.sum(c.failed), func.sum(c.cancelled),
                func.sum(c.duration_s), func.max(c.longest_s), func.sum(c.alone), func.sum(c.retained), func.max(c.rss_max),
                func.max(c.open), func.max(c.fds), func.max(c.tasks), func.max(c.connections),
            )
            .where(c.minute >= since, c.minute < until)
            .group_by(c.route)
            .order_by(c.route)
        )  # fmt: skip
        async with self._engine.connect() as connection:
            rows = [tuple(row) for row in await connection.execute(query)]
        names = [field.name for field in fields(WebReceipt)]
        found = [WebReceipt(**dict(zip(names, ("", *row), strict=True))) for row in rows]
        return [replace(r, retained=None if r.retained is None else int(r.retained)) for r in found]

    async def save_diagnosis(self, at: datetime, process: str, body: Mapping[str, Any]) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(insert(diagnoses), {"at": at, "process": process, "body": dict(body)})

    async def diagnoses(self, limit: int = 10) -> list[tuple[datetime, str, Mapping[str, Any]]]:
        """When, of which process, and what was found; newest first."""
        query = select(diagnoses).order_by(diagnoses.c.at.desc()).limit(limit)
        async with self._engine.connect() as connection:
            return [(row.at, row.process, row.body) for row in await connection.execute(query)]

    async def prune(self, now: datetime, receipts_before: datetime) -> int:
        """Delete samples past the time that their step is kept, and receipts of requests before a day. Returns how many."""
        c = memory_samples.c
        old = or_(*(and_(c.step_s == step, c.at < now - kept) for step, kept in KEPT.items()))
        gone = 0
        for statement in (
            delete(memory_samples).where(old),
            delete(web_receipts).where(web_receipts.c.minute < receipts_before),
            delete(diagnoses).where(diagnoses.c.at < now - DIAGNOSES_KEPT),
        ):
            async with self._engine.begin() as connection:
                gone += (await connection.execute(statement)).rowcount
        return gone


def _unless_there(table: Table, dialect: str) -> Any:
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table).on_conflict_do_nothing()

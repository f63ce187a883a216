"""Receipts: one row for one run of one job, pruned by age and number."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, literal, or_, select, tuple_

from evertick.archive import cursor as cursors
from evertick.archive.connection import Engine
from evertick.archive.tables import receipts
from evertick.errors import BadCursor
from evertick.model import Outcome, Page, Receipt, RunFigures

_FIELDS = tuple(field.name for field in fields(Receipt))
_COLUMNS = [receipts.c[name] for name in _FIELDS]
_STEP = 500
"""Rows deleted by one transaction."""
_BATCH = 256
"""Rows read by one statement."""


class ReceiptStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, receipt: Receipt) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(insert(receipts), {name: getattr(receipt, name) for name in _FIELDS})

    async def recent(self, limit: int = 50, cursor: str | None = None, job: str | None = None) -> Page[Receipt]:
        """Newest first by start. Raises `BadCursor`."""
        limit = cursors.bounded(limit)
        query = (
            select(receipts.c.id, *_COLUMNS).order_by(receipts.c.started.desc(), receipts.c.id.desc()).limit(limit + 1)
        )
        if job is not None:
            query = query.where(receipts.c.job == job)
        if cursor is not None:
            at, key = cursors.decode(cursor)
            if not key.isdecimal() or len(key) > 18:
                raise BadCursor("The cursor is not one of this list.", hint="Start again without a cursor")
            behind = tuple_(literal(at, receipts.c.started.type), literal(int(key)))
            query = query.where(tuple_(receipts.c.started, receipts.c.id) < behind)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(
            [_receipt(row) for row in rows[:limit]], cursors.encode(last.started, last.id) if last is not None else None
        )

    async def figures(self, since: datetime, jobs: Collection[str] = ()) -> AsyncIterator[RunFigures]:
        """What the runs since then did to memory, oldest first; of these jobs alone, if any are named.

        Read a few hundred at a time, and no connection is held between two: of two weeks they would be 7 MB.
        """
        c = receipts.c
        query = (
            select(
                c.id, c.started, c.job, c.component, c.heap_after - c.heap_before, c.peak_rss - c.rss_before, c.fds_delta,
                c.connections_delta, c.overlapped, c.outcome == str(Outcome.OK), c.heap_before, c.pid,
            )
            .where(c.started >= since)
            .order_by(c.started, c.id)
            .limit(_BATCH)
        )  # fmt: skip
        if jobs:
            query = query.where(c.job.in_(sorted(jobs)))
        rows = await self._engine.look(query)
        while rows:
            for row in rows:
                measured: list[Any] = [*row[1:]]
                measured[8] = bool(measured[8])
                yield RunFigures._make(measured)
            if len(rows) < _BATCH:
                return
            behind = tuple_(literal(row.started, c.started.type), literal(row.id))
            rows = await self._engine.look(query.where(tuple_(c.started, c.id) > behind))

    async def prune(self, keep: int, older_than: datetime) -> int:
        """Delete receipts beyond the newest ``keep`` and those started before ``older_than``. Returns how many."""
        newest_first = select(receipts.c.started, receipts.c.id).order_by(
            receipts.c.started.desc(), receipts.c.id.desc()
        )
        async with self._engine.connect() as connection:
            edge = (await connection.execute(newest_first.offset(keep).limit(1))).first()
        gone = [receipts.c.started < older_than]
        if edge is not None:
            beyond = tuple_(literal(edge.started, receipts.c.started.type), literal(edge.id))
            gone.append(tuple_(receipts.c.started, receipts.c.id) <= beyond)
        deleted = 0
        while True:
            async with self._engine.begin() as connection:
                some = select(receipts.c.id).where(or_(*gone)).limit(_STEP).scalar_subquery()
                count = (await connection.execute(delete(receipts).where(receipts.c.id.in_(some)))).rowcount
            deleted += count
            if count < _STEP:
                return deleted


def _receipt(row: Any) -> Receipt:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Receipt(**(values | {"outcome": Outcome(row.outcome)}))

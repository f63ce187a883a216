"""The quotes of the refreshes, kept for a month: cheap to write, small to keep, quick to read back for one instrument.

A refresh writes one row to a log, whatever the number of instruments: its quotes with a time that was not seen before.
When the log has grown, `compact` moves it into packed columns, a row for each instrument and UTC day, in steps so small
that no other writer waits. A step that is done again changes nothing, so that it may be interrupted anywhere.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from math import isfinite
from typing import Any

import structlog
from sqlalchemy import delete, insert, select

from evertick.archive import quote_packing as packing
from evertick.archive.connection import Connection, Engine, filled
from evertick.archive.packing import Unreadable
from evertick.archive.quote_packing import Series
from evertick.archive.tables import quote_log, quotes
from evertick.model import Quote

log = structlog.get_logger()

COMPACT_ROWS = 120
"""Rows of the log that are moved together: six hours of refreshes every three minutes."""
_STEP = 8
"""Rows of instruments written by one transaction."""
_PAGE = 30
"""Rows of the log in memory at once while it is read."""
_DAYS = 100
"""Days that one query asks for."""
_AHEAD = timedelta(minutes=10)
"""A quote may be this much newer than the refresh that brought it; what is newer still was refused by the sources."""

Key = tuple[int, str]
"""Day (ordinal, UTC) and instrument."""


class QuoteStore:
    """Remembers in the process which time of each instrument it stored last; after a restart some are stored twice in
    the log, and once after the next `compact`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: Mapping[str, int] = {}
        self._complained = False

    async def add(self, at: datetime, snapshot: Sequence[Quote]) -> int:
        """Store the quotes of a refresh that ended at ``at`` whose time is a new one; returns how many.

        To the second: of two prices of one second the later one counts. Raises `ArchiveError`; then the next call
        stores what this one could not.
        """
        seen = {q.id: int(q.as_of.timestamp()) for q in snapshot if isfinite(q.price)}
        fresh = [q for q in snapshot if q.id in seen and self._seen.get(q.id) != seen[q.id]]
        fresh = [q for q in fresh if 0 <= seen[q.id] <= packing.LAST_SECOND]
        if fresh:
            body = packing.pack_run([q.id for q in fresh], [seen[q.id] for q in fresh], [q.price for q in fresh])
            async with self._engine.begin() as connection:
                await connection.execute(insert(quote_log), {"at": at, "body": body})
        self._seen = seen
        return len(fresh)

    async def load(self, instrument: str, since: datetime, until: datetime) -> Series:
        """Times (Unix seconds, rising) and prices from ``since`` to ``until``, both included. Raises `ArchiveError`.

        What cannot be read counts as missing.
        """
        since, until = since.astimezone(UTC), until.astimezone(UTC)
        first, last = int(since.timestamp()), int(until.timestamp())
        async with self._engine.connect() as connection:
            newest = await self._logged(connection, instrument, since)  # before the columns: it may be moved meanwhile
            whole = packing.empty()
            for start in range(since.toordinal(), until.toordinal() + 1, _DAYS):
                days = list(range(start, min(start + _DAYS, until.toordinal() + 1)))
                query = select(quotes.c.day, quotes.c.body).where(
                    quotes.c.day.in_(filled(days)), quotes.c.instrument == instrument
                )
                for row in await connection.execute(query.order_by(quotes.c.day)):
                    times, prices = self._read(instrument, row.body)
                    whole[0].extend(times)
                    whole[1].extend(prices)
        return packing.between(packing.merged(whole, newest), first, last)

    async def compact(self, at_least: int = COMPACT_ROWS) -> int:
        """Move the log into columns while it has ``at_least`` rows (at most `COMPACT_ROWS`); returns how many were moved."""
        moved = 0
        while True:
            ids, series = await self._oldest(at_least)
            if not ids:
                return moved
            keys = sorted(series)
            for start in range(0, len(keys), _STEP):
                await self._merge({key: series[key] for key in keys[start : start + _STEP]})
            async with self._engine.begin() as connection:
                await connection.execute(delete(quote_log).where(quote_log.c.id.in_(filled(ids))))
            moved += len(ids)

    async def prune(self, before: date) -> int:
        """Delete the UTC days before ``before``, each in a transaction of its own; returns how many days."""
        old = select(quotes.c.day).where(quotes.c.day < before.toordinal()).distinct()
        async with self._engine.connect() as connection:
            days = sorted(await connection.scalars(old))
        for day in days:
            async with self._engine.begin() as connection:
                await connection.execute(delete(quotes).where(quotes.c.day == day))
        async with self._engine.begin() as connection:
            midnight = datetime(before.year, before.month, before.day, tzinfo=UTC)
            await connection.execute(delete(quote_log).where(quote_log.c.at < midnight))
        return len(days)

    # --- the log -----------------------------------------------------------------------------------------------------

    async def _logged(self, connection: Connection, instrument: str, since: datetime) -> Series:
        found = packing.empty()
        async for row in _pages(connection, since - _AHEAD):
            try:
                ids, times, prices = packing.unpack_run(row.body)
            except Unreadable as error:
                self._missing("a refresh", error)
                continue
            if instrument in ids:
                place = ids.index(instrument)
                found[0].append(times[place])
                found[1].append(prices[place])
        return packing.merged(packing.empty(), found)

    async def _oldest(self, at_least: int) -> tuple[list[int], dict[Key, Series]]:
        """The oldest rows of the log, by instrument and day; nothing where it has fewer than ``at_least``."""
        query = select(quote_log.c.id, quote_log.c.body).order_by(quote_log.c.id).limit(COMPACT_ROWS)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        if len(rows) < max(1, at_least):
            return [], {}
        series: dict[Key, Series] = {}
        for row in rows:
            try:
                run = packing.unpack_run(row.body)
            except Unreadable as error:
                self._missing("a refresh", error)
                continue
            for id, second, price in zip(*run, strict=True):
                columns = series.setdefault((_EPOCH_DAY + second // 86400, id), packing.empty())
                columns[0].append(second)
                columns[1].append(price)
            await asyncio.sleep(0)  # 120 refreshes in one go would be 30 ms in which nobody is answered
        return [row.id for row in rows], series

    async def _merge(self, some: Mapping[Key, Series]) -> None:
        keys = filled({day for day, _ in some}), filled({id for _, id in some})
        held = select(quotes).where(quotes.c.day.in_(keys[0]), quotes.c.instrument.in_(keys[1])).with_for_update()
        async with self._engine.begin() as connection:
            stored = {(row.day, row.instrument): row.body for row in await connection.execute(held)}
            rows = []
            for (day, id), new in some.items():
                old = self._read(id, stored[day, id]) if (day, id) in stored else packing.empty()
                rows.append({"day": day, "instrument": id, "body": packing.pack_day(*packing.merged(old, new))})
            await connection.execute(_upsert(connection), rows)

    # --- blobs -------------------------------------------------------------------------------------------------------

    def _read(self, instrument: str, blob: bytes) -> tuple[array, array]:
        try:
            return packing.unpack_day(blob)
        except Unreadable as error:
            self._missing(instrument, error)
            return packing.empty()

    def _missing(self, what: str, error: Unreadable) -> None:
        if not self._complained:  # one line, not one for every row and reader
            self._complained = True
            log.warning("stored quotes cannot be read and count as missing", of=what, why=str(error))


_EPOCH_DAY = date(1970, 1, 1).toordinal()


async def _pages(connection: Connection, since: datetime) -> AsyncIterator[Any]:
    after = 0
    while True:
        query = select(quote_log.c.id, quote_log.c.body).where(quote_log.c.id > after, quote_log.c.at >= since)
        rows = (await connection.execute(query.order_by(quote_log.c.id).limit(_PAGE))).all()
        for row in rows:
            yield row
        if len(rows) < _PAGE:
            return
        after = rows[-1].id


def _upsert(connection: Connection) -> Any:
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        into: Any = sqlite.insert(quotes)
    else:
        from sqlalchemy.dialects import postgresql

        into = postgresql.insert(quotes)
    return into.on_conflict_do_update(index_elements=["day", "instrument"], set_={"body": into.excluded.body})

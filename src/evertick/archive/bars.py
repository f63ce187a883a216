"""Daily bars, a row for each instrument and year. They can be fetched again: what cannot be read counts as not there."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import structlog
from sqlalchemy import LargeBinary, delete, func, select, type_coerce

from evertick.archive import packing
from evertick.archive.connection import Connection, Engine
from evertick.archive.tables import bars as table
from evertick.model import Bars, Clock

log = structlog.get_logger()


class BarStore:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._complained = False

    async def save(self, bars: Bars) -> None:
        """Add the bars to what is stored; a day that is there already gets the new bar. No bars: nothing happens."""
        if not len(bars):
            return
        years = dict(packing.by_year(bars))
        now = self._clock.now()
        async with self._engine.begin() as connection:
            held = await connection.execute(
                select(table.c.year, table.c.body)
                .where(table.c.instrument == bars.instrument, table.c.year.in_(years))
                .with_for_update()
            )
            stored = {row.year: row.body for row in held}
            rows = []
            for year, new in years.items():
                old = self._read(bars.instrument, stored[year]) if year in stored else None
                whole = packing.merged(old, new) if old is not None else new
                rows.append({"instrument": bars.instrument, "year": year, "updated": now, "body": packing.pack(whole)})
            await connection.execute(_upsert(connection), rows)

    async def load(self, instrument: str, since: date | None = None) -> Bars:
        """The bars from ``since`` (inclusive) on, oldest first; empty when there are none."""
        query = select(table.c.body).where(table.c.instrument == instrument).order_by(table.c.year)
        if since is not None:
            query = query.where(table.c.year >= since.year)
        async with self._engine.connect() as connection:
            blobs = (await connection.scalars(query)).all()
        whole = Bars.empty(instrument)
        for blob in blobs:
            year = self._read(instrument, blob)
            if year is not None:
                _extend(whole, year)
        if since is None:
            return whole
        return packing.cut(whole, bisect_left(whole.day, since.toordinal()), len(whole))

    async def newest(self) -> Mapping[str, tuple[date, datetime]]:
        """For every instrument the day of its newest bar (the exchange's calendar) and when its bars were last saved."""
        head = type_coerce(func.substr(table.c.body, 1, packing.HEAD_BYTES), LargeBinary).label("head")
        query = select(table.c.instrument, table.c.updated, head).order_by(table.c.year)
        found: dict[str, tuple[date, datetime]] = {}
        async with self._engine.connect() as connection:
            for row in await connection.execute(query):
                try:
                    found[row.instrument] = (packing.last_day(bytes(row.head)), row.updated)
                except packing.Unreadable:
                    continue  # as `load`: not there, to be fetched again
        return found

    async def prune(self, before: date) -> int:
        """Delete the years that lie wholly before ``before``; returns how many rows (an instrument's year each)."""
        async with self._engine.begin() as connection:
            return (await connection.execute(delete(table).where(table.c.year < before.year))).rowcount

    def _read(self, instrument: str, blob: bytes) -> Bars | None:
        try:
            return packing.unpack(instrument, blob)
        except packing.Unreadable as error:
            if not self._complained:  # one line, not one for every instrument and report
                self._complained = True
                log.warning("stored bars cannot be read and count as missing", instrument=instrument, why=str(error))
            return None


def _extend(whole: Bars, year: Bars) -> None:
    pairs: list[tuple[array[Any], array[Any]]] = [
        (whole.day, year.day),
        (whole.open, year.open),
        (whole.high, year.high),
        (whole.low, year.low),
        (whole.close, year.close),
        (whole.volume, year.volume),
    ]
    for column, more in pairs:
        column.extend(more)


def _upsert(connection: Connection) -> Any:
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        insert: Any = sqlite.insert(table)
    else:
        from sqlalchemy.dialects import postgresql

        insert = postgresql.insert(table)
    return insert.on_conflict_do_update(
        index_elements=["instrument", "year"], set_={"updated": insert.excluded.updated, "body": insert.excluded.body}
    )

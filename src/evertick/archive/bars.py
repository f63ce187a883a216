"""Daily bars, a row for each instrument and year. They can be fetched again: what cannot be read counts as not there."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import structlog
from sqlalchemy import LargeBinary, Table, bindparam, delete, func, select, type_coerce

from evertick.archive import packing
from evertick.archive.connection import Connection, Engine, filled
from evertick.archive.tables import bar_series as series
from evertick.archive.tables import bars as table
from evertick.model import Bars, Clock

AHEAD = 8
"""Instruments whose bars are read at once: two years of them take about 0.2 MB."""

_SOME = (
    select(table.c.instrument, table.c.body)
    .where(table.c.instrument.in_(bindparam("instruments", expanding=True)), table.c.year >= bindparam("year"))
    .order_by(table.c.instrument, table.c.year)
)
"""Built once: a report asks a hundred times, and building it takes as long as reading."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Series:
    """What is known of the bars of one instrument without reading them."""

    last: date | None
    """The newest day (the exchange's calendar); ``None``: no source had any bars."""
    checked: datetime
    """When a source last answered."""
    since: date | None = None
    """The first day that was asked for: there is nothing to be had from there on that is not stored. ``None``: not known."""
    source: str | None = None
    """Of the newest bars."""


class BarStore:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._complained = False

    async def save(self, bars: Bars, *, since: date | None = None, whole: bool = False) -> None:
        """Add the bars to what is stored; a day that is there already gets the new bar.

        ``since`` is the day from which on they were asked for; with it a source that has none is remembered too.
        ``whole``: they take the place of all that is stored.
        """
        if not len(bars) and since is None:
            return
        years = dict(packing.by_year(bars))
        now = self._clock.now()
        async with self._engine.begin() as connection:
            await self._note(connection, bars, since, whole, now)
            if whole:
                await connection.execute(delete(table).where(table.c.instrument == bars.instrument))
            if not years:
                return
            held = await connection.execute(
                select(table.c.year, table.c.body)
                .where(table.c.instrument == bars.instrument, table.c.year.in_(filled(years)))
                .with_for_update()
            )
            stored = {row.year: row.body for row in held}
            rows = []
            for year, new in years.items():
                old = self._read(bars.instrument, stored[year]) if year in stored else None
                merged = packing.merged(old, new) if old is not None else new
                rows.append({"instrument": bars.instrument, "year": year, "updated": now, "body": packing.pack(merged)})
            await connection.execute(_upsert(connection, table, ("instrument", "year"), ("updated", "body")), rows)

    async def _note(self, connection: Connection, bars: Bars, since: date | None, whole: bool, now: datetime) -> None:
        mine = select(series).where(series.c.instrument == bars.instrument).with_for_update()
        known = (await connection.execute(mine)).first()
        asked = [since.toordinal()] if since is not None else []
        if known is not None and known.since is not None and not whole:
            asked.append(known.since)
        row = {
            "instrument": bars.instrument,
            "source": bars.source or (known.source if known is not None else None),
            "since": min(asked, default=None),
            "checked": now,
        }
        await connection.execute(_upsert(connection, series, ("instrument",), ("source", "since", "checked")), row)

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

    def in_turn(self, instruments: Sequence[str], since: date | None = None) -> InTurn:
        """A reader for whoever asks for most of ``instruments`` in their order, once or several times."""
        return InTurn(self, instruments, since)

    async def load_some(self, instruments: Sequence[str], since: date | None = None) -> dict[str, Bars]:
        """As `load`, of a few instruments at once."""
        asked = {"instruments": filled(instruments), "year": since.year if since is not None else 0}
        found = {id: Bars.empty(id) for id in instruments}
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_SOME, asked)).all()
        for row in rows:
            year = self._read(row.instrument, row.body)
            if year is not None:
                _extend(found[row.instrument], year)
        if since is None:
            return found
        first = since.toordinal()
        return {id: packing.cut(whole, bisect_left(whole.day, first), len(whole)) for id, whole in found.items()}

    async def series(self) -> Mapping[str, Series]:
        """What is known of each instrument whose bars were ever asked for."""
        head = type_coerce(func.substr(table.c.body, 1, packing.HEAD_BYTES), LargeBinary).label("head")
        newest: dict[str, date] = {}
        async with self._engine.connect() as connection:
            for row in await connection.execute(select(table.c.instrument, head).order_by(table.c.year)):
                try:
                    newest[row.instrument] = packing.last_day(bytes(row.head))
                except packing.Unreadable:
                    continue  # as `load`: not there, to be fetched again
            rows = (await connection.execute(select(series))).all()
        return {
            row.instrument: Series(
                newest.get(row.instrument),
                row.checked,
                None if row.since is None else date.fromordinal(row.since),
                row.source,
            )
            for row in rows
        }

    async def prune(self, before: date) -> int:
        """Delete the years that lie wholly before ``before``; returns how many rows (an instrument's year each).

        Year by year, so that no other writer waits for long.
        """
        async with self._engine.connect() as connection:
            years = await connection.scalars(select(table.c.year).where(table.c.year < before.year).distinct())
        gone = 0
        for year in sorted(years):
            async with self._engine.begin() as connection:
                gone += (await connection.execute(delete(table).where(table.c.year == year))).rowcount
        return gone

    def _read(self, instrument: str, blob: bytes) -> Bars | None:
        try:
            return packing.unpack(instrument, blob)
        except packing.Unreadable as error:
            if not self._complained:  # one line, not one for every instrument and report
                self._complained = True
                log.warning("stored bars cannot be read and count as missing", instrument=instrument, why=str(error))
            return None


class InTurn:
    """Reads bars ahead, `AHEAD` instruments at once: one visit to the database instead of one for each."""

    def __init__(self, store: BarStore, instruments: Sequence[str], since: date | None) -> None:
        self._store = store
        self._instruments = instruments
        self._since = since
        self._next = 0
        self._ahead: dict[str, Bars] = {}

    async def load(self, instrument: str) -> Bars:
        found = self._ahead.pop(instrument, None)
        if found is not None:
            return found
        at = self._place(instrument)
        if at is None:
            return await self._store.load(instrument, self._since)
        self._ahead.clear()
        self._ahead = await self._store.load_some(self._instruments[at : at + AHEAD], self._since)
        self._next = at + AHEAD
        return self._ahead.pop(instrument)

    def _place(self, instrument: str) -> int | None:
        """Where it stands, looked for from where the last ones ended."""
        for places in (range(self._next, len(self._instruments)), range(min(self._next, len(self._instruments)))):
            for place in places:
                if self._instruments[place] == instrument:
                    return place
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


def _upsert(connection: Connection, into: Table, key: Sequence[str], changed: Sequence[str]) -> Any:
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        insert: Any = sqlite.insert(into)
    else:
        from sqlalchemy.dialects import postgresql

        insert = postgresql.insert(into)
    return insert.on_conflict_do_update(
        index_elements=list(key), set_={name: insert.excluded[name] for name in changed}
    )

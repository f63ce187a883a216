"""Deleting, in steps so small that no other writer notices, and giving the space back to the disk."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.util import await_only

from evertick.archive.bodies import Places
from evertick.archive.connection import Connection, Engine
from evertick.archive.tables import assets, report_parts, reports
from evertick.errors import ArchiveError

if TYPE_CHECKING:
    from sqlalchemy import Connection as SyncConnection

log = structlog.get_logger()

PAGES = 1024
"""Pages given back by one statement: 4 MB, about 6 ms."""
UNUSED_FOR = timedelta(days=1)
"""An asset that no report names may belong to a draft; a draft is not that old."""


async def remove_report(engine: Engine, places: Places, id: str) -> bool:
    """Hide the report, delete its pieces, then its row. Interrupted, it is a draft without a lease: the sweeper goes on.

    So it is too when a store of objects does not answer: nobody sees the report any more, False says that it is not gone.
    """

    async def hidden() -> bool:
        query = select(reports.c.id).where(reports.c.id == id, reports.c.token == -1)
        async with engine.connect() as connection:
            return await connection.scalar(query) is not None

    async with engine.begin() as connection:
        await connection.execute(
            update(reports).where(reports.c.id == id).values(state="draft", token=-1, meta=None, pinned=False)
        )
        location = await connection.scalar(select(reports.c.bodies).where(reports.c.id == id))
    await places.rows.remove(id, hidden)
    if location is not None:
        try:
            await places.outside(location).remove(id, hidden)
        except ArchiveError as error:
            log.warning("report hidden, its objects are still to be deleted", report=id, error=str(error))
            return False
    async with engine.begin() as connection:
        await connection.execute(delete(reports).where(reports.c.id == id, reports.c.token == -1))
    return True


async def remove_unused_assets(engine: Engine, now: datetime) -> int:
    """Delete assets that no published report names and no run asked for lately. Returns how many."""
    async with engine.begin() as connection:
        old = set(await connection.scalars(select(assets.c.hash).where(assets.c.created < now - UNUSED_FOR)))
        if not old:
            return 0
        unused = old - await _named(connection)
        for digest in unused:
            await connection.execute(delete(assets).where(assets.c.hash == digest))
        return len(unused)


async def _named(connection: Connection) -> set[str]:
    """The assets that published reports name; read a few reports at a time (up to 4 KB each)."""
    named: set[str] = set()
    after = ""
    while True:
        rows = (
            await connection.execute(
                select(reports.c.id, reports.c.meta)
                .where(reports.c.state == "published", reports.c.id > after)
                .order_by(reports.c.id)
                .limit(25)
            )
        ).all()
        if not rows:
            return named
        named.update(part["asset"] for row in rows for part in row.meta["parts"] if part["asset"])
        after = rows[-1].id


async def give_back(engine: Engine) -> None:
    """Return the space of what was deleted to the disk.

    SQLite: the file becomes smaller at the checkpoint, which is asked for here and waits for nobody. PostgreSQL: a plain
    ``VACUUM`` of the table, beside which others read and write, makes the space free for the next reports and gives the
    free end of the table's file back; it leaves out what a transaction still sees, and autovacuum takes that later.
    """
    if engine.dialect.name != "sqlite":
        async with engine.connect() as connection:
            await connection.run_sync(_vacuum)
        return
    before = -1
    while True:
        async with engine.turn(), engine.connect() as connection:
            free, kind = await connection.run_sync(_free_pages)
            if free in (0, before) or kind != _INCREMENTAL:
                break
            before = free
            await connection.run_sync(_outside, f"PRAGMA incremental_vacuum({PAGES})")
    async with engine.connect() as connection:
        await connection.run_sync(_outside, "PRAGMA wal_checkpoint(PASSIVE)")


_INCREMENTAL = 2
"""What the pragma ``auto_vacuum`` answers for a file that can become smaller."""


def _free_pages(connection: SyncConnection) -> tuple[int, int]:
    answers = [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("freelist_count", "auto_vacuum")]
    connection.rollback()
    return answers[0], answers[1]


def _vacuum(connection: SyncConnection) -> None:
    """PostgreSQL runs it outside of a transaction only. A role that does not own the table gets a warning and goes on."""
    connection.execution_options(isolation_level="AUTOCOMMIT")
    connection.exec_driver_sql(f"VACUUM {report_parts.name}")


def _outside(connection: SyncConnection, statement: str) -> None:
    """Run a statement to its end, outside of a transaction, in which SQLite makes no checkpoint.

    Straight to aiosqlite, as a script: ``incremental_vacuum`` gives one page back for every step, and has no columns, so
    that Python's cursors take one step and no more. Page by page it took 140 ms for a report of 1 MB; this takes 2.
    """
    driver = connection.connection.driver_connection
    cursor = await_only(driver.executescript(statement))  # type: ignore[union-attr]
    await_only(cursor.close())

"""Deleting, in steps so small that no other writer notices, and giving the space back to the disk."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update

from evertick.archive.connection import Connection, Engine
from evertick.archive.tables import assets, report_parts, reports

ROWS = 16
"""Pieces deleted by one transaction: about 1 MB."""
PAGES = 512
"""Pages given back by one statement: 2 MB."""
UNUSED_FOR = timedelta(days=1)
"""An asset that no report names may belong to a draft; a draft is not that old."""


async def remove_report(engine: Engine, id: str) -> None:
    """Hide the report, delete its pieces, then its row. Interrupted, it is a draft without a lease: the sweeper goes on."""
    async with engine.begin() as connection:
        await connection.execute(
            update(reports).where(reports.c.id == id).values(state="draft", token=-1, meta=None, pinned=False)
        )
        found = await connection.execute(
            select(report_parts.c.token, report_parts.c.part, func.max(report_parts.c.seq).label("last"))
            .where(report_parts.c.report == id)
            .group_by(report_parts.c.token, report_parts.c.part)
        )
        streams = [(row.token, row.part, row.last) for row in found]
    for token, part, last in streams:
        for seq in range(0, last + 1, ROWS):
            async with engine.begin() as connection:
                await connection.execute(
                    delete(report_parts).where(
                        report_parts.c.report == id,
                        report_parts.c.token == token,
                        report_parts.c.part == part,
                        report_parts.c.seq.between(seq, seq + ROWS - 1),
                    )
                )
    async with engine.begin() as connection:
        await connection.execute(delete(reports).where(reports.c.id == id, reports.c.token == -1))


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
    """Return free pages to the disk. SQLite only; PostgreSQL's autovacuum reuses them by itself.

    The file becomes smaller at the checkpoint, which is asked for here and waits for nobody.
    """
    if engine.dialect.name != "sqlite":
        return
    while True:
        async with engine.begin() as connection:
            free = (await connection.exec_driver_sql("PRAGMA freelist_count")).scalar_one()
            if free == 0 or (await connection.exec_driver_sql("PRAGMA auto_vacuum")).scalar_one() != 2:
                break
            # Every row of the answer is one page given back: it is all read, else only one goes.
            await connection.exec_driver_sql(f"PRAGMA incremental_vacuum({PAGES})")
            if (await connection.exec_driver_sql("PRAGMA freelist_count")).scalar_one() == free:
                break
    async with engine.connect() as connection:
        await connection.rollback()
        await connection.run_sync(_checkpoint)


def _checkpoint(connection: object) -> None:
    """Outside of a transaction, in which SQLite makes no checkpoint."""
    driver = connection.connection.dbapi_connection  # type: ignore[attr-defined]
    cursor = driver.cursor()
    try:
        cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        cursor.fetchall()
    finally:
        cursor.close()

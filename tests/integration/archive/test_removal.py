"""Deleting gives the space back, and gets on where it was interrupted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from evertick.archive import Archive, open_archive, removal
from evertick.archive.database import sqlite_path
from evertick.archive.migrate import upgrade
from evertick.archive.parts import PIECE
from evertick.archive.tables import report_parts, reports
from evertick.errors import NotFound
from evertick.model import ReportMeta

Publish = Callable[..., Awaitable[ReportMeta]]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def noise(pieces: int) -> bytes:
    return random.Random(pieces).randbytes(pieces * PIECE)


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """Overrides the folder's: files that shrink are SQLite's; ``postgresql`` is asked for by name."""
    kind = getattr(request, "param", "sqlite")
    found: str = request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_database")
    upgrade(found)
    return found


async def test_the_file_becomes_smaller(archive: Archive, publish: Publish, url: str) -> None:
    empty = sqlite_path(url).stat().st_size
    for hours in range(6):
        await publish(hours, body=noise(20))
    await checkpoint(archive)
    full = sqlite_path(url).stat().st_size
    assert full > empty + 100 * PIECE
    await archive.reports.prune(1, LONG_AGO)
    assert sqlite_path(url).stat().st_size < empty + 30 * PIECE
    await archive.reports.prune(0, LONG_AGO)
    assert sqlite_path(url).stat().st_size <= empty + PIECE
    assert Path(f"{sqlite_path(url)}-wal").stat().st_size <= 5 << 20


async def test_a_year_of_reports_leaves_the_file_where_it_was(archive: Archive, publish: Publish, url: str) -> None:
    """Made and pruned over and over, the file does not creep."""
    sizes = []
    for hours in range(40):
        await publish(hours, body=noise(4))
        await archive.reports.prune(3, LONG_AGO)
        sizes.append(sqlite_path(url).stat().st_size)
    assert max(sizes[10:]) <= max(sizes[5:10]) + 8 * 4096


async def test_other_writers_come_in_between(archive: Archive, publish: Publish) -> None:
    meta = await publish(body=noise(100))
    done = asyncio.create_task(archive.reports.delete(meta.id))
    written = 0
    while not done.done():
        await archive.reports.asset("css", str(written).encode())
        written += 1
    await done
    assert written > 5


async def test_interrupted_the_report_is_hidden_and_the_sweeper_finishes(
    archive: Archive, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = await publish(body=noise(60))
    calls = 0
    begin = archive.engine.begin

    def dying() -> Any:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise KeyboardInterrupt("kill -9")
        return begin()

    with monkeypatch.context() as patch:
        patch.setattr(archive.engine, "begin", dying)
        with pytest.raises(KeyboardInterrupt):
            await removal.remove_report(archive.engine, archive.places, meta.id)
    with pytest.raises(NotFound):
        await archive.reports.get(meta.id)
    assert 0 < await count(archive, report_parts) < 61
    assert await archive.reports.sweep(LONG_AGO) == 1
    assert await count(archive, report_parts) == await count(archive, reports) == 0


async def test_a_database_that_others_read_is_given_back_later(
    archive: Archive, publish: Publish, url: str, clock: Any
) -> None:
    """A reader with an old snapshot keeps the file large for as long as it reads; nobody waits for it."""
    meta = await publish(body=noise(40))
    await checkpoint(archive)
    async with open_archive(url, clock) as other, other.engine.connect() as reader:
        await reader.execute(select(reports.c.id))
        await asyncio.wait_for(archive.reports.delete(meta.id), 5)
    await publish(1)
    await archive.reports.prune(0, LONG_AGO)
    assert sqlite_path(url).stat().st_size < 10 * PIECE


async def count(archive: Archive, table: Any) -> int:
    async with archive.engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)))


async def checkpoint(archive: Archive) -> None:
    async with archive.engine.connect() as connection:
        await connection.run_sync(removal._outside, "PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_postgresql_gives_the_end_of_the_table_back_and_uses_the_rest_again(
    archive: Archive, publish: Publish
) -> None:
    async def size() -> int:
        async with archive.engine.connect() as connection:
            return int(await connection.scalar(select(func.pg_total_relation_size("report_parts"))))

    empty = await size()
    sizes = []
    for hours in range(8):
        await publish(hours, body=noise(20))
        await archive.reports.prune(2, LONG_AGO)
        sizes.append(await size())
    assert sizes[1] > empty + 20 * PIECE
    assert sizes[-1] <= sizes[3], "the space of deleted reports is used again"
    await archive.reports.prune(0, LONG_AGO)
    assert await size() <= empty + 20 * 8192

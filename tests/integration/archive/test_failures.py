"""A full, read-only or locked database, and a server that goes away: one clear error each, nothing lost, then on again."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import random
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text

from evertick.archive import Archive, open_archive
from evertick.archive.database import sqlite_path
from evertick.archive.migrate import current, upgrade
from evertick.archive.parts import PIECE
from evertick.errors import ArchiveFull, ArchiveLocked, ArchiveReadOnly, ArchiveUnavailable
from evertick.model import Outcome, Quote, Receipt, ReportMeta, Slot
from servers import Server, postgres_server

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def receipt(minutes: int = 0) -> Receipt:
    return Receipt(
        job="report", component="save", slot=None, started=NOW + timedelta(minutes=minutes), duration_s=1.0,
        outcome=Outcome.OK, heap_before=None, heap_after=None, blocks_before=1, blocks_after=1, rss_before=None,
        rss_after=None, peak_rss=None, freed=None, fds_delta=None, tasks_delta=0, connections_delta=None,
        overlapped=False, release_s=0.0,
    )  # fmt: skip


@pytest.fixture
async def sqlite_archive(sqlite_url: str, clock: Any) -> AsyncIterator[Archive]:
    upgrade(sqlite_url)
    async with open_archive(sqlite_url, clock) as archive:
        yield archive
        assert archive.connections() == 0


# --- full ------------------------------------------------------------------------------------------------------------


class Disk:
    """A disk of the size that is set, as SQLite sees it in each of its connections."""

    def __init__(self, archive: Archive) -> None:
        self.engine = archive.engine.sync_engine
        self.pages: int | None = None
        event.listen(self.engine, "checkout", self._limit)

    def _limit(self, connection: Any, record: Any, proxy: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count={self.pages or 1_073_741_823}")
        cursor.close()


async def test_a_full_disk_stops_the_draft_keeps_what_there_was_and_goes_on_when_there_is_space(
    sqlite_archive: Archive,
) -> None:
    archive = sqlite_archive
    disk = Disk(archive)
    async with archive.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO slots (id, desk, job, due, state, trigger, params, token) "
                "VALUES ('report.default.20261123T000000.000000', 'default', 'report', 0, 'leased', 'manual', '{}', 1)"
            )
        )
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
    await archive.receipts.add(receipt())
    slot = Slot("report.default.20261123T000000.000000", "default", "report", NOW, token=1)
    disk.pages = pages + 100
    body = random.Random(1).randbytes(20 * PIECE)
    id = await archive.reports.draft(slot, ("vi",), NOW)
    with pytest.raises(ArchiveFull, match="space"):
        async with archive.reports.writer(id, 1, "html") as part:
            await part.write(body)
    assert archive.connections() == 0
    assert len((await archive.receipts.recent(5)).items) == 1, "reading goes on"
    assert await archive.reports.latest() is None
    disk.pages = None
    await archive.reports.draft(slot, ("vi",), NOW)
    async with archive.reports.writer(id, 1, "html") as part:
        await part.write(body)
    meta = ReportMeta(
        id=id, desk="default", slot=slot.id, created=NOW, as_of=NOW, languages=("vi",), parts=(part.meta,),
        headline={}, instruments=0, duration_s=0.0, stages_s={},
    )  # fmt: skip
    await archive.reports.publish(slot, meta)
    stored = b"".join([piece async for piece in archive.reports.part(id, "html")])
    assert gzip.decompress(stored) == body
    async with archive.engine.connect() as connection:
        assert (await connection.exec_driver_sql("PRAGMA integrity_check")).scalar_one() == "ok"


async def test_a_full_disk_costs_the_quotes_of_that_refresh_until_there_is_space(sqlite_archive: Archive) -> None:
    archive = sqlite_archive
    dice = random.Random(1)

    def snapshot(at: datetime) -> list[Quote]:
        return [Quote(f"I{n}", dice.random(), at, "yahoo") for n in range(2_000)]

    async with archive.engine.connect() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
    disk = Disk(archive)
    disk.pages = pages + 1
    given = snapshot(NOW)
    with pytest.raises(ArchiveFull, match="space"):
        await archive.quotes.add(NOW, given)
    disk.pages = None
    assert await archive.quotes.add(NOW, given) == 2_000
    await archive.quotes.compact(at_least=1)
    assert (await archive.quotes.load("I7", NOW, NOW))[1].tolist() == [given[7].price]


# --- read-only -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def as_somebody_else() -> Iterator[None]:
    """Root may write everywhere: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def readable_folder() -> Iterator[Path]:
    """A folder that everybody may read and only its owner write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755)


def closed(folder: Path) -> None:
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)


async def test_a_read_only_file_is_read_and_not_written(readable_folder: Path, clock: Any) -> None:
    url = f"sqlite:///{readable_folder / 'evertick.db'}"
    upgrade(url)
    async with open_archive(url, clock) as archive:
        await archive.receipts.add(receipt())
        wal = readable_folder / "evertick.db-wal"
        closed(readable_folder)
        assert wal.exists()
        with as_somebody_else():
            async with open_archive(url, clock) as reader:
                assert len((await reader.receipts.recent(5)).items) == 1
                with pytest.raises(ArchiveReadOnly, match="may not be written"):
                    await reader.receipts.add(receipt(1))
                with pytest.raises(ArchiveReadOnly):
                    await reader.reports.asset("css", b"x")
        readable_folder.chmod(0o755)


async def test_a_folder_that_may_not_be_written_is_named_at_the_start(readable_folder: Path, clock: Any) -> None:
    url = f"sqlite:///{readable_folder / 'evertick.db'}"
    upgrade(url)
    closed(readable_folder)
    with as_somebody_else(), pytest.raises(ArchiveReadOnly) as caught:
        async with open_archive(url, clock, owner_lock=readable_folder / "evertick.lock"):
            pass
    assert str(readable_folder) in str(caught.value)
    with as_somebody_else(), pytest.raises(ArchiveReadOnly):
        upgrade(f"sqlite:///{readable_folder / 'new' / 'evertick.db'}")


async def test_a_read_only_server_is_read_and_not_written(postgres_database: str, clock: Any) -> None:
    upgrade(postgres_database)
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with open_archive(postgres_database, clock) as archive:
        assert (await archive.receipts.recent(5)).items == []
        with pytest.raises(ArchiveReadOnly, match="read-only"):
            await archive.receipts.add(receipt())


async def test_a_user_without_rights_is_told(postgres_database: str, clock: Any) -> None:
    upgrade(postgres_database)
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    async with open_archive(postgres_database.replace("evertick@", "reader@"), clock) as archive:
        with pytest.raises(ArchiveReadOnly, match="permission denied"):
            await archive.receipts.add(receipt())
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("DROP OWNED BY reader")
        connection.execute("DROP ROLE reader")


# --- locked ----------------------------------------------------------------------------------------------------------


async def test_a_lock_of_another_program_is_waited_for_then_named_and_then_forgotten(
    url: str, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evertick.archive.database.BUSY_TIMEOUT_S", 0.3)
    async with open_archive(url, clock) as archive:
        with locked(url):
            with pytest.raises(ArchiveLocked, match="locked"):
                await archive.receipts.add(receipt())
            assert archive.connections() == 0
        await archive.receipts.add(receipt())
        assert len((await archive.receipts.recent(5)).items) == 1


async def test_a_lock_that_ends_in_time_is_not_noticed(url: str, clock: Any) -> None:
    async with open_archive(url, clock) as archive:
        with locked(url):
            waiting = asyncio.create_task(archive.receipts.add(receipt()))
            await asyncio.sleep(0.1)
            assert not waiting.done()
        await waiting
        assert len((await archive.receipts.recent(5)).items) == 1


@contextlib.contextmanager
def locked(url: str) -> Iterator[None]:
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(sqlite_path(url), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
    else:
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE receipts IN EXCLUSIVE MODE")
            yield
            other.rollback()


async def test_readers_of_sqlite_do_not_wait_for_the_writer(sqlite_archive: Archive, sqlite_url: str) -> None:
    await sqlite_archive.receipts.add(receipt())
    with locked(sqlite_url):
        assert len((await sqlite_archive.receipts.recent(5)).items) == 1


# --- a server that goes away -----------------------------------------------------------------------------------------


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    with postgres_server(tmp_path) as server:
        yield server


async def test_a_server_that_goes_away_and_comes_back(own_server: Server, clock: Any) -> None:
    url = f"postgresql://evertick@127.0.0.1:{own_server.port}/postgres"
    upgrade(url)
    async with open_archive(url, clock) as archive:
        await archive.receipts.add(receipt(0))
        own_server.stop()
        for attempt in (archive.receipts.add(receipt(1)), archive.receipts.recent(5), archive.ping()):
            with pytest.raises(ArchiveUnavailable, match="cannot be reached"):
                await attempt
        with pytest.raises(ArchiveUnavailable):
            current(url)
        assert archive.connections() == 0
        own_server.start()
        await archive.ping()
        await archive.receipts.add(receipt(2))
        assert len((await archive.receipts.recent(5)).items) == 2


async def test_a_server_that_dies_within_a_transaction_commits_nothing_of_it(own_server: Server, clock: Any) -> None:
    url = f"postgresql://evertick@127.0.0.1:{own_server.port}/postgres"
    upgrade(url)
    async with open_archive(url, clock) as archive:
        with pytest.raises(ArchiveUnavailable):
            async with archive.engine.begin() as connection:
                await connection.execute(text("INSERT INTO schedules VALUES ('d', 'j', '3m', 0, 0)"))
                own_server.stop()
                await connection.execute(text("INSERT INTO schedules VALUES ('d', 'k', '3m', 0, 0)"))
        assert archive.connections() == 0
        own_server.start()
        async with archive.engine.connect() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM schedules")) == 0


async def test_connections_that_the_server_closed_are_replaced_unnoticed(postgres_database: str, clock: Any) -> None:
    upgrade(postgres_database)
    async with open_archive(postgres_database, clock) as archive:
        await asyncio.gather(*(archive.ping() for _ in range(5)))
        with psycopg.connect(postgres_database, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await asyncio.gather(*(archive.ping() for _ in range(5)))
        await archive.receipts.add(receipt())

from __future__ import annotations

import asyncio
import gzip
import os
import sqlite3
from array import array
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from evertick.archive import Archive, open_archive
from evertick.archive.backup import backup, restore
from evertick.archive.database import HEAD, sqlite_path
from evertick.archive.lock import owned
from evertick.archive.migrate import upgrade
from evertick.errors import ArchiveError, ArchiveReadOnly, DataFolderInUse, NotFound, SchemaMismatch
from evertick.model import Bars, Quote, ReportMeta
from servers import find

Publish = Callable[..., Awaitable[ReportMeta]]


@pytest.fixture(autouse=True)
def client_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump of the server's own version first: an older one refuses a newer server."""
    programs = Path(find("pg_dump", also="/usr/lib/postgresql/*/bin/pg_dump")).parent
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def other_url(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A second database of the same kind, with nothing in it."""
    if url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'other' / 'evertick.db'}"
        return
    import psycopg

    name = f"{make_url(url).database}_other"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield make_url(url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name}")


async def test_a_backup_of_a_running_archive_is_restored_elsewhere(
    archive: Archive, publish: Publish, url: str, other_url: str, tmp_path: Path, clock: Any
) -> None:
    meta = await publish(body=b"<p>kept</p>" * 30_000)
    close = array("d", [100.0, 101.5])
    bars = Bars("SPX", array("i", [739_900, 739_901]), close, close, close, close, close, source="yahoo")
    await archive.bars.save(bars, since=date(2024, 11, 23))
    await archive.quotes.add(clock.at, [Quote("SPX", 101.5, clock.at, "yahoo")])
    await archive.quotes.compact(1)
    later = clock.at + timedelta(minutes=3)
    await archive.quotes.add(later, [Quote("SPX", 102.5, later, "yahoo")])
    await archive.usage.add("fmp", date(2026, 11, 23), 7)
    series = await archive.bars.series()
    file = tmp_path / "backups" / "evertick.backup"
    size = await asyncio.to_thread(backup, url, file)
    assert size == file.stat().st_size > 1000
    await archive.reports.delete(meta.id)
    assert await asyncio.to_thread(restore, other_url, file) == HEAD
    async with open_archive(other_url, clock) as restored:
        assert await restored.reports.get(meta.id) == meta
        page = b"".join([piece async for piece in restored.reports.part(meta.id, "html")])
        assert gzip.decompress(page) == b"<p>kept</p>" * 30_000
        assert (await restored.bars.load("SPX")).close == close
        assert await restored.bars.series() == series
        assert (await restored.quotes.load("SPX", clock.at, later))[1].tolist() == [101.5, 102.5]
        assert await restored.usage.load() == {"fmp": (date(2026, 11, 23), 7)}
        await restored.quotes.add(later, [Quote("NDX", 1.0, later, "yahoo")])  # its ids go on from there
    assert [p.name for p in file.parent.iterdir()] == [file.name]


async def test_restoring_over_a_database_with_newer_rows(url: str, clock: Any, tmp_path: Path) -> None:
    file = tmp_path / "evertick.backup"
    async with open_archive(url, clock) as archive:
        await archive.reports.asset("css", b"first")
    backup(url, file)
    async with open_archive(url, clock) as archive:
        later = await archive.reports.asset("css", b"second")
    restore(url, file)
    async with open_archive(url, clock) as archive:
        with pytest.raises(NotFound):
            await archive.reports.asset_body(later.hash)
        await archive.reports.asset("css", b"third")


async def test_the_database_that_was_there_is_kept_beside(sqlite_url: str, clock: Any, tmp_path: Path) -> None:
    upgrade(sqlite_url)
    file = tmp_path / "evertick.backup"
    backup(sqlite_url, file)
    async with open_archive(sqlite_url, clock) as archive:
        asset = await archive.reports.asset("css", b"only here")
    restore(sqlite_url, file)
    async with open_archive(f"{sqlite_url}.before-restore", clock) as before:
        assert await before.reports.asset_body(asset.hash)


async def test_while_writers_write_a_backup_is_one_moment(archive: Archive, url: str, tmp_path: Path) -> None:
    async def write() -> None:
        for n in range(60):
            await archive.reports.asset("css", os.urandom(20_000) + bytes([n]))

    file = tmp_path / "evertick.backup"
    writing = asyncio.create_task(write())
    for _ in range(3):
        await asyncio.to_thread(backup, url, file)
    await writing
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(file)) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_later_backup_takes_the_place_of_the_earlier(url: str, tmp_path: Path) -> None:
    file = tmp_path / "evertick.backup"
    file.write_text("the earlier one")
    backup(url, file)
    assert b"the earlier one" not in file.read_bytes()


def test_a_failed_backup_leaves_the_earlier_alone(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "evertick.backup"
    file.write_text("the earlier one")
    sqlite_path(sqlite_url).write_bytes(b"my diary, page 1: " * 500)
    with pytest.raises(ArchiveError):
        backup(sqlite_url, file)
    assert file.read_text() == "the earlier one"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evertick.backup", "evertick.db"]


def test_what_is_no_backup_is_refused_and_nothing_touched(url: str, clock: Any, tmp_path: Path) -> None:
    for name, content in (("text", b"my diary, page 1: " * 500), ("nothing", b"")):
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(ArchiveError):
            restore(url, file)
    with pytest.raises(NotFound):
        restore(url, tmp_path / "missing")
    assert upgrade(url) == HEAD
    assert not list(tmp_path.glob("*.before-restore"))


def test_another_programs_database_is_no_backup(sqlite_url: str, tmp_path: Path) -> None:
    upgrade(sqlite_url)
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    with pytest.raises(SchemaMismatch, match="not a database of Evertick"):
        restore(sqlite_url, tmp_path / "other.db")


def test_a_backup_of_a_newer_version_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    upgrade(sqlite_url)
    file = tmp_path / "evertick.backup"
    backup(sqlite_url, file)
    with closing(sqlite3.connect(file)) as copy:
        copy.execute("UPDATE alembic_version SET version_num = '9999'")
        copy.commit()
    with pytest.raises(SchemaMismatch, match="newer"):
        restore(sqlite_url, file)


def test_a_running_server_is_not_restored_over(sqlite_url: str, tmp_path: Path) -> None:
    upgrade(sqlite_url)
    file = tmp_path / "evertick.backup"
    backup(sqlite_url, file)
    with owned(tmp_path / "evertick.lock"), pytest.raises(DataFolderInUse):
        restore(sqlite_url, file)


def test_no_database_no_backup(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no database"):
        backup(sqlite_url, tmp_path / "evertick.backup")


def test_the_database_is_not_its_own_backup(sqlite_url: str) -> None:
    upgrade(sqlite_url)
    with pytest.raises(ArchiveError, match="itself"):
        backup(sqlite_url, sqlite_path(sqlite_url))
    with pytest.raises(ArchiveError, match="itself"):
        restore(sqlite_url, sqlite_path(sqlite_url))
    assert upgrade(sqlite_url) == HEAD


def test_a_place_that_cannot_be_written_is_named(sqlite_url: str, tmp_path: Path) -> None:
    upgrade(sqlite_url)
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveReadOnly, match="file"):
        backup(sqlite_url, tmp_path / "file" / "evertick.backup")
    with pytest.raises(ArchiveError, match="folder"):
        backup(sqlite_url, tmp_path)


def test_without_pg_dump_it_says_what_to_install(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ArchiveError, match="postgresql-client"):
        backup(postgres_database, tmp_path / "evertick.backup")


def test_a_server_that_is_gone_is_what_pg_dump_says(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"pg_dump failed: .*refused") as caught:
        backup("postgresql://me:geheim@127.0.0.1:1/x", tmp_path / "evertick.backup")
    assert "geheim" not in str(caught.value)

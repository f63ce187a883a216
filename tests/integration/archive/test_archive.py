from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from evertick.archive import open_archive
from evertick.archive.migrate import upgrade
from evertick.errors import ArchiveUnavailable, DataFolderInUse, SchemaMismatch, SettingsError


async def test_opens_answers_and_closes(url: str, clock: Any) -> None:
    async with open_archive(url, clock) as archive:
        await archive.ping()
        assert archive.connections() == 0
        assert (await archive.reports.list()).items == []


async def test_the_name_of_an_archive_has_no_password(sqlite_url: str, clock: Any) -> None:
    upgrade(sqlite_url)
    async with open_archive(sqlite_url, clock) as archive:
        assert archive.name.startswith("SQLite ")


async def test_a_missing_database_is_not_made_silently(sqlite_url: str, clock: Any) -> None:
    with pytest.raises(SchemaMismatch, match="evertick db upgrade"):
        async with open_archive(sqlite_url, clock):
            pass
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


async def test_an_empty_database_asks_for_the_upgrade(postgres_database: str, clock: Any) -> None:
    with pytest.raises(SchemaMismatch, match=r"no tables of Evertick yet.*evertick db upgrade"):
        async with open_archive(postgres_database, clock):
            pass


@pytest.mark.parametrize(("revision", "said"), [("0000", "evertick db upgrade"), ("9999", "newer")])
async def test_another_schema_is_refused(url: str, clock: Any, revision: str, said: str) -> None:
    async with open_archive(url, clock) as archive, archive.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
    with pytest.raises(SchemaMismatch, match=said):
        async with open_archive(url, clock):
            pass


async def test_one_data_folder_has_one_owner(url: str, clock: Any, tmp_path: Path) -> None:
    lock = tmp_path / "evertick.lock"
    async with open_archive(url, clock, owner_lock=lock):
        with pytest.raises(DataFolderInUse, match=str(os.getpid())):
            async with open_archive(url, clock, owner_lock=lock):
                pass
    async with open_archive(url, clock, owner_lock=lock) as archive:
        await archive.ping()


async def test_a_failed_start_leaves_nothing_open(sqlite_url: str, clock: Any, tmp_path: Path) -> None:
    lock = tmp_path / "evertick.lock"
    Path(sqlite_url.removeprefix("sqlite:///")).write_bytes(b"")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SchemaMismatch):
        async with open_archive(sqlite_url, clock, owner_lock=lock):
            pass
    assert len(os.listdir("/proc/self/fd")) == before
    assert not [t for t in threading.enumerate() if "connection_worker" in t.name and t.is_alive()]
    upgrade(sqlite_url)
    async with open_archive(sqlite_url, clock, owner_lock=lock) as archive:
        await archive.ping()


async def test_a_file_that_is_no_database_says_so(sqlite_url: str, clock: Any) -> None:
    Path(sqlite_url.removeprefix("sqlite:///")).write_bytes(b"my diary, page 1: " * 500)
    with pytest.raises(ArchiveUnavailable, match="no SQLite database"):
        async with open_archive(sqlite_url, clock):
            pass


@pytest.mark.parametrize("wrong", ["nobody:x@127.0.0.1:1/db", "evertick@no-such-host.invalid/db"])
async def test_a_server_that_is_not_there_is_one_clear_error(clock: Any, wrong: str) -> None:
    with pytest.raises(ArchiveUnavailable, match="cannot be reached") as caught:
        async with open_archive(f"postgresql://{wrong}", clock):
            pass
    assert "nobody:x" not in str(caught.value)


async def test_a_database_that_does_not_exist_says_how_to_make_it(postgres_database: str, clock: Any) -> None:
    with pytest.raises(ArchiveUnavailable, match="createdb"):
        async with open_archive(postgres_database + "_missing", clock):
            pass


async def test_an_unusable_url_is_a_matter_of_the_settings(clock: Any) -> None:
    with pytest.raises(SettingsError):
        async with open_archive("oracle://x", clock):
            pass

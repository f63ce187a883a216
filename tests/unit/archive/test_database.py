from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import psycopg.errors
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from evertick.archive import migrations
from evertick.archive.database import HEAD, address, compare_revision, is_sqlite, shown, sqlite_path, translate
from evertick.errors import (
    ArchiveError,
    ArchiveFull,
    ArchiveLocked,
    ArchiveReadOnly,
    ArchiveUnavailable,
    SchemaMismatch,
    SettingsError,
)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///data/evertick.db", "SQLite data/evertick.db"),
        ("sqlite:////var/lib/evertick.db", "SQLite /var/lib/evertick.db"),
        ("postgresql://me:geheim@db.example:5433/markets?sslmode=require", "PostgreSQL markets at db.example:5433"),
        ("postgres://me:geheim@db.example/markets", "PostgreSQL markets at db.example:5432"),
        ("postgresql+psycopg://me:geheim@/markets", "PostgreSQL markets at localhost:5432"),
    ],
)
def test_a_database_is_shown_without_its_password(url: str, name: str) -> None:
    assert shown(url) == name


def test_sqlite_urls_name_a_file() -> None:
    assert is_sqlite("sqlite:///a.db")
    assert sqlite_path("sqlite:///a.db") == Path("a.db")
    assert sqlite_path("sqlite:////a/b.db") == Path("/a/b.db")


@pytest.mark.parametrize(
    "url", ["mysql://me:geheim@host/x", "sqlite://", "sqlite:///:memory:", "geheim", "", "postgresql//geheim@h"]
)
def test_an_unusable_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL") as caught:
        address(url)
    assert "geheim" not in str(caught.value)


def sqlite_error(code: str, text: str = "driver's words") -> OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorname = code  # type: ignore[misc]
    error.sqlite_errorcode = 1  # type: ignore[misc]
    return OperationalError("INSERT", {}, error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SQLITE_FULL", ArchiveFull),
        ("SQLITE_IOERR_SHMSIZE", ArchiveFull),
        ("SQLITE_READONLY", ArchiveReadOnly),
        ("SQLITE_READONLY_DIRECTORY", ArchiveReadOnly),
        ("SQLITE_READONLY_DBMOVED", ArchiveReadOnly),
        ("SQLITE_CANTOPEN", ArchiveReadOnly),
        ("SQLITE_BUSY", ArchiveLocked),
        ("SQLITE_BUSY_SNAPSHOT", ArchiveLocked),
        ("SQLITE_LOCKED_SHAREDCACHE", ArchiveLocked),
        ("SQLITE_IOERR_WRITE", ArchiveUnavailable),
        ("SQLITE_CORRUPT", ArchiveUnavailable),
        ("SQLITE_NOTADB", ArchiveUnavailable),
    ],
)
def test_what_sqlite_means(code: str, kind: type[ArchiveError]) -> None:
    ours = translate(sqlite_error(code), "SQLite x.db")
    assert type(ours) is kind
    assert "x.db" in ours.message
    assert ours.hint


def test_a_missing_table_asks_for_the_upgrade() -> None:
    ours = translate(sqlite_error("SQLITE_ERROR", "no such table: slots"), "SQLite x.db")
    assert isinstance(ours, SchemaMismatch)
    assert "evertick db upgrade" in ours.hint


def postgres_error(kind: type[psycopg.Error], text: str = "server's words") -> OperationalError:
    return OperationalError("INSERT", {}, kind(text))


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        (psycopg.errors.DiskFull, ArchiveFull),
        (psycopg.errors.ReadOnlySqlTransaction, ArchiveReadOnly),
        (psycopg.errors.InsufficientPrivilege, ArchiveReadOnly),
        (psycopg.errors.LockNotAvailable, ArchiveLocked),
        (psycopg.errors.DeadlockDetected, ArchiveLocked),
        (psycopg.errors.SerializationFailure, ArchiveLocked),
        (psycopg.errors.UndefinedTable, SchemaMismatch),
        (psycopg.errors.AdminShutdown, ArchiveUnavailable),
        (psycopg.errors.CannotConnectNow, ArchiveUnavailable),
        (psycopg.errors.TooManyConnections, ArchiveUnavailable),
        (psycopg.errors.ConnectionFailure, ArchiveUnavailable),
        (psycopg.errors.InvalidPassword, ArchiveUnavailable),
        (psycopg.errors.ConnectionTimeout, ArchiveUnavailable),
        (psycopg.OperationalError, ArchiveUnavailable),
        (psycopg.InterfaceError, ArchiveUnavailable),
    ],
)
def test_what_postgresql_means(kind: type[psycopg.Error], ours: type[ArchiveError]) -> None:
    assert type(translate(postgres_error(kind), "PostgreSQL x")) is ours


def test_the_words_of_a_failed_connect_give_the_right_hint() -> None:
    wrong = postgres_error(psycopg.OperationalError, 'FATAL:  password authentication failed for user "me"')
    missing = postgres_error(psycopg.OperationalError, 'FATAL:  database "x" does not exist')
    assert "DATABASE_URL" in translate(wrong, "PostgreSQL x").hint  # type: ignore[union-attr]
    assert "createdb" in translate(missing, "PostgreSQL x").hint  # type: ignore[union-attr]


def test_no_free_connection_is_said() -> None:
    assert isinstance(translate(PoolTimeout("QueuePool limit"), "SQLite x.db"), ArchiveLocked)


@pytest.mark.parametrize(
    "error",
    [
        IntegrityError("INSERT", {}, psycopg.errors.UniqueViolation("twice")),
        IntegrityError("INSERT", {}, sqlite3.IntegrityError("twice")),
        ValueError("not of a database"),
    ],
)
def test_what_is_no_ill_health_passes_as_it_is(error: BaseException) -> None:
    assert translate(error, "x") is None


@pytest.mark.parametrize(("found", "said"), [(None, "no tables"), ("0000", "works with"), ("9999", "newer Evertick")])
def test_a_wrong_schema_says_what_to_do(found: str | None, said: str) -> None:
    with pytest.raises(SchemaMismatch, match=said) as caught:
        compare_revision(found, "sqlite:///x.db")
    assert caught.value.hint


def test_the_right_schema_passes() -> None:
    compare_revision(HEAD, "sqlite:///x.db")


def test_head_is_the_newest_migration() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import asyncio, sys\n{code}\nprint(*sys.modules)"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_an_open_archive_on_sqlite_loads_no_orm_no_alembic_no_psycopg(sqlite_url: str) -> None:
    from evertick.archive.migrate import upgrade

    upgrade(sqlite_url)
    loaded = loaded_after(
        "from evertick.archive import open_archive\n"
        "from evertick.model import SystemClock\n"
        "async def main():\n"
        f"    async with open_archive({sqlite_url!r}, SystemClock()) as archive:\n"
        "        await archive.ping(); await archive.reports.list(); await archive.receipts.recent()\n"
        "asyncio.run(main())"
    )
    assert "evertick.archive.reports" in loaded
    assert not {m for m in loaded if m.startswith(("sqlalchemy.orm", "sqlalchemy.ext", "alembic", "mako", "psycopg"))}

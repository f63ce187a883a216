"""The schema's way up and down, by Alembic, which is imported in here only: the server runs this as a child process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from evertick.archive.database import HEAD, WRITES, is_sqlite, shown, sqlite_path, sync_engine, translate
from evertick.errors import ArchiveError, ArchiveReadOnly, SchemaMismatch

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

_LOCK = 0x45564552  # "EVER": the advisory lock that lets one process migrate a PostgreSQL database at a time


def upgrade(url: str, revision: str = "head") -> str:
    """Bring the schema to ``revision``; the database is made if it is SQLite and missing. Returns the revision reached.

    One transaction: it is all there or nothing changed. Any number of processes may call it at once.
    """
    if is_sqlite(url):
        with _errors(url):
            _make_sqlite(sqlite_path(url))

    def up(config: Config, connection: Connection) -> None:
        from alembic import command

        found = _revision(connection)
        if found is not None and found > HEAD:
            raise SchemaMismatch(
                f"{shown(url)} has schema {found}, which a newer Evertick made; this one knows {HEAD}.",
                hint="Install the newer version again",
            )
        command.upgrade(config, revision)

    return _run(url, up) or ""


def downgrade(url: str, revision: str) -> str | None:
    """Take the schema back to ``revision`` (``base``: no tables). What the newer tables held is lost: back up before."""

    def down(config: Config, connection: Connection) -> None:
        from alembic import command

        command.downgrade(config, revision)

    return _run(url, down)


def current(url: str) -> str | None:
    """The schema's revision, ``None`` when there are no tables. Raises `ArchiveError` when it cannot be asked."""
    if is_sqlite(url) and not sqlite_path(url).is_file():
        return None
    with _errors(url), sync_engine(url).connect() as connection:
        return _revision(connection)


def _run(url: str, work: Callable[[Config, Connection], None]) -> str | None:
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with _errors(url), sync_engine(url).connect() as connection:
        connection = connection.execution_options(**{WRITES: True})
        with connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            config.attributes["connection"] = connection
            try:
                work(config, connection)
            except CommandError as error:
                raise SchemaMismatch(f"{shown(url)}: {error}.", hint=f"This version knows schema {HEAD}") from error
            return _revision(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _make_sqlite(path: Path) -> None:
    """What can be said only before the first table is there: pages that are freed go back to the disk when asked to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as connection:
        if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")


@contextmanager
def _errors(url: str) -> Iterator[None]:
    try:
        yield
    except ArchiveError:
        raise
    except (SQLAlchemyError, sqlite3.Error) as error:
        ours = translate(error, shown(url))
        if ours is None:
            raise
        raise ours from error
    except OSError as error:
        raise ArchiveReadOnly(
            f"{shown(url)} cannot be made ({error.strerror}).", hint="Choose another folder with DATA_DIR"
        ) from error

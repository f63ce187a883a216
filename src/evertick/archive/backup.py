"""A copy of the database while the server runs, and a database from such a copy.

SQLite: its online backup, one consistent snapshot in one file. PostgreSQL: pg_dump and pg_restore, which must be
installed; the password goes by environment, not by the command line that every user can list.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from evertick.archive.database import HEAD, address, is_sqlite, shown, sqlite_path, sync_engine, translate
from evertick.archive.lock import owned
from evertick.archive.tables import reports
from evertick.errors import ArchiveError, ArchiveFull, ArchiveReadOnly, ArchiveUnavailable, NotFound, SchemaMismatch


def backup(url: str, to: Path) -> int:
    """Write the whole database to the file ``to``; an older backup there is replaced when the new one is complete.

    Returns its size in bytes. Raises `NotFound` when there is no database, `ArchiveError` when it cannot be written.
    """
    if to.is_dir():
        raise ArchiveError(f"{to} is a folder.", hint="Name the file to write")
    if is_sqlite(url) and to.exists() and sqlite_path(url).exists() and to.samefile(sqlite_path(url)):
        raise ArchiveError(f"{to} is the database itself.", hint="Name another file to write")
    unfinished = to.with_name(f".{to.name}.unfinished")
    with _errors(to):
        to.parent.mkdir(parents=True, exist_ok=True)
    try:
        if is_sqlite(url):
            _copy_sqlite(sqlite_path(url), unfinished, shown(url))
        else:
            _dump(url, unfinished)
        with _errors(to):
            _sync(unfinished)
            unfinished.replace(to)
            return to.stat().st_size
    finally:
        unfinished.unlink(missing_ok=True)


def elsewhere(url: str) -> dict[str, int]:
    """Where bodies of reports are that a backup does not hold, and of how many reports."""
    query = (
        select(reports.c.bodies, func.count())
        .where(reports.c.bodies.is_not(None), reports.c.state == "published")
        .group_by(reports.c.bodies)
    )
    try:
        with sync_engine(url).connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}
    except SQLAlchemyError as error:
        ours = translate(error, shown(url))
        if ours is None:
            raise
        raise ours from error


def restore(url: str, source: Path, *, owner_lock: Path | None = None) -> str:
    """Put the backup ``source`` in the place of the database; no server may run on it. Returns its schema revision.

    The backup is checked before anything is touched. A SQLite database that was there stays beside the new one, named
    ``….before-restore``; PostgreSQL is restored by one transaction. A backup of an older version is to be upgraded
    afterwards (``evertick db upgrade``). ``owner_lock`` is the data folder's lock file.
    """
    if not source.is_file():
        raise NotFound(f"There is no backup {source}.")
    if not is_sqlite(url):
        return _restore_dump(url, source)
    path = sqlite_path(url)
    if path.exists() and source.samefile(path):
        raise ArchiveError(f"{source} is the database itself.", hint="Name the file of a backup")
    with owned(owner_lock or path.with_name("evertick.lock")):
        return _restore_sqlite(path, source)


# --- SQLite ----------------------------------------------------------------------------------------------------------


def _copy_sqlite(path: Path, to: Path, name: str) -> None:
    if not path.is_file():
        raise NotFound(f"There is no database {path}.", hint="Check DATA_DIR and DATABASE_URL")
    to.unlink(missing_ok=True)
    with _errors(to, name), closing(_opened(path)) as source, closing(sqlite3.connect(to)) as copy:
        source.backup(copy)  # in one step: one snapshot, and writers go on
        copy.execute("PRAGMA journal_mode=DELETE").fetchall()  # one file, no -wal beside it


def _restore_sqlite(path: Path, source: Path) -> str:
    name = f"The backup {source}"
    fresh = path.with_name(f".{path.name}.restoring")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _copy_sqlite(source, fresh, name)
        with _errors(fresh, name), closing(_opened(fresh)) as copy:
            verdict = copy.execute("PRAGMA quick_check").fetchone()[0]
            if verdict != "ok":
                raise ArchiveUnavailable(f"{name} is damaged ({verdict}).", hint="Take another backup")
            revision = _known_revision(copy, name)
            copy.execute("PRAGMA journal_mode=WAL").fetchall()
        with _errors(path):
            _sync(fresh)
            for suffix in ("-wal", "-shm", ""):  # the database goes with what was not yet written into it
                old, kept = path.with_name(path.name + suffix), path.with_name(f"{path.name}.before-restore{suffix}")
                kept.unlink(missing_ok=True)
                if old.exists():
                    old.replace(kept)
            fresh.replace(path)
        return revision
    finally:
        for suffix in ("", "-wal", "-shm"):
            fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=5, isolation_level=None)


def _known_revision(connection: sqlite3.Connection, name: str) -> str:
    try:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        found = None
    if found is None:
        raise SchemaMismatch(f"{name} is not a database of Evertick.", hint="Take a file made by evertick db backup")
    if found[0] > HEAD:
        raise SchemaMismatch(
            f"{name} has schema {found[0]}, which a newer Evertick made; this one knows {HEAD}.",
            hint="Install the newer version first",
        )
    return str(found[0])


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def _dump(url: str, to: Path) -> None:
    _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={to}")


def _restore_dump(url: str, source: Path) -> str:
    from evertick.archive.migrate import current

    listing = _run("pg_restore", None, "--list", str(source))
    if "alembic_version" not in listing:
        raise SchemaMismatch(f"The backup {source} is not of Evertick.", hint="Take a file made by evertick db backup")
    _run(
        "pg_restore",
        url,
        "--clean",
        "--if-exists",
        "--no-owner",
        "--no-privileges",
        "--single-transaction",
        "--exit-on-error",
        str(source),
    )
    return current(url) or ""


def _run(program: str, url: str | None, *arguments: str) -> str:
    """The output of one of PostgreSQL's programs, connected to ``url``. Raises `ArchiveError` with what it complained of."""
    found = shutil.which(program)
    if found is None:
        raise ArchiveError(
            f"{program} is not installed.", hint="Install PostgreSQL's client programs (postgresql-client)"
        )
    environment, target = dict(os.environ), []
    if url is not None:
        parsed = address(url)
        if parsed.password is not None:
            environment["PGPASSWORD"] = str(parsed.password)
        environment["PGAPPNAME"] = "evertick"
        target = [f"--dbname={parsed.set(password=None).render_as_string(hide_password=False)}"]
    done = subprocess.run([found, *target, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        why = lines[-1].strip() if lines else f"exit code {done.returncode}"
        why = next((line.strip() for line in lines if "error:" in line), why)
        if "No space left" in done.stderr:
            raise ArchiveFull(f"{program}: {why}", hint="Free some space, or write the backup to another disk")
        raise ArchiveError(f"{program} failed: {why}")
    return done.stdout


# --- both ------------------------------------------------------------------------------------------------------------


def _sync(path: Path) -> None:
    """On the disk before it takes the place of what was there."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def _errors(path: Path, name: str = "") -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        ours = translate(error, name or str(path))
        if ours is None:
            raise
        raise ours from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ArchiveFull(
                f"No space is left for {path}.", hint="Free some space, or choose another disk"
            ) from error
        raise ArchiveReadOnly(
            f"{path} cannot be written ({error.strerror}).", hint="Choose a place this user may write to"
        ) from error


__all__ = ["backup", "restore"]

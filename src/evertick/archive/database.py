"""One engine for SQLite and PostgreSQL: addresses, pragmas, limits, and what a driver's error means.

The one place that knows the drivers. Everything above speaks SQLAlchemy Core and the errors of `evertick.errors`.

SQLite runs in WAL mode: readers and the one writer do not wait for each other. What writes begins with ``BEGIN
IMMEDIATE``, so that it waits for its turn (5 s) at the beginning, instead of failing half-way, when a read could not
be turned into a write any more (SQLITE_BUSY_SNAPSHOT, which no time-out helps against).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from evertick.archive.connection import ALONE, WRITES, Connection, Engine
from evertick.errors import (
    ArchiveError,
    ArchiveFull,
    ArchiveLocked,
    ArchiveReadOnly,
    ArchiveUnavailable,
    SchemaMismatch,
    SettingsError,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection as SyncConnection
    from sqlalchemy import Engine as SyncEngine

HEAD = "0005"
"""The schema revision this version works with; a test compares it with the newest migration."""

BUSY_TIMEOUT_S = 5.0
"""How long a statement waits for another writer before it is `ArchiveLocked`."""

SQLITE_CONNECTIONS = 3
POSTGRES_CONNECTIONS = 5
POOL_TIMEOUT_S = 15.0

_UPGRADE = "Run: evertick db upgrade"


def address(url: str) -> URL:
    """The parsed URL of a database of ours: ``sqlite:///file``, ``sqlite:////absolute/file`` or ``postgresql://…``.

    Raises `SettingsError` for anything else; the message never repeats the URL, which may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise SettingsError(
            "DATABASE_URL cannot be read; write sqlite:///path/to/evertick.db or postgresql://user:password@host/name"
        ) from None
    backend = "postgresql" if parsed.drivername == "postgres" else parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise SettingsError(f"DATABASE_URL: '{backend}' is not supported; use sqlite:///… or postgresql://…")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise SettingsError(
            "DATABASE_URL: SQLite in memory would forget everything; name a file: sqlite:///evertick.db"
        )
    return parsed.set(drivername=backend)


def is_sqlite(url: str) -> bool:
    return address(url).drivername == "sqlite"


def sqlite_path(url: str) -> Path:
    return Path(str(address(url).database))


def shown(url: str) -> str:
    """The database as it may be named in a log or an error: without user, password and query."""
    parsed = address(url)
    if parsed.drivername == "sqlite":
        return f"SQLite {parsed.database}"
    return f"PostgreSQL {parsed.database or ''} at {parsed.host or 'localhost'}:{parsed.port or 5432}"


def open_engine(url: str) -> Engine:
    """An engine for coroutines; nothing is connected yet. Its owner calls `Engine.dispose`."""
    parsed = address(url)
    name = shown(url)
    if parsed.drivername == "sqlite":
        from evertick.archive.sqlite_driver import Driver

        options: dict[str, Any] = {
            "pool_size": SQLITE_CONNECTIONS,
            "connect_args": _sqlite_arguments(),
            "module": Driver(),
        }
        driver = "sqlite+aiosqlite"
    else:
        options = {
            "pool_size": POSTGRES_CONNECTIONS,
            "pool_pre_ping": True,
            "connect_args": _postgres_arguments(parsed) | {"cursor_factory": _binary_cursor()},
        }
        driver = "postgresql+psycopg_async"
    sync = create_engine(
        parsed.set(drivername=driver),
        pool_use_lifo=True,  # what one connection has learnt serves most; the others stay small
        max_overflow=0,  # a burst waits for a connection; the process does not grow by one
        pool_timeout=POOL_TIMEOUT_S,
        pool_recycle=-1 if parsed.drivername == "sqlite" else 1800,
        hide_parameters=True,  # neither report bodies nor job parameters in a traceback
        **options,
    )
    _tune(sync)
    return Engine(sync, lambda error: translate(error, name))


def sync_engine(url: str) -> SyncEngine:
    """A blocking engine without a pool, tuned like `open_engine`: for the heartbeat's thread, migrations and backups.

    Its errors are the drivers'; hand them to `translate`. What writes sets the execution option `WRITES`.
    """
    parsed = address(url)
    if parsed.drivername == "sqlite":
        engine = create_engine(
            parsed, poolclass=NullPool, hide_parameters=True, connect_args=_sqlite_arguments(check_same_thread=False)
        )
    else:
        engine = create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            poolclass=NullPool,
            hide_parameters=True,
            connect_args=_postgres_arguments(parsed),
        )
    _tune(engine)
    return engine


def connection_of_engine(url: str) -> tuple[str, Mapping[str, Any]]:
    """Where and how the job engine connects, for psycopg.

    Its sweep holds a lock for as long as its session lives: the server lets go of the session of a machine that is gone.
    """
    parsed = address(url)
    options = _postgres_arguments(parsed)
    if "options" in options:
        options["options"] += " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
    return parsed.render_as_string(hide_password=False), options


def _sqlite_arguments(**more: Any) -> dict[str, Any]:
    # isolation_level None: the driver begins nothing on its own, `_tune` says BEGIN.
    return {"timeout": BUSY_TIMEOUT_S, "isolation_level": None, **more}


def _postgres_arguments(parsed: URL) -> dict[str, Any]:
    """A server that is silently gone is noticed within half a minute, and no lock is waited for longer than SQLite's.

    Nor is one kept longer by a process that was stopped within a transaction: whoever takes over its slot gets the rows.
    """
    given = parsed.query
    wait_ms = int(BUSY_TIMEOUT_S * 1000)
    held_ms = int(wait_ms * 0.8)  # a peer stopped in a transaction lets go before those who wait for its locks give up
    defaults: dict[str, Any] = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        "application_name": "evertick",
        "options": f"-c lock_timeout={wait_ms} -c idle_in_transaction_session_timeout={held_ms}",
    }
    return {name: value for name, value in defaults.items() if name not in given}


def _binary_cursor() -> type[Any]:
    """A cursor that asks for binary results: as text, the pieces of a report would come in twice as many bytes (hex)."""
    from psycopg import AsyncCursor
    from psycopg.pq import Format

    class BinaryCursor(AsyncCursor[Any]):
        def __init__(self, *args: Any, **named: Any) -> None:
            super().__init__(*args, **named)
            self.format = Format.BINARY

    return BinaryCursor


def _tune(engine: SyncEngine) -> None:
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        try:
            for pragma in (
                "foreign_keys=ON",
                "synchronous=NORMAL",
                "cache_size=-64",  # KB a connection: a larger one fills with reports that went through, and looks like a leak
                "journal_size_limit=4194304",  # a WAL swollen by one long write shrinks again
                "temp_store=MEMORY",
            ):
                cursor.execute(f"PRAGMA {pragma}")
        finally:
            cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: SyncConnection) -> None:
        options = connection.get_execution_options()
        if options.get(ALONE):
            return
        begin = "BEGIN IMMEDIATE" if options.get(WRITES) else "BEGIN"
        if engine.dialect.is_async:  # together with the first statement
            connection.connection.dbapi_connection.begin(begin)  # type: ignore[union-attr]
        else:
            connection.exec_driver_sql(begin)


async def check_schema(engine: Engine, url: str) -> None:
    """Raise `SchemaMismatch` unless the schema is at `HEAD`. Reads one row; Alembic is not imported."""
    try:
        async with engine.connect() as connection:
            found = await connection.scalar(_select_revision())
    except SchemaMismatch:
        found = None
    compare_revision(found, url)


def compare_revision(found: str | None, url: str) -> None:
    if found == HEAD:
        return
    name = shown(url)
    if found is None:
        raise SchemaMismatch(f"{name} has no tables of Evertick yet.", hint=_UPGRADE)
    if found > HEAD:
        raise SchemaMismatch(
            f"{name} has schema {found}, which a newer Evertick made; this one knows {HEAD}.",
            hint="Install the newer version again, or restore a backup made before its upgrade (evertick db restore)",
        )
    raise SchemaMismatch(f"{name} has schema {found}, this version works with {HEAD}.", hint=_UPGRADE)


def _select_revision() -> Any:
    from sqlalchemy import text

    return text("SELECT version_num FROM alembic_version")


# --- what a driver's error means -------------------------------------------------------------------------------------

_FULL_HINT = "Free some space there; nothing stored was lost, and the next run writes again"
_READ_ONLY_HINT = "Give this user the right to write to it and to its folder, or mount it writable"
_LOCKED_HINT = "Close the other program that holds it (a backup, a database browser, a second Evertick) and try again"
_GONE_HINT = "Is the server running and DATABASE_URL right? Evertick reconnects by itself"


def translate(error: BaseException, name: str) -> ArchiveError | None:
    """The error of ours that ``error`` means, or ``None`` when it says nothing about the database's health
    (a broken constraint, a mistake in a statement)."""
    if isinstance(error, PoolTimeout):
        return ArchiveLocked(
            f"{name}: no connection became free within {POOL_TIMEOUT_S:.0f} s.", hint="Too much at once; try again"
        )
    original = error.orig if isinstance(error, DBAPIError) else error
    if original is None:
        return None
    if getattr(original, "sqlite_errorcode", None) is not None:
        return _from_sqlite(original, name)
    if type(original).__module__.partition(".")[0] == "psycopg":
        gone = isinstance(error, DBAPIError) and error.connection_invalidated
        return _from_postgres(original, name, gone)
    said = str(original).lower()  # aiosqlite, when its thread was stopped
    if type(original).__name__ in ("ValueError", "OperationalError") and (
        "connection closed" in said or "no active" in said
    ):
        return ArchiveUnavailable(f"{name} was closed while in use.")
    return None


def _from_sqlite(error: BaseException, name: str) -> ArchiveError | None:
    code: str = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith("SQLITE_FULL") or code == "SQLITE_IOERR_SHMSIZE":
        return ArchiveFull(f"No space is left on the disk of {name}.", hint=_FULL_HINT)
    if code.startswith(("SQLITE_READONLY", "SQLITE_PERM")):
        return ArchiveReadOnly(f"{name} may not be written.", hint=_READ_ONLY_HINT)
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ArchiveLocked(f"{name} was locked for more than {BUSY_TIMEOUT_S:.0f} s.", hint=_LOCKED_HINT)
    if code.startswith("SQLITE_CANTOPEN"):
        return ArchiveReadOnly(f"{name} cannot be opened.", hint=_READ_ONLY_HINT)
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return ArchiveUnavailable(
            f"{name} is damaged or no SQLite database ({_line(error)}).",
            hint="Stop Evertick, keep a copy of the file, and restore a backup: evertick db restore FILE",
        )
    if code.startswith("SQLITE_IOERR"):
        return ArchiveUnavailable(f"The disk of {name} fails ({code}).", hint="Look at the disk; nothing was written")
    if code == "SQLITE_ERROR" and "no such" in str(error):
        return SchemaMismatch(f"{name}: {_line(error)}.", hint=_UPGRADE)
    return None


def _from_postgres(error: BaseException, name: str, gone: bool) -> ArchiveError | None:
    state: str = getattr(error, "sqlstate", None) or ""
    kind = type(error).__name__
    if state in ("53100", "54000") or "No space left on device" in str(error):
        return ArchiveFull(f"No space is left for {name}.", hint=_FULL_HINT)
    if state in ("25006", "42501"):
        return ArchiveReadOnly(f"{name} may not be written: {_line(error)}.", hint=_READ_ONLY_HINT)
    if state in ("55P03", "40P01", "40001"):
        return ArchiveLocked(f"{name} was locked: {_line(error)}.", hint=_LOCKED_HINT)
    if state in ("42P01", "42703", "3F000"):
        return SchemaMismatch(f"{name}: {_line(error)}.", hint=_UPGRADE)
    # libpq gives no code for what fails while connecting, only the server's words.
    if state in ("28P01", "28000") or "authentication failed" in str(error) or "no password supplied" in str(error):
        return ArchiveUnavailable(f"{name} refuses the user or password.", hint="Correct DATABASE_URL")
    if state == "3D000" or ("database" in str(error) and "does not exist" in str(error)):
        return ArchiveUnavailable(f"{name} does not exist.", hint="Make it first: createdb NAME")
    if state.startswith(("08", "57", "53")) or gone or (not state and kind in ("OperationalError", "InterfaceError")):
        return ArchiveUnavailable(f"{name} cannot be reached: {_line(error)}.", hint=_GONE_HINT)
    if kind in ("ConnectionTimeout", "AdminShutdown", "IdleInTransactionSessionTimeout"):
        return ArchiveUnavailable(f"{name} cannot be reached: {_line(error)}.", hint=_GONE_HINT)
    return None


def _line(error: BaseException) -> str:
    """The first line of a driver's message; drivers put no password in it."""
    first = str(error).strip().splitlines()
    return first[0].rstrip(".")[:200] if first else type(error).__name__


__all__ = [
    "HEAD",
    "WRITES",
    "Connection",
    "Engine",
    "address",
    "check_schema",
    "compare_revision",
    "is_sqlite",
    "open_engine",
    "shown",
    "sqlite_path",
    "sync_engine",
    "translate",
]

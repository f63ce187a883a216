"""Coroutines over SQLAlchemy Core: the few methods of its ``AsyncEngine`` that the archive uses, under the same names.

Why not ``sqlalchemy.ext.asyncio`` itself: importing it imports the ORM, 8 MB of a process that is to stay below 85.
The way is the same as there: the blocking Core runs in a greenlet, which hands every wait of the driver to the loop.
Here is also the one place where the errors of a driver become the archive's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.util import await_only, greenlet_spawn

if TYPE_CHECKING:
    from sqlalchemy import Connection as SyncConnection
    from sqlalchemy import CursorResult, Executable, ScalarResult
    from sqlalchemy import Engine as SyncEngine
    from sqlalchemy.engine import URL, Dialect

    from evertick.errors import ArchiveError

T = TypeVar("T")
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
Translate = Callable[[BaseException], "ArchiveError | None"]

WRITES = "evertick_writes"
"""Execution option of a connection whose transactions write from their beginning."""


class Connection:
    """A connection checked out of the pool. Results are complete when they come: reading their rows waits for nothing."""

    __slots__ = ("_translate", "sync_connection")

    def __init__(self, sync: SyncConnection, translate: Translate) -> None:
        self.sync_connection = sync
        self._translate = translate

    @property
    def dialect(self) -> Dialect:
        return self.sync_connection.dialect

    async def execute(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        return await self.run_sync(_complete, statement, parameters)

    async def scalar(self, statement: Executable, parameters: Parameters = None) -> Any:
        return (await self.execute(statement, parameters)).scalar()

    async def scalars(self, statement: Executable, parameters: Parameters = None) -> ScalarResult[Any]:
        return (await self.execute(statement, parameters)).scalars()

    async def exec_driver_sql(self, statement: str) -> CursorResult[Any]:
        return await self.run_sync(_complete_driver, statement)

    async def run_sync(self, function: Callable[..., T], *args: Any) -> T:
        """Run ``function(sync_connection, *args)``; only the connection's own calls may wait in it."""
        with _translated(self._translate):
            return await greenlet_spawn(function, self.sync_connection, *args)

    async def commit(self) -> None:
        with _translated(self._translate):
            await greenlet_spawn(self.sync_connection.commit)

    async def rollback(self) -> None:
        with _translated(self._translate):
            await greenlet_spawn(self.sync_connection.rollback)


class Engine:
    """Owns the pool. ``sync_engine`` is the Core engine below, for what inspects it."""

    def __init__(self, sync: SyncEngine, translate: Translate) -> None:
        self.sync_engine = sync
        self._translate = translate

    @property
    def dialect(self) -> Dialect:
        return self.sync_engine.dialect

    @property
    def url(self) -> URL:
        return self.sync_engine.url

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """A connection for reading; what is not committed in it is rolled back."""
        with _translated(self._translate):
            sync = await greenlet_spawn(self.sync_engine.connect)
        try:
            yield Connection(sync, self._translate)
        finally:
            await to_the_end(greenlet_spawn(sync.close))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Connection]:
        """A transaction that writes: committed at the end of the block, rolled back by any exception."""
        async with self.connect() as connection:
            with _translated(self._translate):
                transaction = await greenlet_spawn(_begin_writing, connection.sync_connection)
            try:
                yield connection
            except BaseException:
                await to_the_end(greenlet_spawn(transaction.rollback))
                raise
            with _translated(self._translate):
                await greenlet_spawn(transaction.commit)

    def connections(self) -> int:
        """Connections that are checked out now."""
        return int(self.sync_engine.pool.checkedout())  # type: ignore[attr-defined]

    async def dispose(self) -> None:
        await to_the_end(greenlet_spawn(self.sync_engine.dispose))


def _begin_writing(sync: SyncConnection) -> Any:
    return sync.execution_options(**{WRITES: True}).begin()


def _complete(sync: SyncConnection, statement: Executable, parameters: Parameters) -> CursorResult[Any]:
    return _closed(sync.execute(statement, parameters))


def _complete_driver(sync: SyncConnection, statement: str) -> CursorResult[Any]:
    return _closed(sync.exec_driver_sql(statement))


def _closed(result: Any) -> Any:
    """The driver's cursor is closed here, in the greenlet, where that may wait; its rows have already been fetched."""
    close = getattr(result.cursor, "_async_soft_close", None)
    if close is not None:
        await_only(close())
    return result


@contextmanager
def _translated(translate: Translate) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error
    except ValueError as error:  # aiosqlite says so when the server is shutting down
        if "onnection closed" not in str(error) and "no active connection" not in str(error):
            raise
        from evertick.errors import ArchiveUnavailable

        raise ArchiveUnavailable("The database was closed while it was in use.") from error


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Wait for ``work`` even when cancelled meanwhile, so that no connection is left half-way; then pass the cancellation on."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if not task.done():
                cancelled = error
        except BaseException:  # noqa: BLE001 — raised by `task.result()` below
            break
    if cancelled is not None:
        task.exception() if not task.cancelled() else None
        raise cancelled
    return task.result()

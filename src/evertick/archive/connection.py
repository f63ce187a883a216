"""Coroutines over SQLAlchemy Core: the few methods of its ``AsyncEngine`` that the archive uses, under the same names.

Why not ``sqlalchemy.ext.asyncio`` itself: importing it imports the ORM, 8 MB of a process that is to stay below 85.
The way is the same as there: the blocking Core runs in a greenlet, which hands every wait of the driver to the loop.
Here is also the one place where the errors of a driver become the archive's.

Cancellation: a statement of SQLite runs in aiosqlite's thread and goes on there when its waiter is cancelled; torn down
in that moment, the connection could keep its transaction, and with it the lock on the whole database. So a statement
that has begun is waited for (milliseconds; at most the busy time-out), then the cancellation goes on and rolls back.
psycopg cancels in the server, so the cancellation goes straight to it. What comes back may be something else: cancelled
while it enters its pipeline mode for many rows, it fails an assertion and stays in that mode, and whoever gets the
connection next fails too. So who was cancelled hears of that and nothing else, and the connection is not used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.util import await_only, greenlet_spawn

if TYPE_CHECKING:
    from sqlalchemy import Connection as SyncConnection
    from sqlalchemy import CursorResult, Executable, Row, ScalarResult
    from sqlalchemy import Engine as SyncEngine
    from sqlalchemy.engine import URL, Dialect

    from evertick.errors import ArchiveError

T = TypeVar("T")
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
Translate = Callable[[BaseException], "ArchiveError | None"]

WRITES = "evertick_writes"
"""Execution option of a connection whose transactions write from their beginning."""
ALONE = "evertick_alone"
"""Execution option of a connection for one statement: it needs no transaction around it."""


def filled(values: Iterable[T]) -> list[T]:
    """For an ``IN``: the last value again until there are 1, 2, 4, 8 … of them.

    Each number of values is a statement of its own, which SQLAlchemy, the driver and the database all remember.

    >>> filled("abc"), filled([])
    (['a', 'b', 'c', 'c'], [])
    """
    listed = list(values)
    return listed + listed[-1:] * ((1 << (len(listed) - 1).bit_length()) - len(listed)) if listed else listed


class Connection:
    """A connection checked out of the pool. Results are complete when they come: reading their rows waits for nothing."""

    __slots__ = ("_engine", "sync_connection")

    def __init__(self, sync: SyncConnection, engine: Engine) -> None:
        self.sync_connection = sync
        self._engine = engine

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
        return await self._engine.spawn_on(self.sync_connection, function, self.sync_connection, *args)

    async def commit(self) -> None:
        await self._engine.spawn_on(self.sync_connection, self.sync_connection.commit)

    async def rollback(self) -> None:
        await self._engine.spawn_on(self.sync_connection, self.sync_connection.rollback)


class Engine:
    """Owns the pool. ``sync_engine`` is the Core engine below, for what inspects it."""

    def __init__(self, sync: SyncEngine, translate: Translate) -> None:
        self.sync_engine = sync
        self._translate = translate
        self._sqlite = sync.dialect.name == "sqlite"
        self._turn = asyncio.Lock()
        self._turn_of: asyncio.Task[Any] | None = None

    @property
    def dialect(self) -> Dialect:
        return self.sync_engine.dialect

    @property
    def url(self) -> URL:
        return self.sync_engine.url

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """A connection for reading; what is not committed in it is rolled back."""
        sync = await self.spawn(self.sync_engine.connect, undo=_give_back)
        try:
            yield Connection(sync, self)
        finally:
            if self._sqlite and not _busy(sync):
                _give_back(sync)  # which waits for nothing then
            else:
                await to_the_end(greenlet_spawn(_give_back, sync))

    async def look(self, statement: Executable, parameters: Parameters = None) -> Sequence[Row[Any]]:
        """All rows of one statement that reads; the cheapest way there is, for what is asked all the time."""
        if self._sqlite:
            return await self.spawn(_look, self.sync_engine, statement, parameters)
        async with self.connect() as connection:
            return (await connection.execute(statement, parameters)).all()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Connection]:
        """A transaction that writes: committed at the end of the block, rolled back by any exception."""
        async with self.turn(), self.connect() as connection:
            sync = connection.sync_connection
            transaction = _begin_writing(sync) if self._sqlite else await self.spawn(_begin_writing, sync)
            try:
                yield connection
            except BaseException:
                with suppress(DBAPIError):  # of a connection that is gone: what went wrong before says more
                    await to_the_end(greenlet_spawn(transaction.rollback))
                raise
            await self.spawn_on(connection.sync_connection, transaction.commit)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One writer of this process at a time, in the order they came. Nothing to wait for on PostgreSQL.

        SQLite's own way to wait is to look again after ever longer sleeps, up to 0.1 s: whoever writes much starves
        whoever writes little. It remains between processes.
        """
        if not self._sqlite:
            yield
            return
        if self._turn_of is asyncio.current_task():  # would wait for itself
            raise RuntimeError("a writing transaction within another; pass its connection on instead")
        async with self._turn:
            self._turn_of = asyncio.current_task()
            try:
                yield
            finally:
                self._turn_of = None

    async def spawn(self, function: Callable[..., T], *args: Any, undo: Callable[[T], Any] | None = None) -> T:
        """Run blocking Core code; ``undo`` gives back what it returned when the caller was cancelled meanwhile."""
        with _translated(self._translate):
            work = greenlet_spawn(function, *args)
            return await (to_the_end(work, undo) if self._sqlite else at_once(work, undo))

    async def spawn_on(self, sync: SyncConnection, function: Callable[..., T], *args: Any) -> T:
        """`spawn` what uses this connection, which goes no further when cancelled within it."""
        try:
            return await self.spawn(function, *args)
        except asyncio.CancelledError:
            if not self._sqlite:  # a statement of SQLite has come to its end
                await to_the_end(greenlet_spawn(_throw_away, sync))
            raise

    def connections(self) -> int:
        """Connections that are checked out now."""
        return int(self.sync_engine.pool.checkedout())  # type: ignore[attr-defined]

    async def close_idle(self) -> int:
        """Close the connections that nobody uses now; whoever needs one next opens it anew. Returns how many. Does not fail.

        libpq keeps for each a buffer as large as the largest message that it sent or got, and never gives it back. SQLite's
        connections have nothing of the kind, and stay.
        """
        if self._sqlite:
            return 0
        pool: Any = self.sync_engine.pool
        idle: list[SyncConnection] = []
        try:
            with suppress(Exception):  # a database that went away has closed them itself
                for _ in range(pool.checkedin()):
                    idle.append(await self.spawn(self.sync_engine.connect, undo=_give_back))
        finally:
            for sync in idle:
                await to_the_end(greenlet_spawn(_throw_away, sync))
                await to_the_end(greenlet_spawn(_give_back, sync))
        return len(idle)

    async def dispose(self) -> None:
        await to_the_end(greenlet_spawn(self.sync_engine.dispose))


def _give_back(sync: SyncConnection) -> None:
    """Return a connection to the pool; one that died meanwhile is thrown away, and whoever used it has heard of that."""
    try:
        sync.close()
    except DBAPIError:
        with suppress(SQLAlchemyError):
            sync.invalidate()
        with suppress(SQLAlchemyError):
            sync.close()


def _busy(sync: SyncConnection) -> bool:
    """Whether a connection of SQLite is within a transaction, or in a state that only its driver knows."""
    if sync.closed or sync.invalidated:
        return True
    dbapi: Any = sync.connection.dbapi_connection
    return bool(dbapi.within)


def _look(engine: SyncEngine, statement: Executable, parameters: Parameters) -> Sequence[Row[Any]]:
    sync = engine.connect()
    try:
        alone = sync.execution_options(**{ALONE: True})
        return _closed(alone.execute(statement, parameters)).all()
    finally:
        _give_back(sync)


def _throw_away(sync: SyncConnection) -> None:
    if not (sync.closed or sync.invalidated):
        with suppress(SQLAlchemyError):
            sync.invalidate()


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
    except Exception as error:
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error


async def at_once(work: Coroutine[Any, Any, T], undo: Callable[[T], Any] | None = None) -> T:
    """Wait for ``work``, cancelled with its waiter; then be cancelled, whatever ``work`` made of that.

    ``undo`` is as in `to_the_end`.
    """
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        result = await work
    except Exception as error:
        if task.cancelling() > before:
            raise asyncio.CancelledError from error
        raise
    if task.cancelling() > before:  # and somebody within kept that to himself
        if undo is not None:
            await to_the_end(greenlet_spawn(undo, result))
        raise asyncio.CancelledError
    return result


async def to_the_end(work: Coroutine[Any, Any, T], undo: Callable[[T], Any] | None = None) -> T:
    """Wait for ``work`` even when cancelled meanwhile, so that no connection is left half-way; then be cancelled.

    ``undo`` is blocking Core code that gives the result back, which a cancelled caller cannot take.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if not task.cancelled():  # then it is the caller who is cancelled, be the work done by now or not
                cancelled = error
        except BaseException:  # noqa: BLE001 — raised by `task.result()` below
            break
    if cancelled is None:
        return task.result()
    if not task.cancelled() and task.exception() is None and undo is not None:
        await to_the_end(greenlet_spawn(undo, task.result()))
    raise cancelled

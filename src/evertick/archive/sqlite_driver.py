"""SQLAlchemy over aiosqlite, with one visit to the thread of the connection for each statement.

Each connection of aiosqlite has a thread, and each visit there wakes that thread and then the loop, which costs more than most
statements do. As SQLAlchemy comes, a transaction that reads one row is six visits: BEGIN, make a cursor, execute, fetch, close the
cursor, ROLLBACK. Here it is two: BEGIN goes with the first statement, whose rows come back with it, and a transaction that was
not begun needs no end.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Sequence
from typing import Any

import aiosqlite
from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_cursor
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_dbapi
from sqlalchemy.util import await_only


class _Done:
    """What a statement left behind. The thread holds it until the next visit, so its rows are taken out."""

    __slots__ = ("description", "lastrowid", "rowcount", "rows")

    def __init__(
        self, rows: Sequence[Any] = (), description: Any = None, rowcount: int = -1, lastrowid: int | None = None
    ) -> None:
        self.rows, self.description, self.rowcount, self.lastrowid = rows, description, rowcount, lastrowid


class _Cursor(AsyncAdapt_dbapi_cursor):
    __slots__ = ("_done",)

    def __init__(self, adapt_connection: _Connection) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._rows = deque()
        self._done = _Done()

    @property
    def description(self) -> Any:
        return self._done.description

    @property
    def rowcount(self) -> int:
        return self._done.rowcount

    @property
    def lastrowid(self) -> Any:
        return self._done.lastrowid

    def execute(self, operation: Any, parameters: Any = None) -> Any:
        self._visit(False, operation, () if parameters is None else parameters)

    def executemany(self, operation: Any, seq_of_parameters: Any) -> Any:
        self._visit(True, operation, seq_of_parameters)

    def _visit(self, many: bool, statement: str, parameters: Any) -> None:
        connection: Any = self._adapt_connection
        try:
            self._done = await_only(connection.visit(_run, many, statement, parameters))
        except Exception as error:  # noqa: BLE001 - raised again, as SQLAlchemy expects it
            connection._handle_exception(error)
        self._rows, self._done.rows = deque(self._done.rows), ()

    async def _async_soft_close(self) -> None:
        """Nothing is open: the cursor of SQLite was closed in the visit."""

    def close(self) -> None:
        self._rows.clear()


class _Connection(AsyncAdapt_aiosqlite_connection):
    """``begin`` is for the listener of SQLAlchemy's event of that name."""

    __slots__ = ("_to_begin",)
    _cursor_cls = _Cursor  # type: ignore[assignment]
    _ss_cursor_cls = _Cursor  # type: ignore[assignment]  # whoever wants rows piece by piece asks for them piece by piece

    def __init__(self, dbapi: Any, connection: Any) -> None:
        super().__init__(dbapi, connection)
        self._to_begin: str | None = None

    def begin(self, statement: str) -> None:
        """The next statement is the first of a transaction that begins so."""
        self._to_begin = statement

    async def visit(self, function: Any, *args: Any) -> Any:
        async with self._execute_mutex:
            begin, self._to_begin = self._to_begin, None
            inner: Any = self._connection
            return await inner._execute(function, inner._conn, begin, *args)

    def commit(self) -> None:
        self._to_begin = None
        if self.within:
            super().commit()

    def rollback(self) -> None:
        self._to_begin = None
        if self.within:
            super().rollback()

    @property
    def within(self) -> bool:
        """Whether a transaction has begun and not ended."""
        inner = self._connection._connection
        return inner is not None and bool(inner.in_transaction)


class Driver(AsyncAdapt_aiosqlite_dbapi):
    """For ``create_engine(module=…)``."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)

    def connect(self, *arg: Any, **kw: Any) -> _Connection:
        made = super().connect(*arg, **kw)
        return _Connection(self, made._connection)


def _run(connection: sqlite3.Connection, begin: str | None, many: bool, statement: str, parameters: Any) -> _Done:
    """In the connection's thread."""
    if begin is not None:
        connection.execute(begin)
    cursor = connection.cursor()
    try:
        if many:
            cursor.executemany(statement, parameters)
        else:
            cursor.execute(statement, parameters)
        rows = cursor.fetchall() if cursor.description is not None else ()
        return _Done(rows, cursor.description, cursor.rowcount, cursor.lastrowid)
    finally:
        cursor.close()

"""How often a transaction visits the thread of its connection, and that it is the transaction that was asked for."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import aiosqlite
import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from evertick.archive.database import open_engine
from evertick.archive.migrate import upgrade
from evertick.archive.tables import schedules
from evertick.errors import ArchiveLocked, SchemaMismatch
from integration.archive.test_connection import add, count, row


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = f"sqlite:///{tmp_path / 'visits.db'}"
    upgrade(made)
    return made


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    seen: list[str] = []
    execute = aiosqlite.Connection._execute

    async def noted(self: aiosqlite.Connection, function: object, *args: object, **named: object) -> object:
        seen.append(getattr(function, "__name__", str(function)))
        return await execute(self, function, *args, **named)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", noted)
    yield seen


async def test_a_statement_is_one_visit_and_the_end_of_its_transaction_another(url: str, visits: list[str]) -> None:
    engine = open_engine(url)
    try:
        await count(engine)  # connects
        visits.clear()
        await count(engine)
        assert len(visits) == 2
        visits.clear()
        async with engine.begin() as connection:
            await connection.execute(insert(schedules), row("a"))
            await connection.execute(insert(schedules), [row("b"), row("c")])
        assert len(visits) == 3  # each statement, and COMMIT; nothing is left to roll back
        visits.clear()
        async with engine.begin():
            pass
        assert visits == []
        assert await count(engine) == 3
    finally:
        await engine.dispose()


async def test_a_reader_sees_one_state_from_its_first_statement_to_its_last(url: str) -> None:
    engine = open_engine(url)
    try:
        async with engine.connect() as reader:
            assert (await reader.execute(select(schedules))).all() == []
            await add(engine, "a")
            assert (await reader.execute(select(schedules))).all() == []
        assert await count(engine) == 1
    finally:
        await engine.dispose()


async def test_a_writer_has_its_lock_from_its_first_statement_on(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evertick.archive.database.BUSY_TIMEOUT_S", 0.05)
    engine = open_engine(url)
    path = url.removeprefix("sqlite:///")
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
            async with engine.begin() as connection:
                await connection.execute(select(schedules))  # a read, and yet nobody else writes now
                with pytest.raises(sqlite3.OperationalError, match="locked"):
                    other.execute("BEGIN IMMEDIATE")
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ArchiveLocked):
                await add(engine, "a")
            other.execute("ROLLBACK")
        await add(engine, "a")
        assert await count(engine) == 1
    finally:
        await engine.dispose()


async def test_a_statement_that_fails_takes_its_transaction_with_it(url: str) -> None:
    engine = open_engine(url)
    try:
        await add(engine, "a")
        with pytest.raises(IntegrityError):
            async with engine.begin() as connection:
                await connection.execute(insert(schedules), row("b"))
                await connection.execute(insert(schedules), row("a"))
        assert await count(engine) == 1
        assert engine.connections() == 0
    finally:
        await engine.dispose()


async def test_a_look_is_one_visit_and_leaves_nothing_behind(url: str, visits: list[str]) -> None:
    engine = open_engine(url)
    try:
        await add(engine, "a")
        visits.clear()
        assert [found.job for found in await engine.look(select(schedules))] == ["a"]
        assert len(visits) == 1
        await add(engine, "b")  # nobody holds an old state, or the lock
        assert len(await engine.look(select(schedules))) == 2
        with pytest.raises(SchemaMismatch):
            await engine.look(text("SELECT one FROM nowhere"))
        assert engine.connections() == 0
    finally:
        await engine.dispose()


async def test_rows_are_not_held_by_the_thread_that_fetched_them(url: str) -> None:
    engine = open_engine(url)
    try:
        many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4093) SELECT i FROM n"
        count = len(await engine.look(text(many)))
        await asyncio.sleep(0)  # what has woken this task holds the result until it sleeps again
        gc.collect()  # as after every run
        held = [type(one) for one in gc.get_objects() if isinstance(one, list) and len(one) == count]
        assert (count, held) == (4093, [])
    finally:
        await engine.dispose()

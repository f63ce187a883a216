"""The engine: transactions, cancellation at every moment, and a pool that never loses a connection."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from evertick.archive import Archive
from evertick.archive.connection import Connection, Engine
from evertick.archive.database import open_engine
from evertick.archive.tables import schedules

if TYPE_CHECKING:
    from sqlalchemy import Connection as SyncConnection

AT = datetime(2026, 11, 23, tzinfo=UTC)


def row(job: str) -> dict[str, object]:
    return {"desk": "default", "job": job, "spec": "3m", "anchor": AT, "next_due": AT}


async def add(engine: Engine, job: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(select(schedules))
        await connection.execute(insert(schedules), row(job))
        await connection.execute(select(schedules))


async def count(engine: Engine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(schedules)))


async def test_a_block_that_ends_is_committed(archive: Archive) -> None:
    await add(archive.engine, "a")
    assert await count(archive.engine) == 1


async def test_a_block_that_raises_is_rolled_back(archive: Archive) -> None:
    with pytest.raises(ZeroDivisionError):
        async with archive.engine.begin() as connection:
            await connection.execute(insert(schedules), row("a"))
            raise ZeroDivisionError
    assert await count(archive.engine) == 0


async def test_a_broken_constraint_is_the_callers_to_handle(archive: Archive) -> None:
    await add(archive.engine, "a")
    with pytest.raises(IntegrityError):
        await add(archive.engine, "a")
    await add(archive.engine, "b")
    assert await count(archive.engine) == 2


async def test_a_reader_leaves_nothing_behind(archive: Archive) -> None:
    async with archive.engine.connect() as connection:
        await connection.execute(insert(schedules), row("a"))
    assert await count(archive.engine) == 0


async def test_a_reader_may_commit(archive: Archive) -> None:
    async with archive.engine.connect() as connection:
        await connection.execute(insert(schedules), row("a"))
        await connection.commit()
    assert await count(archive.engine) == 1


async def test_what_was_read_can_be_read_after_the_connection_went_back(archive: Archive) -> None:
    await add(archive.engine, "a")
    async with archive.engine.connect() as connection:
        result = await connection.execute(select(schedules.c.job, schedules.c.anchor))
    assert result.all() == [("a", AT)]


async def test_many_writers_wait_for_each_other(archive: Archive) -> None:
    await asyncio.gather(*(add(archive.engine, f"job{n}") for n in range(40)))
    assert await count(archive.engine) == 40
    assert archive.connections() == 0


async def test_cancelled_at_any_moment_it_leaves_no_lock_and_no_connection(archive: Archive) -> None:
    """A refused cancellation here once left a connection of SQLite with its transaction, and the database locked."""
    whole = 0
    for turns in range(80):
        task = asyncio.create_task(add(archive.engine, f"cancelled{turns}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        whole += not task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.wait_for(add(archive.engine, f"after{turns}"), 2)
        assert archive.connections() == 0
    assert await count(archive.engine) >= 80 + whole


async def test_cancelled_before_the_first_of_many_rows_on_a_busy_loop_the_next_user_notices_nothing(
    archive: Archive,
) -> None:
    """psycopg pauses as it enters its pipeline mode when the loop was busy for 5 ms; cancelled there it remains in it."""
    reached = asyncio.Event()

    def busy(sync: SyncConnection) -> None:
        reached.set()
        time.sleep(0.02)
        sync.execute(insert(schedules), [row("one"), row("two")])

    async def add_two() -> None:
        async with archive.engine.begin() as connection:
            await connection.run_sync(busy)

    task = asyncio.create_task(add_two())
    await reached.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await count(archive.engine) == 0
    for turn in range(2):
        await add(archive.engine, f"after{turn}")


async def test_cancelled_twice_in_a_row_it_still_cleans_up(archive: Archive) -> None:
    for turns in range(0, 60, 7):
        task = asyncio.create_task(add(archive.engine, f"cancelled{turns}"))
        for step in range(turns + 6):
            await asyncio.sleep(0)
            if step >= turns:
                task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.wait_for(add(archive.engine, f"after{turns}"), 2)
    assert archive.connections() == 0


async def test_waiting_for_a_free_connection_can_be_cancelled(archive: Archive) -> None:
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:
        for _ in range(archive.engine.sync_engine.pool.size()):  # type: ignore[attr-defined]
            await stack.enter_async_context(archive.engine.connect())
        waiting = asyncio.create_task(count(archive.engine))
        await asyncio.sleep(0.01)
        waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert archive.connections() == 0
    assert await count(archive.engine) == 0


async def test_a_closed_engine_leaves_no_thread_and_no_descriptor(url: str) -> None:
    async def use() -> None:
        engine = open_engine(url)
        await asyncio.gather(*(count(engine) for _ in range(10)))
        await engine.dispose()

    threads = threading.active_count()
    await use()  # what is opened once for the process
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        await use()
    for _ in range(200):  # a thread of aiosqlite ends a moment after its connection
        if threading.active_count() == threads:
            break
        await asyncio.sleep(0.01)
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == (threads, descriptors)


async def test_the_pool_is_bounded(archive: Archive) -> None:
    most = 0

    async def reader() -> None:
        nonlocal most
        async with archive.engine.connect() as connection:
            most = max(most, archive.connections())
            await connection.execute(select(schedules))

    await asyncio.gather(*(reader() for _ in range(30)))
    assert 1 < most <= archive.engine.sync_engine.pool.size()  # type: ignore[attr-defined]


async def test_writers_of_one_process_take_turns(archive: Archive) -> None:
    """Who writes little is not starved by who writes all the time."""
    stop = asyncio.Event()
    busy = 0

    async def greedy() -> None:
        nonlocal busy
        while not stop.is_set():
            await add(archive.engine, f"greedy{busy}")
            busy += 1

    running = asyncio.create_task(greedy())
    for n in range(20):
        await add(archive.engine, f"modest{n}")
    stop.set()
    await running
    # PostgreSQL has no turns to take: there both go on at once, each as fast as the machine lets it
    assert busy <= (60 if archive.engine.dialect.name == "sqlite" else 200)


async def test_a_transaction_within_another_is_a_mistake_that_is_told(archive: Archive) -> None:
    if archive.engine.dialect.name != "sqlite":
        async with archive.engine.begin(), archive.engine.begin():
            return
    with pytest.raises(RuntimeError, match="within another"):
        async with archive.engine.begin(), archive.engine.begin():
            pass
    await add(archive.engine, "after")


async def test_a_writer_that_waits_for_its_turn_can_be_cancelled(archive: Archive) -> None:
    async with archive.engine.begin():
        waiting = asyncio.create_task(add(archive.engine, "late"))
        await asyncio.sleep(0.01)
        waiting.cancel()
        if archive.engine.dialect.name == "sqlite":
            await asyncio.wait([waiting], timeout=2)
            assert waiting.cancelled()
    await asyncio.gather(waiting, return_exceptions=True)
    await add(archive.engine, "after")


async def test_idle_connections_are_closed_and_those_in_use_stay(archive: Archive) -> None:
    """Of PostgreSQL. What a driver keeps for each would else stay as large as the largest message; SQLite keeps nothing."""
    engine = archive.engine
    pool: Any = engine.sync_engine.pool
    postgres = engine.dialect.name == "postgresql"
    async with engine.connect() as used:
        mine = await backend(used) if postgres else 0
        async with engine.connect() as a, engine.connect() as b:
            idle = [await backend(one) for one in (a, b)] if postgres else []
        await engine.close_idle()
        if not postgres:
            assert pool.checkedin() == 2
        else:
            assert await backend(used) == mine
            async with engine.connect() as a, engine.connect() as b:
                assert not {await backend(one) for one in (a, b)} & set(idle)
    await archive.renew_connections()
    await add(engine, "a")
    assert await count(engine) == 1


async def backend(connection: Connection) -> int:
    return int(await connection.scalar(select(func.pg_backend_pid())))


async def test_postgresql_answers_in_binary(archive: Archive) -> None:
    """As text the pieces of a report would be twice as long on their way, and in the buffers at its ends."""
    if archive.engine.dialect.name != "postgresql":
        return
    async with archive.engine.connect() as connection:
        raw = connection.sync_connection.connection.driver_connection
        assert raw is not None
        async with raw.cursor() as cursor:
            await cursor.execute("SELECT %s::bytea", (bytes(range(256)),))
            assert cursor.pgresult.fformat(0) == 1
            assert await cursor.fetchone() == (bytes(range(256)),)

from __future__ import annotations

import asyncio

import pytest

from evertick.archive.connection import to_the_end


async def test_gives_the_result() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 7

    assert await to_the_end(work()) == 7


async def test_raises_the_error() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        raise KeyError("x")

    with pytest.raises(KeyError):
        await to_the_end(work())


async def test_a_cancelled_caller_waits_for_the_end_and_is_cancelled_then() -> None:
    go, ended = asyncio.Event(), []

    async def work() -> None:
        await go.wait()
        ended.append(True)

    caller = asyncio.create_task(to_the_end(work()))
    await asyncio.sleep(0)
    for _ in range(3):  # however often
        caller.cancel()
        await asyncio.sleep(0)
    assert not caller.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended == [True]


async def test_a_cancelled_caller_is_cancelled_even_if_the_work_fails() -> None:
    go = asyncio.Event()

    async def work() -> None:
        await go.wait()
        raise KeyError("x")

    caller = asyncio.create_task(to_the_end(work()))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_work_that_is_cancelled_itself_is_not_waited_for_ever() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(to_the_end(work()), 5)

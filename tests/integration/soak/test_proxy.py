"""The network that can be taken away, with real sockets on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from evertick.soak.proxy import Proxy
from evertick.soak.servers import free_port

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """The tests run on the one, the soak on the other."""
    return request.param()


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that says everything back, and says goodbye at the end of what it hears."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            writer.transport.abort()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def opened(port: int) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def said(streams: Streams, text: bytes) -> bytes:
    streams[1].write(text)
    return await streams[0].readexactly(len(text))


async def test_everything_comes_through_in_order_and_ends() -> None:
    async with echo() as target, Proxy(target) as proxy, opened(proxy.port) as (reader, writer):
        sent = bytes(range(256)) * 40_000

        async def send() -> None:
            writer.write(sent)
            await writer.drain()
            writer.write_eof()

        _, heard = await asyncio.gather(send(), reader.read(-1))
        assert heard == sent
        async with asyncio.timeout(5):
            while proxy.connections:
                await asyncio.sleep(0)


async def test_a_cut_resets_the_open_and_refuses_the_new_and_heals_on_the_same_port() -> None:
    async with echo() as target, Proxy(target) as proxy:
        port = proxy.port
        async with opened(port) as streams:
            assert await said(streams, b"one") == b"one"
            proxy.cut()
            with pytest.raises(ConnectionResetError):
                await streams[0].readexactly(1)
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
        proxy.heal()
        assert proxy.port == port
        async with opened(port) as streams:
            assert await said(streams, b"two") == b"two"


async def test_a_stall_says_nothing_to_old_and_new_and_then_delivers() -> None:
    async with echo() as target, Proxy(target) as proxy, opened(proxy.port) as old:
        assert await said(old, b"before") == b"before"
        proxy.stall()
        async with opened(proxy.port) as new:
            answers = [asyncio.create_task(said(old, b"old")), asyncio.create_task(said(new, b"new"))]
            _, waiting = await asyncio.wait(answers, timeout=0.1)
            assert len(waiting) == 2
            assert proxy.connections == 2
            proxy.heal()
            assert await asyncio.gather(*answers) == [b"old", b"new"]


async def test_a_delay_keeps_the_order_also_through_its_end() -> None:
    loop = asyncio.get_running_loop()
    async with echo() as target, Proxy(target) as proxy, opened(proxy.port) as streams:
        assert await said(streams, b"0") == b"0"
        proxy.delay(0.05)
        began = loop.time()
        assert await said(streams, b"12") == b"12"
        assert loop.time() - began >= 0.09  # there and back, less what a loop that counts milliseconds rounds away
        proxy.delay(60)
        answer = asyncio.create_task(said(streams, b"34"))
        _, waiting = await asyncio.wait((answer,), timeout=0.1)
        assert waiting
        proxy.heal()
        streams[1].write(b"56")
        assert await answer == b"34"  # what was held back comes first
        assert await streams[0].readexactly(2) == b"56"


async def test_a_target_that_is_gone_resets() -> None:
    async with Proxy(free_port()) as proxy:
        with pytest.raises(ConnectionResetError):
            async with opened(proxy.port) as streams:
                await said(streams, b"anybody?")


async def test_nothing_is_left_when_it_ends_during_a_stall() -> None:
    before = asyncio.all_tasks()
    async with echo() as target:
        async with Proxy(target) as proxy, opened(proxy.port), opened(proxy.port):
            proxy.stall()
            async with opened(proxy.port):
                await asyncio.sleep(0.01)
        assert proxy.connections == 0
    for _ in range(20):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() <= before

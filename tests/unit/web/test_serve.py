"""How a server ends: in order on SIGTERM, at once on SIGINT, and with its address free from the first moment on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from evertick.web.serve import bind, serve


class App:
    """Answers when it may."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may = asyncio.Event()
        self.stopping = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        await self.may.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})


@asynccontextmanager
async def served(app: App, grace_s: float) -> AsyncIterator[tuple[int, asyncio.Task[bool]]]:
    ready = asyncio.Event()
    with bind("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        running = asyncio.create_task(
            serve(
                app, [listening.dup()], ready=ready.set, stopping=app.stopping.set, leaving=listening.close,
                grace_s=grace_s,
            )
        )  # fmt: skip
        await ready.wait()
        yield port, running
        assert await asyncio.wait_for(running, 30) is False


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return await reader.read()
    finally:
        writer.close()


async def refused(port: int) -> None:
    """Return when nobody listens there any more."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it came while the socket was being closed
            continue
        writer.close()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stopped_server_refuses_at_once_and_lets_a_request_end(number: signal.Signals) -> None:
    app = App()
    async with served(app, grace_s=30) as (port, running):
        asking = asyncio.create_task(ask(port))
        await app.asked.wait()
        os.kill(os.getpid(), number)
        await app.stopping.wait()
        await asyncio.wait_for(refused(port), 10)
        assert not running.done() and not asking.done()
        app.may.set()
        assert (await asking).endswith(b"\r\n\r\ndone")


async def test_a_request_that_lasts_too_long_is_cut_off() -> None:
    app = App()
    async with served(app, grace_s=0) as (port, _):
        asking = asyncio.create_task(ask(port))
        await app.asked.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        assert not (await asyncio.wait_for(asking, 20)).endswith(b"done")


async def test_a_second_signal_hurries() -> None:
    app = App()
    async with served(app, grace_s=600) as (port, running):
        asking = asyncio.create_task(ask(port))
        await app.asked.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await app.stopping.wait()
        await asyncio.wait_for(refused(port), 10)
        assert not running.done()
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(asyncio.wait((running,)), 20)
        asking.cancel()

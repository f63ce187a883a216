"""The simulator as a server: for a test, for the soak, for ``evertick simulate``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from evertick.errors import SettingsError
from evertick.model import Instrument
from evertick.simulator.app import create_app
from evertick.simulator.broken import CLOSING, TRANSPORT
from evertick.simulator.clock import MarketClock
from evertick.simulator.faults import Faults
from evertick.simulator.market import Market
from evertick.simulator.providers import BASES


class _Wire(HttpToolsProtocol):
    """Hands the connection to the application, so that it can break it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]


class _Server(uvicorn.Server):
    """Says when it listens, and leaves the signals to whoever started it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def base_urls(address: str) -> dict[str, str]:
    """Provider to the ``BASE_URL`` under which the simulator at ``address`` plays it."""
    return {name: address + path for name, path in BASES.items()}


@asynccontextmanager
async def serve(
    market: Market, faults: Faults | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serve ``market`` within this process and yield the address, ``http://127.0.0.1:PORT``; port 0 takes a free one.

    On leaving, idle connections close at once and slow answers break off. Raises `SettingsError` where the port is taken.
    """
    listener = _listen(host, port)
    app = create_app(market, faults)
    closing = asyncio.Event()
    setattr(app.state, CLOSING, closing)
    config = uvicorn.Config(
        app,
        http=_Wire,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        backlog=512,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve([listener]), name="simulator")
    try:
        started = asyncio.create_task(server.ready.wait())
        await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
        if not server.ready.is_set():
            started.cancel()
            await running
            raise SettingsError(f"the simulator did not start on {host}:{port}")
        name = listener.getsockname()
        yield f"http://{f'[{name[0]}]' if ':' in name[0] else name[0]}:{name[1]}"
    finally:
        closing.set()
        server.should_exit = True
        await running
        listener.close()


async def serve_forever(
    instruments: Iterable[Instrument],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int | str = 1,
    start: datetime | None = None,
    speed: float = 1.0,
    fail: Iterable[str] = (),
    ready: Callable[[str], None] | None = None,
    signals: bool = True,
) -> None:
    """Serve until cancelled, or until SIGINT or SIGTERM (unless ``signals`` is false); ``ready`` gets the address.

    ``start`` and ``speed`` set the market's clock (`MarketClock`), ``fail`` its faults (`parse_fault`). Raises
    `SettingsError` for what is wrong among them, before anything is started.
    """
    market = Market(instruments, seed, MarketClock(start, speed))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    caught = (signal.SIGINT, signal.SIGTERM) if signals else ()
    async with serve(market, Faults(fail, seed), host=host, port=port) as address:
        for number in caught:
            loop.add_signal_handler(number, stop.set)
        try:
            if ready is not None:
                ready(address)
            await stop.wait()
        finally:
            for number in caught:
                loop.remove_signal_handler(number)


def run(
    instruments: Iterable[Instrument],
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int | str = 1,
    start: datetime | None = None,
    speed: float = 1.0,
    fail: Iterable[str] = (),
    ready: Callable[[str], None] | None = None,
) -> None:
    """`serve_forever` in an event loop of its own."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(
            serve_forever(
                instruments, host=host, port=port, seed=seed, start=start, speed=speed, fail=fail, ready=ready
            )
        )


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise SettingsError(f"the simulator cannot listen on port {port}; a port is a number from 0 to 65535")
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, number)
    except OSError as error:
        raise SettingsError(f"the simulator cannot listen on {host}: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"the simulator cannot listen on {host}:{port}: {error}", hint="Choose another port, or 0 for a free one."
        ) from error
    return listener

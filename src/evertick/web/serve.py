"""Runs the ASGI application on sockets that are already bound, until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from evertick.errors import SettingsError

GRACE_S = 1
"""Seconds that open requests get to end when the server stops; streams are told to end at once."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, before anything else is opened: a port in use is known at once, early clients wait in its queue."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            hint = "HOST is the address of this machine to listen on, for example 127.0.0.1 or 0.0.0.0."
        else:
            hint = f"Choose another port, for example PORT={max(port + 1, 8000)}."
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror}", hint=hint) from error
    return listening


def address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def serve(
    app: Any,
    listening: Sequence[socket.socket],
    *,
    ready: Callable[[], None] = lambda: None,
    stopping: Callable[[], None] = lambda: None,
    connections: int = 1000,
) -> None:
    """Serve until SIGINT or SIGTERM (or cancellation). ``stopping`` is called at the first sign of the end."""
    import uvicorn

    from evertick.web.connection import Connection

    class Server(uvicorn.Server):
        # The signals are ours: uvicorn's own handling raises them anew afterwards, which would kill the clean-up.
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            stopping()
            await super().shutdown(sockets)

    server = Server(
        uvicorn.Config(
            app,
            http=Connection,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=connections,
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=15,
        )
    )

    def stop() -> None:
        if server.should_exit:
            server.force_exit = True
        server.should_exit = True
        stopping()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await server.serve(sockets=list(listening))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

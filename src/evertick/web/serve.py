"""Runs the ASGI application on sockets that are already bound, until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from evertick.errors import SettingsError

GRACE_S = 1
"""Seconds that open requests get to end when somebody waits at a terminal; streams are told to end at once."""
DRAIN_S = 2.0
"""Before an orderly end connections that are idle stay open so long: the next answer tells the client to open another."""
RESTART_GRACE_S = 30
"""Seconds that requests in flight get to end before a restart in place."""
PASSED_ON = 3
"""The descriptor on which a socket is handed over, as systemd does (sd_listen_fds(3))."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, before anything else is opened: a port in use is known at once, early clients wait in its queue.

    One that systemd or the process before this one handed over is used as it is.
    """
    if (given := _handed_over()) is not None:
        return given
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


def _handed_over() -> socket.socket | None:
    """The socket of ``LISTEN_FDS`` if it is meant for this process; the variables are taken away, children have no use for them."""
    mine = os.environ.pop("LISTEN_PID", "") == str(os.getpid())
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if not mine or count != "1":
        return None
    given = socket.socket(fileno=PASSED_ON)
    given.set_inheritable(False)
    given.setblocking(False)
    return given


def hand_over(listening: socket.socket) -> dict[str, str]:
    """Put the socket where the next program in this process finds it; returns what has to be in its environment."""
    os.dup2(listening.fileno(), PASSED_ON, inheritable=True)
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}


def address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def serve(
    app: Any,
    listening: Sequence[socket.socket],
    *,
    ready: Callable[[], None] = lambda: None,
    stopping: Callable[[], None] = lambda: None,
    leaving: Callable[[], None] = lambda: None,
    restart: asyncio.Event | None = None,
    grace_s: float = GRACE_S,
    connections: int = 1000,
) -> bool:
    """Serve until SIGINT or SIGTERM (or cancellation), or until ``restart`` is set. ``stopping`` is called at the first sign
    of the end. Returns whether it ended for a restart.

    SIGTERM is an orderly end: no connection is taken any more, so that a proxy goes to another replica; every answer that is
    still given tells its client to open another connection; requests in flight have ``grace_s`` seconds. SIGINT, and a second
    signal, are quick. ``leaving`` is to close what else keeps the address open.

    For a restart the sockets are to be copies of ones that stay open: new connections wait in their queue. Every answer
    that is still given tells its client to open another connection, and no request in flight is cut off within
    `RESTART_GRACE_S`.
    """
    from uvicorn.config import Config
    from uvicorn.server import Server as Base

    from evertick.web.connection import Connection

    class Server(Base):
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
        Config(
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

    stopped = False
    tasks: list[asyncio.Task[None]] = []

    def stop(number: int) -> None:
        nonlocal stopped
        again, stopped = stopped, True
        stopping()
        if number == signal.SIGTERM and not again:
            tasks.append(asyncio.ensure_future(drain(grace_s)))
            return
        leaving()
        server.config.timeout_graceful_shutdown = GRACE_S
        if server.should_exit:
            server.force_exit = True
        server.should_exit = True

    async def drain(grace_s: float) -> None:
        await asyncio.sleep(0)  # those who wait in the queue of the socket are let in: closed, it would send them away
        for each in server.servers:
            each.close()
        if stopped:
            leaving()
        server.config.timeout_graceful_shutdown = round(grace_s)
        until = loop.time() + DRAIN_S
        while server.server_state.connections and loop.time() < until:  # noqa: ASYNC110 - uvicorn has no such event
            await asyncio.sleep(0.05)
        server.should_exit = True

    async def watch(asked: asyncio.Event) -> None:
        await asked.wait()
        stopping()
        await drain(RESTART_GRACE_S)

    loop = asyncio.get_running_loop()
    if restart is not None:
        tasks.append(asyncio.create_task(watch(restart)))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        await server.serve(sockets=list(listening))
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
    return restart is not None and restart.is_set() and not stopped

"""A network that can be taken away: a TCP proxy on the loopback, between the server and one of those it talks to.

    async with Proxy(redis.port) as proxy:      # the server is given proxy.port
        proxy.cut()      # new connections are refused, the open ones are reset
        proxy.stall()    # connections are accepted and stay open, and nothing comes through
        proxy.delay(0.2) # all that is sent arrives so many seconds later
        proxy.heal()     # what was held back arrives, in order

A second socket that never listens keeps the port for the proxy's life: while nobody listens, the system refuses as it does
for a server that is gone, and nobody else can take the port meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, cast

_BACKLOG = 128
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """``target`` is a port of 127.0.0.1. Enter it in the event loop that is to carry the traffic."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.stalled = False
        self.delay_s = 0.0
        self._pipes: set[_Pipe] = set()
        self._empty = asyncio.Event()
        self._connecting: set[asyncio.Task[None]] = set()
        self._kept: socket.socket | None = None
        self._listening: socket.socket | None = None

    async def __aenter__(self) -> Proxy:
        self._kept = _bound(0)
        self.port = int(self._kept.getsockname()[1])
        self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._deafen()
        assert self._kept is not None
        self._kept.close()
        self._kept = None
        for pipe in [*self._pipes]:
            pipe.reset()
        connecting = [*self._connecting]
        for task in connecting:
            task.cancel()
        await asyncio.gather(*connecting, return_exceptions=True)
        if self._pipes:
            self._empty.clear()
            await self._empty.wait()

    @property
    def connections(self) -> int:
        """Open towards the server."""
        return sum(1 for pipe in self._pipes if pipe.downstream)

    # --- what a network does -----------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Reset what is open, refuse what is new."""
        self._deafen()
        for pipe in [*self._pipes]:
            pipe.reset()

    def stall(self) -> None:
        """Accept, read nothing, say nothing, close nothing."""
        self.stalled = True
        for pipe in self._pipes:
            pipe.weigh()

    def delay(self, seconds: float) -> None:
        self.delay_s = seconds

    def heal(self) -> None:
        self.delay_s = 0.0
        self.stalled = False
        self._listen()
        for pipe in [*self._pipes]:
            pipe.flush()
            pipe.weigh()
            if pipe.downstream and pipe.other is None:
                self._connect(pipe)

    # --- connections -------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        if self._listening is None:
            self._listening = _bound(self.port)
            self._listening.listen(_BACKLOG)
            asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def _deafen(self) -> None:
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None

    def _accept(self) -> None:
        assert self._listening is not None
        try:
            accepted, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return  # it was gone again before it was taken
        self._begin(self._take(accepted))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _take(self, accepted: socket.socket) -> None:
        pipe = _Pipe(self, downstream=True)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: pipe, accepted)
        if not self.stalled:
            await self._join(pipe)

    def _connect(self, pipe: _Pipe) -> None:
        self._begin(self._join(pipe))

    async def _join(self, pipe: _Pipe) -> None:
        """The other half. Where the target refuses, so does the proxy, as far as it still can: by a reset."""
        if pipe.joining:
            return
        pipe.joining = True
        other = _Pipe(self, downstream=False)
        try:
            await asyncio.get_running_loop().create_connection(lambda: other, "127.0.0.1", self.target)
        except OSError:
            pipe.reset()
            return
        if pipe.transport is None:  # it left meanwhile
            other.reset()
            return
        pipe.other, other.other = other, pipe
        pipe.flush()
        pipe.weigh()


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.setblocking(False)
    bound.bind(("127.0.0.1", port))
    return bound


class _Pipe(asyncio.Protocol):
    """One end of a connection; what comes in goes to the other."""

    def __init__(self, proxy: Proxy, *, downstream: bool) -> None:
        self.proxy, self.downstream = proxy, downstream
        self.transport: asyncio.Transport | None = None
        self.other: _Pipe | None = None
        self.joining = False
        self._held: deque[bytes | None] = deque()
        """Came in and not passed on yet; ``None``: its end."""
        self._full = False
        """The other end takes no more for now."""
        self._ended = False
        """It has said all, and that was passed on."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self.proxy._pipes.add(self)
        self.weigh()

    def data_received(self, data: bytes) -> None:
        self._take(data)

    def eof_received(self) -> bool:
        self._take(None)
        return True  # the other direction goes on

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.proxy._pipes.discard(self)
        if not self.proxy._pipes:
            self.proxy._empty.set()
        if self.other is not None and self.other.transport is not None:
            if exc is None:
                self.flush()
                self.other.transport.close()
            else:
                self.other.reset()

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other._full = True
            self.other.weigh()

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other._full = False
            self.other.weigh()

    def weigh(self) -> None:
        """Read on or not, as things stand."""
        if self.transport is None or self.transport.is_closing():
            return
        if self.proxy.stalled or self._full or (self.downstream and self.other is None):
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def flush(self) -> None:
        while self._held and self.other is not None:
            self._pass_on()

    def reset(self) -> None:
        """As a router does that lost the connection: not a goodbye, a reset."""
        if self.transport is None:
            return
        connection = self.transport.get_extra_info("socket")
        if connection is not None and connection.fileno() >= 0:
            with socket.socket(fileno=os.dup(connection.fileno())) as same:  # uvloop's lets nobody set an option
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def _close(self) -> None:
        for pipe in (self, self.other):
            if pipe is not None and pipe.transport is not None:
                pipe.transport.close()

    def _take(self, data: bytes | None) -> None:
        self._held.append(data)
        if self.proxy.delay_s > 0:
            asyncio.get_running_loop().call_later(self.proxy.delay_s, self._pass_on)
        elif not self.proxy.stalled:
            self.flush()

    def _pass_on(self) -> None:
        if not self._held or self.other is None or self.proxy.stalled:
            return
        data = self._held.popleft()
        transport = self.other.transport
        if transport is None or transport.is_closing():
            return
        if data is None:
            self._ended = True
            transport.write_eof()
            if self.other._ended:
                self._close()
        else:
            transport.write(data)

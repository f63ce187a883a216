"""HTTP/1.1 as little as a reader needs: so cheap that thousands of requests cost the machine next to nothing beside the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from evertick.errors import NoAnswer

TIMEOUT_S = 60.0
_PIECE = 64 << 10
_HEAD = 64 << 10


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    size: int
    """Bytes of the body as they came."""
    body: bytes
    """Empty unless it was asked for."""

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection, kept alive between requests and opened again when it was closed meanwhile."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self.host, self.port = address.hostname or "127.0.0.1", address.port or 80
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """At once; what was not read is never read."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    def abort(self) -> None:
        """As `close`, without a goodbye: the other side sees a reset connection."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def get(self, path: str, headers: Mapping[str, str] | None = None, *, body: bool = False) -> Answer:
        return await self.ask("GET", path, headers, body=body)

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, send: Any = None, *, body: bool = False
    ) -> Answer:
        """One request and all of its answer. Raises `NoAnswer`."""
        again = self._writer is not None  # a kept connection may have been closed since: that is no failure yet
        try:
            async with asyncio.timeout(TIMEOUT_S):
                try:
                    status, answered = await self.begin(method, path, headers, send)
                except NoAnswer:
                    if not again:
                        raise
                    status, answered = await self.begin(method, path, headers, send)
                pieces, size = [], 0
                async for piece in self.rest(status, answered, method):
                    size += len(piece)
                    if body:
                        pieces.append(piece)
        except TimeoutError:
            self.close()
            raise NoAnswer(f"{method} {path}: no answer within {TIMEOUT_S:g} s") from None
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.close()
            raise NoAnswer(f"{method} {path}: {type(error).__name__}") from error
        if answered.get("connection") == "close":
            self.close()
        return Answer(status, answered, size, b"".join(pieces))

    async def begin(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, send: Any = None
    ) -> tuple[int, dict[str, str]]:
        """Send a request and read the head of its answer. Raises `NoAnswer`, and then the connection is closed."""
        data = b"" if send is None else json.dumps(send).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if send is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        try:
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection(self.host, self.port, limit=_HEAD)
            assert self._reader is not None
            self._writer.write("\r\n".join([*lines, "", ""]).encode() + data)
            await self._writer.drain()
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            self.close()
            raise NoAnswer(f"{method} {path}: {type(error).__name__}") from error
        first, *rest = head.decode("latin-1").split("\r\n")
        found = (line.partition(":") for line in rest if line)
        return int(first.split()[1]), {name.strip().lower(): value.strip() for name, _, value in found}

    async def rest(self, status: int, headers: Mapping[str, str], method: str = "GET") -> AsyncIterator[bytes]:
        """The body, in the pieces in which it comes."""
        reader = self._reader
        assert reader is not None
        if method == "HEAD" or status in (204, 304):
            return
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                async for piece in _exactly(reader, size):
                    yield piece
                await reader.readexactly(2)
            await reader.readexactly(2)
        else:
            async for piece in _exactly(reader, int(headers.get("content-length", 0))):
                yield piece


async def _exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size > 0:
        piece = await reader.read(min(size, _PIECE))
        if not piece:
            raise asyncio.IncompleteReadError(b"", size)
        size -= len(piece)
        yield piece


async def post(url: str, path: str, send: Any) -> Any:
    """One request on a connection of its own; its answer as JSON. Raises `NoAnswer`, also for what is not 2xx."""
    async with Wire(url) as wire:
        answer = await wire.ask("POST", path, {"Connection": "close"}, send, body=True)
    if not 200 <= answer.status < 300:
        raise NoAnswer(f"POST {path}: {answer.status}")
    with suppress(ValueError):
        return answer.json()
    return None

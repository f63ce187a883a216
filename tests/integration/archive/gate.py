"""A way to a server through which a test can see, refuse, delay and cut what goes by."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Rule = Callable[[str, str], "bytes | str | None"]
"""Of method and target: an answer to give, ``hang``, ``cut`` (the answer half-way), or None to let it pass."""


class Gate:
    def __init__(self, port: int) -> None:
        self.behind = port
        self.rule: Rule = lambda method, target: None
        self.seen: list[str] = []
        self.endpoint = ""

    def asked(self, method: str) -> int:
        return sum(line.startswith(method) for line in self.seen)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection: no matter here."""
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").split("\r\n")
                method, target, _ = first.split(" ", 2)
                self.seen.append(f"{method} {target}")
                fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                verdict = self.rule(method, target)
                if verdict == "hang":
                    await asyncio.sleep(3600)
                answer = verdict if isinstance(verdict, bytes) else await self._forward(head, body)
                if verdict == "cut":
                    answer = answer[: len(answer) // 2]
                writer.write(answer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.behind)
        try:
            writer.write(head.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") + body)
            return await reader.read()
        finally:
            writer.transport.abort()


def refusal(status: str, code: str) -> bytes:
    """An answer as S3 gives it; some repeat the key's name."""
    body = f"<Error><Code>{code}</Code><Message>No</Message><AWSAccessKeyId>THE-KEY</AWSAccessKeyId></Error>".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def gate(port: int) -> AsyncIterator[Gate]:
    found = Gate(port)
    tasks: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(found._serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

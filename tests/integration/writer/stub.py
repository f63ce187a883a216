"""A server that speaks the protocol of chat completions on loopback, and every way of getting it wrong.

``replies`` are used up one a request, the last one again and again. A reply is a coroutine that is given what was asked and
writes the answer byte for byte; the functions below make them.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    head: str
    body: Any

    @property
    def path(self) -> str:
        return self.head.split(" ")[1]

    @property
    def facts(self) -> list[str]:
        """The lines between FACTS and END."""
        lines = self.body["messages"][-1]["content"].splitlines()
        return lines[lines.index("FACTS") + 1 : lines.index("END")]

    @property
    def language(self) -> str:
        found = re.search(r"\((\w\w)\)", self.body["messages"][0]["content"])
        assert found is not None
        return found[1]


Reply = Callable[[asyncio.StreamWriter, Request], Coroutine[None, None, None]]


@dataclass
class Stub:
    replies: list[Reply]
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    open: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the last connection is closed."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.gone.clear()
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1])) if length else b"{}"
                request = Request(head, json.loads(body))
                self.requests.append(request)
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                replying = asyncio.ensure_future(reply(writer, request))
                listening = asyncio.ensure_future(reader.read(1) if reply in _ENDLESS else asyncio.sleep(3600))
                _, left = await asyncio.wait({replying, listening}, return_when=asyncio.FIRST_COMPLETED)
                for task in left:
                    task.cancel()
                await asyncio.gather(replying, listening, return_exceptions=True)
                if writer.is_closing() or reply in _ENDLESS:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            self.open -= 1
            if not self.open:
                self.gone.set()


@asynccontextmanager
async def serving(*replies: Reply) -> AsyncIterator[Stub]:
    stub = Stub(list(replies))
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield stub
    finally:
        server.close()
        if stub.open:
            async with asyncio.timeout(5):  # whoever asked has closed its connections by now
                await stub.gone.wait()


# --- pieces of answers


def chunk(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    value = {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }
    return event(json.dumps(value, ensure_ascii=False).encode())


def usage(tokens_in: int = 900, tokens_out: int = 300) -> bytes:
    counts = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
    return event(json.dumps({"choices": [], "usage": counts}).encode())


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


DONE = event(b"[DONE]")


async def begin(writer: asyncio.StreamWriter, kind: str = "text/event-stream; charset=utf-8", extra: str = "") -> None:
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{extra}transfer-encoding: chunked\r\n\r\n".encode())
    await writer.drain()


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()


async def end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"0\r\n\r\n")
    await writer.drain()


# --- whole replies


def stream(*events: bytes, cut: int = 0) -> Reply:
    """These events and the end; ``cut`` sends them in pieces of so many bytes, wherever that cuts them."""

    async def reply(writer: asyncio.StreamWriter, request: Request) -> None:
        await begin(writer)
        whole = b"".join(events)
        for piece in [whole[i : i + cut] for i in range(0, len(whole), cut)] if cut else events:
            await send(writer, piece)
        await end(writer)

    return reply


def says(text: str | Callable[[Request], str], *, counted: bool = True) -> Reply:
    """A text, word by word, as a model streams it."""

    async def reply(writer: asyncio.StreamWriter, request: Request) -> None:
        whole = text(request) if callable(text) else text
        events = [b": keep-alive\n\n", chunk(""), *(chunk(word) for word in re.findall(r"\s*\S+", whole))]
        events += [chunk(finish="stop"), *([usage()] if counted else []), DONE]
        await stream(*events, cut=700)(writer, request)

    return reply


def status(line: str, body: bytes = b"", kind: str = "application/json", **headers: str) -> Reply:
    async def reply(writer: asyncio.StreamWriter, request: Request) -> None:
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        writer.write(
            f"HTTP/1.1 {line}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{more}\r\n".encode() + body
        )
        await writer.drain()

    return reply


def error(line: str, message: str, **headers: str) -> Reply:
    return status(line, json.dumps({"error": {"message": message, "type": "x", "code": None}}).encode(), **headers)


def unless(known: Callable[[Any], bool], refusal: Reply, otherwise: Reply) -> Reply:
    """``refusal`` for a body that is not ``known``."""

    async def reply(writer: asyncio.StreamWriter, request: Request) -> None:
        await (otherwise if known(request.body) else refusal)(writer, request)

    return reply


async def resets(writer: asyncio.StreamWriter, request: Request) -> None:
    """Breaks off in the middle of the stream, with a reset."""
    await begin(writer)
    await send(writer, chunk("Half a "))
    writer.transport.abort()


async def hangs_up(writer: asyncio.StreamWriter, request: Request) -> None:
    """Ends the stream without its end."""
    await stream(chunk("Half a sentence"))(writer, request)


async def stalls(writer: asyncio.StreamWriter, request: Request) -> None:
    """Begins, and never says another word."""
    await begin(writer)
    await send(writer, chunk("Half a "))
    await asyncio.sleep(3600)


async def never_ends(writer: asyncio.StreamWriter, request: Request) -> None:
    await begin(writer)
    while True:
        await send(writer, chunk("word " * 50))


async def one_line_without_end(writer: asyncio.StreamWriter, request: Request) -> None:
    await begin(writer)
    await send(writer, b'data: {"choices": [')
    while True:
        await send(writer, b"[" * 4096)


async def keeps_alive_for_ever(writer: asyncio.StreamWriter, request: Request) -> None:
    await begin(writer)
    while True:
        await send(writer, b": still thinking\n\n" * 500)


async def bomb(writer: asyncio.StreamWriter, request: Request) -> None:
    """Packed, though nobody asked for that: 20 KB that become 20 MB."""
    await begin(writer, extra="content-encoding: gzip\r\n")
    await send(writer, gzip.compress(b"data: " + b"0" * (20 << 20), 6))
    await end(writer)


_ENDLESS = {stalls, never_ends, one_line_without_end, keeps_alive_for_ever}
"""Ended by whoever asked."""


# --- what a good model says


def honest(request: Request) -> str:
    """Headline and points out of the figures that it was given, in the language that was asked for."""
    told = [found for line in request.facts if (found := re.fullmatch(r"(.+): (\S+)(?: \w+)? \(([+−]\S+%)\)", line))]
    wording = {"vi": "{0} hiện đứng ở mức {1} ({2}).", "en": "{0} now stands at {1} ({2})."}[request.language]
    lines = [wording.format(*found.groups()) for found in told]
    return "\n".join([lines[0], *(f"- {line}" for line in lines[1:7])])


def with_line(
    line: Callable[[Request], str] | str, among: Callable[[Request], str] = honest
) -> Callable[[Request], str]:
    """The honest text and one more line, as its second point."""

    def text(request: Request) -> str:
        first, second, *rest = among(request).splitlines()
        return "\n".join([first, second, f"- {line if isinstance(line, str) else line(request)}", *rest])

    return text


def lines(*texts: str) -> str:
    first, *rest = texts
    return "\n".join([first, *(f"- {text}" for text in rest)])

"""Responses that last: event streams and large bodies. Their number is bounded, and who does not read is dropped.

FastAPI's own event streams (a generator as the route) neither drop a reader that stalls nor end when the server stops, and
encode each event anew for each reader; so the sending is done here, and only the wire format is FastAPI's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import TypeVar

import structlog
from fastapi.sse import format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from evertick.web.problems import Problem, problem_response

T = TypeVar("T")

log = structlog.get_logger()

ABORT = "evertick.abort"
"""ASGI extension ``{"now": reset the connection}``, see `evertick.web.connection`."""

HEARTBEAT = b":\n\n"


class _Stalled(Exception):
    pass


class Streams:
    """The places that streams share, and the sign for them to end."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open = 0
        self.stopping = asyncio.Event()

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Whether there was a free place; it is held meanwhile."""
        if self.stopping.is_set() or self.open >= self.limit:
            yield False
            return
        self.open += 1
        try:
            yield True
        finally:
            self.open -= 1


class Body(StreamingResponse):
    """A streamed body whose pieces have to be taken within ``stall_s`` seconds each."""

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        *,
        stall_s: float,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        super().__init__(pieces, status_code, headers, media_type)
        self.pieces = pieces
        self.stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self.pieces):
            await _send(self, scope, receive, send)


class EventStream(StreamingResponse):
    """Frames of server-sent events, sent as they come; 503 where no place is free."""

    media_type = "text/event-stream"

    def __init__(
        self, frames: AsyncGenerator[bytes, None], streams: Streams, *, stall_s: float, status_code: int = 200
    ) -> None:
        super().__init__(frames, status_code, {"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self.pieces = frames
        self.streams = streams
        self.stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self.pieces):
            with self.streams.place() as free:
                if free:
                    await _send(self, scope, receive, send)
                    return
            detail = f"All {self.streams.limit} places for event streams are taken. Poll /api/v1/indices, or try again."
            problem = Problem(503, detail, headers={"Retry-After": "10"})
            await problem_response(problem, scope["path"])(scope, receive, send)


async def _send(response: Body | EventStream, scope: Scope, receive: Receive, send: Send) -> None:
    """Send until the pieces end or the reader goes, whichever is first."""
    sending = asyncio.ensure_future(_pieces(response, scope, send))
    leaving = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        await asyncio.wait((sending, leaving))
    if not sending.cancelled():
        sending.result()


async def _pieces(response: Body | EventStream, scope: Scope, send: Send) -> None:
    async def put(message: Message) -> None:
        try:
            async with asyncio.timeout(response.stall_s):
                await send(message)
        except TimeoutError:
            raise _Stalled from None

    try:
        await put({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        async for piece in response.pieces:
            await put({"type": "http.response.body", "body": piece, "more_body": True})
        await put({"type": "http.response.body", "body": b"", "more_body": False})
    except _Stalled:
        log.info("slow reader dropped", path=scope["path"], seconds=response.stall_s)
        if abort := scope.get("extensions", {}).get(ABORT):
            abort["now"]()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def frame(data: bytes, *, event: str, id: str | None = None) -> bytes:
    """One event. ``data`` is JSON without line breaks."""
    return format_sse_event(data_str=data.decode(), event=event, id=id)


async def beating(
    updates: AsyncIterator[T], stopping: asyncio.Event, heartbeat_s: float
) -> AsyncGenerator[T | None, None]:
    """What ``updates`` gives, and None whenever nothing came for ``heartbeat_s`` seconds; ends when ``stopping`` is set."""
    stop = asyncio.ensure_future(stopping.wait())
    coming: asyncio.Future[T] | None = None
    try:
        while not stop.done():
            if coming is None:
                coming = asyncio.ensure_future(anext(updates))
            await asyncio.wait((coming, stop), timeout=heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                return
            if not coming.done():
                yield None
                continue
            try:
                update = coming.result()
            except StopAsyncIteration:
                return
            coming = None
            yield update
    finally:
        left = [task for task in (stop, coming) if task is not None]
        for task in left:
            task.cancel()
        await asyncio.wait(left)

"""Keeps in memory what is asked for again and again and never changes: pages of reports, style sheets, scripts.

An answer that its route calls immutable is kept, as gzip, when it is asked for the second time within the last `REMEMBERED`
paths; at most `LIMIT` bytes, none of them longer than `IDLE_S` after the last request for it. Whether it is still there to be
had (a report may be deleted) is asked of its route at least every `SURE_S` seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evertick.web.replies import gzip_wanted, matches
from evertick.web.static import IMMUTABLE
from evertick.web.streams import ABORT

LIMIT = 5 << 19
"""Bytes: the newest report in two languages (2.2 MB of 400 instruments), its style sheet and scripts."""
LARGEST = 2 << 20
REMEMBERED = 64
IDLE_S = 30.0
SURE_S = 2.0
CHUNK = 256 << 10
"""Bytes between two looks whether the reader takes them."""

log = structlog.get_logger()

_ONCE = frozenset({b"content-encoding", b"content-length"})
"""Headers of a whole answer that one without a body does not have."""


class _Page:
    __slots__ = ("asked", "body", "etag", "headers", "route", "sure")

    def __init__(self, headers: list[tuple[bytes, bytes]], etag: str, body: bytes, route: Any, now: float) -> None:
        self.headers, self.etag, self.body, self.route = headers, etag, body, route
        self.asked = self.sure = now


class Kept:
    """Stands between the guard and the routes."""

    def __init__(self, app: ASGIApp, *, stall_s: float, pages: Pages) -> None:
        self.app = app
        self.stall_s = stall_s
        self.pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or scope["query_string"]:
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"])
        if not gzip_wanted(given.get(b"accept-encoding", b"").decode("latin-1")):
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        page = self.pages.get(path)
        if page is not None and await self._sure(page, scope, receive):
            scope["route"] = page.route
            known = matches(given.get(b"if-none-match", b"").decode("latin-1"), page.etag)
            await self._answer(page, known, scope, send)
        elif self.pages.again(path):
            await self._filled(path, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _sure(self, page: _Page, scope: Scope, receive: Receive) -> bool:
        """Whether its route would still answer the same; others get what is there while one asks."""
        now = self.pages.now()
        if now - page.sure < SURE_S:
            return True
        page.sure = now
        told: list[Message] = []

        async def listen(message: Message) -> None:
            told.append(message)

        asked = {**scope, "method": "HEAD", "headers": [h for h in scope["headers"] if h[0] != b"if-none-match"]}
        try:
            await self.app(asked, receive, listen)
        except BaseException:
            self.pages.drop(scope["path"])
            raise
        start: Message = told[0] if told else {"status": 500}
        if start["status"] == 200 and (b"etag", page.etag.encode("latin-1")) in start["headers"]:
            return True
        self.pages.drop(scope["path"])
        return False

    async def _answer(self, page: _Page, known: bool, scope: Scope, send: Send) -> None:
        if known:
            headers = [(name, value) for name, value in page.headers if name not in _ONCE]
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.start", "status": 200, "headers": list(page.headers)})
        body = memoryview(page.body)
        for start in range(0, len(body), CHUNK):
            more = start + CHUNK < len(body)
            try:
                async with asyncio.timeout(self.stall_s):
                    await send({"type": "http.response.body", "body": body[start : start + CHUNK], "more_body": more})
            except TimeoutError:
                log.info("slow reader dropped", path=scope["path"], seconds=self.stall_s)
                if abort := scope.get("extensions", {}).get(ABORT):
                    abort["now"]()
                return

    async def _filled(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer of the route, kept on its way if it may be."""
        start: Message = {}
        pieces: list[bytes] = []
        size = expected = 0

        async def passing(message: Message) -> None:
            nonlocal start, size, expected
            if message["type"] == "http.response.start":
                start = {**message, "headers": list(message["headers"])}
                expected = _length(start)
            elif expected:
                size += len(message.get("body", b""))
                pieces.append(message.get("body", b""))
            await send(message)

        self.pages.filling += 1
        try:
            await self.app(scope, receive, passing)
        finally:
            self.pages.filling -= 1
        if expected and size == expected:
            etag = dict(start["headers"])[b"etag"].decode("latin-1")
            self.pages.put(path, _Page(start["headers"], etag, b"".join(pieces), scope.get("route"), self.pages.now()))


def _length(start: Message) -> int:
    """The length of an answer that may be kept, else 0."""
    headers = dict(start["headers"])
    if start["status"] != 200 or headers.get(b"content-encoding") != b"gzip" or b"etag" not in headers:
        return 0
    if headers.get(b"cache-control", b"").decode("latin-1") != IMMUTABLE:
        return 0
    length = int(headers.get(b"content-length", b"0"))
    return length if length <= LARGEST else 0


class Pages:
    """What is kept. ``now`` is a monotonic clock."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.bytes = 0
        self.filling = 0
        """Answers that are gathered at this moment; one at a time."""
        self._pages: OrderedDict[str, _Page] = OrderedDict()
        self._asked: OrderedDict[str, None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def get(self, path: str) -> _Page | None:
        self._forget_idle()
        page = self._pages.get(path)
        if page is not None:
            page.asked = self.now()
            self._pages.move_to_end(path)
        return page

    def again(self, path: str) -> bool:
        """Whether ``path`` was asked for lately, and there is room to gather its answer."""
        before = path in self._asked
        self._asked[path] = None
        self._asked.move_to_end(path)
        if len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        return before and not self.filling

    def put(self, path: str, page: _Page) -> None:
        self.drop(path)
        self._pages[path] = page
        self.bytes += len(page.body)
        while self.bytes > LIMIT:
            self.drop(next(iter(self._pages)))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE_S / 2, self.sweep)

    def drop(self, path: str) -> None:
        if (page := self._pages.pop(path, None)) is not None:
            self.bytes -= len(page.body)

    def sweep(self) -> None:
        """Forget what nobody asked for."""
        self._timer = None
        self._forget_idle()
        if self._pages:
            self._timer = asyncio.get_running_loop().call_later(IDLE_S / 2, self.sweep)

    def _forget_idle(self) -> None:
        """The one that was asked for last is at the end."""
        until = self.now() - IDLE_S
        while self._pages:
            path, page = next(iter(self._pages.items()))
            if page.asked > until:
                break
            self.drop(path)

    def clear(self) -> None:
        self._pages.clear()
        self.bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

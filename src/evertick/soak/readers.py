"""Who reads while the server runs: pages, the API, conditional requests, event streams that come and go, slow ones, vanishing ones.

All from outside, over HTTP. What is asked is drawn from the seed, so that two soaks ask the same in the same order.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from random import Random
from typing import Self

from evertick.errors import NoAnswer
from evertick.soak.wire import Wire

AT_ONCE = 3
"""Readers that ask at the same time, each on its own connection."""
STREAMS = 6
SLOW = 3
KNOWN = 64
"""ETags that the readers keep, and ask with."""
PACKED = {"Accept-Encoding": "gzip"}
_SLOW_BUFFER = 16 << 10
_STREAM_STEPS = (1, 40)
_SLOW_STEPS = (2, 6)

KINDS: Mapping[str, float] = {
    "pages": 30,
    "api": 42,
    "conditional": 20,
    "streams": 2,
    "slow": 1,
    "vanished": 5,
}
"""What is asked, by weight. A stream or a slow reader counts once, when it comes."""
PAGES: Mapping[str, float] = {
    "/": 12,
    "/reports": 5,
    "/reports/{id}/{language}": 11,
    "/reports/{id}": 1,
    "/sources": 0.5,
    "/memory": 0.5,
}
API: Mapping[str, float] = {
    "/api/v1/indices": 22,
    "/api/v1/reports?limit=20": 6,
    "/api/v1/reports/{id}": 4,
    "/api/v1/reports/{id}/parts/html": 1,
    "/api/v1/slots?limit=20": 2,
    "/api/v1/sources": 2,
    "/api/v1/memory": 2,
    "/api/v1/memory/receipts": 1,
    "/healthz": 2,
    "/readyz": 2,
    "/metrics": 2,
}


class Readers:
    """``async with`` it. ``url`` is asked anew before every connection: a server that was restarted may be elsewhere.

    While ``excused`` is set, what fails is counted as ``excused`` and not as ``failed``: somebody is hurting the server.
    """

    def __init__(self, url: Callable[[], str], seed: int, languages: tuple[str, ...]) -> None:
        self._url = url
        self._random = Random(f"readers {seed}")
        self._languages = languages
        self._wires: list[Wire] = []
        self._address = ""
        self._tags: dict[str, str] = {}
        self._reports: list[str] = []
        self._open: dict[asyncio.Task[None], int] = {}
        self._tick = asyncio.Event()
        self._step = 0
        self._owed = 0.0
        self.excused = False
        self.counts: Counter[str] = Counter()
        self.why: Counter[str] = Counter()
        """What failed, by the words of the error or the status; the twenty most frequent are worth showing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        """All of them at once, as at night; the next step brings others."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._open.clear()
        for wire in self._wires:
            wire.close()

    @property
    def asked(self) -> int:
        return sum(self.counts[kind] for kind in KINDS)

    async def step(self, requests: float) -> None:
        """Ask so many times (what is left of a fraction is owed to the next step), some at once; streams go on meanwhile."""
        self._owed += requests
        count, self._owed = int(self._owed), self._owed % 1
        self._step += 1
        tick, self._tick = self._tick, asyncio.Event()
        tick.set()
        for task, until in list(self._open.items()):
            if task.done():
                del self._open[task]
            elif until <= self._step:
                task.cancel()
        kinds = self._random.choices(list(KINDS), list(KINDS.values()), k=count)
        self._connect()
        for n in range(0, count, AT_ONCE):
            await asyncio.gather(*(self._one(kind, wire) for kind, wire in zip(kinds[n : n + AT_ONCE], self._wires)))  # noqa: B905 - the last ones are fewer

    def _connect(self) -> None:
        if (url := self._url()) != self._address:
            for wire in self._wires:
                wire.close()
            self._wires, self._address = [Wire(url) for _ in range(AT_ONCE)], url

    async def _one(self, kind: str, wire: Wire) -> None:
        if kind == "streams":
            self._begin("streams", STREAMS, _STREAM_STEPS, self._stream)
        elif kind == "slow":
            path = self._path("/reports/{id}/{language}")
            self._begin("slow", SLOW, _SLOW_STEPS, lambda: self._slow(path))
        elif kind == "vanished":
            await self._vanish(self._path("/reports/{id}/{language}" if self._random.random() < 0.5 else "/"))
        elif kind == "conditional" and self._tags:
            path = self._random.choice(list(self._tags))
            await self._ask("conditional", wire, path, PACKED | {"If-None-Match": self._tags[path]})
        elif kind == "api":
            await self._ask("api", wire, self._path(self._draw(API)))
        else:
            await self._ask("pages", wire, self._path(self._draw(PAGES)))

    def _draw(self, paths: Mapping[str, float]) -> str:
        return self._random.choices(list(paths), list(paths.values()))[0]

    def _path(self, pattern: str) -> str:
        if "{" not in pattern:
            return pattern
        if not self._reports:
            return "/api/v1/reports?limit=20"
        report = self._random.choice(self._reports)
        return pattern.format(id=report, language=self._random.choice(self._languages))

    async def _ask(self, kind: str, wire: Wire, path: str, headers: Mapping[str, str] = PACKED) -> None:
        self.counts[kind] += 1
        wanted = path.startswith("/api/v1/reports?")
        try:
            answer = await wire.get(path, {} if wanted else headers, body=wanted)
        except NoAnswer as error:
            self._failed(str(error.__cause__ or error))
            return
        if answer.status >= 400 and not (answer.status == 404 and "/reports/" in path):  # one that was pruned meanwhile
            self._failed(f"{answer.status} {path.partition('?')[0]}")
            return
        if answer.status == 304:
            self.counts["unchanged"] += 1
        if wanted:
            self._reports = [item["id"] for item in answer.json()["items"]]
        if (tag := answer.headers.get("etag")) is not None and path not in self._tags:
            if len(self._tags) >= KNOWN:
                del self._tags[next(iter(self._tags))]
            self._tags[path] = tag

    def _failed(self, why: str) -> None:
        self.counts["excused" if self.excused else "failed"] += 1
        if not self.excused:
            self.why[why[:120]] += 1

    # --- those who stay ----------------------------------------------------------------------------------------------

    def _begin(
        self, kind: str, most: int, steps: tuple[int, int], work: Callable[[], Coroutine[None, None, None]]
    ) -> None:
        if sum(task.get_name() == kind and not task.done() for task in self._open) >= most:
            self.counts["turned away"] += 1  # by ourselves: enough of them are there
            return
        self.counts[kind] += 1
        self._open[asyncio.create_task(work(), name=kind)] = self._step + self._random.randint(*steps)

    async def _stream(self) -> None:
        """An event stream that is read until its reader leaves, or the server."""
        async with Wire(self._address) as wire:
            try:
                status, headers = await wire.begin("GET", "/api/v1/indices/stream", {"Accept": "text/event-stream"})
                if status != 200:
                    self._failed(f"{status} /api/v1/indices/stream")
                    return
                async for piece in wire.rest(status, headers):
                    self.counts["events"] += piece.count(b"event: indices")
                self.counts["streams ended"] += 1
            except (NoAnswer, OSError, asyncio.IncompleteReadError):
                self.counts["streams ended"] += 1

    async def _slow(self, path: str) -> None:
        """A page that is read a little in every step, and left half-way if its time is over."""
        reader = writer = None
        try:
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SLOW_BUFFER)
            one.setblocking(False)
            address = Wire(self._address)
            await asyncio.get_running_loop().sock_connect(one, (address.host, address.port))
            reader, writer = await asyncio.open_connection(sock=one, limit=_SLOW_BUFFER)
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\nConnection: close\r\n\r\n".encode()
            )
            while await reader.read(_SLOW_BUFFER):
                await self._tick.wait()
        except OSError:
            self.counts["slow dropped"] += 1
        finally:
            if writer is not None:
                writer.close()

    async def _vanish(self, path: str) -> None:
        """Ask, read the head and a little, and be gone without a word."""
        self.counts["vanished"] += 1
        wire = Wire(self._address)
        with suppress(NoAnswer, OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            async with asyncio.timeout(10):
                status, headers = await wire.begin("GET", path)
                async for _ in wire.rest(status, headers):
                    break
        wire.abort()

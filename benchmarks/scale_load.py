"""Readers and stream clients by the thousand, on one event loop: what scale.py asks its servers with."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

THINK_S = 2.0
"""A reader asks once in so long."""
AT_ONCE = 100
"""Connections that are opened side by side, fewer than the listening socket lets wait."""


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


class Wire:
    """One keep-alive connection."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self._host, self._port, self._netloc = split.hostname or "", split.port or 80, split.netloc
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def ask(self, path: str, accept: str = "gzip") -> tuple[int, asyncio.StreamReader, dict[str, str]]:
        """Status and headers; the body is still to be read."""
        if self._writer is None:
            await self.open()
        assert self._reader is not None
        assert self._writer is not None
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._netloc}\r\nAccept-Encoding: {accept}\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        return int(head[0].split()[1]), self._reader, headers

    async def get(self, path: str) -> int:
        status, reader, headers = await self.ask(path)
        if "content-length" in headers:
            await reader.readexactly(int(headers["content-length"]))
        else:
            await self._chunks(reader)
        if headers.get("connection") == "close":
            self.close()
        return status

    async def _chunks(self, reader: asyncio.StreamReader) -> None:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def readers(url: str, count: int, seconds: float, path: str = "/api/v1/indices") -> dict[str, Any]:
    """``count`` readers over connections that they keep; each asks once in `THINK_S`, at a moment of its own."""
    times: list[float] = []
    statuses: Counter[str] = Counter()
    door = asyncio.Semaphore(AT_ONCE)
    dice = random.Random(7)
    start = asyncio.Event()
    end = 0.0

    async def one(offset: float) -> None:
        wire = Wire(url)
        with contextlib.suppress(OSError):
            async with door:
                await wire.open()
        await start.wait()
        due = time.monotonic() + offset
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                # From when it was due: a reader that has to wait for the answer before is not spared the queue.
                status = await wire.get(path)
                statuses[str(status)] += 1
                if status == 200:
                    times.append(time.monotonic() - due)
            except (OSError, asyncio.IncompleteReadError, ValueError):
                statuses["broken"] += 1
                wire.close()
            due += THINK_S
        wire.close()

    tasks = [asyncio.ensure_future(one(dice.random() * THINK_S)) for _ in range(count)]
    await asyncio.sleep(count / 1_000)
    end = time.monotonic() + seconds
    start.set()
    await asyncio.gather(*tasks)
    return {
        "clients": count,
        "answered": statuses["200"],
        "refused": statuses["503"],
        "broken": statuses["broken"],
        "per_s": statuses["200"] / seconds,
        "p50_ms": quantile(times, 0.5) * 1e3,
        "p99_ms": quantile(times, 0.99) * 1e3,
    }


class Crowd:
    """Stream clients that stay until they are dispersed, and note when each event came."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tasks: list[asyncio.Task[None]] = []
        self.open = 0
        self.refused = 0
        self.broken = 0
        self.events: dict[bytes, list[float]] = {}
        """By the id of the event: when it had come, whole, to each client."""

    async def gather(self, count: int) -> None:
        door = asyncio.Semaphore(AT_ONCE)
        for _ in range(count - len(self._tasks)):
            self._tasks.append(asyncio.ensure_future(self._one(door)))
        while self.open + self.refused + self.broken < count:
            await asyncio.sleep(0.05)

    async def _one(self, door: asyncio.Semaphore) -> None:
        wire = Wire(self._url)
        counted = False
        try:
            async with door:
                status, reader, _ = await wire.ask("/api/v1/indices/stream", "identity")
                counted = True
                if status != 200:
                    self.refused += 1
                    return
                self.open += 1
            while True:
                piece = await reader.readexactly(int(await reader.readline(), 16) + 2)
                if piece.startswith(b"event: indices"):  # the server sends an event in one piece
                    id = piece.rpartition(b"\nid: ")[2].strip()
                    self.events.setdefault(id, []).append(time.monotonic())
        except (OSError, asyncio.IncompleteReadError, ValueError):
            if not counted:
                self.broken += 1
        finally:
            wire.close()

    async def disperse(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

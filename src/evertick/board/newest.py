"""One value for many waiting tasks: each sees the newest, none is queued for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime


class Newest:
    """Tells subscribers of the newest instant. However slow they are, one value is kept for each."""

    def __init__(self) -> None:
        self._seats: set[_Seat] = set()

    def tell(self, at: datetime) -> None:
        for seat in self._seats:
            seat.at = at
            seat.told.set()

    @contextmanager
    def subscribed(self) -> Iterator[AsyncIterator[datetime]]:
        seat = _Seat()
        self._seats.add(seat)
        try:
            yield seat.read()
        finally:
            self._seats.discard(seat)

    def __len__(self) -> int:
        return len(self._seats)


class _Seat:
    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.at: datetime | None = None

    async def read(self) -> AsyncIterator[datetime]:
        while True:
            await self.told.wait()
            self.told.clear()
            if self.at is not None:
                yield self.at

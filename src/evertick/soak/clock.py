"""A clock that jumps: it runs as every clock does, and when all that goes by it is asleep it may be set to the next waking."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

MARGIN_S = 0.002
"""A jump lands this much before a waking, so that whoever wakes finds its time reached and not a microsecond missing."""


class VirtualClock:
    """`evertick.model.Clock`. It starts at ``start``; between two jumps it passes as the system's own does.

    So a run that takes two seconds takes two seconds of its time too, and whoever waits for half a second while others work
    gets it. What it does not move: time-outs of the event loop, keep-alive, and the clocks of other programs.
    """

    def __init__(self, start: datetime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._start = start
        self._monotonic = monotonic
        self._began = monotonic()
        self._ahead = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None], asyncio.Task[object] | None]] = []
        self._asleep = asyncio.Event()

    @property
    def passed(self) -> float:
        """Seconds since the start."""
        return self._monotonic() - self._began + self._ahead

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        until = self.passed + seconds
        heapq.heappush(self._sleepers, (until, next(self._order), woken, asyncio.current_task()))
        timer = loop.call_later(seconds, _wake, woken)
        self._asleep.set()
        try:
            await woken
        finally:
            timer.cancel()
            woken.cancel()

    def sleeping(self) -> set[str]:
        """The names of the tasks that wait for this clock."""
        return {task.get_name() for _, _, woken, task in self._sleepers if task is not None and not woken.done()}

    async def quiet(self, awaited: Callable[[], set[str]]) -> None:
        """Return as soon as all tasks whose names ``awaited()`` gives sleep by this clock."""
        while not awaited() <= self.sleeping():
            self._asleep.clear()
            await self._asleep.wait()

    def next_waking(self) -> float | None:
        """Seconds since the start; ``None``: nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    def jump(self, to: float) -> None:
        """Set it forwards to ``to`` seconds since the start, and wake everybody whose time that is. Never backwards."""
        self._ahead += max(0.0, to - self.passed)
        while (due := self.next_waking()) is not None and due <= to + MARGIN_S:
            _wake(heapq.heappop(self._sleepers)[2])

    def shift(self, seconds: float) -> None:
        """Change the time of day alone, as a person or NTP does with a machine's clock; nobody wakes."""
        self._start += timedelta(seconds=seconds)


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)

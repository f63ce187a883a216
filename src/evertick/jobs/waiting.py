"""Waiting that can be cut short, and failures that are logged once: what the loops of this package share."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import structlog

from evertick.errors import EvertickError
from evertick.model import Clock

log = structlog.get_logger()


class Alarm:
    """Sleeps by the clock until rung. For one waiter; a ring while nobody waits is kept for the next wait.

    No task is started for it: the ring cancels the sleep and takes the cancellation back, as `asyncio.timeout` does,
    so the number of tasks that receipts compare is the same before and after.
    """

    __slots__ = ("_clock", "_rung", "_waiter")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rung = False
        self._waiter: asyncio.Task[object] | None = None

    def ring(self) -> None:
        """From the event loop's thread only."""
        if self._waiter is not None and not self._rung:
            self._waiter.cancel()
        self._rung = True

    async def wait(self, seconds: float) -> bool:
        """True if rung, False if the time was over."""
        if not self._rung:
            self._waiter = waiter = asyncio.current_task()
            assert waiter is not None
            try:
                await self._clock.sleep(seconds)
            except asyncio.CancelledError:
                if not self._rung or waiter.uncancel() > 0:
                    raise  # somebody else's cancellation, perhaps together with a ring
            finally:
                self._waiter = None
        rung, self._rung = self._rung, False
        return rung


class Health:
    """Logs the first failure of a row of failures, and the recovery. What it is about stands in ``what``."""

    __slots__ = ("_failing", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._failing = False

    def failed(self, error: BaseException) -> None:
        if self._failing:
            return
        self._failing = True
        if isinstance(error, EvertickError):
            log.warning(f"{self._what} failing", error=str(error))
        else:  # a mistake of ours: the trace tells where
            log.error(f"{self._what} failing", error=type(error).__name__, exc_info=error)

    def well(self) -> None:
        if self._failing:
            self._failing = False
            log.info(f"{self._what} recovered")


class Looping:
    """Runs one coroutine in a task of its own for as long as the block lasts."""

    _task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.run(), name=type(self).__name__.lower())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

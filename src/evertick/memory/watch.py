"""Watches the memory of this process: a look every ten seconds, a timeline of an hour, and the budget.

Once a minute the looks of that minute go to the store, together with their medians; once in ten minutes the medians of
those. So the timeline survives a restart and takes about 40 KB an hour, in the store and here.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from typing import Any, Protocol

import structlog

from evertick.errors import EvertickError
from evertick.memory.budget import RESTARTS_AN_HOUR, Budget, State
from evertick.memory.gauge import Gauge, Sample, shared_out, sockets
from evertick.memory.release import release
from evertick.model import Clock, MemorySample, WebReceipt

log = structlog.get_logger()

EVERY_S = 10.0
"""Between two looks, unless told otherwise."""
MINUTE, TEN_MINUTES = 6, 60
"""Looks in each."""
HELD = 360
"""Looks that stay in memory: an hour, about 150 bytes each."""
PENDING = 720
"""Points that wait at most for a store that fails; then the oldest are lost."""


class Store(Protocol):
    async def add(self, samples: Sequence[MemorySample], receipts: Sequence[WebReceipt] = ()) -> None: ...


def process_name(started: datetime) -> str:
    """This process among all of a deployment: ``host/pid/start``, the start in seconds since 1970."""
    return f"{socket.gethostname()[:64]}/{os.getpid()}/{int(started.timestamp())}"


class Watch:
    """``changed`` is called when the state of the budget has changed.

    ``traffic`` hands over the receipts of web requests since it was last asked.
    """

    def __init__(
        self,
        gauge: Gauge,
        limit: int,
        clock: Clock,
        store: Store | None = None,
        *,
        process: str | None = None,
        every_s: float = EVERY_S,
        restarts: Sequence[datetime] = (),
        restarts_an_hour: int = RESTARTS_AN_HOUR,
        changed: Callable[[Budget], Awaitable[None]] | None = None,
        traffic: Callable[[MemorySample], Sequence[WebReceipt]] | None = None,
    ) -> None:
        self._gauge, self._clock, self._store = gauge, clock, store
        self._changed, self._traffic = changed, traffic
        self._every_s = every_s
        self.started = clock.now()
        self.process = process or process_name(self.started)
        self.budget = Budget(limit, self.started, restarts=tuple(restarts), restarts_an_hour=restarts_an_hour)
        self.recent: deque[MemorySample] = deque(maxlen=HELD)
        self._minutes: deque[MemorySample] = deque(maxlen=TEN_MINUTES // MINUTE)
        self._pending: deque[MemorySample] = deque(maxlen=PENDING)
        self._receipts: deque[WebReceipt] = deque(maxlen=PENDING)
        self._looks = 0
        self._shared: tuple[int | None, int | None, int | None] = (None, None, None)
        self._storing = True

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look every ``every_s`` seconds inside the block; what was seen since the last minute is stored on leaving."""
        import asyncio

        task = asyncio.create_task(self._forever(), name="memory watch")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.store_pending()

    async def look(self) -> MemorySample:
        """One look: into the ring, against the budget, once a minute into the store."""
        sample = self._seen(self._gauge.sample())
        self.recent.append(sample)
        self._pending.append(sample)
        self._looks += 1
        await self._weigh(sample)
        if self._looks % MINUTE == 0:
            minute = merged([*self.recent][-MINUTE:], 60)
            self._minutes.append(minute)
            self._pending.append(minute)
            if self._looks % TEN_MINUTES == 0:
                self._pending.append(merged(self._minutes, 600))
            await self.store_pending()
        return sample

    async def store_pending(self) -> None:
        """What waits goes to the store; if that fails it waits on, up to `PENDING` points, and the first failure is logged."""
        if self._store is None or not self._pending:
            return
        if self._traffic is not None:
            self._receipts.extend(self._traffic(self._pending[-1]))
        waiting = [*self._pending]
        try:
            await self._store.add(waiting, [*self._receipts])
        except (EvertickError, OSError) as error:
            if self._storing:
                log.warning("memory timeline not stored", error=str(error))
            self._storing = False
            return
        self._storing = True
        self._receipts.clear()
        for _ in waiting:
            self._pending.popleft()

    async def _forever(self) -> None:
        while True:
            await self.look()
            await self._clock.sleep(self._every_s)

    def _seen(self, sample: Sample) -> MemorySample:
        if self._looks % MINUTE == 0:  # dear: 60 µs and more
            shared = shared_out() or {}
            self._shared = (shared.get("pss"), shared.get("uss"), sockets())
        pss, uss, open_sockets = self._shared
        return MemorySample(
            process=self.process,
            at=self._clock.now().astimezone(UTC),
            step_s=10,
            rss=sample.rss,
            rss_max=sample.rss,
            heap=sample.heap,
            blocks=sample.blocks,
            fds=sample.fds,
            sockets=open_sockets,
            threads=sample.threads,
            tasks=sample.tasks,
            connections=sample.connections,
            pss=pss,
            uss=uss,
            budget=self.budget.limit,
        )

    async def _weigh(self, sample: MemorySample) -> None:
        before = self.budget
        self.budget = before.look(sample.rss, self._clock.now())
        if self.budget.state is before.state:
            return
        if self.budget.state is not State.OK:
            freed = release(self._gauge.allocator).freed
            log.warning("memory " + self.budget.state, reason=self.budget.reason, freed=freed)
        else:
            log.info("memory ok", reason=self.budget.reason)
        if self._changed is not None:
            await self._changed(self.budget)


def merged(samples: Sequence[MemorySample] | deque[MemorySample], step_s: int) -> MemorySample:
    """The medians of ``samples``, the highest RSS among them, at the time of the last."""

    def middle(name: str) -> Any:
        values = [value for s in samples if (value := getattr(s, name)) is not None]
        return int(median(values)) if values else None

    names = ("rss", "heap", "blocks", "fds", "sockets", "threads", "tasks", "connections", "pss", "uss")
    highest = max((s.rss_max for s in samples if s.rss_max is not None), default=None)
    return replace(samples[-1], step_s=step_s, rss_max=highest, **{name: middle(name) for name in names})

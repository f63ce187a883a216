"""Asks who leaks: on demand, and by itself when growth was found, never two at once and by itself ever more seldom.

On CPython before 3.13 tracemalloc forgets to free what it wrote down of every line when it stops: 100 to 250 KB a session, for
as long as the process lives, and what it held meanwhile leaves gaps between what lives on: up to two megabytes of RSS. A
server that asks every day why it grows would grow by that. So it asks by itself only where the limit comes near.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from evertick.errors import EvertickError, JobRefused
from evertick.memory.growth import Verdict
from evertick.model import Clock

if TYPE_CHECKING:
    from evertick.memory.diagnose import Diagnosis

log = structlog.get_logger()

RUNS, AT_MOST_S = 5, 1800.0
BY_ITSELF_EVERY, AT_LONGEST = timedelta(days=1), timedelta(days=32)
"""After a diagnosis it waits twice as long with the next by itself as it had waited with that one, within these bounds."""
SOON = timedelta(days=14)
"""Growth that leaves more time than this until the limit is said on the page, and not traced unless somebody asks."""


class Store(Protocol):
    async def save_diagnosis(self, at: datetime, process: str, body: Mapping[str, Any]) -> None: ...

    async def diagnoses(self, limit: int = 10) -> Sequence[tuple[datetime, str, Mapping[str, Any]]]: ...


class Inquiry:
    def __init__(
        self,
        run_ended: Callable[[], Awaitable[None]],
        store: Store,
        process: str,
        clock: Clock,
        pools: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._run_ended, self._store, self._process, self._clock, self._pools = run_ended, store, process, clock, pools
        self._task: asyncio.Task[None] | None = None
        self.since: datetime | None = None
        """When the one that is on began; ``None``: none is."""

    def start(self, runs: int = RUNS, at_most_s: float = AT_MOST_S) -> None:
        """Begin; it ends by itself and is then stored. Raises `JobRefused` while one is on."""
        if self._task is not None:
            raise JobRefused(f"A memory diagnosis has been running since {self.since:%H:%M} UTC.")
        self.since = self._clock.now()
        self._task = asyncio.create_task(self._carry(runs, at_most_s), name="memory diagnosis")

    async def consider(self, found: Verdict) -> bool:
        """Begin one if memory grows, will soon be full and none was made lately; returns whether it did."""
        now = self._clock.now()
        if found.state != "growing" or found.full_at is None or found.full_at - now > SOON or self._task is not None:
            return False
        made = [at for at, _, _ in await self._store.diagnoses(2)]
        waited = made[0] - made[1] if len(made) > 1 else timedelta()
        if made and now - made[0] < min(max(2 * waited, BY_ITSELF_EVERY), AT_LONGEST):
            return False
        log.warning("memory grows, looking for the leak", verdict=found.text, runs=RUNS)
        self.start()
        return True

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _carry(self, runs: int, at_most_s: float) -> None:
        from evertick.memory.diagnose import diagnose  # with tracemalloc: half a megabyte, for once in a while

        try:
            found = await diagnose(self._run_ended, self._clock.now, runs=runs, at_most_s=at_most_s, pools=self._pools)
            body = plain(found)
            top = body["lines"][0] if body["lines"] else {}
            log.info("memory diagnosis", runs=found.runs, heap_delta=found.heap_delta, top=top.get("what"))
            await self._store.save_diagnosis(found.started, self._process, body)
        except EvertickError as error:
            log.warning("memory diagnosis failed", error=str(error))
        finally:
            self._task = self.since = None


def plain(found: Diagnosis) -> dict[str, Any]:
    """A diagnosis as JSON: no value and no folder is in it."""
    return {**asdict(found), "started": found.started.isoformat()}

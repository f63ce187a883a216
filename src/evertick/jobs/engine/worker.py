"""From the queue to a run: SAQ delivers the name of a slot and its token; exactly that lease is taken and the runner's
own code does the rest (receipt, time limit, heartbeat, fencing, the end).

A run belongs to the runner, not to SAQ's task. Where SAQ cancels its task (its sweep believed the worker dead), the run
goes on for as long as the ledger says that it holds the lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from saq.worker import Worker

from evertick.errors import ArchiveError
from evertick.jobs.engine.enqueuer import Enqueuer, Handout
from evertick.jobs.engine.queue import FAILURES, FUNCTION, Ranks, SlotQueue
from evertick.jobs.runner import JobSpec, Runner, _Run

log = structlog.get_logger()

BEAT_S = 2.0
"""How often SAQ is told that a run lives; a third of its patience."""
SWEEP_S = 5
POLL_S = 0.25


class _NoRoom(Exception):
    pass


class _Worker(Worker[Any]):
    SIGNALS = ()  # type: ignore[assignment]  # ours to handle


class EngineRunner(Runner):
    """A runner that is given its slots by SAQ. Not entered it runs nothing, as any runner."""

    def __init__(
        self, specs: Sequence[JobSpec], *args: Any, handout: Handout, queue: SlotQueue, enqueuer: Enqueuer, **kw: Any
    ) -> None:
        super().__init__(specs, *args, **kw)
        self._handout = handout
        self._queue = queue
        self._enqueuer = enqueuer
        self._ranks = {spec.name: spec.rank for spec in specs}
        self._one_at_a_time = asyncio.Lock()
        self._given: set[asyncio.Task[Any]] = set()
        self._worker: _Worker | None = None

    def wake(self) -> None:
        self._enqueuer.wake()

    async def run(self) -> None:
        self._queue.admitted = self._admitted
        self._worker = _Worker(
            self._queue,
            [(FUNCTION, self._deliver)],
            id=self.owner,
            concurrency=self._concurrency,
            # No schedule of SAQ's: the ledger knows what is due, and its look for work is the poll below.
            timers={"schedule": 3600, "worker_info": 10, "sweep": SWEEP_S, "abort": 1},
            poll_interval=POLL_S,
        )
        await self._worker.start()

    async def __aexit__(self, *exc: Any) -> None:
        """What runs hands its slot back and leaves SAQ's queue, then SAQ's worker ends."""
        self._stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stop_s):
                await self._queue.settled()
        for run in self._runs.values():
            run.cancel("shutdown")
        await self._handed_in()
        await super().__aexit__(*exc)

    async def _handed_in(self) -> None:
        """Wait, not for long, until SAQ has written that nothing of its queue is with this worker any more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stop_s):
                while self._given or (self._worker is not None and self._worker.job_task_contexts):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    async def _end_claiming(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=self._stop_s)
            self._task = None

    def _admitted(self) -> Ranks | None:
        if self.full:
            return None
        open_ = [rank for name, rank in self._ranks.items() if self._room_for(name)]
        return (min(open_), max(open_)) if open_ else None

    def _room_for(self, job: str) -> bool:
        if self.full or self._gate(job) is not None:
            return False
        return job not in self._singly or all(run.spec.name != job for run in self._runs.values())

    async def _deliver(self, context: dict[str, Any], *, desk: str, job: str, slot: str, token: int) -> None:
        """Called by SAQ. Ending well takes the job out of its queue, ending cancelled puts it back for another worker.

        What leaves the queue without having run is still in the ledger, and is handed in again.
        """
        task = asyncio.current_task()
        assert task is not None
        self._given.add(task)
        try:
            try:
                run = await self._take(desk, job, slot, token)
            except _NoRoom:
                await self._give_back(context)
                raise asyncio.CancelledError from None  # else SAQ would take it for done
            if run is None:
                return
            await self._accompany(run, context)
            await self._following(desk, job)
        finally:
            self._given.discard(task)

    async def _take(self, desk: str, job: str, slot: str, token: int) -> _Run | None:
        assert self._heartbeat is not None
        spec = self._specs.get((desk, job))
        async with self._one_at_a_time:
            if spec is None or slot in self._runs:
                return None
            if not self._room_for(job):
                raise _NoRoom  # two were delivered at once, and there is room for one
            try:
                if self._unsure:
                    await self._ledger.disown(self.owner, list(self._runs))
                    self._unsure = False
                now = self._clock.now()
                taken = await self._handout.take(self.owner, slot, token, spec.attempts, now, self._heartbeat.lease_s)
            except BaseException as error:
                self._unsure = True
                if not isinstance(error, Exception):
                    raise
                self._health.failed(error)  # the worker outlives the database; logged once
                return None
            self._health.well()
            if taken is None:
                return None
            run = await self._begin(taken)
        if self._stopping:
            run.cancel("shutdown")
        return run

    async def _give_back(self, context: dict[str, Any]) -> None:
        """To whoever has room, at once. Of a task that ended by itself SAQ would find out when it sweeps, seconds later."""
        with suppress(*FAILURES):
            await context["job"].retry("no room")

    async def _accompany(self, run: _Run, context: dict[str, Any]) -> None:
        assert run.task is not None
        while not run.task.done():
            await asyncio.wait((run.task,), timeout=BEAT_S)
            if not run.task.done():
                with suppress(*FAILURES):
                    await context["job"].update()

    async def _following(self, desk: str, job: str) -> None:
        """The next slot of the same job could not be handed in while this one ran."""
        if not self._stopping:
            with suppress(ArchiveError, *FAILURES):  # else the next look of a scheduler finds it
                await self._enqueuer.look((desk, job))

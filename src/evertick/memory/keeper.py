"""Runs a job between two looks at the process: measures, releases, writes the receipt and logs the broom.

    keeper = Keeper(Gauge())
    async with keeper.keep("refresh_indices", "indices"):
        await poll(...)
    # 🧹 memory released job=refresh_indices freed=1.1MB retained=0.3KB rss=71.2MB

The receipt is written whether the job ended well, failed, was cancelled or ran out of time.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog

from evertick.errors import JobRefused, JobTimedOut, ReportRejected
from evertick.memory.gauge import Gauge, Sample, limit, peak_rss, reset_peak, shared_out, sockets
from evertick.memory.release import forget_frames, release
from evertick.model import Outcome, Receipt

log = structlog.get_logger()

LASTING_AFTER = frozenset({1, 8, 64})
"""After so many runs of a job, none beside it, what it loaded, compiled and planned is there to stay."""

Sink = Callable[[Receipt], Awaitable[None]]

_around: ContextVar[tuple[Keep, ...]] = ContextVar("evertick_keep", default=())


class Keeper:
    """Hands out `keep` scopes and holds the newest receipts.

    ``sink`` stores a receipt for good (the archive); if it fails, the failure is logged and the job's own outcome stands.
    ``recent`` bounds what stays in memory: about 0.5 KB a receipt.
    """

    def __init__(
        self,
        gauge: Gauge,
        *,
        sink: Sink | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        memory_limit: int | None = None,
        recent: int = 64,
    ) -> None:
        self.gauge = gauge
        self.sink = sink
        self.now_utc = now
        self.limit, self.limit_source = limit(memory_limit)
        self.recent: deque[Receipt] = deque(maxlen=recent)
        self.started = now()
        self.runs: dict[tuple[str, str], int] = {}
        self.jobs: dict[str, dict[str, float | None]] = {}
        """By job: seconds and bytes of heap kept in all, and how the newest run was."""
        self._open: set[Keep] = set()
        self._alone: dict[str, int] = {}
        """By job: runs that ended well with no other under way."""
        self._ended = asyncio.Event()

    def keep(self, job: str, component: str = "other", slot: str | None = None) -> Keep:
        return Keep(self, job, component, slot)

    def loaded(self, job: str) -> bool:
        """Whether a run of ``job`` that just ended well was one of those after which nothing more is loaded for it."""
        if self._open:
            return False
        self._alone[job] = times = self._alone.get(job, 0) + 1
        return times in LASTING_AFTER

    def busy(self) -> bool:
        """Whether a run is under way."""
        return bool(self._open)

    async def run_ended(self) -> None:
        """Wait until the next run has ended and its memory is released."""
        await self._ended.wait()

    def now(self) -> dict[str, Any]:
        """What this process holds now, for people and for the API. Bytes; ``None`` where it cannot be measured here."""
        sample = self.gauge.sample()
        shared: Mapping[str, int | None] = shared_out() or {"pss": None, "uss": None}
        used = None if sample.rss is None else round(100 * sample.rss / self.limit, 1)
        return {
            "at": self.now_utc(),
            "pid": os.getpid(),
            "started": self.started,
            **asdict(sample),
            **shared,
            "sockets": sockets(),
            "heap_idle": self.gauge.allocator.idle(),
            "limit": self.limit,
            "limit_source": self.limit_source,
            "used_pct": used,
            "running": sorted(k.job for k in self._open),
            "jobs": [{"job": job, **total} for job, total in sorted(self.jobs.items())],
            "runs": [{"job": j, "outcome": o, "runs": n} for (j, o), n in sorted(self.runs.items())],
        }


class Keep:
    """One run. Enter it, do the work inside, leave it: the receipt is then in ``receipt``."""

    __slots__ = ("_before", "_began", "_others", "_peak", "_token", "component", "job", "keeper", "overlapped", "receipt",
                 "slot", "started")  # fmt: skip

    def __init__(self, keeper: Keeper, job: str, component: str, slot: str | None) -> None:
        self.keeper, self.job, self.component, self.slot = keeper, job, component, slot
        self.receipt: Receipt | None = None
        self.overlapped = False

    async def __aenter__(self) -> Keep:
        keeper = self.keeper
        outer = _around.get()
        # A scope inside another of the same task is part of it, not beside it.
        beside = keeper._open.difference(outer)
        for other in beside:
            other.overlapped = True
        self.overlapped = bool(beside)
        keeper._open.add(self)
        self._token = _around.set((*outer, self))
        self.started = keeper.now_utc()
        self._peak = reset_peak()
        self._before = keeper.gauge.sample()
        self._began = time.perf_counter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        duration = time.perf_counter() - self._began
        outcome = outcome_of(error)
        if error is not None:
            forget_frames(error)
        del tb, error
        peak = peak_rss() if self._peak else None
        self.keeper._open.discard(self)
        _around.reset(self._token)
        try:
            self.receipt = self._settle(duration, outcome, peak)
        except Exception:
            log.exception("memory release failed", job=self.job)  # never hides the job's own error
            return
        await self._hand_on(self.receipt)

    def _settle(self, duration: float, outcome: Outcome, peak: int | None) -> Receipt:
        keeper, before = self.keeper, self._before
        began = time.perf_counter()
        lasting = outcome is Outcome.OK and keeper.loaded(self.job)
        freed, heap = release(keeper.gauge.allocator, lasting=lasting)
        release_s = time.perf_counter() - began
        after = keeper.gauge.sample(heap)
        return Receipt(
            job=self.job,
            component=self.component,
            slot=self.slot,
            started=self.started,
            duration_s=duration,
            outcome=outcome,
            heap_before=before.heap,
            heap_after=after.heap,
            blocks_before=before.blocks,
            blocks_after=after.blocks,
            rss_before=before.rss,
            rss_after=after.rss,
            peak_rss=peak,
            freed=freed,
            fds_delta=_difference(before.fds, after.fds),
            tasks_delta=after.tasks - before.tasks,
            connections_delta=_difference(before.connections, after.connections),
            overlapped=self.overlapped,
            release_s=release_s,
            pid=os.getpid(),
        )

    async def _hand_on(self, receipt: Receipt) -> None:
        keeper = self.keeper
        keeper.recent.append(receipt)
        keeper._ended.set()
        keeper._ended = asyncio.Event()
        key = (receipt.job, str(receipt.outcome))
        keeper.runs[key] = keeper.runs.get(key, 0) + 1
        self._count(receipt)
        log.info(
            "🧹 memory released",
            job=receipt.job,
            outcome=str(receipt.outcome),
            freed=size(given_back(receipt)),
            retained=size(receipt.retained),
            rss=size(receipt.rss_after),
            **({"overlapped": True} if receipt.overlapped else {}),
        )
        if keeper.sink is None:
            return
        try:
            # A cancelled run leaves its receipt too: the store is asked by a task of its own, and waited for.
            await asyncio.shield(keeper.sink(receipt))
        except Exception as error:  # noqa: BLE001 - whatever the store does, the outcome of the job stands
            log.warning("receipt not stored", job=receipt.job, error=str(error))

    def _count(self, receipt: Receipt) -> None:
        total = self.keeper.jobs.setdefault(receipt.job, {"seconds": 0.0, "retained": 0.0})
        total["seconds"] = (total["seconds"] or 0.0) + receipt.duration_s
        if not receipt.overlapped:  # the others cannot be told apart from what ran beside them
            total["retained"] = (total["retained"] or 0.0) + (receipt.retained or 0)
        total["peak_rss"] = receipt.peak_rss
        total["ended"] = receipt.started.timestamp() + receipt.duration_s


def given_back(receipt: Receipt) -> int | None:
    """What the run held at its highest and no longer holds: peak RSS less RSS afterwards, at least what the release freed."""
    if receipt.peak_rss is None or receipt.rss_after is None:
        return receipt.freed
    return max(receipt.peak_rss - receipt.rss_after, receipt.freed or 0, 0)


def outcome_of(error: BaseException | None) -> Outcome:
    if error is None:
        return Outcome.OK
    if isinstance(error, asyncio.CancelledError):
        return Outcome.CANCELLED
    if isinstance(error, TimeoutError | JobTimedOut):
        return Outcome.TIMED_OUT
    if isinstance(error, ReportRejected | JobRefused):
        return Outcome.REJECTED
    return Outcome.FAILED


def size(count: int | None) -> str:
    """Bytes for people: ``7.1MB``, ``0.3KB``, ``-1.2KB``; ``?`` where they are not known.

    >>> size(7_444_889), size(300), size(None)
    ('7.1MB', '0.3KB', '?')
    """
    if count is None:
        return "?"
    if abs(count) >= 1 << 20:
        return f"{count / (1 << 20):.1f}MB"
    return f"{count / 1024:.1f}KB"


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


__all__ = ["Gauge", "Keep", "Keeper", "Sample", "given_back", "outcome_of", "size"]

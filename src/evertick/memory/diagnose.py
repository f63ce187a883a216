"""Who leaks? A bounded look with tracemalloc at what a few runs leave behind, by line, type, descriptor and task.

Tracing costs: every allocation is written down, which makes Python code about twice as slow and takes memory of its own.
So it is off unless asked for, it ends by itself after so many runs or so much time, and it says what it cost.

What it tells has no value of any object in it, and no path but those below a package: nothing that could be a secret.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath

from evertick.errors import JobRefused
from evertick.memory.gauge import Allocator
from evertick.memory.release import release

LINES, TYPES, TARGETS = 20, 15, 15
"""Shown at most."""
Where = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Grown:
    what: str
    """A line (``evertick/board/poll.py:71``), a type, the target of a descriptor, a coroutine."""
    count: int
    """More than at the beginning."""
    size: int | None = None
    """Bytes more; ``None`` where only the number is known."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    started: datetime
    duration_s: float
    runs: int
    """How many ended between the two looks."""
    complete: bool
    """False when the time ran out before the runs did."""
    heap_delta: int | None
    """Bytes, the tracer's own left out where it is known."""
    lines: tuple[Grown, ...]
    types: tuple[Grown, ...]
    descriptors: tuple[Grown, ...]
    tasks: tuple[Grown, ...]
    pools: Mapping[str, int]
    """Connections open at the end, by pool."""
    tracer_bytes: int
    """What the tracing itself held at its end."""
    tracer_s: float
    """What the two looks took, the event loop waiting."""


@dataclass(frozen=True, slots=True)
class _Look:
    heap: int | None
    lines: Mapping[Where, tuple[int, int]]
    types: Counter[str]
    descriptors: Counter[str]
    tasks: Counter[str]


async def diagnose(
    run_ended: Callable[[], Awaitable[None]],
    now: Callable[[], datetime],
    *,
    runs: int = 5,
    at_most_s: float = 1800.0,
    warm_up: int = 1,
    pools: Callable[[], Mapping[str, int]] = dict,
    allocator: Allocator | None = None,
) -> Diagnosis:
    """Trace until ``runs`` runs have ended after ``warm_up`` more, at most ``at_most_s`` seconds in all.

    ``run_ended`` waits for the next run to end and be released. Raises `JobRefused` while another trace is on. Tracing is
    off again when this returns, fails or is cancelled.
    """
    if tracemalloc.is_tracing():
        raise JobRefused("a memory diagnosis is running already")
    allocator = allocator or Allocator()
    started, began = now(), time.monotonic()
    seen, spent = 0, 0.0
    tracemalloc.start(1)
    try:
        first: _Look | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                for _ in range(warm_up):
                    await run_ended()
                first, spent = _timed(allocator, spent)
                for _ in range(runs):
                    await run_ended()
                    seen += 1
        if first is None:  # not even the warm-up ended: all that is alive since the beginning
            first = _Look(None, {}, Counter(), _descriptors(), _tasks())
        last, spent = _timed(allocator, spent)
        return Diagnosis(
            started=started,
            duration_s=round(time.monotonic() - began, 3),
            runs=seen,
            complete=seen >= runs,
            heap_delta=None if first.heap is None or last.heap is None else last.heap - first.heap,
            lines=_lines(first.lines, last.lines),
            types=_more(first.types, last.types, TYPES),
            descriptors=_more(first.descriptors, last.descriptors, TARGETS),
            tasks=_more(first.tasks, last.tasks, TARGETS),
            pools=dict(pools()),
            tracer_bytes=tracemalloc.get_tracemalloc_memory(),
            tracer_s=round(spent, 3),
        )
    finally:
        tracemalloc.stop()


def _timed(allocator: Allocator, spent: float) -> tuple[_Look, float]:
    began = time.perf_counter()
    release(allocator)
    heap = allocator.heap()
    if heap is not None:
        heap -= tracemalloc.get_tracemalloc_memory()
    look = _Look(heap, _traced(), Counter(type(o).__qualname__ for o in gc.get_objects()), _descriptors(), _tasks())
    return look, spent + time.perf_counter() - began


def _traced() -> dict[Where, tuple[int, int]]:
    """Bytes and blocks alive by the line that allocated them, this module's and the tracer's own left out."""
    found: dict[Where, tuple[int, int]] = {}
    for statistic in tracemalloc.take_snapshot().statistics("lineno"):
        frame = statistic.traceback[0]
        if frame.filename not in (__file__, tracemalloc.__file__):
            found[frame.filename, frame.lineno] = (statistic.size, statistic.count)
    return found


def _lines(before: Mapping[Where, tuple[int, int]], after: Mapping[Where, tuple[int, int]]) -> tuple[Grown, ...]:
    grown = []
    for where, (size, count) in after.items():
        size_before, count_before = before.get(where, (0, 0))
        if size > size_before:
            grown.append(Grown(f"{_short(where[0])}:{where[1]}", count - count_before, size - size_before))
    return tuple(sorted(grown, key=lambda one: -(one.size or 0))[:LINES])


def _more(before: Counter[str], after: Counter[str], at_most: int) -> tuple[Grown, ...]:
    return tuple(Grown(what, count) for what, count in (after - before).most_common(at_most))


def _descriptors() -> Counter[str]:
    """Open descriptors by what they point to: files by their name alone, sockets and pipes by kind."""
    found: Counter[str] = Counter()
    with suppress(OSError):
        for number in os.listdir("/proc/self/fd"):
            with suppress(OSError):  # closed since it was listed
                target = os.readlink(f"/proc/self/fd/{number}")
                found[PurePath(target).name if target.startswith("/") else target.partition(":[")[0]] += 1
    return found


def _tasks() -> Counter[str]:
    return Counter(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())


def _short(filename: str) -> str:
    """A file by its path below the folder it was imported from; only its name where that is not known."""
    for folder in sorted((p for p in sys.path if p), key=len, reverse=True):
        if filename.startswith(folder.rstrip("/") + "/"):
            return filename[len(folder.rstrip("/")) + 1 :]
    return filename if filename.startswith("<") else PurePath(filename).name

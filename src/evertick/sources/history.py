"""Keeps the daily bars of the archive up to date: asks only for what is missing, a few instruments at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Protocol

import structlog

from evertick.errors import SourceError
from evertick.model import Bars, Clock, Instrument

log = structlog.get_logger()

Step = Callable[[int, int], Awaitable[None]]
"""Told after each instrument: how many are done, of how many."""

SETTLE_DAYS = 7
"""Days before the newest bar that are asked for again: providers correct the last bars afterwards."""


class BarSource(Protocol):
    async def bars(self, instrument: Instrument, since: date) -> Bars: ...


class BarStore(Protocol):
    async def save(self, bars: Bars) -> None: ...

    async def newest(self) -> Mapping[str, tuple[date, datetime]]: ...


def wanted_since(newest: tuple[date, datetime] | None, now: datetime, days: int, fresh: timedelta) -> date | None:
    """From which day on bars are to be fetched; ``None`` where those of the archive are fresh enough."""
    if newest is None:
        return (now - timedelta(days=days)).date()
    day, updated = newest
    return None if now - updated < fresh else day - timedelta(days=SETTLE_DAYS)


async def update(
    instruments: Iterable[Instrument],
    source: BarSource,
    store: BarStore,
    clock: Clock,
    *,
    days: int = 800,
    fresh: timedelta = timedelta(hours=2),
    at_once: int = 4,
    step: Step | None = None,
) -> list[str]:
    """Fetch and save the missing bars of ``instruments``; returns the ids of those that could not be had.

    One provider's failure costs only its instruments: the bars that the archive has stay as they are.
    """
    newest = await store.newest()
    work = [(i, since) for i in instruments if (since := wanted_since(newest.get(i.id), clock.now(), days, fresh))]
    failed: dict[str, SourceError] = {}
    queue = iter(work)
    count = 0

    async def worker() -> None:
        nonlocal count
        for instrument, since in queue:
            try:
                bars = await source.bars(instrument, since)
                if len(bars):
                    await store.save(bars)
            except SourceError as error:
                failed[instrument.id] = error
            count += 1
            if step is not None:
                await step(count, len(work))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(work))):
                group.create_task(worker())
    except ExceptionGroup as several:  # the store failed; each worker says the same
        raise several.exceptions[0] from None
    if failed:
        first = next(iter(failed.values()))
        log.warning("bars missing", instruments=len(failed), of=len(work), first=str(first))
    return list(failed)

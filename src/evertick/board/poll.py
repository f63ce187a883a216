"""One round of the market-indices scheduler: ask every source, merge with what is known, save once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from evertick.board.lines import Closes, lined
from evertick.model import Clock, Quote, Snapshot, SourceStatus
from evertick.universe import Universe

AHEAD_AT_MOST = timedelta(minutes=10)
"""A kept price from further in the future comes from a clock that was wrong, and must not outlive every right one."""


class Fetched(Protocol):
    @property
    def quotes(self) -> Sequence[Quote]: ...

    @property
    def statuses(self) -> Sequence[SourceStatus]: ...


class Store(Protocol):
    async def load(self) -> Snapshot | None: ...

    async def save(self, snapshot: Snapshot) -> None: ...


async def poll(
    fetch: Callable[[Snapshot | None], Awaitable[Fetched]],
    board: Store,
    universe: Universe,
    clock: Clock,
    closes: Closes | None = None,
) -> Snapshot:
    """Fetch, merge and save; returns what was saved. Raises `BoardUnavailable`, and then no provider was asked.

    ``fetch`` is told what the board has, for it to ask only for what can have changed. ``closes`` gives the bars from which
    quotes without a sparkline get one.
    """
    previous = await board.load()
    fetched = await fetch(previous)
    snapshot = merge(previous, fetched.quotes, fetched.statuses, universe, clock.now())
    if closes is not None:
        snapshot = await lined(snapshot, closes, universe)
    await board.save(snapshot)
    return snapshot


def merge(
    previous: Snapshot | None,
    quotes: Iterable[Quote],
    statuses: Iterable[SourceStatus],
    universe: Universe,
    now: datetime,
) -> Snapshot:
    """The next snapshot: for every instrument of the universe, in its order, the newest price that is known.

    A source that failed leaves the last good values in place, with their own ``as_of``. Of two prices of one time the
    one that came now wins. Prices of instruments that the universe no longer has are dropped.
    """
    newest: dict[str, Quote] = {}
    if previous is not None:
        newest = {q.id: q for q in previous.quotes if q.as_of <= now + AHEAD_AT_MOST}
    for quote in quotes:
        known = newest.get(quote.id)
        if known is None or quote.as_of >= known.as_of:
            newest[quote.id] = quote
    return Snapshot(
        as_of=now,
        quotes=tuple(newest[i.id] for i in universe if i.id in newest),
        sources=tuple(_remembering(status, previous) for status in statuses),
    )


def _remembering(status: SourceStatus, previous: Snapshot | None) -> SourceStatus:
    """``status`` with the last success of an earlier process, where this one has not seen any."""
    if status.last_success is not None or previous is None:
        return status
    before = next((s for s in previous.sources if s.name == status.name), None)
    return replace(status, last_success=before.last_success) if before else status

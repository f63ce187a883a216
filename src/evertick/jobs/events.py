"""A slot as it changes: at once while it runs in this process, by a look each second while it runs elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager

from evertick.errors import ArchiveError, NotFound
from evertick.jobs.slots import TERMINAL
from evertick.jobs.waiting import Alarm
from evertick.model import Clock, Slot

Get = Callable[[str], Awaitable[Slot]]


class _Follower:
    """Keeps the newest only: a slow reader skips what came between."""

    __slots__ = ("alarm", "newest")

    def __init__(self, clock: Clock) -> None:
        self.alarm = Alarm(clock)
        self.newest: Slot | None = None


class Events:
    """``get`` reads a slot from the ledger."""

    def __init__(self, get: Get, clock: Clock, look_s: float = 1.0) -> None:
        self._get = get
        self._clock = clock
        self._look_s = look_s
        self._followers: dict[str, set[_Follower]] = {}

    def publish(self, slot: Slot) -> None:
        for follower in self._followers.get(slot.id, ()):
            follower.newest = slot
            follower.alarm.ring()

    @asynccontextmanager
    async def follow(self, slot: str) -> AsyncIterator[AsyncIterator[Slot]]:
        """Yields the slot as it is now and then at every change; ends after it is done, failed or missed.

        Raises `NotFound` on entering.
        """
        follower = _Follower(self._clock)
        self._followers.setdefault(slot, set()).add(follower)
        try:
            async with aclosing(self._changes(await self._get(slot), follower)) as changes:
                yield changes
        finally:
            followers = self._followers[slot]
            followers.discard(follower)
            if not followers:
                del self._followers[slot]

    async def _changes(self, slot: Slot, follower: _Follower) -> AsyncGenerator[Slot, None]:
        yield slot
        while slot.state not in TERMINAL:
            await follower.alarm.wait(self._look_s)
            found, follower.newest = follower.newest, None
            if found is None:
                found = await self._look(slot)
            if _seen(found) != _seen(slot):
                slot = found
                yield slot

    async def _look(self, slot: Slot) -> Slot:
        try:
            found = await self._get(slot.id)
        except NotFound:
            raise
        except ArchiveError:
            return slot  # the database is away for a moment; the next look may find it
        if found.token == slot.token and found.state == slot.state and _done(found) < _done(slot):
            return slot  # progress is written less often than it is told
        return found


def _seen(slot: Slot) -> tuple[object, ...]:
    return slot.state, slot.token, slot.progress, slot.error, slot.not_before


def _done(slot: Slot) -> float:
    return float((slot.progress or {}).get("done") or 0.0)

"""The time of the database, for every process that shares it: machines whose own clocks differ still agree on what is due
and on whose lease is over.

The database is asked twice a minute; between, the time is counted by a clock that nobody sets, and that goes on while the
machine sleeps. Until it was asked for the first time it is the machine's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text

from evertick.archive.connection import Engine
from evertick.errors import ArchiveError

log = structlog.get_logger()

EVERY_S = 30.0
TOLERATED_S = 5.0
"""A machine whose own clock is further off is told about, once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ASK = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")


def counted() -> int:
    """Microseconds since the machine was started, its sleep included."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1000


class DatabaseClock:
    def __init__(self, counted: Callable[[], int] = counted) -> None:
        self._counted = counted
        self._ahead: int | None = None
        """Microseconds from what is counted to the database's time."""
        self._told = False

    def now(self) -> datetime:
        ahead = self._ahead  # read once: the heartbeat's thread asks too
        if ahead is None:
            return datetime.now(UTC)
        return _EPOCH + timedelta(microseconds=self._counted() + ahead)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def ask(self, engine: Engine) -> None:
        """Take the time of the database; off by half of the way there and back at most. Raises `ArchiveError`."""
        async with engine.connect() as connection:
            before = self._counted()
            found = int(await connection.scalar(_ASK))
            after = self._counted()
        self._ahead = found - (before + after) // 2
        off = (datetime.now(UTC) - self.now()).total_seconds()
        if abs(off) > TOLERATED_S and not self._told:
            self._told = True
            log.warning("the clock of this machine is off, that of the database counts", seconds=round(off, 1))

    @asynccontextmanager
    async def kept(self, engine: Engine) -> AsyncIterator[None]:
        """Ask now, and again and again inside the block."""
        await self.ask(engine)
        task = asyncio.create_task(self._again(engine), name="database clock")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def _again(self, engine: Engine) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.ask(engine)
            except ArchiveError:
                continue  # away for a while: what is counted goes on, and the ledger says that it fails

"""`evertick db backfill`: fetches the daily bars of the last years that the archive does not have yet.

Interrupted at any moment it loses nothing: each instrument is saved by one transaction, and what is there is not fetched
again. A few instruments are in memory at a time. Limits and quotas of the providers hold, those counted earlier today too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from evertick import app, desks, remote
from evertick.errors import EvertickError
from evertick.model import SystemClock
from evertick.settings import Settings
from evertick.sources.conductor import Conductor
from evertick.sources.history import History
from evertick.sources.http import open_http

DAYS_A_YEAR = 365.25


async def backfill(settings: Settings, years: float, step: Callable[[int, int], Awaitable[None]]) -> dict[str, Any]:
    """Fetch what is missing; ``step`` is told how many instruments are done, of how many.

    Not more than ``RETENTION__BAR_DAYS`` keeps. Raises `EvertickError` where a server runs on the data folder.
    """
    if url := remote.find(settings):
        raise EvertickError(
            f"a server runs on this data folder at {url}; it fetches missing bars by itself",
            hint="Let it, some 40 instruments every five minutes, or stop it first.",
        )
    app.check(settings)
    clock, instruments = SystemClock(), desks.load(settings).universe
    days = min(round(years * DAYS_A_YEAR), settings.retention.bar_days)
    began = clock.monotonic()
    async with (
        app.open_storage(settings, clock, instruments, own=True) as (archive, _),
        open_http(settings.http) as http,
    ):
        conductor = Conductor(http, instruments, settings.sources, clock, archive.usage)
        done = await History(instruments, conductor, archive.bars, clock, days).backfill(days, step)
        name = archive.name
    return {
        "database": name,
        "days": days,
        "instruments": len(instruments),
        "fetched": done.asked - len(done.failed) - len(done.empty),
        "already": done.already,
        "bars": done.bars,
        "replaced": done.replaced,
        "without_bars": done.empty,
        "without_a_source": done.without,
        "failed": done.failed,
        "seconds": round(clock.monotonic() - began, 1),
    }

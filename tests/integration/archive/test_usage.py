from __future__ import annotations

import asyncio
from datetime import date

from evertick.archive import Archive

TODAY, YESTERDAY = date(2026, 11, 23), date(2026, 11, 22)


async def test_nothing_counted_is_nothing(archive: Archive) -> None:
    assert await archive.usage.load() == {}


async def test_counts_add_up_and_the_newest_day_is_told(archive: Archive) -> None:
    await archive.usage.add("fmp", YESTERDAY, 250)
    await archive.usage.add("fmp", TODAY, 3)
    await archive.usage.add("fmp", TODAY, 4)
    await archive.usage.add("tiingo", YESTERDAY, 9)
    assert await archive.usage.load() == {"fmp": (TODAY, 7), "tiingo": (YESTERDAY, 9)}


async def test_no_count_of_several_at_once_is_lost(archive: Archive) -> None:
    await asyncio.gather(*(archive.usage.add("fmp", TODAY, 1) for _ in range(25)))
    assert await archive.usage.load() == {"fmp": (TODAY, 25)}


async def test_old_days_are_forgotten(archive: Archive) -> None:
    await archive.usage.add("fmp", YESTERDAY, 5)
    await archive.usage.add("fmp", TODAY, 6)
    assert await archive.usage.prune(TODAY) == 1
    assert await archive.usage.prune(TODAY) == 0
    assert await archive.usage.load() == {"fmp": (TODAY, 6)}

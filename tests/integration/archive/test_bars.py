from __future__ import annotations

import asyncio
import math
from array import array
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from evertick.archive import Archive
from evertick.archive.bars import Series
from evertick.archive.tables import bars as table
from evertick.model import Bars

COLUMNS = ("day", "open", "high", "low", "close", "volume")


def daily(first: date, count: int, instrument: str = "SPX", level: float = 100.0) -> Bars:
    days = [first.toordinal() + n for n in range(count)]
    close = [level + math.sin(day) for day in days]
    return Bars(
        instrument,
        array("i", days),
        array("d", close),
        array("d", [c + 1 for c in close]),
        array("d", [c - 1 for c in close]),
        array("d", close),
        array("d", [math.nan] * count),
    )


def same(left: Bars, right: Bars) -> bool:
    return left.instrument == right.instrument and all(
        getattr(left, c).tobytes() == getattr(right, c).tobytes() for c in COLUMNS
    )


async def test_three_years_come_back_to_the_bit(archive: Archive) -> None:
    given = daily(date(2023, 12, 20), 800)
    await archive.bars.save(given)
    assert same(await archive.bars.load("SPX"), given)


async def test_nothing_stored_is_no_bars(archive: Archive) -> None:
    assert len(await archive.bars.load("SPX")) == 0
    assert await archive.bars.series() == {}
    await archive.bars.save(Bars.empty("SPX"))
    assert await archive.bars.series() == {}


@pytest.mark.parametrize("since", [date(2025, 12, 30), date(2026, 1, 1), date(2026, 1, 3), date(2027, 1, 1)])
async def test_since_is_inclusive(archive: Archive, since: date) -> None:
    given = daily(date(2025, 12, 25), 20)
    await archive.bars.save(given)
    loaded = await archive.bars.load("SPX", since)
    assert list(loaded.day) == [day for day in given.day if day >= since.toordinal()]
    assert len(loaded.close) == len(loaded.volume) == len(loaded.day)


async def test_a_later_save_adds_days_and_corrects_the_last(archive: Archive) -> None:
    await archive.bars.save(daily(date(2026, 11, 2), 10))
    await archive.bars.save(daily(date(2026, 11, 11), 3, level=200.0))
    loaded = await archive.bars.load("SPX")
    assert [d.day for d in loaded.dates()] == list(range(2, 14))
    assert loaded.close[8] < 150 < loaded.close[9]


async def test_older_days_can_be_filled_in_later(archive: Archive) -> None:
    whole = daily(date(2025, 11, 2), 100)
    await archive.bars.save(whole.last(40))
    await archive.bars.save(whole)
    assert same(await archive.bars.load("SPX"), whole)


async def test_instruments_do_not_mix(archive: Archive) -> None:
    await archive.bars.save(daily(date(2026, 1, 5), 5, "SPX"))
    await archive.bars.save(daily(date(2026, 1, 5), 7, "NDX"))
    assert (len(await archive.bars.load("SPX")), len(await archive.bars.load("NDX"))) == (5, 7)


async def test_a_series_says_its_last_day_and_when_it_was_looked_at(archive: Archive, clock: Any) -> None:
    await archive.bars.save(daily(date(2025, 12, 25), 20, "SPX"))
    first = clock.at
    clock.at += timedelta(hours=3)
    await archive.bars.save(replace(daily(date(2026, 1, 5), 2, "NDX"), source="yahoo"), since=date(2024, 1, 1))
    assert await archive.bars.series() == {
        "SPX": Series(date(2026, 1, 13), first),
        "NDX": Series(date(2026, 1, 6), clock.at, date(2024, 1, 1), "yahoo"),
    }


async def test_saving_the_same_again_says_it_was_looked_at(archive: Archive, clock: Any) -> None:
    given = daily(date(2026, 1, 5), 2)
    await archive.bars.save(given)
    clock.at += timedelta(hours=3)
    await archive.bars.save(given)
    assert (await archive.bars.series())["SPX"].checked == clock.at
    assert same(await archive.bars.load("SPX"), given)


async def test_a_source_without_bars_is_remembered(archive: Archive, clock: Any) -> None:
    await archive.bars.save(Bars.empty("SPX"), since=date(2024, 1, 1))
    assert await archive.bars.series() == {"SPX": Series(None, clock.at, date(2024, 1, 1))}
    assert len(await archive.bars.load("SPX")) == 0


async def test_the_first_day_asked_for_only_goes_back(archive: Archive) -> None:
    for since in (date(2025, 1, 1), date(2024, 1, 1), date(2026, 1, 1)):
        await archive.bars.save(daily(date(2026, 1, 5), 2), since=since)
    assert (await archive.bars.series())["SPX"].since == date(2024, 1, 1)


async def test_a_whole_series_takes_the_place_of_the_old_one(archive: Archive) -> None:
    await archive.bars.save(replace(daily(date(2024, 12, 25), 400), source="yahoo"), since=date(2024, 1, 1))
    await archive.bars.save(daily(date(2024, 12, 25), 400, "NDX"))
    split = replace(daily(date(2025, 6, 1), 30, level=50.0), source="kbs")
    await archive.bars.save(split, since=date(2025, 6, 1), whole=True)
    assert same(await archive.bars.load("SPX"), split)
    found = (await archive.bars.series())["SPX"]
    assert (found.since, found.source, found.last) == (date(2025, 6, 1), "kbs", date(2025, 6, 30))
    assert len(await archive.bars.load("NDX")) == 400


async def test_pruning_takes_whole_years(archive: Archive) -> None:
    await archive.bars.save(daily(date(2023, 12, 1), 800))
    assert await archive.bars.prune(date(2025, 6, 1)) == 2
    assert (await archive.bars.load("SPX")).dates()[0] == date(2025, 1, 1)
    assert await archive.bars.prune(date(2025, 6, 1)) == 0


async def test_many_instruments_saved_at_once(archive: Archive) -> None:
    await asyncio.gather(*(archive.bars.save(daily(date(2025, 6, 1), 300, f"I{n}")) for n in range(30)))
    assert len(await archive.bars.series()) == 30


async def test_what_is_damaged_counts_as_missing_and_is_replaced(archive: Archive) -> None:
    given = daily(date(2025, 12, 25), 20)
    await archive.bars.save(given)
    async with archive.engine.begin() as connection:
        await connection.execute(update(table).where(table.c.year == 2026).values(body=b"B9 from a later version"))
    assert [d.year for d in (await archive.bars.load("SPX")).dates()] == [2025] * 7
    assert (await archive.bars.series())["SPX"].last == date(2025, 12, 31)
    await archive.bars.save(given)
    assert same(await archive.bars.load("SPX"), given)


async def test_a_bar_takes_few_bytes(archive: Archive) -> None:
    await archive.bars.save(daily(date(2024, 1, 1), 730))
    async with archive.engine.connect() as connection:
        size = await connection.scalar(select(func.sum(func.length(table.c.body))))
    assert size / 730 < 40


async def test_bars_read_in_turn_are_those_read_one_by_one(archive: Archive) -> None:
    ids = [f"I{n:02}" for n in range(21)]
    for n, id in enumerate(ids):
        if n % 5:
            await archive.bars.save(daily(date(2024, 3, 1), 40 + n, id, 50.0 + n))
            await archive.bars.save(daily(date(2026, 1, 5), 30 + n, id, 80.0 + n))
    for since in (None, date(2026, 1, 10)):
        reader = archive.bars.in_turn(ids, since)
        for asked in (ids, ids[::2], ids[::-1], ["I03", "NONE", "I04"]):
            for id in asked:
                one, other = await reader.load(id), await archive.bars.load(id, since)
                assert same(one, other)
                assert len(reader._ahead) <= 8

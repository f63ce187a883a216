from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from evertick.archive import Archive, quotes
from evertick.archive.tables import quote_log
from evertick.archive.tables import quotes as table
from evertick.errors import ArchiveError
from evertick.model import Quote

START = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
STEP = timedelta(minutes=3)
EVER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


def at(n: int) -> datetime:
    return START + n * STEP


def quote(id: str, n: int, price: float | None = None) -> Quote:
    return Quote(id, 100 + n / 4 if price is None else price, at(n), "yahoo")


async def refreshes(archive: Archive, count: int, first: int = 0, ids: tuple[str, ...] = ("SPX", "BTC")) -> None:
    for n in range(first, first + count):
        await archive.quotes.add(at(n), [quote(id, n) for id in ids])


async def rows(archive: Archive, which: Any) -> int:
    async with archive.engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(which)))


async def test_nothing_stored_is_nothing(archive: Archive) -> None:
    times, prices = await archive.quotes.load("SPX", *EVER)
    assert len(times) == len(prices) == 0
    assert await archive.quotes.compact(1) == 0
    assert await archive.quotes.prune(date(2027, 1, 1)) == 0


@pytest.mark.parametrize("compacted", [False, True])
async def test_a_range_of_one_instrument(archive: Archive, compacted: bool) -> None:
    await refreshes(archive, 10)
    if compacted:
        assert await archive.quotes.compact(at_least=1) == 10
        assert await rows(archive, quote_log) == 0
    times, prices = await archive.quotes.load("SPX", at(3), at(6))
    assert times.tolist() == [int(at(n).timestamp()) for n in range(3, 7)]
    assert prices.tolist() == [100.75, 101.0, 101.25, 101.5]
    assert len((await archive.quotes.load("NDX", *EVER))[0]) == 0


async def test_a_refresh_is_one_row_of_what_is_new(archive: Archive) -> None:
    assert await archive.quotes.add(at(0), [quote("SPX", 0), quote("BTC", 0)]) == 2
    assert await archive.quotes.add(at(1), [quote("SPX", 0), quote("BTC", 1)]) == 1
    assert await archive.quotes.add(at(2), [quote("SPX", 0), quote("BTC", 1)]) == 0
    assert await rows(archive, quote_log) == 2
    assert len((await archive.quotes.load("SPX", *EVER))[0]) == 1


async def test_what_is_no_price_or_no_time_is_left_out(archive: Archive) -> None:
    old = Quote("OLD", 1.0, datetime(1960, 1, 1, tzinfo=UTC), "fred")
    given = [quote("SPX", 0, float("nan")), quote("NDX", 0, float("inf")), old, quote("BTC", 0)]
    assert await archive.quotes.add(at(0), given) == 1


async def test_columns_and_log_are_read_together_across_days(archive: Archive) -> None:
    await refreshes(archive, 400)  # until 05:30 of the next day
    assert await archive.quotes.compact() == 360
    assert await rows(archive, table) == 4  # two instruments, two days
    assert await rows(archive, quote_log) == 40
    times, prices = await archive.quotes.load("BTC", *EVER)
    assert times.tolist() == [int(at(n).timestamp()) for n in range(400)]
    assert prices.tolist() == [100 + n / 4 for n in range(400)]


async def test_a_few_rows_stay_in_the_log(archive: Archive) -> None:
    await refreshes(archive, 5)
    assert await archive.quotes.compact() == 0
    assert await rows(archive, quote_log) == 5


async def test_a_late_price_finds_its_place_and_a_second_one_of_its_time_counts(archive: Archive) -> None:
    await refreshes(archive, 4)
    await archive.quotes.compact(at_least=1)
    await archive.quotes.add(at(5), [quote("SPX", 2, 7.0)])
    await archive.quotes.add(at(6), [Quote("SPX", 8.0, at(2) + timedelta(seconds=60), "yahoo")])
    for _ in range(2):
        _, prices = await archive.quotes.load("SPX", *EVER)
        assert prices.tolist() == [100.0, 100.25, 7.0, 8.0, 100.75]
        await archive.quotes.compact(at_least=1)


async def test_an_interrupted_compaction_is_done_again(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = tuple(f"I{n}" for n in range(20))
    await refreshes(archive, 6, ids=ids)
    merge, done = archive.quotes._merge, []

    async def cut_short(some: Any) -> None:
        if done:
            raise ArchiveError("power cut")
        done.append(some)
        await merge(some)

    with monkeypatch.context() as patch:
        patch.setattr(archive.quotes, "_merge", cut_short)
        with pytest.raises(ArchiveError):
            await archive.quotes.compact(at_least=1)
    assert 0 < await rows(archive, table) < 20
    assert await archive.quotes.compact(at_least=1) == 6
    for id in ids:
        assert (await archive.quotes.load(id, *EVER))[1].tolist() == [100 + n / 4 for n in range(6)]


async def test_a_process_that_starts_again_stores_nothing_twice_for_good(archive: Archive) -> None:
    await refreshes(archive, 2)
    another = quotes.QuoteStore(archive.engine)
    assert await another.add(at(2), [quote("SPX", 1), quote("BTC", 1)]) == 2
    await another.compact(at_least=1)
    assert (await another.load("SPX", *EVER))[1].tolist() == [100.0, 100.25]


async def test_readers_miss_nothing_while_the_log_is_moved(archive: Archive) -> None:
    await refreshes(archive, 60)
    seen = []

    async def read() -> None:
        while len(seen) < 40:
            seen.append(len((await archive.quotes.load("SPX", *EVER))[0]))

    await asyncio.gather(read(), archive.quotes.compact(at_least=1))
    assert set(seen) == {60}


async def test_old_days_go_and_new_ones_stay(archive: Archive) -> None:
    for day in range(5):
        await archive.quotes.add(START, [Quote("SPX", float(day), START - timedelta(days=day), "yahoo")])
    await archive.quotes.compact(at_least=1)
    await refreshes(archive, 1, first=1)
    assert await archive.quotes.prune(date(2026, 11, 21)) == 2
    assert await archive.quotes.prune(date(2026, 11, 21)) == 0
    assert (await archive.quotes.load("SPX", *EVER))[1].tolist() == [2.0, 1.0, 0.0, 100.25]
    await archive.quotes.prune(date(2026, 11, 24))
    assert len((await archive.quotes.load("SPX", *EVER))[0]) == 0


async def test_what_is_damaged_counts_as_missing(archive: Archive) -> None:
    await refreshes(archive, 3)
    await archive.quotes.compact(at_least=1)
    await refreshes(archive, 3, first=3)
    async with archive.engine.begin() as connection:
        await connection.execute(update(table).where(table.c.instrument == "SPX").values(body=b"Q9 from a later one"))
        newest = select(func.max(quote_log.c.id)).scalar_subquery()
        await connection.execute(update(quote_log).where(quote_log.c.id == newest).values(body=b"R1"))
    assert (await archive.quotes.load("SPX", *EVER))[1].tolist() == [100.75, 101.0]
    assert (await archive.quotes.load("BTC", *EVER))[1].tolist() == [100.0, 100.25, 100.5, 100.75, 101.0]
    assert await archive.quotes.compact(at_least=1) == 3
    assert (await archive.quotes.load("SPX", *EVER))[1].tolist() == [100.75, 101.0]


async def test_a_refresh_that_could_not_be_stored_is_stored_by_the_next(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Any:
        raise ArchiveError("no space is left")

    with monkeypatch.context() as patch:
        patch.setattr(archive.engine, "begin", away)
        with pytest.raises(ArchiveError):
            await archive.quotes.add(at(0), [quote("SPX", 0)])
    assert await archive.quotes.add(at(1), [quote("SPX", 0)]) == 1

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from evertick.archive import Archive
from evertick.archive import cursor as cursors
from evertick.archive.tables import receipts
from evertick.errors import BadCursor
from evertick.model import Outcome, Receipt, RunFigures

START = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


def receipt(minutes: int, job: str = "refresh_indices", outcome: Outcome = Outcome.OK) -> Receipt:
    return Receipt(
        job=job, component="indices", slot=f"{job}.default.{minutes}", started=START + timedelta(minutes=minutes),
        duration_s=0.25, outcome=outcome, heap_before=8_000_000_000, heap_after=8_000_000_300, blocks_before=100,
        blocks_after=101, rss_before=70 << 20, rss_after=70 << 20, peak_rss=72 << 20, freed=1 << 20, fds_delta=0,
        tasks_delta=0, connections_delta=0, overlapped=False, release_s=0.001, pid=4242,
    )  # fmt: skip


async def everything(archive: Archive, **which: object) -> list[Receipt]:
    found: list[Receipt] = []
    cursor = None
    while True:
        page = await archive.receipts.recent(3, cursor, **which)  # type: ignore[arg-type]
        found += page.items
        if (cursor := page.next) is None:
            return found


async def test_comes_back_as_it_went_in(archive: Archive) -> None:
    given = receipt(0, outcome=Outcome.TIMED_OUT)
    await archive.receipts.add(given)
    assert (await archive.receipts.recent(10)).items == [given]


async def test_what_could_not_be_measured_stays_unknown(archive: Archive) -> None:
    from dataclasses import replace

    given = replace(
        receipt(0), slot=None, heap_before=None, heap_after=None, rss_before=None, rss_after=None, peak_rss=None,
        freed=None, fds_delta=None, connections_delta=None, overlapped=True,
    )  # fmt: skip
    await archive.receipts.add(given)
    assert (await archive.receipts.recent(10)).items == [given]


async def test_pages_newest_first_whatever_the_order_of_arrival(archive: Archive) -> None:
    for minutes in (3, 0, 5, 1, 4, 2, 5):  # two started at the same moment
        await archive.receipts.add(receipt(minutes))
    assert [r.started for r in await everything(archive)] == [
        START + timedelta(minutes=m) for m in (5, 5, 4, 3, 2, 1, 0)
    ]


async def test_figures_of_the_runs_since_a_time_oldest_first(archive: Archive) -> None:
    from dataclasses import replace

    await archive.receipts.add(receipt(9, outcome=Outcome.FAILED))
    await archive.receipts.add(replace(receipt(5), heap_after=None, peak_rss=None, fds_delta=None, overlapped=True))
    await archive.receipts.add(receipt(1))
    unknown, failed = [r async for r in archive.receipts.figures(START + timedelta(minutes=2))]
    assert unknown == RunFigures(
        START + timedelta(minutes=5), "refresh_indices", "indices", None, None, None, 0, True, True, 8_000_000_000, 4242
    )
    assert (failed.retained, failed.over_steady, failed.fds, failed.overlapped, failed.ok) == (
        300, 2 << 20, 0, False, False,
    )  # fmt: skip


async def test_figures_of_many_runs_come_each_once_and_of_the_jobs_that_were_named(archive: Archive) -> None:
    """They are read a few hundred at a time; some began in the same instant."""
    times = [n // 3 for n in range(600)]
    async with archive.engine.begin() as connection:
        rows = [receipt(m, job="report" if n % 5 == 0 else "refresh_indices") for n, m in enumerate(times)]
        await connection.execute(insert(receipts), [{f.name: getattr(r, f.name) for f in fields(r)} for r in rows])
    found = [r.started async for r in archive.receipts.figures(START)]
    assert found == sorted(START + timedelta(minutes=m) for m in times)
    named = [r.job async for r in archive.receipts.figures(START, ("report",))]
    assert named == ["report"] * 120


async def test_of_one_job(archive: Archive) -> None:
    for minutes in range(8):
        await archive.receipts.add(receipt(minutes, job="save_report" if minutes % 4 == 0 else "refresh_indices"))
    assert [r.job for r in await everything(archive, job="save_report")] == ["save_report"] * 2
    assert len(await everything(archive, job="refresh_indices")) == 6


async def test_pruned_by_number(archive: Archive) -> None:
    for minutes in (2, 0, 3, 1, 3):
        await archive.receipts.add(receipt(minutes))
    assert await archive.receipts.prune(2, START - timedelta(days=1)) == 3
    assert [r.started.minute for r in await everything(archive)] == [33, 33]
    assert await archive.receipts.prune(2, START - timedelta(days=1)) == 0


async def test_pruned_by_age(archive: Archive) -> None:
    for minutes in range(5):
        await archive.receipts.add(receipt(minutes))
    assert await archive.receipts.prune(100, START + timedelta(minutes=3)) == 3
    assert len(await everything(archive)) == 2


async def test_pruned_in_more_than_one_step(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evertick.archive.receipts._STEP", 4)
    for minutes in range(11):
        await archive.receipts.add(receipt(minutes))
    assert await archive.receipts.prune(1, START - timedelta(days=1)) == 10
    assert len(await everything(archive)) == 1


@pytest.mark.parametrize("cursor", ["?", cursors.encode(START, "x"), cursors.encode(START, "9" * 30)])
async def test_a_foreign_cursor_is_refused(archive: Archive, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await archive.receipts.recent(10, cursor)

from __future__ import annotations

import asyncio
import gzip
import hashlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from evertick.archive import Archive
from evertick.archive.bodies import PIECES_HELD
from evertick.archive.parts import PIECE
from evertick.archive.tables import assets, report_parts, reports, slots
from evertick.errors import ArchiveError, BadCursor, Fenced, NotFound, ReportError
from evertick.model import PartMeta, ReportMeta, Slot, report_id

Lease = Callable[..., Awaitable[Slot]]
Publish = Callable[..., Awaitable[ReportMeta]]
HOUR = timedelta(hours=1)
START = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


async def count(archive: Archive, table: Any) -> int:
    async with archive.engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)))


async def read(archive: Archive, report: str, part: str) -> bytes:
    return b"".join([piece async for piece in archive.reports.part(report, part)])


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


# --- making one ------------------------------------------------------------------------------------------------------


async def test_what_was_written_is_read_back(archive: Archive, publish: Publish) -> None:
    page = noise(300_000) + b"<p>B\xc3\xa1o c\xc3\xa1o</p>" * 40_000
    meta = await publish(body=page)
    stored = await read(archive, meta.id, "html")
    part = meta.part("html")
    assert part is not None
    assert gzip.decompress(stored) == page
    assert (part.size, part.stored) == (len(page), len(stored))
    assert part.sha256 == hashlib.sha256(stored).hexdigest()


async def test_what_comes_back_of_a_report_is_what_was_published(archive: Archive, publish: Publish) -> None:
    meta = await publish()
    assert await archive.reports.get(meta.id) == meta
    assert await archive.reports.latest() == meta


async def test_pieces_are_of_even_size_and_one_at_a_time(archive: Archive, publish: Publish) -> None:
    meta = await publish(body=noise(5 * PIECE))
    sizes = [len(piece) async for piece in archive.reports.part(meta.id, "html")]
    assert sizes[:-1] == [PIECE] * 5
    assert 0 < sizes[-1] <= PIECE


async def test_an_empty_part_is_a_part(archive: Archive, publish: Publish) -> None:
    meta = await publish(body=b"")
    assert gzip.decompress(await read(archive, meta.id, "html")) == b""


async def test_a_slow_reader_holds_no_connection(archive: Archive, publish: Publish) -> None:
    meta = await publish(body=noise(3 * PIECE))
    pieces = archive.reports.part(meta.id, "html")
    await anext(pieces)
    assert archive.connections() == 0
    await pieces.aclose()  # type: ignore[attr-defined]


async def test_equal_content_is_stored_as_equal_bytes(archive: Archive, publish: Publish) -> None:
    first, second = await publish(0, body=b"same" * 1000), await publish(1, body=b"same" * 1000)
    assert first.parts[0].sha256 == second.parts[0].sha256


async def test_an_asset_is_stored_once(archive: Archive) -> None:
    first = await archive.reports.asset("css", b"body { color: red }" * 100)
    again = await archive.reports.asset("css", b"body { color: red }" * 100)
    other = await archive.reports.asset("css", b"body { color: blue }")
    assert first == again != other
    assert await count(archive, assets) == 2
    kind, body = await archive.reports.asset_body(first.hash)
    assert (kind, gzip.decompress(body)) == ("css", b"body { color: red }" * 100)
    assert hashlib.sha256(body).hexdigest() == first.hash
    assert (first.size, first.stored) == (1900, len(body))


async def test_ten_at_once_store_an_asset_once(archive: Archive) -> None:
    made = await asyncio.gather(*(archive.reports.asset("js", b"let x = 1;") for _ in range(10)))
    assert len(set(made)) == 1
    assert await count(archive, assets) == 1


async def test_a_part_that_is_an_asset_is_read_like_any_other(archive: Archive, publish: Publish) -> None:
    meta = await publish()
    assert gzip.decompress(await read(archive, meta.id, "css")) == b"body{}"


# --- drafts are nobody's business ------------------------------------------------------------------------------------


async def test_a_draft_is_invisible(archive: Archive, lease: Lease) -> None:
    slot = await lease()
    id = await archive.reports.draft(slot, ("vi",), slot.due)
    assert id == report_id(slot.id)
    async with archive.reports.writer(id, slot.token, "html") as part:
        await part.write(noise(2 * PIECE))
    assert (await archive.reports.list()).items == []
    assert await archive.reports.latest() is None
    with pytest.raises(NotFound):
        await archive.reports.get(id)
    with pytest.raises(NotFound):
        await read(archive, id, "html")
    with pytest.raises(NotFound):
        await archive.reports.delete(id)
    with pytest.raises(NotFound):
        await archive.reports.pin(id)


async def test_a_block_that_fails_has_no_meta(archive: Archive, lease: Lease) -> None:
    slot = await lease()
    id = await archive.reports.draft(slot, ("vi",), slot.due)
    writer = archive.reports.writer(id, slot.token, "html")
    with pytest.raises(ZeroDivisionError):
        async with writer as part:
            await part.write(b"half")
            raise ZeroDivisionError
    with pytest.raises(RuntimeError, match="not complete"):
        _ = writer.meta


async def test_a_later_lease_throws_the_older_draft_away(archive: Archive, lease: Lease) -> None:
    old = await lease(token=1)
    id = await archive.reports.draft(old, ("vi",), old.due)
    async with archive.reports.writer(id, 1, "html") as part:
        await part.write(noise(3 * PIECE))
    new = await lease(token=2)
    assert await archive.reports.draft(new, ("vi",), new.due) == id
    assert await count(archive, report_parts) == 0
    assert await count(archive, reports) == 1


async def test_the_run_that_lost_its_lease_is_stopped_at_its_next_write(archive: Archive, lease: Lease) -> None:
    old = await lease(token=1)
    id = await archive.reports.draft(old, ("vi",), old.due)
    with pytest.raises(Fenced):
        async with archive.reports.writer(id, 1, "html") as part:
            await part.write(noise(2 * PIECE))
            await archive.reports.draft(await lease(token=2), ("vi",), old.due)
            await part.write(noise(2 * PIECE))
    with pytest.raises(Fenced):
        async with archive.reports.writer(id, 1, "html") as part:
            await part.write(b"too little to be stored before the end")
    with pytest.raises(Fenced):
        await archive.reports.write(id, 1, "html", 9, b"x")
    with pytest.raises(Fenced):
        await archive.reports.draft(old, ("vi",), old.due)
    assert await count(archive, report_parts) == 0
    await archive.reports.write(id, 2, "html", 0, b"x")


async def test_the_same_lease_may_begin_again(archive: Archive, lease: Lease) -> None:
    slot = await lease()
    id = await archive.reports.draft(slot, ("vi",), slot.due)
    await archive.reports.write(id, 1, "html", 0, b"x")
    await archive.reports.draft(slot, ("vi",), slot.due)
    assert await count(archive, report_parts) == 0


async def test_a_published_report_is_not_drafted_again(archive: Archive, publish: Publish, lease: Lease) -> None:
    meta = await publish()
    slot = await lease(token=2)
    with pytest.raises(Fenced, match="already published"):
        await archive.reports.draft(slot, ("vi",), slot.due)
    with pytest.raises(Fenced):
        await archive.reports.write(meta.id, 1, "html", 9, b"x")
    assert await archive.reports.get(meta.id) == meta


# --- publishing ------------------------------------------------------------------------------------------------------


async def drafted(archive: Archive, slot: Slot) -> ReportMeta:
    id = await archive.reports.draft(slot, ("vi",), slot.due)
    async with archive.reports.writer(id, slot.token, "html", language="vi") as part:
        await part.write(noise(2 * PIECE))
    return ReportMeta(
        id=id, desk=slot.desk, slot=slot.id, created=slot.due, as_of=slot.due, languages=("vi",), parts=(part.meta,),
        headline={"vi": "…"}, instruments=1, duration_s=0.1, stages_s={},
    )  # fmt: skip


async def test_publishing_without_the_lease_is_fenced_and_changes_nothing(archive: Archive, lease: Lease) -> None:
    slot = await lease()
    meta = await drafted(archive, slot)
    await lease(token=2)  # another worker took the slot over and has not drafted yet
    with pytest.raises(Fenced, match="lease"):
        await archive.reports.publish(slot, meta)
    assert await archive.reports.latest() is None


@pytest.mark.parametrize("state", ["due", "done", "failed", "missed"])
async def test_a_slot_that_is_not_leased_publishes_nothing(archive: Archive, lease: Lease, state: str) -> None:
    slot = await lease()
    meta = await drafted(archive, slot)
    async with archive.engine.begin() as connection:
        await connection.execute(update(slots).values(state=state))
    with pytest.raises(Fenced):
        await archive.reports.publish(slot, meta)


async def test_publishing_without_a_draft_is_fenced(archive: Archive, lease: Lease) -> None:
    slot = await lease()
    meta = await drafted(archive, slot)
    newer = await lease(token=2)
    with pytest.raises(Fenced, match="no draft under token 2"):
        await archive.reports.publish(newer, meta)


async def test_publishing_twice_is_publishing_once(archive: Archive, lease: Lease) -> None:
    slot = await lease()
    meta = await drafted(archive, slot)
    await archive.reports.publish(slot, meta)
    await archive.reports.publish(slot, meta)
    assert len((await archive.reports.list()).items) == 1


@pytest.mark.parametrize(
    "harm",
    [
        lambda m: replace(m, parts=(replace(m.parts[0], stored=m.parts[0].stored + 1),)),
        lambda m: replace(m, parts=(*m.parts, PartMeta("html_en", "en", 10, 5, "0" * 64))),
        lambda m: replace(m, parts=(*m.parts, PartMeta("css", "vi", 10, 5, "0" * 64, asset="0" * 64))),
    ],
)
async def test_an_incomplete_report_is_not_published(
    archive: Archive, lease: Lease, harm: Callable[[ReportMeta], ReportMeta]
) -> None:
    slot = await lease()
    meta = await drafted(archive, slot)
    with pytest.raises(ArchiveError, match="incomplete"):
        await archive.reports.publish(slot, harm(meta))
    assert await archive.reports.latest() is None


async def test_too_much_metadata_is_not_published(archive: Archive, lease: Lease) -> None:
    slot = await lease()
    meta = await drafted(archive, slot)
    with pytest.raises(ReportError, match="4096"):
        await archive.reports.publish(slot, replace(meta, warnings=("x" * 5000,)))
    assert await archive.reports.latest() is None


async def test_two_workers_publish_one_report(archive: Archive, lease: Lease) -> None:
    """Every order in which a run and its successor may meet ends in one visible report, of one of them, whole."""
    first = await lease(token=1)
    meta = await drafted(archive, first)
    second = await lease(token=2)

    async def successor() -> ReportMeta:
        newer = await drafted(archive, second)
        await archive.reports.publish(second, newer)
        return newer

    outcomes = await asyncio.gather(archive.reports.publish(first, meta), successor(), return_exceptions=True)
    assert isinstance(outcomes[0], Fenced)
    assert isinstance(outcomes[1], ReportMeta)
    assert len(gzip.decompress(await read(archive, meta.id, "html"))) == 2 * PIECE


async def test_cancelled_while_publishing_it_is_published_or_not(archive: Archive, lease: Lease) -> None:
    for turns in range(0, 40, 3):
        slot = await lease(hours=turns)
        meta = await drafted(archive, slot)
        task = asyncio.create_task(archive.reports.publish(slot, meta))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        found = [m for m in (await archive.reports.list(100)).items if m.id == meta.id]
        assert found in ([], [meta])
        await archive.reports.publish(slot, meta)
        assert await archive.reports.get(meta.id) == meta


# --- sweeping --------------------------------------------------------------------------------------------------------


async def test_the_sweeper_leaves_what_is_being_made(archive: Archive, lease: Lease, publish: Publish) -> None:
    meta = await publish(0)
    slot = await lease(1)
    working = await drafted(archive, slot)
    assert await archive.reports.sweep(slot.due - HOUR) == 0
    await archive.reports.publish(slot, working)
    assert {m.id for m in (await archive.reports.list()).items} == {meta.id, working.id}


@pytest.mark.parametrize("change", [{"state": "failed"}, {"state": "due"}, {"token": 2}])
async def test_the_sweeper_takes_drafts_of_slots_that_went_on(
    archive: Archive, lease: Lease, change: dict[str, Any]
) -> None:
    slot = await lease()
    await drafted(archive, slot)
    async with archive.engine.begin() as connection:
        await connection.execute(update(slots).values(**change))
    assert await archive.reports.sweep(slot.due - HOUR) == 1
    assert await count(archive, reports) == await count(archive, report_parts) == 0


async def test_the_sweeper_takes_what_is_too_old(archive: Archive, lease: Lease) -> None:
    slot = await lease()
    await drafted(archive, slot)
    assert await archive.reports.sweep(slot.due + HOUR) == 1
    assert await count(archive, report_parts) == 0


# --- lists -----------------------------------------------------------------------------------------------------------


async def test_pages_follow_each_other_newest_first(archive: Archive, publish: Publish) -> None:
    made = [(await publish(hours)).id for hours in (2, 0, 3, 1, 4)]
    by_time = [made[i] for i in (4, 2, 0, 3, 1)]
    seen, cursor, pages = [], None, 0
    while True:
        page = await archive.reports.list(2, cursor)
        seen += [meta.id for meta in page.items]
        pages += 1
        if page.next is None:
            break
        cursor = page.next
    assert seen == by_time
    assert pages == 3


async def test_a_page_that_ends_exactly_has_no_next(archive: Archive, publish: Publish) -> None:
    for hours in range(2):
        await publish(hours)
    assert (await archive.reports.list(2)).next is None


async def test_a_new_report_does_not_shift_the_pages(archive: Archive, publish: Publish) -> None:
    for hours in range(3):
        await publish(hours)
    first = await archive.reports.list(2)
    await publish(5)
    second = await archive.reports.list(2, first.next)
    assert len({m.id for m in (*first.items, *second.items)}) == 3


async def test_reports_made_at_the_same_moment_are_all_listed(archive: Archive, publish: Publish) -> None:
    made = {(await publish(0, desk=f"desk{n}")).id for n in range(5)}
    seen: set[str] = set()
    cursor = None
    while True:
        page = await archive.reports.list(2, cursor)
        seen |= {m.id for m in page.items}
        if (cursor := page.next) is None:
            break
    assert seen == made


async def test_lists_of_one_desk(archive: Archive, publish: Publish) -> None:
    await publish(0)
    other = await publish(1, desk="crypto")
    assert [m.id for m in (await archive.reports.list(desk="crypto")).items] == [other.id]
    assert await archive.reports.latest("crypto") == other
    assert await archive.reports.latest("none") is None


@pytest.mark.parametrize("cursor", ["", "xyz", "🧹", "MS4x" * 90])
async def test_a_foreign_cursor_is_refused(archive: Archive, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await archive.reports.list(cursor=cursor)


# --- deleting --------------------------------------------------------------------------------------------------------


async def test_a_deleted_report_is_gone(archive: Archive, publish: Publish) -> None:
    meta, other = await publish(0, body=noise(40 * PIECE)), await publish(1)
    await archive.reports.delete(meta.id)
    for absent in (archive.reports.get(meta.id), read(archive, meta.id, "html"), archive.reports.delete(meta.id)):
        with pytest.raises(NotFound):
            await absent
    assert await archive.reports.list() == await archive.reports.list(desk="default")
    assert (await archive.reports.list()).items == [other]
    assert await count(archive, report_parts) == 1


async def test_a_reader_of_a_report_that_is_deleted_meanwhile_meets_an_error_not_an_end(
    archive: Archive, publish: Publish
) -> None:
    meta = await publish(body=noise((PIECES_HELD + 5) * PIECE))
    pieces = archive.reports.part(meta.id, "html")
    await anext(pieces)
    await archive.reports.delete(meta.id)
    read = 1
    with pytest.raises(NotFound, match="no longer there"):
        async for _ in pieces:
            read += 1
    assert read == PIECES_HELD, "what one read brought"


async def test_many_readers_hold_little_each(archive: Archive, publish: Publish) -> None:
    meta = await publish(body=noise((PIECES_HELD + 5) * PIECE))
    readers = [archive.reports.part(meta.id, "html") for _ in range(PIECES_HELD // 3)]
    for reader in readers:
        await anext(reader)
    whole = [[piece async for piece in reader] for reader in readers]
    assert len({b"".join(pieces) for pieces in whole}) == 1
    assert sum(map(len, whole[0])) == meta.parts[0].stored - PIECE


async def test_pruning_keeps_the_newest(archive: Archive, publish: Publish) -> None:
    made = [(await publish(hours)).id for hours in range(5)]
    assert sorted(await archive.reports.prune(2, _start() - HOUR)) == sorted(made[:3])
    assert {m.id for m in (await archive.reports.list()).items} == set(made[3:])
    assert await archive.reports.prune(2, _start() - HOUR) == []


async def test_pruning_takes_the_old(archive: Archive, publish: Publish) -> None:
    made = [(await publish(hours)).id for hours in range(4)]
    assert sorted(await archive.reports.prune(100, _start() + 2 * HOUR)) == sorted(made[:2])


async def test_pruning_never_takes_a_pinned_report(archive: Archive, publish: Publish) -> None:
    made = [(await publish(hours)).id for hours in range(3)]
    await archive.reports.pin(made[0])
    assert (await archive.reports.get(made[0])).pinned
    assert list(await archive.reports.prune(1, _start() + HOUR / 2)) == [made[1]]
    await archive.reports.pin(made[0], False)
    assert list(await archive.reports.prune(1, _start() - HOUR)) == [made[0]]


async def test_pruning_one_desk_leaves_the_others(archive: Archive, publish: Publish) -> None:
    await publish(0)
    await publish(0, desk="crypto")
    await archive.reports.prune(0, _start() - HOUR, desks=["crypto"], others=False)
    assert [m.desk for m in (await archive.reports.list()).items] == ["default"]


async def test_a_desk_finds_its_reports_by_an_index(archive: Archive) -> None:
    on_sqlite = archive.url.startswith("sqlite")
    statement = (
        "SELECT id FROM reports WHERE desk = 'asia' AND state = 'published' ORDER BY created DESC, id DESC LIMIT 21"
    )
    async with archive.engine.connect() as connection:
        if not on_sqlite:
            await connection.exec_driver_sql(
                "SET LOCAL enable_seqscan = off"
            )  # a handful of rows is not worth an index
        rows = await connection.exec_driver_sql(f"{'EXPLAIN QUERY PLAN' if on_sqlite else 'EXPLAIN'} {statement}")
        plan = "\n".join(str(row[-1]) for row in rows)
    assert "ix_reports_desk_state_created" in plan
    assert "Sort" not in plan and "TEMP B-TREE" not in plan


async def test_each_desk_is_pruned_by_itself(archive: Archive, publish: Publish) -> None:
    made = [await publish(n, desk=desk) for n, desk in enumerate(["asia", "asia", "coins", "coins", "gone", "gone"])]
    ids = [meta.id for meta in made]
    assert await archive.reports.prune(1, _start() - HOUR, desks=["asia"], others=False) == [ids[0]]
    assert list(await archive.reports.prune(1, _start() - HOUR, desks=["asia", "coins"])) == [ids[4]]
    assert list(await archive.reports.prune(1, _start() - HOUR)) == [ids[2]]
    assert list(await archive.reports.prune(9, _start() - HOUR, at_most=1)) == [], "the newest of each stays"


async def test_a_draft_is_not_pruned(archive: Archive, lease: Lease) -> None:
    slot = await lease()
    meta = await drafted(archive, slot)
    assert await archive.reports.prune(0, slot.due + HOUR) == []
    await archive.reports.publish(slot, meta)


async def test_an_asset_goes_when_no_report_names_it_and_no_draft_may(
    archive: Archive, publish: Publish, clock: Any
) -> None:
    meta = await publish()
    css = meta.parts[1].asset
    orphan = await archive.reports.asset("js", b"nobody")
    await archive.reports.prune(10, _start() - HOUR)
    assert await count(archive, assets) == 2, "a draft may be about to use it"
    clock.at += timedelta(days=2)
    await archive.reports.prune(10, _start() - HOUR)
    assert await archive.reports.asset_body(css or "")
    with pytest.raises(NotFound):
        await archive.reports.asset_body(orphan.hash)
    await archive.reports.prune(0, _start() - HOUR)
    assert await count(archive, assets) == 0


async def test_asking_for_an_asset_again_keeps_it(archive: Archive, clock: Any) -> None:
    asset = await archive.reports.asset("js", b"x")
    clock.at += timedelta(days=2)
    await archive.reports.asset("js", b"x")
    await archive.reports.prune(0, _start() - HOUR)
    assert await archive.reports.asset_body(asset.hash)


def _start() -> datetime:
    from datetime import UTC

    return datetime(2026, 11, 23, 9, 30, tzinfo=UTC)


# --- keeping ---------------------------------------------------------------------------------------------------------


async def test_reports_beyond_the_bytes_go_from_the_oldest_on(archive: Archive, publish: Publish) -> None:
    made = [await publish(hours, body=noise(40_000 + hours)) for hours in range(5)]
    await archive.reports.pin(made[0].id)
    assert await archive.reports.prune(100, START - HOUR, at_most=2 * made[-1].stored) == [made[1].id, made[2].id]
    left = [m.id for m in (await archive.reports.list()).items]
    assert left == [made[4].id, made[3].id, made[0].id]
    assert await archive.reports.prune(100, START - HOUR, at_most=1) == [made[3].id], (
        "never the newest, never a pinned one"
    )
    await archive.reports.pin(made[0].id, False)
    assert await archive.reports.prune(100, START - HOUR, at_most=1) == [made[0].id]
    assert await count(archive, report_parts) == 1


async def test_facts_are_a_part_that_pages_do_not_have(archive: Archive, lease: Lease) -> None:
    slot = await lease()
    id = await archive.reports.draft(slot, ("vi",), slot.due)
    async with archive.reports.writer(id, slot.token, "html", language="vi") as page:
        await page.write(b"<p>page</p>")
    async with archive.reports.writer(id, slot.token, "facts") as facts:
        await facts.write(b"{}\n")
    meta = ReportMeta(
        id, slot.desk, slot.id, slot.due, slot.due, ("vi",), (page.meta,), {"vi": "x"}, 1, 0.1, {}, facts=facts.meta
    )
    missing = replace(meta, facts=replace(facts.meta, stored=facts.meta.stored + 1))
    with pytest.raises(ArchiveError, match="facts"):
        await archive.reports.publish(slot, missing)
    await archive.reports.publish(slot, meta)
    kept = await archive.reports.get(id)
    assert kept == meta
    assert [p.part for p in kept.parts] == ["html"]
    assert (kept.size, kept.stored) == (page.meta.size, page.meta.stored + facts.meta.stored)
    assert gzip.decompress(await read(archive, id, "facts")) == b"{}\n"
    lines = f"html {page.meta.sha256}\nfacts {facts.meta.sha256}\n"
    assert kept.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    await archive.reports.delete(id)
    assert await count(archive, report_parts) == 0

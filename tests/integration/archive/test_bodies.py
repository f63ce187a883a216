"""Bodies of reports outside of the database: a store that speaks S3, well and failing, and a folder."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from evertick.archive import Archive, open_archive
from evertick.archive.backup import backup, elsewhere
from evertick.archive.migrate import upgrade
from evertick.archive.objects import CHUNK
from evertick.archive.orphans import GRACE
from evertick.archive.parts import PIECE
from evertick.archive.tables import body_places, report_parts, reports, slots
from evertick.errors import (
    ArchiveError,
    BodyLost,
    Fenced,
    NotFound,
)
from evertick.model import ReportMeta, Slot, report_id
from evertick.settings import ArchiveSettings
from integration.archive.outside import BIG, LONG_AGO, draft, keys, outside, stored_keys, uploads, whole

Publish = Callable[..., Awaitable[ReportMeta]]
Lease = Callable[..., Awaitable[Slot]]


@pytest.fixture(params=["s3", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> ArchiveSettings:
    if request.param == "file":
        return ArchiveSettings(bodies=f"file://{tmp_path}/bodies")
    endpoint, bucket = request.getfixturevalue("s3_bucket")
    return ArchiveSettings(bodies=f"s3://{bucket}/desk/eu", **keys(endpoint))


@pytest.fixture
def url(sqlite_url: str) -> str:
    upgrade(sqlite_url)
    return sqlite_url


@pytest.fixture
async def archive(url: str, clock: Any, place: ArchiveSettings) -> AsyncIterator[Archive]:
    async with open_archive(url, clock, settings=place) as archive:
        yield archive
        assert archive.connections() == 0, "connections left checked out"


# --- the good way ----------------------------------------------------------------------------------------------------


async def test_parts_of_any_size_come_back_as_they_were(archive: Archive, lease: Lease, url: str, clock: Any) -> None:
    slot = await lease()
    meta = await draft(archive, slot, BIG, b"<p>small</p>", b"")
    assert await archive.reports.latest() is None
    await archive.reports.publish(slot, meta)
    await archive.reports.publish(slot, meta)  # again: changes nothing
    for part, body in (("html", BIG), ("html_1", b"<p>small</p>"), ("html_2", b"")):
        assert await whole(archive, meta.id, part) == body
    pieces = [len(piece) async for piece in archive.reports.part(meta.id, "html")]
    assert max(pieces) <= PIECE and sum(pieces) == meta.parts[0].stored > 2 * CHUNK
    assert await stored_keys(archive) == [f"{meta.id}/1/{p}" for p in ("html", "html_1", "html_2")]
    async with archive.engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(report_parts)) == 0
    async with open_archive(url, clock, settings=archive.places._settings) as other:
        assert await other.places.new() == await archive.places.new(), "all processes of a database share its folder"


async def test_what_the_setting_was_when_a_report_was_made_counts(
    archive: Archive, publish: Publish, url: str, clock: Any, place: ArchiveSettings
) -> None:
    meta = await publish(body=b"<p>outside</p>")
    without = place.model_copy(update={"bodies": None})
    async with open_archive(url, clock, settings=without) as inside:
        assert await whole(inside, meta.id) == b"<p>outside</p>"
        slot = Slot("report.default.20261124T000000.000000", "default", "report", clock.at, token=1)
        async with inside.engine.begin() as connection:
            row = {"id": slot.id, "desk": "default", "job": "report", "due": slot.due, "state": "leased"}
            await connection.execute(slots.insert().values(**row, trigger="manual", params={}, token=1))
        later = await draft(inside, slot, b"<p>inside</p>")
        await inside.reports.publish(slot, later)
    assert await whole(archive, later.id) == b"<p>inside</p>"
    assert len(await stored_keys(archive)) == 1
    await archive.reports.delete(later.id)
    await archive.reports.delete(meta.id)
    assert await stored_keys(archive) == []


async def test_postgres_keeps_its_bodies_there_too(postgres_database: str, clock: Any, s3_bucket: Any) -> None:
    upgrade(postgres_database)
    settings = ArchiveSettings(bodies=f"s3://{s3_bucket[1]}", **keys(s3_bucket[0]))
    async with (
        open_archive(postgres_database, clock, settings=settings) as one,
        open_archive(postgres_database, clock, settings=settings) as other,
    ):
        locations = await asyncio.gather(one.places.new(), other.places.new())
        assert locations[0] == locations[1]
        slot = Slot("report.default.20261124T000000.000000", "default", "report", clock.at, token=1)
        async with one.engine.begin() as connection:
            row = {"id": slot.id, "desk": "default", "job": "report", "due": slot.due, "state": "leased"}
            await connection.execute(slots.insert().values(**row, trigger="manual", params={}, token=1))
        meta = await draft(one, slot, b"<p>x</p>")
        await one.reports.publish(slot, meta)
        assert await whole(other, meta.id) == b"<p>x</p>"
        await other.reports.delete(meta.id)
        assert await stored_keys(one) == []


async def test_keys_and_endpoint_may_come_from_the_usual_variables(
    url: str, clock: Any, s3_bucket: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, bucket = s3_bucket
    for name, value in (
        ("ENDPOINT_URL", endpoint),
        ("ACCESS_KEY_ID", "k"),
        ("SECRET_ACCESS_KEY", "s"),
        ("REGION", "eu-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    async with open_archive(url, clock, settings=ArchiveSettings(bodies=f"s3://{bucket}")) as archive:
        assert await archive.places.ping() == f"s3://{bucket}"
        await (await outside(archive)).put("report/1/html", [b"x"])
        assert await stored_keys(archive) == ["report/1/html"]


# --- half-way --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["an error", "a cancellation"])
async def test_a_part_that_is_given_up_leaves_nothing(
    archive: Archive, lease: Lease, place: ArchiveSettings, how: str
) -> None:
    slot = await lease()
    id = await archive.reports.draft(slot, ("vi",), slot.due)
    half = asyncio.Event()

    async def write() -> None:
        async with archive.reports.writer(id, 1, "html") as part:
            await part.write(BIG[: CHUNK + 5 * PIECE])
            half.set()
            if how == "an error":
                raise RuntimeError("rendering failed")
            await asyncio.sleep(3600)

    writing = asyncio.create_task(write())
    await half.wait()
    writing.cancel()
    with pytest.raises((asyncio.CancelledError, RuntimeError)):
        await writing
    assert await stored_keys(archive) == []
    assert await archive.reports.latest() is None
    if place.endpoint:
        assert uploads(place.endpoint, (place.bodies or "").split("/")[2]) == 0
    else:
        left = [p for p in Path((place.bodies or "").removeprefix("file://")).rglob("*") if p.is_file()]
        assert left == []
    assert not [t for t in asyncio.all_tasks() if t is not asyncio.current_task() and "put" in str(t.get_coro())]


async def test_a_run_without_its_lease_is_stopped_and_what_it_wrote_is_swept(
    archive: Archive, lease: Lease, clock: Any
) -> None:
    old = await lease()
    await draft(archive, old, b"first")
    id = report_id(old.id)
    with pytest.raises(Fenced):
        async with archive.reports.writer(id, 1, "html_1") as part:
            await part.write(BIG[: 4 * PIECE])
            new = await lease(token=2)
            meta = await draft(archive, new, b"second")
            await part.write(BIG[: 40 * PIECE])
    with pytest.raises(Fenced):
        async with archive.reports.writer(id, 1, "late") as part:
            await part.write(b"little")
    await archive.reports.publish(new, meta)
    assert await stored_keys(archive) == [f"{id}/1/html", f"{id}/2/html"]
    assert await archive.reports.sweep_orphans() == 0, "too young"
    clock.at = datetime.now(UTC) + GRACE + timedelta(minutes=1)
    assert await archive.reports.sweep_orphans() == 1
    assert await stored_keys(archive) == [f"{id}/2/html"]
    assert await whole(archive, id) == b"second"


async def test_what_a_killed_process_left_is_swept_and_nobody_elses(
    url: str, clock: Any, place: ArchiveSettings, tmp_path: Path, lease: Lease, archive: Archive
) -> None:
    """The process dies by SIGKILL when its draft has one part stored; its draft's row goes first, then its object."""
    slot = await lease()
    secrets = {name: value.get_secret_value() for name, value in
               (("access_key_id", place.access_key_id), ("secret_access_key", place.secret_access_key)) if value}  # fmt: skip
    given = {"bodies": place.bodies, "endpoint": place.endpoint, **secrets}
    code = f"""
import asyncio, os
from evertick.archive import open_archive
from evertick.model import Slot, SystemClock
from evertick.settings import ArchiveSettings
async def main():
    async with open_archive({url!r}, SystemClock(), settings=ArchiveSettings(**{given!r})) as archive:
        slot = Slot({slot.id!r}, "default", "report", SystemClock().now(), token=1)
        id = await archive.reports.draft(slot, ("vi",), slot.due)
        async with archive.reports.writer(id, 1, "html") as part:
            await part.write(b"x")
        os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == -9
    assert len(await stored_keys(archive)) == 1
    stranger = f"sqlite:///{tmp_path / 'stranger.db'}"
    upgrade(stranger)
    async with open_archive(stranger, clock, settings=place) as other:
        clock.at = datetime.now(UTC) + timedelta(days=3)
        await other.places.new()
        assert await other.reports.sweep_orphans() == 0, "another database has a folder of its own"
    async with archive.engine.begin() as connection:
        await connection.execute(reports.delete())  # as if the row had gone and nothing more
        await connection.execute(update(body_places).values(swept=clock.at - timedelta(hours=23)))
    assert await archive.reports.sweep_orphans() == 0, "it was looked through today"
    clock.at += timedelta(hours=1)
    assert await archive.reports.sweep_orphans() == 1
    assert await stored_keys(archive) == []


async def test_a_draft_is_no_orphan(archive: Archive, lease: Lease, clock: Any) -> None:
    slot = await lease()
    meta = await draft(archive, slot, b"slow")
    clock.at = datetime.now(UTC) + timedelta(days=3)
    assert await archive.reports.sweep_orphans() == 0
    await archive.reports.publish(slot, meta)


async def test_nothing_is_published_that_is_not_there_as_promised(archive: Archive, lease: Lease) -> None:
    slot = await lease()
    meta = await draft(archive, slot, b"one", b"two")
    store = await outside(archive)
    await store.put(f"{meta.id}/1/html", [b"short"])
    await store.delete([f"{meta.id}/1/html_1"])
    with pytest.raises(ArchiveError, match=r"incomplete: html, html_1"):
        await archive.reports.publish(slot, meta)
    assert await archive.reports.latest() is None


# --- reading and deleting --------------------------------------------------------------------------------------------


async def test_a_part_that_somebody_deleted_or_changed_is_lost_and_never_comes_whole(
    archive: Archive, publish: Publish, lease: Lease
) -> None:
    slot = await lease(5)
    big = await draft(archive, slot, BIG[: 20 * PIECE])
    await archive.reports.publish(slot, big)
    small = await publish(body=b"<p>kept</p>")
    store = await outside(archive)
    stored = big.parts[0].stored
    for wrong in (bytes(stored), bytes(stored - 1)):
        await store.put(f"{big.id}/1/html", [wrong])
        got = 0
        with pytest.raises(BodyLost, match=re.escape(f"{big.id}/1/html is ")):
            async for piece in archive.reports.part(big.id, "html"):
                got += len(piece)
        assert got < stored
    await store.delete([f"{big.id}/1/html"])
    with pytest.raises(BodyLost, match="not there"):
        await anext(archive.reports.part(big.id, "html"))
    assert await whole(archive, small.id) == b"<p>kept</p>"


async def test_a_report_that_is_deleted_while_it_is_read_is_not_there_any_more(archive: Archive, lease: Lease) -> None:
    slot = await lease()
    meta = await draft(archive, slot, BIG[: 20 * PIECE])
    await archive.reports.publish(slot, meta)
    pieces = archive.reports.part(meta.id, "html")
    await anext(pieces)
    await archive.reports.delete(meta.id)
    with pytest.raises(NotFound):
        async for _ in pieces:
            pass


async def test_retention_takes_the_objects_along(archive: Archive, publish: Publish) -> None:
    metas = [await publish(hours) for hours in range(4)]
    assert set(await archive.reports.prune(1, LONG_AGO)) == {m.id for m in metas[:3]}
    assert await stored_keys(archive) == [f"{metas[3].id}/1/html"]


async def test_an_interrupted_deletion_is_finished_by_the_sweeper(
    archive: Archive, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = await publish()
    store = await outside(archive)

    async def dying(keys: Any) -> None:
        raise KeyboardInterrupt("kill -9")

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", dying)
        with pytest.raises(KeyboardInterrupt):
            await archive.reports.delete(meta.id)
    with pytest.raises(NotFound):
        await archive.reports.get(meta.id)
    assert await archive.reports.sweep(LONG_AGO) == 1
    assert await stored_keys(archive) == []


async def test_a_folder_without_space_or_rights(
    archive: Archive, lease: Lease, tmp_path: Path, url: str, clock: Any
) -> None:
    (tmp_path / "file").write_bytes(b"")
    async with open_archive(url, clock, settings=ArchiveSettings(bodies=f"file://{tmp_path}/file/below")) as blocked:
        with pytest.raises(ArchiveError, match="file://"):
            await draft(blocked, await lease(), b"x")


async def test_a_backup_says_what_it_does_not_hold(
    archive: Archive, publish: Publish, url: str, tmp_path: Path
) -> None:
    assert elsewhere(url) == {}
    await publish()
    await publish(1)
    assert elsewhere(url) == {await archive.places.new(): 2}
    assert backup(url, tmp_path / "copy.db") > 0
    async with archive.engine.begin() as connection:
        await connection.execute(update(reports).values(bodies=None))
        assert len((await connection.execute(select(body_places))).all()) == 1
    assert elsewhere(url) == {}

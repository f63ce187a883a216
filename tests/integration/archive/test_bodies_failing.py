"""A store of objects that refuses, is full, hangs, breaks off or is not there: one clear error each, nothing published, then on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from evertick.archive import Archive, objects, open_archive
from evertick.archive.migrate import upgrade
from evertick.archive.objects import CHUNK
from evertick.archive.parts import PIECE
from evertick.errors import ArchiveError, ArchiveFull, ArchiveReadOnly, ArchiveUnavailable, NotFound
from evertick.model import ReportMeta, Slot
from evertick.settings import ArchiveSettings
from integration.archive.gate import Gate, gate, refusal
from integration.archive.outside import BIG, LONG_AGO, draft, keys, stored_keys, uploads, whole
from servers import Server, free_port

Publish = Callable[..., Awaitable[ReportMeta]]
Lease = Callable[..., Awaitable[Slot]]


@pytest.fixture
def url(sqlite_url: str) -> str:
    upgrade(sqlite_url)
    return sqlite_url


@pytest.fixture
async def way(s3_process: Server) -> AsyncIterator[Gate]:
    async with gate(s3_process.port) as found:
        yield found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "REQUEST_S", 0.5)
    monkeypatch.setattr(objects, "RETRIES", 1)


@pytest.fixture
async def archive(url: str, clock: Any, way: Gate, s3_bucket: tuple[str, str]) -> AsyncIterator[Archive]:
    """An archive whose way to the bucket the test holds in its hands."""
    settings = ArchiveSettings(bodies=f"s3://{s3_bucket[1]}", **keys(way.endpoint))
    async with open_archive(url, clock, settings=settings) as archive:
        yield archive
        assert archive.connections() == 0


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (refusal("403 Forbidden", "AccessDenied"), ArchiveReadOnly, "may not be written (AccessDenied)"),
        (refusal("403 Forbidden", "InvalidAccessKeyId"), ArchiveReadOnly, "InvalidAccessKeyId"),
        (refusal("507 Insufficient Storage", "XMinioStorageFull"), ArchiveFull, "is full (XMinioStorageFull)"),
        (refusal("403 Forbidden", "QuotaExceeded"), ArchiveFull, "is full"),
        (refusal("503 Slow Down", "SlowDown"), ArchiveUnavailable, "SlowDown"),
        (refusal("404 Not Found", "NoSuchBucket"), ArchiveUnavailable, "no such bucket"),
        (b"not HTTP at all\r\n\r\n", ArchiveUnavailable, "cannot be written"),
        ("hang", ArchiveUnavailable, "no answer in time"),
    ],
)
@pytest.mark.parametrize("size", [1000, len(BIG)])
async def test_a_store_that_takes_nothing_stops_the_draft_with_one_clear_error(
    impatient: None,
    archive: Archive,
    way: Gate,
    lease: Lease,
    answer: Any,
    kind: type[ArchiveError],
    said: str,
    size: int,
) -> None:
    slot = await lease()
    way.rule = lambda method, target: answer if method in ("PUT", "POST") else None
    with pytest.raises(kind, match=re.escape(said)) as caught:
        await draft(archive, slot, BIG[:size])
    shown = str(caught.value)
    assert "s3://" in shown and len(shown) < 300
    assert "THE-SECRET" not in shown and "THE-KEY" not in shown
    assert await archive.reports.latest() is None
    way.rule = lambda method, target: None
    meta = await draft(archive, await lease(token=2), BIG[:size])
    await archive.reports.publish(await lease(token=2), meta)
    assert await whole(archive, meta.id) == BIG[:size]


async def test_a_store_that_ends_within_an_upload_stops_it(
    impatient: None, archive: Archive, way: Gate, lease: Lease, s3_bucket: Any
) -> None:
    slot = await lease()
    way.rule = lambda method, target: refusal("500 Oops", "InternalError") if "partNumber=2" in target else None
    with pytest.raises(ArchiveUnavailable, match="InternalError"):
        await draft(archive, slot, BIG * 2)
    assert uploads(*s3_bucket) == 0
    assert await stored_keys(archive) == []


async def test_a_store_that_is_not_there(impatient: None, url: str, clock: Any, lease: Lease) -> None:
    settings = ArchiveSettings(bodies="s3://reports", **keys(f"http://127.0.0.1:{free_port()}"))
    async with open_archive(url, clock, settings=settings) as gone:
        with pytest.raises(ArchiveUnavailable, match=r"cannot be written \(connection refused\)"):
            await draft(gone, await lease(), b"x")
        with pytest.raises(ArchiveUnavailable, match="ARCHIVE__ENDPOINT"):
            await gone.places.ping()


async def test_what_fails_once_is_tried_again_unnoticed(archive: Archive, way: Gate, lease: Lease) -> None:
    failed: set[str] = set()

    def once(method: str, target: str) -> Any:
        kind = f"{method} {target.partition('?')[0]}"
        if kind in failed:
            return None
        failed.add(kind)
        return "cut" if method == "GET" and "list-type" not in target else refusal("503 Slow Down", "SlowDown")

    way.rule = once
    slot = await lease()
    meta = await draft(archive, slot, BIG[: 8 * PIECE])
    await archive.reports.publish(slot, meta)
    assert await whole(archive, meta.id) == BIG[: 8 * PIECE]
    assert {"GET", "PUT"} <= {kind.split()[0] for kind in failed}


async def test_reading_says_what_is_wrong_and_goes_on_afterwards(
    impatient: None, archive: Archive, way: Gate, publish: Publish
) -> None:
    meta = await publish(body=b"<p>there</p>")
    for answer, kind in (("hang", ArchiveUnavailable), (refusal("403 Forbidden", "AccessDenied"), ArchiveReadOnly)):
        way.rule = lambda method, target, answer=answer: answer
        with pytest.raises(kind):
            await anext(archive.reports.part(meta.id, "html"))
    way.rule = lambda method, target: None
    assert await whole(archive, meta.id) == b"<p>there</p>"


async def test_without_the_store_a_deleted_report_is_hidden_at_once_and_gone_when_it_is_back(
    impatient: None, archive: Archive, way: Gate, publish: Publish
) -> None:
    metas = [await publish(hours) for hours in range(3)]
    way.rule = lambda method, target: refusal("503 Slow Down", "SlowDown")
    await archive.reports.delete(metas[0].id)
    with pytest.raises(NotFound):
        await archive.reports.get(metas[0].id)
    gone = await archive.reports.prune(0, LONG_AGO)
    assert len(gone) == 1, "one is tried, the others stay until the store answers"
    assert await archive.reports.sweep(LONG_AGO) == 0
    assert await archive.reports.sweep_orphans() == 0
    way.rule = lambda method, target: None
    assert await archive.reports.sweep(LONG_AGO) == 2
    assert len(await stored_keys(archive)) == 1
    assert await archive.reports.sweep_orphans() == 0


async def test_a_writer_waits_for_a_slow_store_and_keeps_no_more_than_its_chunks(
    archive: Archive, way: Gate, lease: Lease
) -> None:
    """While the store does not take the first chunk, at most two and a few pieces are taken from the renderer."""
    opened, taken = asyncio.Event(), 0
    forward = way._forward

    async def slow(head: bytes, body: bytes) -> bytes:
        if b"partNumber" in head.partition(b"\r\n")[0]:
            await opened.wait()
        return await forward(head, body)

    way._forward = slow  # type: ignore[method-assign]
    slot = await lease()
    id = await archive.reports.draft(slot, ("vi",), slot.due)

    async def write() -> None:
        nonlocal taken
        async with archive.reports.writer(id, 1, "html") as part:
            for start in range(0, len(BIG) * 3, PIECE):
                at = start % (len(BIG) - PIECE)
                await part.write(BIG[at : at + PIECE])
                taken = start

    writing = asyncio.create_task(write())
    seen = -1
    while seen != taken or taken < CHUNK:  # until nothing moves any more
        seen = taken
        await asyncio.sleep(0.3)
    assert taken <= 2 * CHUNK + 16 * PIECE
    opened.set()
    await writing

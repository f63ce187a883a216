"""What the tests of bodies outside of the database share."""

from __future__ import annotations

import gzip
import random
import urllib.request
from datetime import UTC, datetime
from typing import Any

import obstore
from pydantic import SecretStr

from evertick.archive import Archive
from evertick.archive.objects import CHUNK
from evertick.model import PartMeta, ReportMeta, Slot

BIG = random.Random(7).randbytes(2 * CHUNK + 300_000)
"""Gzip makes it no smaller: a part of three chunks."""
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def keys(endpoint: str) -> dict[str, Any]:
    return {"endpoint": endpoint, "access_key_id": SecretStr("THE-KEY"), "secret_access_key": SecretStr("THE-SECRET")}


async def draft(archive: Archive, slot: Slot, *bodies: bytes) -> ReportMeta:
    """Everything of a report but its publication."""
    store = archive.reports
    id = await store.draft(slot, ("vi",), slot.due)
    parts: list[PartMeta] = []
    for number, body in enumerate(bodies):
        async with store.writer(id, slot.token, f"html_{number}" if number else "html", language="vi") as part:
            for start in range(0, len(body), 100_000):
                await part.write(body[start : start + 100_000])
        parts.append(part.meta)
    return ReportMeta(
        id=id, desk="default", slot=slot.id, created=slot.due, as_of=slot.due, languages=("vi",), parts=tuple(parts),
        headline={}, instruments=1, duration_s=0.1, stages_s={},
    )  # fmt: skip


async def outside(archive: Archive) -> Any:
    location = await archive.places.new()
    assert location is not None
    return archive.places.outside(location)


async def stored_keys(archive: Archive) -> list[str]:
    store = (await outside(archive))._store
    return sorted([one["path"] async for some in obstore.list(store) for one in some])


async def whole(archive: Archive, id: str, part: str = "html") -> bytes:
    return gzip.decompress(b"".join([piece async for piece in archive.reports.part(id, part)]))


def uploads(endpoint: str, bucket: str) -> int:
    """Those that were begun and neither completed nor aborted."""
    with urllib.request.urlopen(f"{endpoint}/{bucket}?uploads", timeout=20) as answer:
        return answer.read().count(b"<UploadId>")

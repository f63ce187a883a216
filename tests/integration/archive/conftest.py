"""One suite over SQLite and PostgreSQL: every test of this folder that asks for `url` or `archive` runs over both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, update

from evertick.archive import Archive, open_archive
from evertick.archive.migrate import upgrade
from evertick.archive.tables import slots
from evertick.model import ReportMeta, Slot, SlotState, slot_id

START = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)

Lease = Callable[..., Awaitable[Slot]]
Publish = Callable[..., Awaitable[ReportMeta]]


class SetClock:
    """Stands where it is put."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_database")
    upgrade(found)
    return found


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def archive(url: str, clock: SetClock) -> AsyncIterator[Archive]:
    async with open_archive(url, clock) as archive:
        yield archive
        assert archive.connections() == 0, "connections left checked out"


@pytest.fixture
def lease(archive: Archive) -> Lease:
    """Give out the slot due at ``START + hours`` (one job each, as no job overlaps itself), as a worker holds it."""

    async def lease(hours: int = 0, token: int = 1, desk: str = "default") -> Slot:
        due, job = START + timedelta(hours=hours), f"report{hours}"
        slot = Slot(slot_id(desk, job, due), desk, job, due, SlotState.LEASED, token=token, owner="me")
        async with archive.engine.begin() as connection:
            if token == 1:
                await connection.execute(
                    insert(slots).values(
                        id=slot.id, desk=desk, job=slot.job, due=due, state="leased", trigger="schedule", params={},
                        token=1, owner="me",
                    )
                )  # fmt: skip
            await connection.execute(update(slots).where(slots.c.id == slot.id).values(token=token, state="leased"))
        return slot

    return lease


@pytest.fixture
def publish(archive: Archive, lease: Lease) -> Publish:
    """Make and publish a small report of the slot due at ``START + hours``."""

    async def publish(hours: int = 0, body: bytes = b"<p>report</p>", desk: str = "default") -> ReportMeta:
        slot = await lease(hours, desk=desk)
        store = archive.reports
        id = await store.draft(slot, ("vi",), slot.due)
        css = await store.asset("css", b"body{}")
        async with store.writer(id, slot.token, "html", language="vi") as part:
            await part.write(body)
        meta = ReportMeta(
            id=id, desk=desk, slot=slot.id, created=slot.due, as_of=slot.due, languages=("vi",),
            parts=(part.meta, css.part("css", "vi")), headline={"vi": "Yên ắng"}, instruments=1, duration_s=0.1,
            stages_s={"render": 0.1},
        )  # fmt: skip
        await store.publish(slot, meta)
        async with archive.engine.begin() as connection:
            await connection.execute(update(slots).where(slots.c.id == slot.id).values(state="done"))
        return meta

    return publish

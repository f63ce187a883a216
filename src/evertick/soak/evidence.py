"""What the archive holds, as the checks of a soak want it: read past the server, by plain SQL, while it runs or is down."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, or_, select, text
from sqlalchemy.exc import DatabaseError

from evertick.archive.database import is_sqlite, sync_engine
from evertick.archive.tables import assets, receipts, report_parts, reports, schedules, slots

if TYPE_CHECKING:
    from sqlalchemy import Connection


class SlotRow(NamedTuple):
    id: str
    desk: str
    job: str
    due: datetime
    state: str
    trigger: str
    token: int
    lease_until: datetime | None
    not_before: datetime | None
    coalesced: int
    error: str | None


class ScheduleRow(NamedTuple):
    desk: str
    job: str
    spec: str
    next_due: datetime


class PartRow(NamedTuple):
    """A part as the report's metadata promises it (``stored``, ``sha256``) and as it is stored."""

    part: str
    stored: int
    sha256: str
    found: int
    found_sha256: str
    unbroken: bool
    """Its pieces are numbered 0, 1, 2 … without a gap."""


@dataclass(frozen=True)
class ReportRow:
    id: str
    slot: str
    token: int
    pinned: bool
    created: datetime
    parts: Sequence[PartRow] | None
    """``None``: not looked at, its bytes were found right before."""
    unreadable: str = ""
    """Why its metadata cannot be read."""


@dataclass(frozen=True)
class Evidence:
    slots: Sequence[SlotRow]
    """Oldest due first."""
    schedules: Sequence[ScheduleRow]
    reports: Sequence[ReportRow]
    """Published."""
    drafts: Mapping[str, datetime]
    """Id to when it was begun."""
    stray: Collection[str] = ()
    """Ids that pieces name and no report has."""
    ran_to_end: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Job and slot to the number of receipts that say ``ok``."""
    damage: Sequence[str] = ()
    """What the database says of itself (SQLite's quick check); the rest is empty then."""


def read(url: str, *, since: datetime | None = None, sound: Collection[str] = ()) -> Evidence:
    """Blocking. ``since`` leaves out older slots and receipts, ``sound`` the bytes of these reports."""
    engine = sync_engine(url)
    try:
        with engine.connect() as connection:
            if damage := _damage(connection, url):
                return Evidence((), (), (), {}, damage=damage)  # whatever else is read there may be anything
            return Evidence(
                slots=_slots(connection, since),
                schedules=[ScheduleRow(*row) for row in connection.execute(
                    select(schedules.c.desk, schedules.c.job, schedules.c.spec, schedules.c.next_due))],
                reports=[*_reports(connection, sound)],
                drafts={row.id: row.created for row in connection.execute(
                    select(reports.c.id, reports.c.created).where(reports.c.state == "draft"))},
                stray=[*connection.scalars(
                    select(report_parts.c.report).distinct().where(report_parts.c.report.not_in(select(reports.c.id))))],
                ran_to_end=_ran(connection, since),
            )  # fmt: skip
    finally:
        engine.dispose()


class Watcher:
    """Looks at the ledger many times a second. Blocking, each look for less than a millisecond."""

    def __init__(self, url: str) -> None:
        self._engine = sync_engine(url)
        self._connection: Connection | None = None

    def __enter__(self) -> Watcher:
        self._connection = self._engine.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()

    def state_of(self, job: str) -> str | None:
        """``draft`` while a leased slot of the job has stored pieces of a report, else ``leased`` while it has a lease."""
        held = select(slots.c.id, slots.c.token).where(slots.c.job == job, slots.c.state == "leased")
        found = self._first(held)
        if found is None:
            return None
        begun = (
            select(reports.c.id)
            .join(report_parts, report_parts.c.report == reports.c.id)
            .where(reports.c.slot == found.id, reports.c.token == found.token, reports.c.state == "draft")
            .limit(1)
        )
        return "draft" if self._first(begun) is not None else "leased"

    def held(self, job: str) -> str | None:
        """The slot of the job that is leased, and its token."""
        found = self._first(select(slots.c.id, slots.c.token).where(slots.c.job == job, slots.c.state == "leased"))
        return None if found is None else f"{found.id} (token {found.token})"

    def waiting(self, now: datetime) -> list[str]:
        """Slots that are leased, or are due by ``now`` or for another try."""
        open_ = or_(
            slots.c.state == "leased", (slots.c.state == "due") & ((slots.c.due <= now) | (slots.c.attempts > 0))
        )
        connection = self._connection
        assert connection is not None
        with connection.begin():
            return [*connection.scalars(select(slots.c.id).where(open_).order_by(slots.c.due))]

    def _first(self, query: Any) -> Any:
        connection = self._connection
        assert connection is not None
        with connection.begin():
            return connection.execute(query).first()


def _slots(connection: Connection, since: datetime | None) -> list[SlotRow]:
    query = select(*(slots.c[name] for name in SlotRow._fields)).order_by(slots.c.due, slots.c.id)
    if since is not None:
        query = query.where(slots.c.due >= since)
    return [SlotRow(*row) for row in connection.execute(query)]


def _ran(connection: Connection, since: datetime | None) -> dict[tuple[str, str], int]:
    query = (
        select(receipts.c.job, receipts.c.slot, func.count().label("times"))
        .where(receipts.c.outcome == "ok", receipts.c.slot.is_not(None))
        .group_by(receipts.c.job, receipts.c.slot)
    )
    if since is not None:
        query = query.where(receipts.c.started >= since)
    return {(row.job, row.slot): row.times for row in connection.execute(query)}


def _reports(connection: Connection, sound: Collection[str]) -> Iterator[ReportRow]:
    columns = (reports.c.id, reports.c.slot, reports.c.token, reports.c.pinned, reports.c.created, reports.c.meta)
    rows = connection.execute(select(*columns).where(reports.c.state == "published").order_by(reports.c.created)).all()
    for row in rows:
        parts: list[PartRow] | None = None
        unreadable = ""
        if row.id not in sound:
            try:
                parts = [_part(connection, row.id, row.token, part) for part in _promised(row.meta)]
            except (KeyError, TypeError) as error:
                unreadable = f"{type(error).__name__}: {error}"
        yield ReportRow(row.id, row.slot, row.token, row.pinned, row.created, parts, unreadable)


def _promised(meta: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*meta["parts"], *([meta["facts"]] if meta.get("facts") else [])]


def _part(connection: Connection, report: str, token: int, part: Mapping[str, Any]) -> PartRow:
    digest, size, unbroken = sha256(), 0, True
    if part["asset"] is not None:
        body = connection.scalar(select(assets.c.body).where(assets.c.hash == part["asset"])) or b""
        digest.update(body)
        size = len(body)
    else:
        pieces = (
            select(report_parts.c.seq, report_parts.c.body)
            .where(report_parts.c.report == report, report_parts.c.token == token, report_parts.c.part == part["part"])
            .order_by(report_parts.c.seq)
        )
        for expected, row in enumerate(connection.execute(pieces)):
            unbroken = unbroken and row.seq == expected
            digest.update(row.body)
            size += len(row.body)
    return PartRow(part["part"], part["stored"], part["sha256"], size, digest.hexdigest(), unbroken)


def _damage(connection: Connection, url: str) -> list[str]:
    if not is_sqlite(url):
        return []
    try:
        return [line for line in connection.scalars(text("PRAGMA quick_check(5)")) if line != "ok"]
    except DatabaseError as error:
        return [str(error.orig)]

"""The tables, for SQLite and PostgreSQL alike. Alembic's migrations make them; nothing is created at import.

Times are stored as integers, microseconds since 1970-01-01 UTC: exact, sortable and the same in both databases.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime as microseconds since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_id = String(96)

slots = Table(
    "slots",
    metadata,
    Column("id", _id, primary_key=True),
    Column("desk", String(32), nullable=False),
    Column("job", String(32), nullable=False),
    Column("due", Instant, nullable=False),
    Column("state", String(8), nullable=False),
    Column("trigger", String(8), nullable=False),
    Column("params", JSON, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("token", Integer, nullable=False, server_default="0"),
    Column("owner", String(96)),
    Column("lease_until", Instant),
    Column("not_before", Instant),
    Column("started", Instant),
    Column("finished", Instant),
    Column("coalesced", Integer, nullable=False, server_default="0"),
    Column("progress", JSON),
    Column("result", JSON),
    Column("error", Text),
    UniqueConstraint("desk", "job", "due"),
    Index("ix_slots_due", "due"),
)


def whole_metadata() -> MetaData:
    """With the indexes of a part of a table, for Alembic.

    A server has no use for their declarations, and they load the dialects of both databases: 2 MB for one that has SQLite.
    """
    if not any(index.name == "uq_slots_one_lease" for index in slots.indexes):
        # Claims look here once a second: the many slots that ended are not in it, whatever the planner believes of them.
        _partial("ix_slots_state_due", "state", "due", where="state IN ('due', 'leased')")
        # No job overlaps itself, whoever claims: at most one leased slot for a job of a desk.
        _partial("uq_slots_one_lease", "desk", "job", where="state = 'leased'", unique=True)
    return metadata


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> None:
    Index(
        name,
        *(slots.c[column] for column in columns),
        unique=unique,
        sqlite_where=text(where),
        postgresql_where=text(where),
    )


schedules = Table(
    "schedules",
    metadata,
    Column("desk", String(32), primary_key=True),
    Column("job", String(32), primary_key=True),
    Column("spec", String(200), nullable=False),
    Column("anchor", Instant, nullable=False),  # the last due time handed out, or when the schedule began
    Column("next_due", Instant, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("desk", String(32), nullable=False),
    Column("slot", _id, nullable=False),
    Column("token", Integer, nullable=False),
    Column("state", String(9), nullable=False),  # draft | published
    Column("created", Instant, nullable=False),
    Column("published", Instant),
    Column("pinned", Boolean, nullable=False, server_default=text("false")),
    Column("size", BigInteger, nullable=False, server_default="0"),
    Column("stored", BigInteger, nullable=False, server_default="0"),
    Column("meta", JSON),  # ReportMeta, written by the update that publishes
    Column("bodies", String(400)),  # where its parts are: a `body_places.location`; NULL: in report_parts
    Index("ix_reports_state_created", "state", "created", "id"),
    Index("ix_reports_desk_state_created", "desk", "state", "created", "id"),
)

report_parts = Table(
    "report_parts",
    metadata,
    Column("report", String(64), ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True),
    Column("token", Integer, primary_key=True),  # two runs of one slot never mix their rows
    Column("part", String(32), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),  # a piece of one gzip stream, about 64 KB
)

body_places = Table(
    "body_places",
    metadata,
    Column("base", String(300), primary_key=True),  # ARCHIVE__BODIES as it was set
    Column("location", String(400), nullable=False),  # the folder of this database below it
    Column("since", Instant, nullable=False),
    Column("swept", Instant),  # when it was last looked through for objects that no report names
)

assets = Table(
    "assets",
    metadata,
    Column("hash", String(64), primary_key=True),  # sha256 of the stored gzip bytes
    Column("kind", String(8), nullable=False),  # css | js
    Column("size", BigInteger, nullable=False),
    Column("created", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

bars = Table(
    "bars",
    metadata,
    Column("instrument", String(32), primary_key=True),
    Column("year", Integer, primary_key=True),
    Column("updated", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),  # packed columns, see archive/bars.py
)

bar_series = Table(
    "bar_series",
    metadata,
    Column("instrument", String(32), primary_key=True),
    Column("source", String(32)),  # of the newest bars; NULL: not known
    Column("since", Integer),  # proleptic ordinal of the first day that was asked for; NULL: not known
    Column("checked", Instant, nullable=False),  # when a source last answered, with bars or without
)

quote_log = Table(
    "quote_log",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),  # when the refresh ended
    Column("body", LargeBinary, nullable=False),  # its new quotes, see archive/quote_packing.py
)

quotes = Table(
    "quotes",
    metadata,
    Column("day", Integer, primary_key=True),  # proleptic ordinal, UTC; first, so that old days lie together
    Column("instrument", String(32), primary_key=True),
    Column("body", LargeBinary, nullable=False),  # packed columns, see archive/quote_packing.py
)

source_usage = Table(
    "source_usage",
    metadata,
    Column("source", String(32), primary_key=True),
    Column("day", Integer, primary_key=True),  # proleptic ordinal, UTC
    Column("requests", Integer, nullable=False),
)

receipts = Table(
    "receipts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("job", String(32), nullable=False),
    Column("component", String(16), nullable=False),
    Column("slot", _id),
    Column("started", Instant, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("heap_before", BigInteger),
    Column("heap_after", BigInteger),
    Column("blocks_before", BigInteger, nullable=False),
    Column("blocks_after", BigInteger, nullable=False),
    Column("rss_before", BigInteger),
    Column("rss_after", BigInteger),
    Column("peak_rss", BigInteger),
    Column("freed", BigInteger),
    Column("fds_delta", Integer),
    Column("tasks_delta", Integer, nullable=False),
    Column("connections_delta", Integer),
    Column("overlapped", Boolean, nullable=False),
    Column("release_s", Float, nullable=False),
    Column("pid", Integer, nullable=False),
    Index("ix_receipts_started", "started"),
    Index("ix_receipts_job_started", "job", "started"),
)

memory_samples = Table(
    "memory_samples",
    metadata,
    Column("step_s", Integer, primary_key=True),  # 10 for an hour, 60 for a day, 600 for 90 days
    Column("at", Instant, primary_key=True),
    Column("process", String(96), primary_key=True),
    Column("rss", BigInteger),
    Column("rss_max", BigInteger),
    Column("heap", BigInteger),
    Column("blocks", BigInteger, nullable=False),
    Column("fds", Integer),
    Column("sockets", Integer),
    Column("threads", Integer, nullable=False),
    Column("tasks", Integer, nullable=False),
    Column("connections", Integer),
    Column("pss", BigInteger),
    Column("uss", BigInteger),
    Column("budget", BigInteger, nullable=False),
)

web_receipts = Table(
    "web_receipts",
    metadata,
    Column("minute", Instant, primary_key=True),
    Column("process", String(96), primary_key=True),
    Column("route", String(96), primary_key=True),
    Column("requests", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("cancelled", Integer, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("longest_s", Float, nullable=False),
    Column("alone", Integer, nullable=False),
    Column("retained", BigInteger),
    Column("rss_max", BigInteger),
    Column("open", Integer, nullable=False),
    Column("fds", Integer),
    Column("tasks", Integer, nullable=False),
    Column("connections", Integer),
)

diagnoses = Table(
    "diagnoses",
    metadata,
    Column("at", Instant, primary_key=True),
    Column("process", String(96), primary_key=True),
    Column("body", JSON, nullable=False),
)

"""The first tables: slots, schedules, reports and their parts, assets, bars, receipts.

Written out, not taken from `evertick.archive.tables`: a migration stays what it was when the tables move on.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

instant = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "slots",
        sa.Column("id", sa.String(96), nullable=False),
        sa.Column("desk", sa.String(32), nullable=False),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("due", instant, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("trigger", sa.String(8), nullable=False),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("token", sa.Integer, nullable=False, server_default="0"),
        sa.Column("owner", sa.String(96)),
        sa.Column("lease_until", instant),
        sa.Column("not_before", instant),
        sa.Column("started", instant),
        sa.Column("finished", instant),
        sa.Column("coalesced", sa.Integer, nullable=False, server_default="0"),
        sa.Column("progress", sa.JSON),
        sa.Column("result", sa.JSON),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_slots"),
        sa.UniqueConstraint("desk", "job", "due", name="uq_slots_desk_job_due"),
    )
    op.create_index(
        "ix_slots_state_due",
        "slots",
        ["state", "due"],
        sqlite_where=sa.text("state IN ('due', 'leased')"),
        postgresql_where=sa.text("state IN ('due', 'leased')"),
    )
    op.create_index("ix_slots_due", "slots", ["due"])
    op.create_index(
        "uq_slots_one_lease",
        "slots",
        ["desk", "job"],
        unique=True,
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_table(
        "schedules",
        sa.Column("desk", sa.String(32), nullable=False),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("spec", sa.String(200), nullable=False),
        sa.Column("anchor", instant, nullable=False),
        sa.Column("next_due", instant, nullable=False),
        sa.PrimaryKeyConstraint("desk", "job", name="pk_schedules"),
    )
    op.create_table(
        "reports",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("desk", sa.String(32), nullable=False),
        sa.Column("slot", sa.String(96), nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("created", instant, nullable=False),
        sa.Column("published", instant),
        sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("size", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("stored", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("meta", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
    )
    op.create_index("ix_reports_state_created", "reports", ["state", "created", "id"])
    op.create_table(
        "report_parts",
        sa.Column("report", sa.String(64), nullable=False),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("part", sa.String(32), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("report", "token", "part", "seq", name="pk_report_parts"),
        sa.ForeignKeyConstraint(["report"], ["reports.id"], name="fk_report_parts_report", ondelete="CASCADE"),
    )
    op.create_table(
        "assets",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created", instant, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_assets"),
    )
    op.create_table(
        "bars",
        sa.Column("instrument", sa.String(32), nullable=False),
        sa.Column("year", sa.Integer, nullable=False),
        sa.Column("updated", instant, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("instrument", "year", name="pk_bars"),
    )
    op.create_table(
        "receipts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False, autoincrement=True),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("component", sa.String(16), nullable=False),
        sa.Column("slot", sa.String(96)),
        sa.Column("started", instant, nullable=False),
        sa.Column("duration_s", sa.Float, nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("heap_before", sa.BigInteger),
        sa.Column("heap_after", sa.BigInteger),
        sa.Column("blocks_before", sa.BigInteger, nullable=False),
        sa.Column("blocks_after", sa.BigInteger, nullable=False),
        sa.Column("rss_before", sa.BigInteger),
        sa.Column("rss_after", sa.BigInteger),
        sa.Column("peak_rss", sa.BigInteger),
        sa.Column("freed", sa.BigInteger),
        sa.Column("fds_delta", sa.Integer),
        sa.Column("tasks_delta", sa.Integer, nullable=False),
        sa.Column("connections_delta", sa.Integer),
        sa.Column("overlapped", sa.Boolean, nullable=False),
        sa.Column("release_s", sa.Float, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_receipts"),
    )
    op.create_index("ix_receipts_started", "receipts", ["started"])
    op.create_index("ix_receipts_job_started", "receipts", ["job", "started"])
    if op.get_bind().dialect.name == "postgresql":
        # What is stored there is compressed already: no second try for every row.
        for table in ("report_parts", "assets", "bars"):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN body SET STORAGE EXTERNAL")


def downgrade() -> None:
    for table in ("receipts", "bars", "assets", "report_parts", "reports", "schedules", "slots"):
        op.drop_table(table)

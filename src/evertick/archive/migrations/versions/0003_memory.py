"""Memory over time: samples of every process, receipts of its web requests by minute, and what diagnoses found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

instant = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "memory_samples",
        sa.Column("step_s", sa.Integer, nullable=False),
        sa.Column("at", instant, nullable=False),
        sa.Column("process", sa.String(96), nullable=False),
        sa.Column("rss", sa.BigInteger),
        sa.Column("rss_max", sa.BigInteger),
        sa.Column("heap", sa.BigInteger),
        sa.Column("blocks", sa.BigInteger, nullable=False),
        sa.Column("fds", sa.Integer),
        sa.Column("sockets", sa.Integer),
        sa.Column("threads", sa.Integer, nullable=False),
        sa.Column("tasks", sa.Integer, nullable=False),
        sa.Column("connections", sa.Integer),
        sa.Column("pss", sa.BigInteger),
        sa.Column("uss", sa.BigInteger),
        sa.Column("budget", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("step_s", "at", "process", name="pk_memory_samples"),
    )
    op.create_table(
        "web_receipts",
        sa.Column("minute", instant, nullable=False),
        sa.Column("process", sa.String(96), nullable=False),
        sa.Column("route", sa.String(96), nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("cancelled", sa.Integer, nullable=False),
        sa.Column("duration_s", sa.Float, nullable=False),
        sa.Column("longest_s", sa.Float, nullable=False),
        sa.Column("alone", sa.Integer, nullable=False),
        sa.Column("retained", sa.BigInteger),
        sa.Column("rss_max", sa.BigInteger),
        sa.Column("open", sa.Integer, nullable=False),
        sa.Column("fds", sa.Integer),
        sa.Column("tasks", sa.Integer, nullable=False),
        sa.Column("connections", sa.Integer),
        sa.PrimaryKeyConstraint("minute", "process", "route", name="pk_web_receipts"),
    )
    op.create_table(
        "diagnoses",
        sa.Column("at", instant, nullable=False),
        sa.Column("process", sa.String(96), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("at", "process", name="pk_diagnoses"),
    )


def downgrade() -> None:
    for table in ("diagnoses", "web_receipts", "memory_samples"):
        op.drop_table(table)

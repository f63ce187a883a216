"""History: the quotes of every refresh, what is known of each series of bars, and the requests a source was sent a day.

Bars that are there stay as they are; that they were looked at when they were last saved is carried over.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

instant = sa.BigInteger


def upgrade() -> None:
    op.create_table(
        "bar_series",
        sa.Column("instrument", sa.String(32), nullable=False),
        sa.Column("source", sa.String(32)),
        sa.Column("since", sa.Integer),
        sa.Column("checked", instant, nullable=False),
        sa.PrimaryKeyConstraint("instrument", name="pk_bar_series"),
    )
    op.create_table(
        "quote_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False, autoincrement=True),
        sa.Column("at", instant, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quote_log"),
    )
    op.create_table(
        "quotes",
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("instrument", sa.String(32), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("day", "instrument", name="pk_quotes"),
    )
    op.create_table(
        "source_usage",
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("source", "day", name="pk_source_usage"),
    )
    op.execute(
        "INSERT INTO bar_series (instrument, checked) SELECT instrument, max(updated) FROM bars GROUP BY instrument"
    )
    if op.get_bind().dialect.name == "postgresql":
        # What is stored there is compressed already: no second try for every row.
        for table in ("quote_log", "quotes"):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN body SET STORAGE EXTERNAL")


def downgrade() -> None:
    for table in ("source_usage", "quotes", "quote_log", "bar_series"):
        op.drop_table(table)

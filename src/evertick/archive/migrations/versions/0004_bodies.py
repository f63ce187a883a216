"""Where the parts of a report are, when not in the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "body_places",
        sa.Column("base", sa.String(300), nullable=False),
        sa.Column("location", sa.String(400), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("swept", sa.BigInteger),
        sa.PrimaryKeyConstraint("base", name="pk_body_places"),
    )
    op.add_column("reports", sa.Column("bodies", sa.String(400)))


def downgrade() -> None:
    """Reports whose parts are elsewhere would have none for the older version: they go, their objects stay."""
    op.execute("DELETE FROM reports WHERE bodies IS NOT NULL")
    op.drop_column("reports", "bodies")  # not by copying the table: its parts would go with the old one
    op.drop_table("body_places")

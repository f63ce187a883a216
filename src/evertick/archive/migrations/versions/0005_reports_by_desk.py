"""The newest reports of one desk are found without passing by those of all others."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_reports_desk_state_created", "reports", ["desk", "state", "created", "id"])


def downgrade() -> None:
    op.drop_index("ix_reports_desk_state_created", "reports")

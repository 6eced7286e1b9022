"""Annotations that were told, repetitions that are due"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _add("checks", sa.Column("told_annotations", sa.BigInteger(), nullable=False, server_default="0"))
    _add("attempts", sa.Column("retry", sa.BigInteger(), nullable=False, server_default="0"))
    _add("attempts", sa.Column("retry_at", sa.BigInteger(), nullable=True))
    op.create_index("attempts_by_retry", "attempts", ["retry_at"])
    # A roll-up of an earlier version was made with all its annotations.
    op.execute("UPDATE checks SET told_annotations = 50 WHERE github_id IS NOT NULL AND kind = 'rollup'")


def _add(table: str, column: sa.Column[object]) -> None:
    op.add_column(table, column)

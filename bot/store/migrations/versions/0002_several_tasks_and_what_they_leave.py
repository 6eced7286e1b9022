"""Several tasks, trials, models and secrets"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Columns are only added here: SQLite does that in place, without a copy of the table.
    _add("experiments", sa.Column("reports_each", sa.Boolean(), nullable=False, server_default=sa.false()))
    _add("attempts", _text("progress"))
    _add("attempts", sa.Column("facts", sa.JSON(), nullable=False, server_default="{}"))
    _add("attempts", sa.Column("kept_at", sa.BigInteger(), nullable=True))
    _add("attempts", sa.Column("archive", sa.Text(), nullable=True))
    _add("attempts", sa.Column("removed_at", sa.BigInteger(), nullable=True))
    op.create_index("attempts_by_keeping", "attempts", ["kept_at"])
    _add("tasks", sa.Column("peak_memory_mb", sa.BigInteger(), nullable=True))
    _add("tasks", _text("reason"))
    _add("tasks", _text("log_tail"))
    op.create_table(
        "trials",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("attempt_id", _ID, sa.ForeignKey("attempts.id"), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("steps", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.UniqueConstraint("attempt_id", "number"),
    )
    op.create_table(
        "models",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("public_id", sa.String(length=16), nullable=False, unique=True),
        sa.Column("attempt_id", _ID, sa.ForeignKey("attempts.id"), nullable=False, unique=True),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "secrets",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("scope", sa.String(length=140), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("scope", "name"),
    )


def _add(table: str, column: sa.Column[object]) -> None:
    op.add_column(table, column)


def _text(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), nullable=False, server_default="")

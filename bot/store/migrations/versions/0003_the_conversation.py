"""Requests, demands of base branches, comparisons, installations, annotations that were told, repetitions"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Columns are only added here: SQLite does that in place, without a copy of the table.
    _add("deliveries", _name("origin", 16, "webhook"))
    _add("repositories", sa.Column("closed", sa.String(length=32), nullable=True))
    _add("repositories", _json("policy", "{}"))
    _add("repositories", _number("seen_at"))
    _add("repositories", _number("scanned_at"))
    _add("repositories", sa.Column("knows_branches", sa.Boolean(), nullable=False, server_default=sa.false()))
    _add("commits", sa.Column("held", sa.JSON(), nullable=True))
    _add("commits", _number("looked_at"))
    _add("checks", _number("healed"))
    _add("checks", _number("told_annotations"))
    # A roll-up of an earlier version was made with all its annotations.
    op.execute("UPDATE checks SET told_annotations = 50 WHERE github_id IS NOT NULL AND kind = 'rollup'")
    _add("comments", _number("looked_at"))
    _add("comments", _number("healed"))
    _add("pulls", sa.Column("base_branch", sa.Text(), nullable=False, server_default=""))
    _add("pulls", _name("author", 110, ""))
    for flag in ("is_fork", "is_draft"):
        _add("pulls", sa.Column(flag, sa.Boolean(), nullable=False, server_default=sa.false()))
    _add("pulls", _number("news"))
    _add("runs", sa.Column("concurrency", sa.JSON(), nullable=True))
    _add("run_triggers", _name("author", 110, ""))
    _add("run_triggers", sa.Column("ended_at", sa.BigInteger(), nullable=True))
    _add("attempts", _name("author", 110, ""))
    _add("attempts", _name("cancelled_by", 110, ""))
    _add("attempts", _name("cause", 16, "event"))
    _add("attempts", _json("settings", "{}"))
    _add("attempts", _number("retry"))
    _add("attempts", sa.Column("retry_at", sa.BigInteger(), nullable=True))
    op.create_index("attempts_by_retry", "attempts", ["retry_at"])
    op.create_index("checks_by_end", "checks", ["told_final"])
    op.create_index("checks_by_telling", "checks", ["told_at"])
    op.create_index("run_triggers_by_ref", "run_triggers", ["ref"])
    _new_tables_of_repositories()
    _new_tables_of_commits()


def _new_tables_of_repositories() -> None:
    op.create_table(
        "installations",
        _id(),
        sa.Column("github_id", sa.BigInteger(), nullable=False, unique=True),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("suspended_at", sa.BigInteger(), nullable=True),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "heads",
        _id(),
        _of("repository_id", "repositories"),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("sha", sa.String(length=40), nullable=True),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("repository_id", "ref"),
    )
    op.create_table(
        "requests",
        _id(),
        sa.Column("key", sa.String(length=120), nullable=False),
        _of("repository_id", "repositories"),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("sha", sa.String(length=40), nullable=False),
        sa.Column("verb", sa.String(length=16), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("sender", sa.String(length=110), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("check_id", sa.BigInteger(), nullable=True),
        sa.Column("comment_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("reaction", sa.String(length=16), nullable=True),
        sa.Column("reacted_at", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.UniqueConstraint("key"),
    )
    op.create_index("requests_by_state", "requests", ["state"])
    op.create_index("requests_by_place", "requests", ["repository_id", "number"])
    op.create_index("requests_by_reaction", "requests", ["reaction", "reacted_at"])
    op.create_table(
        "missing_deliveries",
        _id(),
        sa.Column("guid", sa.String(length=64), nullable=False),
        sa.Column("github_id", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.Text(), nullable=True),
        sa.UniqueConstraint("guid"),
    )
    op.create_table(
        "marks",
        sa.Column("name", sa.String(length=64), primary_key=True),
        sa.Column("value", sa.JSON(), nullable=False),
    )


def _new_tables_of_commits() -> None:
    op.create_table(
        "demands",
        _id(),
        _of("commit_id", "commits"),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("base_branch", sa.Text(), nullable=False),
        sa.Column("base_sha", sa.String(length=40), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.UniqueConstraint("commit_id", "number", "base_branch"),
    )
    op.create_table(
        "comparisons",
        _id(),
        _of("commit_id", "commits"),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("how", sa.String(length=16), nullable=False),
        sa.Column("reference_id", _ID, sa.ForeignKey("commits.id"), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("basis", sa.String(length=64), nullable=False),
        sa.Column("picture", sa.String(length=64), nullable=True),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("commit_id", "label"),
    )


def _id() -> sa.Column[int]:
    return sa.Column("id", _ID, primary_key=True, autoincrement=True)


def _of(name: str, table: str) -> sa.Column[int]:
    return sa.Column(name, _ID, sa.ForeignKey(f"{table}.id"), nullable=False)


def _add(table: str, column: sa.Column[object]) -> None:
    op.add_column(table, column)


def _number(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def _name(name: str, length: int, default: str) -> sa.Column[object]:
    return sa.Column(name, sa.String(length=length), nullable=False, server_default=default)


def _json(name: str, default: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False, server_default=default)

"""Commits beside other commits: which are to be compared, and what came of it."""

from collections.abc import Sequence

from sqlalchemy import select

from bot.store import commits
from bot.store.database import Transaction
from bot.store.schema import Commit, Comparison

BASE, NEWEST, ASKED = "merge base", "newest", "asked"
"""How a reference is found: it is where the branches part, or else the newest that finished there, or was named."""


def compare_with(tx: Transaction, commit: Commit, label: str, reference: Commit | None, now: int) -> str:
    """Have a commit compared with another, which is called `label`; None: with what is found on that branch.

    Returns the answer for whoever asked.
    """
    row = tx.scalar(select(Comparison).where(Comparison.commit_id == commit.id, Comparison.label == label))
    if row is None:
        row = Comparison(commit_id=commit.id, label=label, how=BASE, reference_id=None)
        tx.add(row)
    if reference is not None:
        row.how, row.reference_id = ASKED, reference.id
    row.basis, row.reason, row.made_at = "", "", now
    tx.flush()
    commits.touch(tx, commit.id)
    return f"the figures stand beside those of `{label}`"


def of_commit(tx: Transaction, commit_id: int) -> Sequence[Comparison]:
    """Return the comparisons of a commit, that with its base first."""
    rows = tx.scalars(select(Comparison).where(Comparison.commit_id == commit_id).order_by(Comparison.id)).all()
    return sorted(rows, key=lambda row: row.how == ASKED)

"""Why a commit is built: everything that asked for it, and whether it still does."""

from dataclasses import dataclass

from sqlalchemy import select

from bot.store.database import Transaction
from bot.store.schema import Commit, Pull, PullHead, Repository, Run, RunTrigger


@dataclass(frozen=True)
class Asking:
    """One reason. `ref` is what was pushed, or the base of pull request `number`.

    `is_wanted`: the reason still holds. What follows is the pull request's own, as its newest event told it.
    """

    event: str
    ref: str
    number: int = 0
    author: str = ""
    is_wanted: bool = True
    updated_at: str = ""
    is_fork: bool = False
    is_draft: bool = False


def reasons(tx: Transaction, commit: Commit, repository: Repository) -> list[Asking]:
    """Return why a commit was built, or is held, what gives it the most rights first."""
    found = [*_pulls(tx, commit), *_others(tx, commit)]
    main = f"refs/heads/{repository.default_branch}"

    def rank(one: Asking) -> tuple[bool, bool, bool]:
        return not one.is_wanted, one.event != "push" or one.ref != main, one.is_fork

    return sorted(found, key=rank)


def _pulls(tx: Transaction, commit: Commit) -> list[Asking]:
    """Every pull request that has or had the commit as its head asks for it, be it held or run."""
    query = (
        select(PullHead, Pull)
        .join(Pull, (Pull.repository_id == PullHead.repository_id) & (Pull.number == PullHead.number))
        .where(PullHead.commit_id == commit.id)
        .order_by(PullHead.id.desc())
    )
    return [
        Asking(
            "pull_request",
            f"refs/heads/{head.base_branch}",
            head.number,
            pull.author,
            is_wanted=pull.is_open and pull.head_sha == commit.sha,
            updated_at=pull.updated_at,
            is_fork=pull.is_fork,
            is_draft=pull.is_draft,
        )
        for head, pull in tx.execute(query)
    ]


def _others(tx: Transaction, commit: Commit) -> list[Asking]:
    query = select(RunTrigger).join(Run).where(Run.commit_id == commit.id, RunTrigger.event != "pull_request")
    rows = {(row.event, row.ref): row for row in tx.scalars(query.order_by(RunTrigger.id))}
    return [Asking(row.event, row.ref, author=row.author, is_wanted=row.ended_at is None) for row in rows.values()]

"""Repositories, their commits, and which pull request had which head."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, select, update

from bot.core import events
from bot.store.database import Transaction
from bot.store.schema import Commit, Pull, PullHead, Repository


def see_repository(tx: Transaction, seen: events.Repository) -> Repository:
    """Return the row of a repository, brought up to what the event says of it (it may have moved)."""
    row = tx.scalar(select(Repository).where(Repository.github_id == seen.github_id))
    if row is None:
        row = Repository(github_id=seen.github_id)
        tx.add(row)
    row.installation_id = seen.installation_id
    row.owner, row.name = seen.owner, seen.name
    row.is_private, row.default_branch = seen.is_private, seen.default_branch
    tx.flush()
    return row


def follow_repository(tx: Transaction, seen: events.Repository) -> bool:
    """Bring the row of a repository up to what the event says, if there is one; tell whether there is."""
    is_known = tx.scalar(select(Repository.id).where(Repository.github_id == seen.github_id)) is not None
    if is_known:
        see_repository(tx, seen)
    return is_known


def see_commit(
    tx: Transaction, repository_id: int, sha: str, title: str, config_path: str, problems: list[Any], now: int
) -> Commit:
    """Return the row of a commit, made at first sight. A commit never changes, so neither does its config."""
    row = tx.scalar(select(Commit).where(Commit.repository_id == repository_id, Commit.sha == sha))
    if row is None:
        row = Commit(repository_id=repository_id, sha=sha, title=title, config_path=config_path, created_at=now)
        row.problems = problems
        tx.add(row)
    tx.flush()
    return row


def see_pull(tx: Transaction, repository_id: int, number: int, sha: str, is_open: bool, updated_at: str) -> Pull:
    """Return the row of a pull request, brought up to an event's word if that is the newest.

    GitHub's times have whole seconds. Of a closing and another event in one second the other stands: to run what
    nobody needs costs a little, not to run what a merge waits for blocks it for ever.
    """
    row = tx.scalar(select(Pull).where(Pull.repository_id == repository_id, Pull.number == number))
    if row is None:
        row = Pull(repository_id=repository_id, number=number, updated_at="")
        tx.add(row)
    if updated_at > row.updated_at or (updated_at == row.updated_at and is_open):
        row.head_sha, row.is_open, row.updated_at = sha, is_open, updated_at
    tx.flush()
    return row


def see_pull_head(tx: Transaction, commit: Commit, number: int, base_branch: str, updated_at: str) -> None:
    """Remember that `commit` is, or was, the head of pull request `number` at GitHub's time `updated_at`."""
    row = tx.scalar(
        select(PullHead).where(
            PullHead.repository_id == commit.repository_id, PullHead.number == number, PullHead.commit_id == commit.id
        )
    )
    if row is None:
        row = PullHead(repository_id=commit.repository_id, number=number, commit_id=commit.id, updated_at="")
        tx.add(row)
    # A delayed delivery must not turn an older head into the newest.
    row.updated_at = max(row.updated_at, updated_at)
    row.base_branch = base_branch
    tx.flush()


def pull_heads(tx: Transaction, repository_id: int, number: int) -> Sequence[PullHead]:
    """Return the heads that a pull request had, the one it has now first, then the newest."""
    head = select(Pull.head_sha).where(Pull.repository_id == repository_id, Pull.number == number).scalar_subquery()
    query = select(PullHead).join(Commit, PullHead.commit_id == Commit.id)
    query = query.where(PullHead.repository_id == repository_id, PullHead.number == number)
    is_older = case((Commit.sha == head, 0), else_=1)
    return tx.scalars(query.order_by(is_older, PullHead.updated_at.desc(), PullHead.id.desc())).all()


def touch(tx: Transaction, commit_id: int) -> None:
    """Say that something which the commit's checks show has changed."""
    tx.execute(update(Commit).where(Commit.id == commit_id).values(revision=Commit.revision + 1, has_news=True))


def with_news(tx: Transaction, limit: int) -> Sequence[Commit]:
    """Return commits whose desired checks are to be worked out again, oldest first."""
    return tx.scalars(select(Commit).where(Commit.has_news).order_by(Commit.id).limit(limit)).all()


def caught_up(tx: Transaction, commit: Commit) -> None:
    """Say that the desired checks are those of the revision that `commit` was read at; a later one stays news."""
    query = update(Commit).where(Commit.id == commit.id, Commit.revision == commit.revision)
    tx.execute(query.values(has_news=False))

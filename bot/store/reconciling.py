"""What was told, held against what GitHub shows: what is to be looked at, and what is told once more."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, exists, or_, select, update

from bot.clock import DAY, HOUR, MINUTE
from bot.store.checks import can_be_told, of_commit
from bot.store.database import Transaction
from bot.store.schema import Check, Comment, Commit, Pull, Repository

_OFTEN, _SELDOM = 10 * MINUTE, 1 * HOUR
_FRESH, _RECENT = 1 * HOUR, 1 * DAY
SETTLED = 1 * MINUTE
"""GitHub's lists may lag behind what was just written."""
MOST_HEALED = 1
"""What is something else again after that is meant to be."""


@dataclass(frozen=True)
class ToldCheck:
    """A check with nothing left to tell: what GitHub should show of it."""

    id: int
    github_id: int
    name: str
    status: str
    conclusion: str | None
    title: str
    may_heal: bool


@dataclass(frozen=True)
class ToldComment:
    """A comment with nothing left to tell."""

    id: int
    repository: Repository
    number: int
    github_id: int
    body: str
    may_heal: bool


def next_commit(tx: Transaction, now: int) -> tuple[Commit, Repository] | None:
    """Return the commit that was not held against GitHub for longest and is due, with its repository.

    Every ten minutes while anything of it is unfinished or finished within the hour, then hourly for a day.
    """
    there = select(Check.commit_id).where(Check.github_id.is_not(None))
    is_fresh = Commit.id.in_(
        there.where(Check.told_final.is_(False)).union_all(there.where(Check.told_at > now - _FRESH))
    )
    is_recent = Commit.id.in_(there.where(Check.told_at > now - _RECENT))
    query = (
        select(Commit, Repository)
        .join(Repository, Commit.repository_id == Repository.id)
        .where(*can_be_told())
        .where(
            or_(
                and_(Commit.looked_at < now - _OFTEN, is_fresh),
                and_(Commit.looked_at < now - _SELDOM, is_recent),
            )
        )
        .order_by(Commit.looked_at, Commit.id)
        .limit(1)
    )
    row = tx.execute(query).first()
    return None if row is None else (row[0], row[1])


def next_comment(tx: Transaction, now: int) -> ToldComment | None:
    """Return the comment that was not held against GitHub for longest and is due.

    At once where an event tells of it; hourly while its pull request is open and a day after it was told.
    """
    is_open = exists().where(Pull.repository_id == Comment.repository_id, Pull.number == Comment.number, Pull.is_open)
    query = (
        select(Comment, Repository)
        .join(Repository, Comment.repository_id == Repository.id)
        .where(*can_be_told(), Comment.github_id.is_not(None), Comment.is_pending.is_(False))
        .where(Comment.told_at < now - SETTLED)
        .where(
            or_(
                Comment.looked_at == 0,
                and_(Comment.looked_at < now - _SELDOM, or_(is_open, Comment.told_at > now - _RECENT)),
            )
        )
        .order_by(Comment.looked_at, Comment.id)
        .limit(1)
    )
    row = tx.execute(query).first()
    if row is None:
        return None
    comment, repository = row
    may_heal = comment.healed < MOST_HEALED
    return ToldComment(comment.id, repository, comment.number, comment.github_id or 0, comment.desired, may_heal)


def told_checks(tx: Transaction, commit_id: int, now: int) -> Sequence[ToldCheck]:
    """Return the commit's checks of which GitHub was told all, a while ago."""
    return [
        ToldCheck(
            row.id,
            row.github_id,
            row.name,
            row.desired["status"],
            row.desired["conclusion"],
            row.desired["title"],
            row.healed < MOST_HEALED,
        )
        for row in of_commit(tx, commit_id)
        if row.github_id is not None
        and not row.is_pending
        and row.refused is None
        and row.told_at is not None
        and row.told_at < now - SETTLED
    ]


def looked_at_commit(tx: Transaction, commit_id: int, now: int) -> None:
    """Remember that a commit was held against GitHub."""
    tx.execute(update(Commit).where(Commit.id == commit_id).values(looked_at=now))


def look_soon_at_comment(tx: Transaction, comment_id: int, now: int) -> None:
    """Have a comment looked at in a minute: GitHub did not answer, and an event may have told of something."""
    looked_at_comment(tx, comment_id, now - _SELDOM + MINUTE)


def looked_at_comment(tx: Transaction, comment_id: int, now: int) -> None:
    """Remember that a comment was held against GitHub."""
    tx.execute(update(Comment).where(Comment.id == comment_id).values(looked_at=now))


def heal_check(tx: Transaction, check: ToldCheck, github_id: int) -> None:
    """Tell a check once more, as the check run `github_id`. What was told meanwhile needs no healing."""
    values = {"github_id": github_id, "told_hash": None, "is_pending": True, "healed": Check.healed + 1}
    where = (Check.id == check.id, Check.is_pending.is_(False))
    tx.execute(update(Check).where(*where).values(not_before=0, **values))


def heal_comment(tx: Transaction, comment: ToldComment, github_id: int | None) -> None:
    """Tell a comment once more; None makes it anew. What was told meanwhile needs no healing."""
    values = {"github_id": github_id, "told_hash": None, "is_pending": True, "healed": Comment.healed + 1}
    where = (Comment.id == comment.id, Comment.is_pending.is_(False))
    tx.execute(update(Comment).where(*where).values(not_before=0, sending_at=None, **values))

"""What GitHub should show, and what it was last told: check runs and the comments of pull requests."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.orm import aliased

from bot.store.database import Transaction
from bot.store.schema import Check, Comment, Commit, Installation, Repository


@dataclass(frozen=True)
class Desired:
    """A check as it should be shown. `digest` covers all of it, `headline` what a glance at the list shows."""

    kind: str
    name: str
    experiment_id: int | None
    view: dict[str, Any]
    digest: str
    headline: str
    is_final: bool


def desire(tx: Transaction, commit_id: int, wanted: Sequence[Desired]) -> None:
    """Make the commit's check rows want what `wanted` says. A check once made stays; it is never taken away.

    GitHub does not reopen a completed check: one that is to go on gets a new generation, a new check of its name.
    """
    rows = {row.name: row for row in _newest(tx, commit_id)}
    for desired in wanted:
        row = rows.get(desired.name)
        if row is None or (row.told_final and not desired.is_final):
            row = Check(commit_id=commit_id, name=desired.name, generation=1 if row is None else row.generation + 1)
            tx.add(row)
        if row.desired_hash != desired.digest:
            row.refused = None  # what GitHub does not take was the view of before
        row.kind, row.experiment_id = desired.kind, desired.experiment_id
        row.desired, row.desired_hash, row.headline = desired.view, desired.digest, desired.headline
        row.is_final = desired.is_final
        row.is_pending = row.desired_hash != row.told_hash and (row.refused is None or row.is_pending)
    tx.flush()


def _newest(tx: Transaction, commit_id: int) -> Sequence[Check]:
    """Return the commit's checks, oldest generation first: the newest of a name governs."""
    return tx.scalars(select(Check).where(Check.commit_id == commit_id).order_by(Check.generation)).all()


@dataclass(frozen=True)
class DueCheck:
    """A check that GitHub has yet to be told of: what decides when, and no more. Its words may be long.

    `is_told_as_far_as_seen`: what a glance at the list shows has been told already.
    """

    id: int
    installation_id: int
    is_final: bool
    is_told_as_far_as_seen: bool
    told_at: int | None
    not_before: int
    sending_at: int | None


def due(tx: Transaction, besides: Collection[int] = ()) -> list[DueCheck]:
    """Return every check whose desired view GitHub has not been told, and can be; `besides` are closed installations.

    The newest check of a name governs, by GitHub's own time: a generation waits until the one before it is there.
    """
    older = aliased(Check)
    before = (older.commit_id == Check.commit_id, older.name == Check.name, older.generation < Check.generation)
    query = (
        select(
            Check.id,
            Repository.installation_id,
            Check.is_final,
            func.coalesce(Check.told_headline == Check.headline, False),
            Check.told_at,
            Check.not_before,
            Check.sending_at,
        )
        .join(Commit, Check.commit_id == Commit.id)
        .join(Repository, Commit.repository_id == Repository.id)
        .where(Check.is_pending, ~exists().where(*before, older.is_pending), *can_be_told(besides))
        .order_by(Check.id)
    )
    return [DueCheck(row[0], row[1], bool(row[2]), bool(row[3]), row[4], row[5], row[6]) for row in tx.execute(query)]


def can_be_told(besides: Collection[int] = ()) -> tuple[ColumnElement[bool], ...]:
    """A repository that is closed to us, or whose installation is suspended or removed, hears nothing."""
    gone = or_(Installation.suspended_at.is_not(None), Installation.removed_at.is_not(None))
    silent = select(Installation.github_id).where(gone)
    here = Repository.installation_id
    return Repository.closed.is_(None), here.not_in(silent), here.not_in(besides)


@dataclass(frozen=True)
class PendingCheck:
    """A check with its place."""

    check: Check
    commit: Commit
    repository: Repository


def get(tx: Transaction, check_id: int) -> PendingCheck:
    """Return a check with its place."""
    query = select(Check, Commit, Repository).join(Commit, Check.commit_id == Commit.id)
    check, commit, repository = tx.execute(
        query.join(Repository, Commit.repository_id == Repository.id).where(Check.id == check_id)
    ).one()
    return PendingCheck(check, commit, repository)


def told(tx: Transaction, check: Check, github_id: int, now: int, annotations: int) -> None:
    """Remember that GitHub was told the view that `check` was read with; a newer one stays pending.

    `annotations` is how many GitHub has of the check by now.
    """
    values = {
        "github_id": github_id,
        "told_hash": check.desired_hash,
        "told_headline": check.headline,
        "told_final": check.is_final,
        "told_annotations": annotations,
        "told_at": now,
        "sending_at": None,
        "refused_at": None,
        "is_pending": Check.desired_hash != check.desired_hash,
    }
    tx.execute(update(Check).where(Check.id == check.id).values(values))


def change(tx: Transaction, check_id: int, **values: object) -> None:
    """Set columns of a check that are not its view."""
    tx.execute(update(Check).where(Check.id == check_id).values(**values))


def by_github_id(tx: Transaction, commit_id: int, github_id: int) -> Check | None:
    """Return a commit's check by GitHub's id of it."""
    return tx.scalar(select(Check).where(Check.commit_id == commit_id, Check.github_id == github_id))


def is_newest(tx: Transaction, check: Check) -> bool:
    """Tell whether no newer check of its name is there, or about to be."""
    newer = (Check.commit_id == check.commit_id, Check.name == check.name, Check.generation > check.generation)
    return tx.scalar(select(Check.id).where(*newer).limit(1)) is None


def desire_comment(tx: Transaction, repository_id: int, number: int, body: str, digest: str, is_final: bool) -> None:
    """Make the pull request's sticky comment want `body`."""
    row = tx.scalar(select(Comment).where(Comment.repository_id == repository_id, Comment.number == number))
    if row is None:
        row = Comment(repository_id=repository_id, number=number)
        tx.add(row)
    if row.desired_hash != digest:
        row.refused = None
    row.desired, row.desired_hash, row.is_final = body, digest, is_final
    row.is_pending = row.desired_hash != row.told_hash and row.refused is None
    tx.flush()


def suspect_comment(tx: Transaction, repository_id: int, number: int, github_id: int) -> bool:
    """Have a comment looked at again if it is ours; tell whether it is."""
    where = (Comment.repository_id == repository_id, Comment.number == number, Comment.github_id == github_id)
    return bool(tx.execute(update(Comment).where(*where).values(looked_at=0)).rowcount)  # type: ignore[attr-defined]


def has_comment(tx: Transaction, repository_id: int, number: int) -> bool:
    """Tell whether the pull request has our comment, or is about to."""
    where = (Comment.repository_id == repository_id, Comment.number == number)
    return tx.scalar(select(Comment.id).where(*where)) is not None


@dataclass(frozen=True)
class DueComment:
    """A comment that is not yet on its pull request as it should be: what decides when."""

    id: int
    installation_id: int
    told_at: int | None
    not_before: int
    sending_at: int | None


def due_comments(tx: Transaction, besides: Collection[int] = ()) -> list[DueComment]:
    """Return every comment that GitHub has not been told as it should be, and can be, like `due`."""
    query = (
        select(Comment.id, Repository.installation_id, Comment.told_at, Comment.not_before, Comment.sending_at)
        .join(Repository, Comment.repository_id == Repository.id)
        .where(Comment.is_pending, *can_be_told(besides))
        .order_by(Comment.id)
    )
    return [DueComment(*row) for row in tx.execute(query)]


@dataclass(frozen=True)
class PendingComment:
    """A comment with its place."""

    comment: Comment
    repository: Repository


def get_comment(tx: Transaction, comment_id: int) -> PendingComment:
    """Return a comment with its place."""
    query = select(Comment, Repository).join(Repository, Comment.repository_id == Repository.id)
    comment, repository = tx.execute(query.where(Comment.id == comment_id)).one()
    return PendingComment(comment, repository)


def lose_comment(tx: Transaction, comment: Comment, *, is_made_again: bool) -> None:
    """Remember that GitHub has the comment no more. It is made again once; then somebody means it."""
    values: dict[str, object] = {"github_id": None, "sending_at": None, "told_hash": None, "healed": comment.healed + 1}
    if not is_made_again:
        values |= {"told_hash": comment.desired_hash, "refused": "it was deleted"}
    tx.execute(update(Comment).where(Comment.id == comment.id).values(is_pending=is_made_again, **values))


def told_comment(tx: Transaction, comment: Comment, github_id: int, now: int) -> None:
    """Remember that GitHub has the comment as `comment` was read; a newer body stays pending."""
    values = {
        "github_id": github_id,
        "told_hash": comment.desired_hash,
        "told_at": now,
        "sending_at": None,
        "refused_at": None,
        "is_pending": Comment.desired_hash != comment.desired_hash,
    }
    tx.execute(update(Comment).where(Comment.id == comment.id).values(values))


def change_comment(tx: Transaction, comment_id: int, **values: object) -> None:
    """Set columns of a comment that are not its body."""
    tx.execute(update(Comment).where(Comment.id == comment_id).values(**values))


def of_commit(tx: Transaction, commit_id: int) -> Sequence[Check]:
    """Return the newest generation of each of a commit's checks, by name."""
    newest = {row.name: row for row in _newest(tx, commit_id)}
    return [newest[name] for name in sorted(newest)]


def count_pending(tx: Transaction) -> int:
    """Return how many checks and comments wait to be told, and can be."""
    of_check = select(func.count()).select_from(Check).join(Commit, Check.commit_id == Commit.id)
    of_check = of_check.join(Repository, Commit.repository_id == Repository.id).where(Check.is_pending, *can_be_told())
    of_comment = select(func.count()).select_from(Comment).join(Repository, Comment.repository_id == Repository.id)
    of_comment = of_comment.where(Comment.is_pending, *can_be_told())
    return (tx.scalar(of_check) or 0) + (tx.scalar(of_comment) or 0)

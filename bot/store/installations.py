"""Where the App is installed, and which repositories can be spoken to."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import select, update

from bot.store.database import Transaction
from bot.store.experiments import call_off
from bot.store.schema import Check, Comment, Commit, Experiment, Installation, Repository, Run

UNINSTALLED, ARCHIVED = "uninstalled", "archived"


def see(tx: Transaction, github_id: int, account: str, now: int) -> Installation:
    """Return the row of an installation, made at first sight."""
    row = tx.scalar(select(Installation).where(Installation.github_id == github_id))
    if row is None:
        row = Installation(github_id=github_id, suspended_at=None, removed_at=None)
        tx.add(row)
    row.account, row.seen_at = account or row.account or "", now
    tx.flush()
    return row


def silent(tx: Transaction) -> set[int]:
    """Return GitHub's ids of the installations to which nothing can be said now."""
    query = select(Installation.github_id)
    return set(tx.scalars(query.where(Installation.suspended_at.is_not(None) | Installation.removed_at.is_not(None))))


def repositories(tx: Transaction, installation_id: int) -> Sequence[Repository]:
    """Return the repositories that we know to belong to an installation (GitHub's id)."""
    return tx.scalars(select(Repository).where(Repository.installation_id == installation_id)).all()


def see_all(tx: Transaction, there: Mapping[int, str], now: int) -> Sequence[Installation]:
    """Return every installation that was ever heard of, or is `there` (GitHub's ids with the accounts' names)."""
    named = {row.installation_id: row.owner for row in tx.scalars(select(Repository))}
    known = set(tx.scalars(select(Installation.github_id)))
    for github_id, account in {**named, **there}.items():
        if github_id not in known:
            see(tx, github_id, account, now)
    return tx.scalars(select(Installation).order_by(Installation.id)).all()


def to_scan(tx: Transaction, before: int) -> Repository | None:
    """Return the repository that nobody has looked at for longest, since `before`, and that can be looked at."""
    may_be_open = Repository.closed.is_(None) | (Repository.closed == ARCHIVED)
    query = select(Repository).where(may_be_open, Repository.scanned_at < before)
    query = query.where(Repository.installation_id.not_in(silent(tx)))
    return tx.scalars(query.order_by(Repository.scanned_at, Repository.id).limit(1)).first()


def scanned(tx: Transaction, repository: Repository, now: int) -> None:
    """Remember that a repository is looked at now."""
    values = {"scanned_at": now, "seen_at": repository.seen_at or now}
    tx.execute(update(Repository).where(Repository.id == repository.id).values(values))


def knows_branches(tx: Transaction, repository: Repository) -> None:
    """Remember that all branches which were there when we came have been written down."""
    tx.execute(update(Repository).where(Repository.id == repository.id).values(knows_branches=True))


def by_github_ids(tx: Transaction, ids: Collection[int]) -> Sequence[Repository]:
    """Return those of these repositories that we know."""
    return tx.scalars(select(Repository).where(Repository.github_id.in_(ids))).all()


def close(tx: Transaction, repository: Repository, why: str, reason: str) -> int:
    """Say nothing to a repository any more, and stop all that runs for it. Returns how many were asked to end."""
    repository.closed = why
    tx.flush()
    runs = select(Run.id).where(Run.repository_id == repository.id)
    return call_off(tx, Experiment.run_id.in_(runs), reason)


def hush(tx: Transaction, repository: Repository) -> None:
    """Say nothing to a repository any more, as far as GitHub's own answer goes; nothing is stopped for that."""
    tx.execute(update(Repository).where(Repository.id == repository.id).values(closed=UNINSTALLED))


def open_again(tx: Transaction, repository: Repository) -> None:
    """Speak to a repository again, and say at once what could not be said meanwhile."""
    repository.closed = None
    if repository.scanned_at:
        repository.scanned_at = 1  # what happened meanwhile was told to nobody: it is looked at first
    tx.flush()
    commits = select(Commit.id).where(Commit.repository_id == repository.id)
    for table, where in (
        (Check, Check.commit_id.in_(commits)),
        (Comment, Comment.repository_id == repository.id),
    ):
        untold = (where, table.desired_hash.is_distinct_from(table.told_hash))
        values = {"is_pending": True, "not_before": 0, "refused": None, "refused_at": None}
        tx.execute(update(table).where(*untold).values(values).execution_options(synchronize_session=False))

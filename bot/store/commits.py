"""Repositories, their commits, and which pull request had which head."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import case, func, select, update

from bot.core import events
from bot.store.database import Transaction
from bot.store.schema import Commit, Demand, Head, Pull, PullHead, Repository, Run

_GROUP = "merge group "
"""Begins what no ref is called, for git allows no spaces in their names."""


def see_repository(tx: Transaction, seen: events.Repository, now: int) -> Repository:
    """Return the row of a repository, brought up to what the event says of it (it may have moved)."""
    row = tx.scalar(select(Repository).where(Repository.github_id == seen.github_id))
    if row is None:
        row = Repository(github_id=seen.github_id, seen_at=now)
        tx.add(row)
    row.installation_id = seen.installation_id
    row.owner, row.name = seen.owner, seen.name
    row.is_private, row.default_branch = seen.is_private, seen.default_branch
    tx.flush()
    return row


def find_repository(tx: Transaction, github_id: int) -> Repository | None:
    """Return a repository by GitHub's id, None where nothing was ever run for it."""
    return tx.scalar(select(Repository).where(Repository.github_id == github_id))


def repository_named(tx: Transaction, owner: str, name: str) -> Repository | None:
    """Return the repository that has this name now, in whatever case; None where nothing was ever heard of it."""
    is_it = (func.lower(Repository.owner) == owner.lower(), func.lower(Repository.name) == name.lower())
    # A name may have been another's before: the one that is there, and was heard of last.
    query = select(Repository).where(*is_it).order_by(Repository.closed.is_not(None), Repository.id.desc())
    return tx.scalars(query.limit(1)).first()


def see_head(tx: Transaction, repository_id: int, ref: str, sha: str | None, pushed_at: int) -> None:
    """Remember where a branch stands (None: nowhere), unless something newer is known by GitHub's own time."""
    row = tx.scalar(select(Head).where(Head.repository_id == repository_id, Head.ref == ref))
    if row is None:
        row = Head(repository_id=repository_id, ref=ref, pushed_at=0, sha=None)
        tx.add(row)
    # Of a deletion and a push within one of GitHub's seconds the push stands: nothing that is wanted is stopped.
    if pushed_at > row.pushed_at or (pushed_at == row.pushed_at and (sha is not None or row.sha is None)):
        row.sha, row.pushed_at = sha, pushed_at
    tx.flush()


def has_moved_on(tx: Transaction, repository_id: int, ref: str, sha: str, pushed_at: int) -> bool:
    """Tell whether a branch is known to have left a commit behind that was pushed to it then (0: nobody knows)."""
    row = tx.scalar(select(Head).where(Head.repository_id == repository_id, Head.ref == ref))
    return row is not None and row.sha != sha and row.pushed_at > pushed_at


def heads(tx: Transaction, repository_id: int) -> dict[str, str | None]:
    """Return where the branches and tags of a repository stood when we last heard of them, None for those gone."""
    return {row.ref: row.sha for row in tx.scalars(select(Head).where(Head.repository_id == repository_id))}


def head_of(tx: Transaction, repository_id: int, ref: str) -> str | None:
    """Return where a branch stands, None where it is gone or was never heard of."""
    return tx.scalar(select(Head.sha).where(Head.repository_id == repository_id, Head.ref == ref))


def see_group_end(tx: Transaction, repository_id: int, sha: str) -> None:
    """Remember that a merge group of which nothing was run is gone: that it was asked for may be told later."""
    see_head(tx, repository_id, f"{_GROUP}{sha}", None, 0)


def has_group_ended(tx: Transaction, github_id: int, sha: str) -> bool:
    """Tell whether the end of a merge group was told before its beginning."""
    query = select(Head.id).join(Repository, Head.repository_id == Repository.id)
    return tx.scalar(query.where(Repository.github_id == github_id, Head.ref == f"{_GROUP}{sha}")) is not None


def find(tx: Transaction, github_id: int, sha: str) -> Commit | None:
    """Return a commit by its repository (GitHub's id) and SHA, None where we do not know it."""
    query = select(Commit).join(Repository, Commit.repository_id == Repository.id)
    return tx.scalar(query.where(Repository.github_id == github_id, Commit.sha == sha))


def begun(tx: Transaction, commit_id: int) -> frozenset[str]:
    """Return the workflows that ran at a commit, or are to. One that was skipped did not."""
    return frozenset(tx.scalars(select(Run.workflow).where(Run.commit_id == commit_id, Run.skipped.is_(None))))


def see_commit(
    tx: Transaction, repository_id: int, sha: str, title: str, config_path: str, problems: list[Any], now: int
) -> Commit:
    """Return the row of a commit, made at first sight. A commit never changes, so neither does its config.

    One that was only asked about, while nothing selected it, has a row without a config until something does.
    """
    row = tx.scalar(select(Commit).where(Commit.repository_id == repository_id, Commit.sha == sha))
    if row is None:
        row = Commit(repository_id=repository_id, sha=sha, title="", config_path="", created_at=now)
        row.problems = []
        tx.add(row)
    if not row.config_path:
        row.title, row.config_path, row.problems = title or row.title, config_path, problems
    tx.flush()
    return row


def see_pull(
    tx: Transaction,
    repository_id: int,
    number: int,
    sha: str,
    is_open: bool,
    updated_at: str,
    facts: Mapping[str, object],
    *,
    is_look: bool = False,
) -> Pull:
    """Return the row of a pull request, brought up to an event's word (`facts` too) if that is the newest.

    GitHub's times have whole seconds. Of a closing and another event in one second the other stands, until GitHub was
    looked at: to run what nobody needs costs a little, not to run what a merge waits for blocks it for ever.
    """
    row = tx.scalar(select(Pull).where(Pull.repository_id == repository_id, Pull.number == number))
    if row is None:
        row = Pull(repository_id=repository_id, number=number, updated_at="")
        tx.add(row)
    if updated_at > row.updated_at or (updated_at == row.updated_at and (is_open or is_look)):
        if row.head_sha and (row.head_sha != sha or not is_open):
            _wait_no_more(tx, row)
        row.head_sha, row.is_open, row.updated_at = sha, is_open, updated_at
        for name, value in facts.items():
            setattr(row, name, value)
    tx.flush()
    return row


def _wait_no_more(tx: Transaction, pull: Pull) -> None:
    """Let a commit go that is held for a pull request whose head it is no more, if it is held for no other.

    Somebody's commit that a stranger proposes for another branch is free again as soon as that is closed.
    """
    commit = tx.scalar(select(Commit).where(Commit.repository_id == pull.repository_id, Commit.sha == pull.head_sha))
    held = None if commit is None else commit.held
    if commit is None or held is None or str(pull.number) not in held.get("waits", {}):
        return
    waits = {number: names for number, names in held["waits"].items() if number != str(pull.number)}
    commit.held = {**held, "waits": waits} if waits or not begun(tx, commit.id) else None
    touch(tx, commit.id)


def find_pull(tx: Transaction, repository_id: int, number: int) -> Pull | None:
    """Return a pull request as its newest event told it, None where none did."""
    return tx.scalar(select(Pull).where(Pull.repository_id == repository_id, Pull.number == number))


def pulls(tx: Transaction, repository_id: int) -> Sequence[Pull]:
    """Return the pull requests of a repository as their newest events told them."""
    return tx.scalars(select(Pull).where(Pull.repository_id == repository_id)).all()


def pulls_at(tx: Transaction, repository_id: int, sha: str) -> Sequence[int]:
    """Return the numbers of the open pull requests that have this head."""
    where = (Pull.repository_id == repository_id, Pull.head_sha == sha, Pull.is_open)
    return tx.scalars(select(Pull.number).where(*where).order_by(Pull.number)).all()


def branches_at(tx: Transaction, repository_id: int, sha: str) -> list[str]:
    """Return the branches that stood at this commit when we last heard of them."""
    refs = tx.scalars(select(Head.ref).where(Head.repository_id == repository_id, Head.sha == sha))
    return [ref.removeprefix("refs/heads/") for ref in refs if ref.startswith("refs/heads/")]


def see_demands(
    tx: Transaction, commit_id: int, number: int, base_branch: str, base_sha: str, steps: list[Any]
) -> None:
    """Remember what a base branch asks of a commit. A pull request has one base: that of before asks no more.

    All pull requests of the commit into one branch are asked for the same: what that branch has asked for last.
    """
    rows = tx.scalars(select(Demand).where(Demand.commit_id == commit_id)).all()
    for old in rows:
        if number and old.number == number and old.base_branch != base_branch:
            tx.delete(old)
    same = [one for one in rows if one.base_branch == base_branch]
    if all(one.number != number for one in same):
        same.append(Demand(commit_id=commit_id, number=number, base_branch=base_branch))
        tx.add(same[-1])
    for row in same:
        row.base_sha, row.steps = base_sha, steps
    tx.flush()


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


def built_heads(tx: Transaction, repository_id: int, numbers: Collection[int]) -> set[tuple[int, str]]:
    """Return which commit was looked at as the head of which of these pull requests, each as the number and the SHA."""
    query = select(PullHead.number, Commit.sha).join(Commit, PullHead.commit_id == Commit.id)
    query = query.where(PullHead.repository_id == repository_id, PullHead.number.in_(numbers))
    return {(number, sha) for number, sha in tx.execute(query)}


def touch(tx: Transaction, commit_id: int) -> None:
    """Say that something which the commit's checks show has changed."""
    tx.execute(update(Commit).where(Commit.id == commit_id).values(revision=Commit.revision + 1, has_news=True))


def with_news(tx: Transaction, limit: int) -> Sequence[Commit]:
    """Return commits whose desired checks are to be worked out again, oldest first."""
    return tx.scalars(select(Commit).where(Commit.has_news).order_by(Commit.id).limit(limit)).all()


def pulls_with_news(tx: Transaction, limit: int) -> Sequence[Pull]:
    """Return pull requests whose comment is to be worked out again for a reason that is not in a commit."""
    return tx.scalars(select(Pull).where(Pull.news > 0).order_by(Pull.id).limit(limit)).all()


def pull_caught_up(tx: Transaction, pull: Pull) -> None:
    """Say that a pull request's comment has been worked out, with the news that `pull` was read with."""
    tx.execute(update(Pull).where(Pull.id == pull.id, Pull.news == pull.news).values(news=0))


def touch_pull(tx: Transaction, repository_id: int, number: int) -> None:
    """Say that something which a pull request's comment tells has changed: on it, and on its head."""
    row = find_pull(tx, repository_id, number)
    if row is None:
        return
    row.news += 1
    head = tx.scalar(select(Commit.id).where(Commit.repository_id == repository_id, Commit.sha == row.head_sha))
    if head is not None:
        touch(tx, head)
    tx.flush()


def caught_up(tx: Transaction, commit: Commit) -> None:
    """Say that the desired checks are those of the revision that `commit` was read at; a later one stays news."""
    query = update(Commit).where(Commit.id == commit.id, Commit.revision == commit.revision)
    tx.execute(query.values(has_news=False))

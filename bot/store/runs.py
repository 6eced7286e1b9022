"""Runs of workflows: made once a commit, wanted for as long as a reason for them holds, called off when none does."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update

from bot.core.states import State
from bot.store import commits
from bot.store.database import Transaction
from bot.store.experiments import UNDER_WAY, call_off, new_public_id
from bot.store.schema import Attempt, Commit, Experiment, Pull, PullHead, Repository, Run, RunTrigger, TransitionRow

TRUSTED, APPROVED, REVOKED = "trusted", "approved", "revoked"


def see(tx: Transaction, commit: Commit, workflow: str, position: int, skipped: str | None, now: int) -> Run:
    """Return the run of a workflow at a commit, made at first sight.

    A later event that selects a workflow takes an earlier `skipped` away; one that would skip it changes nothing.
    """
    row = find(tx, commit, workflow)
    if row is None:
        row = Run(public_id=new_public_id(now), repository_id=commit.repository_id, commit_id=commit.id)
        row.sha, row.workflow, row.position, row.skipped = commit.sha, workflow, position, skipped
        row.trust, row.created_at = "", now
        tx.add(row)
    elif skipped is None:
        row.skipped = None
    tx.flush()
    return row


def find(tx: Transaction, commit: Commit, workflow: str) -> Run | None:
    """Return the run of a workflow at a commit, None before it was made."""
    return tx.scalar(select(Run).where(Run.commit_id == commit.id, Run.workflow == workflow))


def trust(tx: Transaction, run: Run, approved_by: str) -> bool:
    """Write down whose code it is. Tell whether a run that was only approved is trusted by now: it may have more."""
    was_raised = run.trust in (APPROVED, REVOKED) and not approved_by
    if run.trust != TRUSTED:
        run.trust = APPROVED if approved_by else TRUSTED
        run.trusted_by, run.trusted_sha = (approved_by, run.sha) if approved_by else (None, None)
    tx.flush()
    return was_raised


def approval(tx: Transaction, commit_id: int) -> str:
    """Return who approved exactly this commit, empty when nobody did or a newer commit came since."""
    query = select(Run.trusted_by).where(Run.commit_id == commit_id, Run.trust == APPROVED, Run.trusted_sha == Run.sha)
    return tx.scalars(query.limit(1)).first() or ""


def revoke(tx: Transaction, pull: Pull) -> None:
    """Take approvals of a pull request's older heads back: what was approved was one commit, then the head."""
    older = _commits_of(pull).join(Commit, PullHead.commit_id == Commit.id).where(Commit.sha != pull.head_sha)
    stale = (Run.commit_id.in_(older), Run.trust == APPROVED)
    tx.execute(update(Run).where(*stale).values(trust=REVOKED).execution_options(synchronize_session="fetch"))


def see_trigger(tx: Transaction, run: Run, event: str, ref: str, number: int, author: str, now: int) -> None:
    """Remember why a run exists; a reason that had gone has come back."""
    same = (RunTrigger.run_id == run.id, RunTrigger.event == event, RunTrigger.ref == ref, RunTrigger.number == number)
    row = tx.scalar(select(RunTrigger).where(*same))
    if row is None:
        row = RunTrigger(run_id=run.id, event=event, ref=ref, number=number, created_at=now)
        tx.add(row)
    row.author, row.ended_at = author, None
    tx.flush()


def cancel_pull(tx: Transaction, pull: Pull, reason: str) -> int:
    """Ask for the end of all that ran for a pull request and that nobody wants any more. Returns how many were asked.

    A run is wanted while it is of the head of an open pull request that asked for it, and for as long as another
    event's reason holds: a branch that was pushed and is there, a merge group.
    """
    return _cancel_unwanted(tx, Run.commit_id.in_(_commits_of(pull)), reason)


def end_reason(tx: Transaction, repository_id: int, event: str, ref: str, reason: str, now: int) -> int:
    """Let the runs of a deleted branch be wanted no more. Returns how many experiments were asked to end."""
    is_of_repository = exists().where(Run.id == RunTrigger.run_id, Run.repository_id == repository_id)
    where = (RunTrigger.ref == ref, RunTrigger.event == event, is_of_repository)
    return _end(tx, where, reason, now)


def end_group(tx: Transaction, commit_id: int, reason: str, now: int) -> int:
    """Let the runs of a destroyed merge group be wanted no more. Returns how many experiments were asked to end."""
    of_commit = select(Run.id).where(Run.commit_id == commit_id)
    return _end(tx, (RunTrigger.run_id.in_(of_commit), RunTrigger.event == "merge_group"), reason, now)


def _end(tx: Transaction, where: tuple[ColumnElement[bool], ...], reason: str, now: int) -> int:
    ids = list(tx.scalars(select(RunTrigger.run_id).where(*where, RunTrigger.ended_at.is_(None))))
    tx.execute(update(RunTrigger).where(*where).values(ended_at=now).execution_options(synchronize_session="fetch"))
    return _cancel_unwanted(tx, Run.id.in_(ids), reason)


def _cancel_unwanted(tx: Transaction, runs: ColumnElement[bool], reason: str) -> int:
    unwanted = select(Run.id).where(runs, ~_is_wanted())
    return call_off(tx, Experiment.run_id.in_(unwanted), reason)


def _commits_of(pull: Pull) -> Select[int]:
    return select(PullHead.commit_id).where(
        PullHead.repository_id == pull.repository_id, PullHead.number == pull.number
    )


def _is_wanted() -> ColumnElement[bool]:
    """Tell of each run by itself: a list of all that are wanted would be as long as the history."""
    same_pull = and_(Pull.repository_id == Run.repository_id, Pull.number == RunTrigger.number)
    # SQLAlchemy would give it runs of its own: it looks for the outer ones one step above only.
    is_its_head = exists().where(same_pull, Pull.is_open, Pull.head_sha == Run.sha).correlate(Run, RunTrigger)
    still_holds = and_(RunTrigger.event != "pull_request", RunTrigger.ended_at.is_(None))
    return exists().where(RunTrigger.run_id == Run.id, or_(still_holds, is_its_head))


def took(tx: Transaction, github_id: int, workflow: str, step: str) -> int | None:
    """Return how long a step last ran in a repository when it went well (microseconds), None if it never did."""
    query = (
        select(Attempt.id)
        .join(Experiment, Attempt.experiment_id == Experiment.id)
        .join(Run, Experiment.run_id == Run.id)
        .join(Repository, Run.repository_id == Repository.id)
        .where(Repository.github_id == github_id, Run.workflow == workflow, Experiment.step == step)
        .where(Attempt.state == State.STOPPED)
        .order_by(Attempt.id.desc())
        .limit(1)
    )
    attempt_id = tx.scalar(query)
    rows = tx.scalars(select(TransitionRow).where(TransitionRow.attempt_id == attempt_id)).all()
    entered = {row.target: row.at for row in rows}
    begun, ended = entered.get(State.RUNNING), entered.get(State.NETWORK_TEARDOWN)
    return None if begun is None or ended is None else ended - begun


def begun_since(tx: Transaction, commit_id: int, since: int) -> frozenset[str]:
    """Return the workflows of a commit of which attempts were made since then, or are under way."""
    query = select(Run.workflow).join(Experiment, Experiment.run_id == Run.id).join(Attempt)
    is_recent = or_(Attempt.created_at >= since, UNDER_WAY)
    return frozenset(tx.scalars(query.where(Run.commit_id == commit_id, is_recent)))


# Turns


def replace_older(tx: Transaction, run: Run, reason: str) -> int:
    """Ask for the end of the older runs whose place in its group this one takes. Returns how many were asked."""
    turn: dict[str, Any] = run.concurrency or {}
    if not turn.get("cancels"):
        return 0
    ids = {one.id for one, _ in _in_turn(tx, run) if one.id < run.id and one.concurrency == turn}
    return call_off(tx, Experiment.run_id.in_(ids), reason) if ids else 0


def ahead(tx: Transaction, run: Run) -> Run | None:
    """Return the run whose turn comes before this one's: one of its group that is under way; None for none.

    Runs have turns, not attempts. What is repeated of a run would else wait for another, which waits for the rest of
    the run, which waits for what is repeated.
    """
    own = select(func.min(Attempt.id)).join(Experiment).where(Experiment.run_id == run.id, UNDER_WAY)
    first = tx.scalar(own)
    return next((other for other, their_id in _in_turn(tx, run) if first is not None and their_id < first), None)


def _in_turn(tx: Transaction, run: Run) -> list[tuple[Run, int]]:
    """Return the other runs of its group that are under way, each with its unfinished attempts, the oldest first."""
    if run.concurrency is None:
        return []
    query = (
        select(Run, Attempt.id)
        .join(Experiment, Experiment.run_id == Run.id)
        .join(Attempt, Attempt.experiment_id == Experiment.id)
        .where(Run.repository_id == run.repository_id, Run.id != run.id, Run.concurrency.is_not(None))
        .where(UNDER_WAY)
        .order_by(Attempt.id)
    )
    group = run.concurrency["group"]
    return [(one, number) for one, number in tx.execute(query) if (one.concurrency or {}).get("group") == group]


# What a person stops


def cancel(tx: Transaction, commit_id: int, experiments: Collection[int], reason: str, by: str) -> int:
    """Ask for the end of these experiments of a commit, as a person wants it. Returns how many were asked."""
    count = call_off(tx, Experiment.id.in_(experiments), reason, by=by)
    commits.touch(tx, commit_id)
    return count

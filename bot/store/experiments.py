"""Runs, their experiments, and the attempts at them: made once, advanced in one place, found by state."""

import itertools
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, or_, select, update

from bot.core import retries
from bot.core.ids import public_id
from bot.core.states import FINAL, Observation, State, Transition, advance, deadline
from bot.core.trials import Trial, TrialState
from bot.store import commits
from bot.store.database import Transaction
from bot.store.schema import (
    Attempt,
    Commit,
    Experiment,
    Repository,
    Run,
    Task,
    TransitionRow,
    TrialRow,
)

UNFINISHED: ColumnElement[bool] = Attempt.state.in_([str(state) for state in State if state not in FINAL])
"""Named one by one, and times as more than nought: of `not in` and `is not null` no index knows anything, and the
stations ask for these a few times a second, among all attempts that there ever were."""

UNDER_WAY: ColumnElement[bool] = or_(UNFINISHED, Attempt.retry_at > 0)
"""What has not come to its end, or is to be repeated by the platform."""


_entropy = itertools.count(secrets.randbits(20))


def new_public_id(now: int) -> str:
    """Return an id for a new row; the column is unique.

    Within a process the ids of one millisecond are counted on: drawn by chance, every fiftieth push that brings two
    hundred rows at once would have two alike.
    """
    return public_id(now, next(_entropy))


def find_experiment(tx: Transaction, run: Run, step: str, variant: str = "") -> Experiment | None:
    """Return the experiment of a step, None before it was made."""
    where = (Experiment.run_id == run.id, Experiment.step == step, Experiment.variant == variant)
    return tx.scalar(select(Experiment).where(*where))


def add_experiment(tx: Transaction, experiment: Experiment) -> Experiment:
    """Store a new experiment with a view token of its own."""
    experiment.view_token = secrets.token_urlsafe(24)
    tx.add(experiment)
    tx.flush()
    return experiment


def add_attempt(tx: Transaction, attempt: Attempt) -> Attempt:
    """Store a new attempt in CREATED, with that first transition and its tasks' rows. No other is due any more."""
    tx.execute(update(Attempt).where(Attempt.experiment_id == attempt.experiment_id).values(retry_at=None))
    attempt.state, attempt.entered_at = State.CREATED, attempt.created_at
    attempt.deadline = deadline(State.CREATED, attempt.created_at, 0)
    attempt.metrics_problems = []
    tx.add(attempt)
    tx.flush()
    tx.add(TransitionRow(attempt_id=attempt.id, source=None, target=State.CREATED, at=attempt.created_at, reason=""))
    for group in attempt.spec["groups"]:
        for index in range(group["count"]):
            tx.add(Task(attempt_id=attempt.id, role=group["role"], index=index, state=State.CREATED))
    tx.flush()
    return attempt


def newest_attempt(tx: Transaction, experiment_id: int) -> Attempt | None:
    """Return the newest attempt at an experiment, None before the first."""
    query = select(Attempt).where(Attempt.experiment_id == experiment_id)
    return tx.scalar(query.order_by(Attempt.number.desc()).limit(1))


def is_over(tx: Transaction, attempt_id: int) -> bool:
    """Tell whether an attempt has ended, as it stands now."""
    return State(tx.scalars(select(Attempt.state).where(Attempt.id == attempt_id)).one()).is_final


def was_called_off(attempt: Attempt) -> bool:
    """Tell whether an attempt ended because nobody wanted it any more, before it had come to an end of its own.

    What a person stopped stays stopped until a person asks for it again.
    """
    is_off = attempt.cancel_reason is not None and not attempt.cancelled_by
    return is_off and attempt.state not in (State.STOPPED, State.FAILED)


def observe(tx: Transaction, attempt_id: int, seen: Iterable[Observation]) -> list[Transition]:
    """Advance an attempt through what was seen and write each step down. The one place where its state changes.

    What its commit's checks show changes with it, so every step is news of the commit.

    Returns the steps taken; none when nothing was new. The row is read afresh inside the transaction, so two
    observers never take the same step twice.
    """
    attempt = tx.scalar(select(Attempt).where(Attempt.id == attempt_id).with_for_update())
    if attempt is None:
        return []
    tx.refresh(attempt)
    steps = advance(State(attempt.state), seen)
    for step in steps:
        tx.add(
            TransitionRow(attempt_id=attempt_id, source=step.source, target=step.target, at=step.at, reason=step.reason)
        )
    if steps:
        last = steps[-1]
        attempt.state, attempt.entered_at, attempt.reason = last.target, last.at, last.reason
        attempt.retry_at = retries.due(last, attempt.retry) if attempt.cancel_reason is None else None
        attempt.deadline = deadline(last.target, last.at, round(attempt.spec["timeout"] * 1_000_000))
        _see_tasks(tx, attempt)
        commits.touch(tx, commit_of(tx, attempt_id))
    tx.flush()
    return steps


def _see_tasks(tx: Transaction, attempt: Attempt) -> None:
    tx.execute(update(Task).where(Task.attempt_id == attempt.id).values(state=attempt.state))


def see_task(tx: Transaction, attempt_id: int, role: str, index: int, **values: object) -> None:
    """Write down what is known of a task: its own state once it ended, exit code, node, peak, reason, the log's end."""
    where = (Task.attempt_id == attempt_id, Task.role == role, Task.index == index)
    tx.execute(update(Task).where(*where).values(**values))


def tasks(tx: Transaction, attempt_id: int) -> Sequence[Task]:
    """Return the tasks of an attempt, in the order of its groups."""
    return tx.scalars(select(Task).where(Task.attempt_id == attempt_id).order_by(Task.id)).all()


def see_trials(tx: Transaction, attempt_id: int, lines: Sequence[Trial]) -> bool:
    """Write down how these trials of a search are now; tell whether anything was new."""
    if not lines:
        return False
    numbers = [trial.number for trial in lines]
    where = (TrialRow.attempt_id == attempt_id, TrialRow.number.between(min(numbers), max(numbers)))
    known = {row.number: row for row in tx.scalars(select(TrialRow).where(*where))}
    is_new = False
    for trial in lines:
        values = {**vars(trial), "params": dict(trial.params), "state": str(trial.state)}
        row = known.get(trial.number)
        if row is None:
            tx.add(TrialRow(attempt_id=attempt_id, **values))
            is_new = True
            continue
        for name, value in values.items():
            if getattr(row, name) != value:
                setattr(row, name, value)
                is_new = True
    tx.flush()
    return is_new


def trials(tx: Transaction, attempt_id: int) -> tuple[Trial, ...]:
    """Return the trials of an attempt's search, in the order of their numbers."""
    rows = tx.scalars(select(TrialRow).where(TrialRow.attempt_id == attempt_id).order_by(TrialRow.number))
    return tuple(
        Trial(
            row.number,
            row.params,
            TrialState(row.state),
            row.value,
            row.task,
            row.began_at,
            row.ended_at,
            row.reason,
            row.steps,
        )
        for row in rows
    )


@dataclass(frozen=True)
class Placed:
    """An attempt with the rows above it."""

    attempt: Attempt
    experiment: Experiment
    run: Run
    commit: Commit
    repository: Repository


def _placed() -> Select[Attempt, Experiment, Run, Commit, Repository]:
    return (
        select(Attempt, Experiment, Run, Commit, Repository)
        .join(Experiment, Attempt.experiment_id == Experiment.id)
        .join(Run, Experiment.run_id == Run.id)
        .join(Commit, Run.commit_id == Commit.id)
        .join(Repository, Commit.repository_id == Repository.id)
        .order_by(Attempt.id)
    )


def _place(tx: Transaction, query: Select[Attempt, Experiment, Run, Commit, Repository]) -> list[Placed]:
    return [
        Placed(attempt, experiment, run, commit, repository)
        for attempt, experiment, run, commit, repository in tx.execute(query)
    ]


def in_states(tx: Transaction, *states: State) -> list[Placed]:
    """Return the attempts in one of `states`, oldest first."""
    return _place(tx, _placed().where(Attempt.state.in_([str(s) for s in states])))


def submitted(tx: Transaction) -> Sequence[Attempt]:
    """Return the unfinished attempts that the backend has."""
    return tx.scalars(select(Attempt).where(UNFINISHED, Attempt.handle.is_not(None))).all()


def launched(tx: Transaction) -> Sequence[Attempt]:
    """Return the unfinished attempts that were handed to the backend, or are about to be."""
    return tx.scalars(select(Attempt).where(UNFINISHED, Attempt.launching_at.is_not(None))).all()


def under_way(tx: Transaction) -> Sequence[Attempt]:
    """Return the attempts that have not come to their end, or are to be repeated by the platform."""
    return tx.scalars(select(Attempt).where(UNDER_WAY)).all()


def overdue(tx: Transaction, now: int) -> Sequence[Attempt]:
    """Return the unfinished attempts that stayed in their state for too long."""
    return tx.scalars(select(Attempt).where(UNFINISHED, Attempt.deadline < now)).all()


def to_cancel(tx: Transaction) -> Sequence[Attempt]:
    """Return the unfinished attempts whose end was asked for and not yet passed on."""
    where = (UNFINISHED, Attempt.cancel_reason.is_not(None), Attempt.cancel_sent_at.is_(None))
    return tx.scalars(select(Attempt).where(*where)).all()


def unread(tx: Transaction) -> list[Placed]:
    """Return attempts that have metrics yet to be read: running ones, and finished ones not read to their end."""
    states = (State.RUNNING, State.NETWORK_TEARDOWN, *FINAL)
    where = (Attempt.metrics_read_at.is_(None), Attempt.state.in_([str(s) for s in states]))
    return _place(tx, _placed().where(*where))


def due_again(tx: Transaction, now: int) -> list[Placed]:
    """Return the attempts that are to be repeated: their time has come, or nobody wants them any more."""
    is_time = or_(Attempt.retry_at <= now, Attempt.cancel_reason.is_not(None))
    # By themselves first: else SQLite goes through all attempts, because they are to be in the order of their ids.
    repeated = select(Attempt.id).where(Attempt.retry_at > 0)
    return _place(tx, _placed().where(Attempt.id.in_(repeated), is_time))


def siblings(tx: Transaction, run_id: int) -> list[tuple[Experiment, Attempt]]:
    """Return a run's experiments in their order, each with its newest attempt."""
    query = (
        select(Experiment, Attempt)
        .join(Attempt, Attempt.experiment_id == Experiment.id)
        .where(Experiment.run_id == run_id)
        .order_by(Experiment.position, Experiment.id, Attempt.number)
    )
    newest = {experiment.id: (experiment, attempt) for experiment, attempt in tx.execute(query)}
    return list(newest.values())


def change(tx: Transaction, attempt_id: int, **values: object) -> None:
    """Set columns of an attempt that are not its state."""
    tx.execute(update(Attempt).where(Attempt.id == attempt_id).values(**values))


def commit_of(tx: Transaction, attempt_id: int) -> int:
    """Return the id of the commit that an attempt belongs to."""
    query = select(Run.commit_id).join(Experiment, Experiment.run_id == Run.id).join(Attempt)
    return tx.scalars(query.where(Attempt.id == attempt_id)).one()


def call_off(tx: Transaction, which: ColumnElement[bool], reason: str, by: str = "") -> int:
    """Ask for the end of the unfinished attempts at these experiments. Returns how many were asked.

    `by` is the person who wants it; empty where nobody does, but the reason for them is gone.
    """
    attempts = select(Attempt.id).join(Experiment).where(which)
    asked = tx.scalars(attempts.where(UNDER_WAY, Attempt.cancel_reason.is_(None))).all()
    for attempt_id in asked:
        change(tx, attempt_id, cancel_reason=reason, cancelled_by=by)
    return len(asked)

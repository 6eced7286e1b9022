"""The whole story of a database, as JSON-able values: what came, what ran and when, what it measured."""

from typing import Any

from sqlalchemy import select

from bot.store import metrics
from bot.store.database import Transaction
from bot.store.schema import Attempt, Commit, Delivery, Experiment, Request, Run, TransitionRow


def deliveries(tx: Transaction) -> list[dict[str, Any]]:
    """Return every delivery with what became of it."""
    return [
        {
            "guid": row.guid,
            "event": row.event,
            "received_at": row.received_at,
            "state": row.state,
            "reason": row.reason,
        }
        for row in tx.scalars(select(Delivery).order_by(Delivery.id))
    ]


def requests(tx: Transaction) -> list[dict[str, Any]]:
    """Return everything that people asked for, with the answer."""
    return [
        {"sender": row.sender, "verb": row.verb, "source": row.source, "state": row.state, "answer": row.answer}
        for row in tx.scalars(select(Request).order_by(Request.id))
    ]


def experiments(tx: Transaction) -> list[dict[str, Any]]:
    """Return every attempt with its transitions and the last value of each metric."""
    query = select(Attempt, Experiment, Run, Commit).select_from(Attempt).join(Experiment).join(Run)
    query = query.join(Commit, Run.commit_id == Commit.id).order_by(Attempt.id)
    return [
        {
            "id": attempt.backend_id,
            "name": f"{run.workflow} / {experiment.step}",
            "commit": commit.sha,
            "state": attempt.state,
            "reason": attempt.reason,
            "cause": attempt.cause,
            "exit_code": attempt.exit_code,
            "transitions": _transitions(tx, attempt.id),
            "metrics": {one.name: one.latest.value for one in metrics.load(tx, attempt.id) if one.latest is not None},
        }
        for attempt, experiment, run, commit in tx.execute(query)
    ]


def _transitions(tx: Transaction, attempt_id: int) -> list[dict[str, Any]]:
    rows = tx.scalars(select(TransitionRow).where(TransitionRow.attempt_id == attempt_id).order_by(TransitionRow.id))
    return [{"state": row.target, "at": row.at, "reason": row.reason} for row in rows]

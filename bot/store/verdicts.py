"""Gates evaluated from what is stored: a commit's own, and those of the branches that it is to be merged into."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from bot.core.demands import Demand, Demands, governing, removed
from bot.core.gates import Gate, GateResult, Outcome, evaluate
from bot.core.series import Series
from bot.core.states import State
from bot.store import commits, metrics
from bot.store.database import Transaction
from bot.store.schema import Attempt, Commit, Experiment, Run, RunTrigger
from bot.store.schema import Demand as DemandRow

BaseGates = tuple[tuple[str, tuple[Gate, ...]], ...]
"""The gates that bases ask for of one experiment, each with its branch."""


def demands_of(tx: Transaction, commit: Commit) -> tuple[Demands, ...]:
    """Return what the bases of a commit ask of it.

    One that the commit itself was pushed to asks no more: what stands there now is the commit's own. Where it was taken
    from there again, an open pull request asks as ever.
    """
    rows = tx.scalars(select(DemandRow).where(DemandRow.commit_id == commit.id).order_by(DemandRow.id)).all()
    pushed = select(RunTrigger.ref).join(Run).where(Run.commit_id == commit.id, RunTrigger.event == "push")
    arrived = set(tx.scalars(pushed)) if rows else set()
    return tuple(
        Demands(row.base_branch, row.number, tuple(map(Demand.from_json, row.steps)))
        for row in rows
        if f"refs/heads/{row.base_branch}" not in arrived or _is_to_come_back(tx, commit, row)
    )


def _is_to_come_back(tx: Transaction, commit: Commit, row: DemandRow) -> bool:
    """Tell whether a commit is to go once more into a branch that was at it and has been moved since."""
    if commits.head_of(tx, commit.repository_id, f"refs/heads/{row.base_branch}") == commit.sha:
        return False
    pull = commits.find_pull(tx, commit.repository_id, row.number)
    return pull is not None and pull.is_open and (pull.head_sha, pull.base_branch) == (commit.sha, row.base_branch)


def asked_of(asked: Sequence[Demands], workflow: str, step: str) -> BaseGates:
    """Return the gates that bases ask for of one experiment. Two pull requests into one branch ask for the same."""
    found = {one.branch: demand.gates for one in asked if (demand := one.of(workflow, step)) is not None}
    return tuple(found.items())


def gates_of(experiment: Experiment) -> tuple[Gate, ...]:
    """Return the gates of an experiment as its config had them."""
    return tuple(map(Gate.from_json, experiment.gates))


def gate_results(
    tx: Transaction,
    experiment: Experiment,
    attempt: Attempt | None,
    series: Sequence[Series],
    is_pull: bool,
    asked: BaseGates = (),
) -> tuple[GateResult, ...]:
    """Return the verdicts of an experiment's gates as they stand, its own in their order, then those it lacks."""
    outcome, documents, problems = Outcome(State.CREATED), dict[str, Any](), list[Any]()
    if attempt is not None:
        # What is to be repeated has not ended yet.
        state = State(attempt.state) if attempt.retry_at is None else State.PENDING
        # What a run left is read after its end: until then nothing is known of its metrics.
        is_read = attempt.metrics_read_at is not None or state is not State.STOPPED
        outcome = Outcome(state if is_read else State.NETWORK_TEARDOWN, attempt.reason)
        documents = documents_of(tx, attempt)
        problems = attempt.metrics_problems

    def verdict(gate: Gate) -> GateResult:
        return evaluate(gate, series, documents, is_pull=is_pull, outcome=outcome, problems=problems)

    own = {gate.name: verdict(gate) for gate in gates_of(experiment)}
    bases = [(branch, {gate.name: gate for gate in gates}) for branch, gates in asked]
    missing = [removed(gate, branch) for branch, gates in bases for name, gate in gates.items() if name not in own]
    return (*(_governing(result, name, bases, verdict) for name, result in own.items()), *_once(missing))


def documents_of(tx: Transaction, attempt: Attempt) -> dict[str, Any]:
    """Return the documents that an attempt left, parsed, by their names."""
    return {name: json.loads(body) for name, body in metrics.documents(tx, attempt.id).items()}


def value_of(
    gate: Gate, series: Sequence[Series], documents: Mapping[str, Any], problems: Sequence[str]
) -> float | None:
    """Return what a gate would compare of an attempt that ended well; None where there is no such value."""
    ended = Outcome(State.STOPPED)
    return evaluate(gate, series, documents, is_pull=True, outcome=ended, problems=problems).value


def _governing(own: GateResult, name: str, bases: Sequence[tuple[str, Mapping[str, Gate]]], verdict: Any) -> GateResult:
    return governing(own, [(branch, verdict(gates[name])) for branch, gates in bases if name in gates])


def _once(missing: Sequence[GateResult]) -> tuple[GateResult, ...]:
    return tuple({result.gate.name: result for result in reversed(missing)}.values())

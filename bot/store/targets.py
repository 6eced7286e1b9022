"""The experiments of a commit as people mean them: by a check's button, by a name, or by what failed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from bot.core.matrix import MAX_CELLS_REPORTED_EACH
from bot.core.report import overview
from bot.core.states import State
from bot.store import checks, facts
from bot.store.database import Transaction
from bot.store.schema import Attempt, Check, Commit, Experiment, Run
from bot.store.surroundings import NOWHERE


@dataclass(frozen=True)
class Target:
    """An experiment with its newest attempt.

    `is_over`: it ended, and what it left has been read. `has_failed`: it or one of its gates is bad. `was_kept_back`:
    it was never started, because the step before it did not succeed. `began_at` is when the attempt was made.
    """

    experiment_id: int
    public_id: str
    workflow: str
    step: str
    variant: str
    position: int
    is_over: bool
    has_failed: bool
    was_kept_back: bool
    reports_each: bool
    began_at: int

    @property
    def label(self) -> str:
        """`<workflow> / <step>`, with the variant if there is one."""
        return f"{self.workflow} / {self.step}" + (f" ({self.variant})" if self.variant else "")


def of_commit(tx: Transaction, commit: Commit) -> list[Target]:
    """Return all experiments of a commit that were ever tried, in the order of its config."""
    seen = overview.of_commit(facts.commit_facts(tx, commit, facts.repository_of(tx, commit), NOWHERE))
    parts = {part.facts.public_id: part for part in seen.parts if part.facts.public_id}
    query = (
        select(Experiment, Run, Attempt)
        .join(Run, Experiment.run_id == Run.id)
        .join(Attempt, Attempt.experiment_id == Experiment.id)
        .where(Run.commit_id == commit.id, Run.skipped.is_(None))
        .order_by(Run.position, Run.id, Experiment.position, Experiment.id, Attempt.number)
    )
    newest = {experiment.id: (experiment, run, attempt) for experiment, run, attempt in tx.execute(query)}
    found = []
    for experiment, run, attempt in newest.values():
        part = parts.get(experiment.public_id)
        if part is not None:
            has_failed = part.standing.is_bad or any(row.standing.is_bad for row in part.gates)
            found.append(_target(experiment, run, attempt, is_over=part.standing.is_done, has_failed=has_failed))
    return found


def _target(experiment: Experiment, run: Run, attempt: Attempt, *, is_over: bool, has_failed: bool) -> Target:
    return Target(
        experiment.id,
        experiment.public_id,
        run.workflow,
        experiment.step,
        experiment.variant,
        experiment.position,
        is_over,
        has_failed and is_over,
        was_kept_back=attempt.state == State.CANCELLED and attempt.cancel_reason is None,
        reports_each=experiment.reports_each,
        began_at=attempt.created_at,
    )


def with_followers(everything: Sequence[Target], chosen: Sequence[Target]) -> list[Target]:
    """Return what was chosen, and the later steps that were not started for want of it."""
    first: dict[str, int] = {}
    for one in chosen:
        first[one.workflow] = min(one.position, first.get(one.workflow, one.position))
    ids = {one.experiment_id for one in chosen}
    return [
        one
        for one in everything
        if one.experiment_id in ids
        or (one.was_kept_back and one.workflow in first and one.position > first[one.workflow])
    ]


def named(tx: Transaction, commit: Commit, everything: Sequence[Target], name: str) -> list[Target]:
    """Return what `name` means: a check, a workflow, a step, a cell of a matrix, or an experiment's own id."""
    check = next((one for one in checks.of_commit(tx, commit.id) if one.name == name), None)
    if check is not None and check.kind == "rollup":
        return list(everything)
    if check is not None and check.experiment_id is not None:
        return of_check(everything, check)
    for spelling in (
        lambda one: one.workflow,
        lambda one: f"{one.workflow} / {one.step}",
        lambda one: one.label,
        lambda one: one.public_id,
        lambda one: one.step,
    ):
        if found := [one for one in everything if spelling(one) == name]:
            return found
    return []


def of_check(everything: Sequence[Target], check: Check) -> list[Target]:
    """Return the experiments of a check, be it a gate's: of a matrix, which has one, the cells that failed, or all."""
    own = [one for one in everything if one.experiment_id == check.experiment_id]
    if not own or not own[0].variant:
        return own
    cells = [one for one in everything if (one.workflow, one.step) == (own[0].workflow, own[0].step)]
    if len(cells) <= MAX_CELLS_REPORTED_EACH and all(one.reports_each for one in cells):
        return own
    return [one for one in cells if one.has_failed] or cells


def ids(chosen: Collection[Target]) -> frozenset[int]:
    """Return the rows' ids."""
    return frozenset(one.experiment_id for one in chosen)

"""From rows to facts: all that is to be said of a commit, and of a pull request."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from bot.core.commands import WORD, Command, Verb
from bot.core.config import Problem
from bot.core.demands import Demand, Demands, GateChange, changes, removed
from bot.core.gates import GateResult, Verdict
from bot.core.report import (
    CommitFacts,
    ComparisonFacts,
    EarlierCommit,
    ExperimentFacts,
    HeldFacts,
    PullFacts,
    PullLine,
    RequestFacts,
    RunFacts,
    WouldRun,
)
from bot.core.states import State
from bot.store import checks, commits, comparisons, requests
from bot.store.database import Transaction
from bot.store.experiment_facts import experiment_facts
from bot.store.schema import (
    Attempt,
    Commit,
    Experiment,
    Pull,
    PullHead,
    Repository,
    Request,
    Run,
    RunTrigger,
)
from bot.store.settled import Settled
from bot.store.surroundings import Surroundings
from bot.store.verdicts import asked_of, demands_of, gates_of


class Known(Settled[ExperimentFacts]):
    """What commits have in common from one moment to the next: facts of attempts that are over.

    `references` are those of other commits that they are shown beside.
    """

    def __init__(self) -> None:
        super().__init__()
        self.references = comparisons.Known()


_EARLIER = 10
"""How many earlier heads a pull request's comment tells of."""
_ASKED = 5
"""How many of the things that people asked for are told."""


def commit_facts(
    tx: Transaction, commit: Commit, repository: Repository, around: Surroundings, known: Known | None = None
) -> CommitFacts:
    """Return all that is to be said of a commit. `known` remembers, between two calls, what has settled."""
    known = Known() if known is None else known
    pulls, asked = _pulls(tx, commit), demands_of(tx, commit)
    rows = tx.scalars(select(Run).where(Run.commit_id == commit.id).order_by(Run.position, Run.id)).all()
    held = None if commit.held is None else _held(commit.held)
    context = _Context(bool(pulls) or _is_group(tx, commit), asked, around, known, is_held=held is not None)
    runs = tuple(_run(tx, run, context) for run in rows)
    return CommitFacts(
        full_name=f"{repository.owner}/{repository.name}",
        sha=commit.sha,
        title=commit.title,
        config_path=commit.config_path,
        web_url=around.web_url,
        problems=tuple(Problem(**problem) for problem in commit.problems),
        runs=_with_missing(runs, asked, is_held=held is not None),
        held=held,
        pulls=pulls,
        asked=asked,
        changes=() if held is not None else tuple(_changes(tx, asked, rows)),
        comparisons=tuple(_comparisons(tx, commit, around, known)),
        # What was asked of the pull request as a whole is its comment's: else it would stand at every earlier commit.
        requests=tuple(map(_request, requests.told(tx, repository.id, [], commit.sha, _ASKED))),
    )


@dataclass(frozen=True)
class _Context:
    """What all experiments of one commit have in common."""

    is_pull: bool
    asked: tuple[Demands, ...]
    around: Surroundings
    known: Known
    is_held: bool


def _comparisons(tx: Transaction, commit: Commit, around: Surroundings, known: Known) -> Iterator[ComparisonFacts]:
    return comparisons.facts_of(tx, commit, around.public_url if around.shows_images else None, known.references)


def _pulls(tx: Transaction, commit: Commit) -> tuple[PullLine, ...]:
    """Return the pull requests whose head the commit is, or was."""
    query = (
        select(PullHead, Pull)
        .join(Pull, (Pull.repository_id == PullHead.repository_id) & (Pull.number == PullHead.number))
        .where(PullHead.commit_id == commit.id)
        .order_by(PullHead.number)
    )
    return tuple(
        PullLine(head.number, head.base_branch, pull.is_open and pull.head_sha == commit.sha)
        for head, pull in tx.execute(query)
    )


def _is_group(tx: Transaction, commit: Commit) -> bool:
    """Tell whether it is what a merge queue made of pull requests: nothing but its checks decides what is merged."""
    query = select(RunTrigger.id).join(Run).where(Run.commit_id == commit.id, RunTrigger.event == "merge_group")
    return tx.scalar(query.limit(1)) is not None


def _held(value: Mapping[str, Any]) -> HeldFacts:
    told = {name: part for name, part in value.items() if name != "waits"}
    return HeldFacts(**{**told, "would_run": tuple(WouldRun(**one) for one in value["would_run"])})


def _changes(
    tx: Transaction,
    asked: Sequence[Demands],
    rows: Sequence[Run],
) -> Iterator[GateChange]:
    """Yield the gates that differ from those of a base; where nothing ran, nothing is known to differ."""
    if not rows:
        return
    written = {
        (run.workflow, row.step): gates_of(row)
        for run in rows
        for row in tx.scalars(select(Experiment).where(Experiment.run_id == run.id))
    }
    for one in {demand.branch: demand for demand in asked}.values():
        yield from changes(one, written)


def _with_missing(runs: tuple[RunFacts, ...], asked: Sequence[Demands], *, is_held: bool) -> tuple[RunFacts, ...]:
    """Return the runs with all names that a base asks for and the commit does not have, or not yet."""
    have = {(run.workflow, x.step, x.variant if x.reports_each else "") for run in runs for x in run.experiments}
    # Where a workflow ran, it has all its names: what it lacks waits for nobody.
    begun = {run.workflow for run in runs if not run.is_held}
    lacking: dict[str, list[ExperimentFacts]] = {}
    for one in asked:
        for demand in one.steps:
            for variant in demand.variants:
                name = (demand.workflow, demand.step, variant)
                if name not in have:
                    have.add(name)
                    waits = is_held and demand.workflow not in begun
                    lacking.setdefault(demand.workflow, []).append(_missing(demand, variant, one.branch, is_held=waits))
    known = tuple(replace(run, experiments=(*run.experiments, *lacking.pop(run.workflow, ()))) for run in runs)
    return (*known, *(RunFacts(workflow, tuple(found), is_held=is_held) for workflow, found in lacking.items()))


def _missing(demand: Demand, variant: str, branch: str, *, is_held: bool) -> ExperimentFacts:
    """Return the name of an experiment that is not there, with those of its gates."""
    waiting = (GateResult(gate, Verdict.WAITING) for gate in demand.gates)
    gates = waiting if is_held else (removed(gate, branch) for gate in demand.gates)
    return ExperimentFacts(
        public_id="",
        workflow=demand.workflow,
        step=demand.step,
        variant=variant,
        state=State.CREATED,
        gates=tuple(gates),
        reports_each=bool(variant),
        removed_from="" if is_held else branch,
    )


def _request(row: Request) -> RequestFacts:
    return RequestFacts(row.sender, words_of(row), row.state == requests.DONE, row.answer, row.answered_at or 0)


def words_of(row: Request) -> str:
    """Return what somebody asked for, as one would write it."""
    if not row.verb:
        return str(row.names[0])
    names = [] if row.source == "click" and row.verb == Verb.APPROVE else row.names
    said = str(Command(Verb(row.verb), tuple(names), row.settings))
    return said if row.source != requests.TERMINAL else said.replace(WORD, "experiment-ci", 1)


def _run(tx: Transaction, run: Run, context: _Context) -> RunFacts:
    """The newest attempts come in one query: a matrix has hundreds."""
    of_run = select(Experiment).where(Experiment.run_id == run.id).order_by(Experiment.position, Experiment.id)
    attempts = select(Attempt).join(Experiment).where(Experiment.run_id == run.id).order_by(Attempt.number)
    newest = {attempt.experiment_id: attempt for attempt in tx.scalars(attempts)}

    def facts_of(row: Experiment) -> ExperimentFacts:
        attempt = newest.get(row.id)
        asked = asked_of(context.asked, run.workflow, row.step)
        if attempt is None or attempt.kept_at is None or attempt.retry_at is not None:
            return experiment_facts(tx, run, row, attempt, context.is_pull, context.around, asked)
        # Its end, its metrics and what it left have been written down. People may yet close its page.
        key = (attempt.backend_id, attempt.kept_at, row.view_token, context.is_pull, context.around, asked)
        return context.known.get(
            key, lambda: experiment_facts(tx, run, row, attempt, context.is_pull, context.around, asked)
        )

    found = tuple(facts_of(row) for row in tx.scalars(of_run).all())
    # What another event left out waits for somebody's word like the rest, as long as the commit is held.
    is_held = context.is_held and run.skipped is not None
    return RunFacts(run.workflow, found, skipped=None if is_held else run.skipped, is_held=is_held)


def pull_facts(
    tx: Transaction, number: int, repository: Repository, around: Surroundings, known: Known | None = None
) -> PullFacts:
    """Return a pull request with its head and the heads before it, and what people asked for there."""
    heads = commits.pull_heads(tx, repository.id, number)
    head = None if not heads else tx.get_one(Commit, heads[0].commit_id)
    earlier = tuple(_earlier(tx, row.commit_id) for row in heads[1 : _EARLIER + 1])
    asked = requests.told(tx, repository.id, [number], "" if head is None else head.sha, _ASKED)
    return PullFacts(
        number,
        None if head is None else commit_facts(tx, head, repository, around, known),
        earlier,
        has_comment=checks.has_comment(tx, repository.id, number),
        requests=tuple(map(_request, asked)),
        wants_help=requests.wants_help(tx, repository.id, number),
    )


def _earlier(tx: Transaction, commit_id: int) -> EarlierCommit:
    commit = tx.get_one(Commit, commit_id)
    roll_up = next((check for check in checks.of_commit(tx, commit_id) if check.kind == "rollup"), None)
    view: dict[str, Any] = {} if roll_up is None else roll_up.desired
    return EarlierCommit(commit.sha, commit.title, view.get("conclusion"), str(view.get("title", "")))


def pulls_of(tx: Transaction, commit_id: int) -> Sequence[int]:
    """Return the numbers of the pull requests that have, or had, the commit as their head."""
    return tx.scalars(select(PullHead.number).where(PullHead.commit_id == commit_id)).all()


def repository_of(tx: Transaction, commit: Commit) -> Repository:
    """Return the repository of a commit."""
    return tx.get_one(Repository, commit.repository_id)


def experiment_ids(tx: Transaction, commit_id: int) -> dict[str, int]:
    """Return the rows' ids of a commit's experiments by their public ids."""
    query = select(Experiment.public_id, Experiment.id).join(Run).where(Run.commit_id == commit_id)
    return dict(tx.execute(query).all())

"""From rows to facts: all that the reports and the pages say of a commit, with its gates evaluated.

Gates are evaluated here, each time, from the stored series: a pull request that is opened on a commit already run
gets its verdicts without a new run.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from bot.core.config import Problem
from bot.core.gates import Gate, GateResult, IfNotFound, Outcome, Range, Rounding, Source, evaluate
from bot.core.report import CommitFacts, EarlierCommit, ExperimentFacts, PullFacts, RunFacts, metrics_of
from bot.core.series import Series
from bot.core.states import Observation, State
from bot.store import checks, commits, metrics
from bot.store.database import Transaction
from bot.store.schema import Attempt, Commit, Experiment, PullHead, Repository, Run, TransitionRow

_EARLIER = 10
"""How many earlier heads a pull request's comment tells of."""


@dataclass(frozen=True)
class Surroundings:
    """What the rows do not know: where our pages are, where GitHub's are, how the backend isolates."""

    public_url: str
    web_url: str
    isolation: str
    is_isolated: bool
    shows_images: bool

    @property
    def caveats(self) -> tuple[str, ...]:
        """What the reader of any result of this bot must know."""
        return () if self.is_isolated else (f"it ran without isolation ({self.isolation})",)

    def experiment_url(self, experiment: Experiment) -> str | None:
        """Return the address of an experiment's page with its view token; None when it was closed."""
        if experiment.view_token is None:
            return None
        return f"{self.public_url}/experiments/{experiment.public_id}?token={experiment.view_token}"

    def picture_url(self, attempt: Attempt | None) -> str | None:
        """Return the address of an attempt's picture; None when there is none, or none may be shown."""
        if attempt is None or attempt.picture is None or not self.shows_images:
            return None
        return f"{self.public_url}/images/{attempt.picture}.png"


def commit_facts(tx: Transaction, commit: Commit, repository: Repository, around: Surroundings) -> CommitFacts:
    """Return all that is to be said of a commit."""
    is_pull = tx.scalar(select(PullHead.id).where(PullHead.commit_id == commit.id).limit(1)) is not None
    runs = tx.scalars(select(Run).where(Run.commit_id == commit.id).order_by(Run.position, Run.id)).all()
    return CommitFacts(
        full_name=f"{repository.owner}/{repository.name}",
        sha=commit.sha,
        title=commit.title,
        config_path=commit.config_path,
        web_url=around.web_url,
        problems=tuple(Problem(**problem) for problem in commit.problems),
        runs=tuple(_run(tx, run, is_pull, around) for run in runs),
    )


def _run(tx: Transaction, run: Run, is_pull: bool, around: Surroundings) -> RunFacts:
    rows = tx.scalars(
        select(Experiment).where(Experiment.run_id == run.id).order_by(Experiment.position, Experiment.id)
    ).all()
    return RunFacts(
        run.workflow, tuple(experiment_facts(tx, run, row, is_pull, around) for row in rows), skipped=run.skipped
    )


def experiment_facts(
    tx: Transaction, run: Run, experiment: Experiment, is_pull: bool, around: Surroundings
) -> ExperimentFacts:
    """Return an experiment with its newest attempt. One that was never tried (a skipped workflow) is CREATED."""
    attempt = tx.scalar(
        select(Attempt).where(Attempt.experiment_id == experiment.id).order_by(Attempt.number.desc()).limit(1)
    )
    params = experiment.params
    base = ExperimentFacts(
        public_id=experiment.public_id,
        workflow=run.workflow,
        step=experiment.step,
        variant=experiment.variant,
        state=State.CREATED,
        gates=gate_results(tx, experiment, attempt, (), is_pull),
        caveats=(*experiment.notes, *around.caveats),
        command=str(params.get("command") or ""),
        workdir=str(params.get("workdir") or "."),
        isolation=around.isolation,
        details_url=around.experiment_url(experiment),
        picture_url=around.picture_url(attempt),
        not_launchable=experiment.refusal,
    )
    return base if attempt is None else _tried(tx, base, experiment, attempt, is_pull)


def _tried(
    tx: Transaction, base: ExperimentFacts, experiment: Experiment, attempt: Attempt, is_pull: bool
) -> ExperimentFacts:
    series = metrics.load(tx, attempt.id)
    machine: dict[str, Any] = next((group["machine"] for group in attempt.spec["groups"]), {})
    return replace(
        base,
        attempt=attempt.number,
        state=State(attempt.state),
        reason=attempt.reason,
        timeline=_timeline(tx, attempt.id),
        gates=gate_results(tx, experiment, attempt, series, is_pull),
        metrics=metrics_of(series),
        metrics_read=attempt.metrics_read_at is not None,
        caveats=(*base.caveats, *attempt.metrics_problems),
        exit_code=attempt.exit_code,
        is_timed_out=attempt.reason.startswith("timed out"),
        peak_memory_mb=attempt.peak_memory_mb,
        memory_mb=machine.get("memory_mb"),
        machine=machine.get("name", ""),
        environment=machine.get("environment"),
        log_tail=attempt.log_tail,
        report_md=attempt.report,
    )


def _timeline(tx: Transaction, attempt_id: int) -> tuple[Observation, ...]:
    rows = tx.scalars(select(TransitionRow).where(TransitionRow.attempt_id == attempt_id).order_by(TransitionRow.id))
    return tuple(Observation(State(row.target), row.at, row.reason) for row in rows)


def gates_of(experiment: Experiment) -> tuple[Gate, ...]:
    """Return the gates of an experiment as its config had them."""
    return tuple(
        Gate(
            **{
                **gate,
                "source": Source(gate["source"]),
                "target": Range(**gate["target"]),
                "round": Rounding(gate["round"]),
                "if_not_found": IfNotFound(gate["if_not_found"]),
            }
        )
        for gate in experiment.gates
    )


def gate_results(
    tx: Transaction, experiment: Experiment, attempt: Attempt | None, series: Sequence[Series], is_pull: bool
) -> tuple[GateResult, ...]:
    """Return the verdicts of an experiment's gates as they stand."""
    outcome, documents, problems = Outcome(State.CREATED), {}, []
    if attempt is not None:
        state = State(attempt.state)
        # What a run left is read after its end: until then nothing is known of its metrics.
        is_read = attempt.metrics_read_at is not None or state is not State.STOPPED
        outcome = Outcome(state if is_read else State.NETWORK_TEARDOWN, attempt.reason)
        documents = {name: json.loads(body) for name, body in metrics.documents(tx, attempt.id).items()}
        problems = attempt.metrics_problems
    return tuple(
        evaluate(gate, series, documents, is_pull=is_pull, outcome=outcome, problems=problems)
        for gate in gates_of(experiment)
    )


def pull_facts(tx: Transaction, number: int, repository: Repository, around: Surroundings) -> PullFacts | None:
    """Return a pull request with its head and the heads before it; None when it never had one with a config."""
    heads = commits.pull_heads(tx, repository.id, number)
    if not heads:
        return None
    head = tx.get_one(Commit, heads[0].commit_id)
    earlier = tuple(_earlier(tx, row.commit_id) for row in heads[1 : _EARLIER + 1])
    has_comment = checks.has_comment(tx, repository.id, number)
    return PullFacts(number, commit_facts(tx, head, repository, around), earlier, has_comment)


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

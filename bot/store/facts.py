"""From rows to facts: all that the reports and the pages say of a commit, with its gates evaluated.

Gates are evaluated here, each time, from the stored series: a pull request that is opened on a commit already run
gets its verdicts without a new run.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from bot.core.config import Problem
from bot.core.gates import Gate, GateResult, IfNotFound, Outcome, Range, Rounding, Source, evaluate
from bot.core.report import (
    CommitFacts,
    EarlierCommit,
    ExperimentFacts,
    ImageFacts,
    ModelFacts,
    PlaceFacts,
    PortFacts,
    PullFacts,
    RunFacts,
    SearchFacts,
    TaskFacts,
    metrics_of,
)
from bot.core.search import Goal
from bot.core.series import Series
from bot.core.states import Observation, State
from bot.core.trials import Trial
from bot.core.trials import best as best_of
from bot.store import checks, commits, experiments, metrics
from bot.store.database import Transaction
from bot.store.schema import Attempt, Commit, Experiment, Model, PullHead, Repository, Run, TransitionRow
from bot.store.settled import Settled

Known = Settled[ExperimentFacts]
"""What commits have in common from one moment to the next: facts of attempts that are over."""

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

    def port_url(self, experiment: Experiment, port: int) -> str | None:
        """Return the address at which a port of a running experiment can be looked at."""
        if experiment.view_token is None:
            return None
        return f"{self.public_url}/experiments/{experiment.public_id}/ports/{port}/?token={experiment.view_token}"

    def model_url(self, model: Model, experiment: Experiment) -> str | None:
        """Return the address of a model's page."""
        if experiment.view_token is None:
            return None
        return f"{self.public_url}/models/{model.public_id}?token={experiment.view_token}"

    def picture_url(self, attempt: Attempt | None) -> str | None:
        """Return the address of an attempt's picture; None when there is none, or none may be shown."""
        if attempt is None or attempt.picture is None or not self.shows_images:
            return None
        return f"{self.public_url}/images/{attempt.picture}.png"


def commit_facts(
    tx: Transaction, commit: Commit, repository: Repository, around: Surroundings, known: Known | None = None
) -> CommitFacts:
    """Return all that is to be said of a commit. `known` remembers, between two calls, what has settled."""
    is_pull = tx.scalar(select(PullHead.id).where(PullHead.commit_id == commit.id).limit(1)) is not None
    runs = tx.scalars(select(Run).where(Run.commit_id == commit.id).order_by(Run.position, Run.id)).all()
    return CommitFacts(
        full_name=f"{repository.owner}/{repository.name}",
        sha=commit.sha,
        title=commit.title,
        config_path=commit.config_path,
        web_url=around.web_url,
        problems=tuple(Problem(**problem) for problem in commit.problems),
        runs=tuple(_run(tx, run, is_pull, around, Settled() if known is None else known) for run in runs),
    )


def _run(tx: Transaction, run: Run, is_pull: bool, around: Surroundings, known: Known) -> RunFacts:
    """The newest attempts come in one query: a matrix has hundreds."""
    of_run = select(Experiment).where(Experiment.run_id == run.id).order_by(Experiment.position, Experiment.id)
    attempts = select(Attempt).join(Experiment).where(Experiment.run_id == run.id).order_by(Attempt.number)
    newest = {attempt.experiment_id: attempt for attempt in tx.scalars(attempts)}

    def facts_of(row: Experiment) -> ExperimentFacts:
        attempt = newest.get(row.id)
        if attempt is None or attempt.kept_at is None or attempt.retry_at is not None:
            return experiment_facts(tx, run, row, attempt, is_pull, around)
        # Its end, its metrics and what it left have been written down. People may yet close its page.
        key = (attempt.backend_id, attempt.kept_at, row.view_token, is_pull, around)
        return known.get(key, lambda: experiment_facts(tx, run, row, attempt, is_pull, around))

    return RunFacts(run.workflow, tuple(facts_of(row) for row in tx.scalars(of_run).all()), skipped=run.skipped)


def experiment_facts(
    tx: Transaction, run: Run, experiment: Experiment, attempt: Attempt | None, is_pull: bool, around: Surroundings
) -> ExperimentFacts:
    """Return an experiment with its newest attempt. One that was never tried (a skipped workflow) is CREATED."""
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
        reports_each=experiment.reports_each,
        variables=_variables(params),
    )
    return base if attempt is None else _tried(tx, base, experiment, attempt, is_pull, around)


def _variables(params: Mapping[str, Any]) -> dict[str, str]:
    """Return what the config gave to the run by variables, its secrets' names left out."""
    given = {**(params.get("env") or {}), **(params.get("matrix") or {})}
    return {name: value for name, value in given.items() if not str(value).startswith("secret:")}


def _tried(
    tx: Transaction,
    base: ExperimentFacts,
    experiment: Experiment,
    attempt: Attempt,
    is_pull: bool,
    around: Surroundings,
) -> ExperimentFacts:
    search = _search(tx, attempt)
    best = None if search is None else best_of(search.trials, search.goal)
    judged = judged_series(tx, attempt, best)
    group: dict[str, Any] = next(iter(attempt.spec["groups"]), {})
    machine: dict[str, Any] = group.get("machine", {})
    return replace(
        base,
        attempt=attempt.number,
        state=State(attempt.state),
        reason=attempt.reason,
        timeline=_timeline(tx, attempt.id),
        gates=gate_results(tx, experiment, attempt, judged, is_pull),
        metrics=metrics_of(judged),
        metrics_read=attempt.metrics_read_at is not None,
        caveats=(*base.caveats, *attempt.metrics_problems, *attempt.facts.get("remarks", ())),
        exit_code=attempt.exit_code,
        is_timed_out="timed out" in attempt.reason,
        peak_memory_mb=attempt.peak_memory_mb,
        command=base.command or group.get("command", ""),
        memory_mb=machine.get("memory_mb"),
        machine=machine.get("name", ""),
        environment=machine.get("environment"),
        log_tail=attempt.log_tail,
        report_md=attempt.report,
        tasks=_tasks(tx, attempt),
        search=search,
        progress=attempt.progress,
        image=_image(attempt),
        gpu=str(attempt.facts.get("gpu", "")),
        walls=tuple(str(wall) for wall in attempt.facts.get("walls", ())),
        peaks=metrics.peaks(tx, attempt.id),
        ports=tuple(_ports(experiment, attempt, around)),
        model=_model(tx, experiment, attempt, around),
        places=tuple(PlaceFacts(**place) for place in attempt.facts.get("places", ())),
        retry=attempt.retry,
        retry_at=attempt.retry_at,
    )


def _tasks(tx: Transaction, attempt: Attempt) -> tuple[TaskFacts, ...]:
    return tuple(
        TaskFacts(
            f"{row.role}-{row.index}",
            State(row.state),
            row.exit_code,
            row.peak_memory_mb,
            reason=row.reason,
            log_tail=row.log_tail,
        )
        for row in experiments.tasks(tx, attempt.id)
    )


def _search(tx: Transaction, attempt: Attempt) -> SearchFacts | None:
    aim = aim_of(attempt.spec, attempt.facts)
    if aim is None:
        return None
    declared = attempt.spec.get("search")
    found = experiments.trials(tx, attempt.id)
    asked = len(found) if declared is None else declared["trials"]
    return SearchFacts(*aim, asked, found, is_declared=declared is not None)


def aim_of(spec: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[Goal, str] | None:
    """Return what a search looks for, and in which metric; None for what is no search.

    A declared one says it; of the ancestor's form only the study that it left can tell.
    """
    declared = spec.get("search") or facts.get("study")
    return None if declared is None else (Goal(declared["goal"]), str(declared["metric"]))


def best_trial(tx: Transaction, attempt: Attempt) -> int | None:
    """Return the number of the best complete trial of an attempt's search, None when there is none (yet)."""
    aim = aim_of(attempt.spec, attempt.facts)
    best = None if aim is None else best_of(experiments.trials(tx, attempt.id), aim[0])
    return None if best is None else best.number


def judged_series(tx: Transaction, attempt: Attempt, best: Trial | None) -> list[Series]:
    """Return the series that an attempt's gates are asked of; `best` is the best trial of its search.

    A declared search is judged by the last try of that trial: what was sent before it began belongs to one that was
    cut off. What the tasks of a study log belongs to none of its trials.
    """
    if best is None or attempt.spec.get("search") is None:
        return metrics.load(tx, attempt.id)
    tried = [_since(best.began_at or 0, one) for one in metrics.load(tx, attempt.id, best.number)]
    return [one for one in tried if one.points]


def _since(moment: int, series: Series) -> Series:
    if series.source is Source.TENSORFLOW:
        return series  # of these only the last try is kept, and their times are the run's own
    return replace(series, points=tuple(point for point in series.points if point.at >= moment))


def _image(attempt: Attempt) -> ImageFacts | None:
    """Return the image that the first group names, with what the backend said of it."""
    images = [group["image"] for group in attempt.spec["groups"] if group.get("image")]
    if not images:
        return None
    known: dict[str, Any] = attempt.facts.get("image", {})
    name = images[0]["name"] or f"built from {images[0]['dockerfile']}"
    reason = known.get("reason", "" if attempt.facts else "it has not run yet")
    return ImageFacts(name, bool(known.get("digest")), str(known.get("digest", "")), str(reason))


def _ports(experiment: Experiment, attempt: Attempt, around: Surroundings) -> Iterator[PortFacts]:
    if State(attempt.state) is not State.RUNNING:
        return
    for port in attempt.spec.get("ports", ()):
        url = around.port_url(experiment, port["container"])
        if url is not None:
            yield PortFacts(port["container"], url)


def _model(tx: Transaction, experiment: Experiment, attempt: Attempt, around: Surroundings) -> ModelFacts | None:
    row = tx.scalar(select(Model).where(Model.attempt_id == attempt.id))
    return None if row is None else ModelFacts(row.type, len(row.files), row.size, around.model_url(row, experiment))


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
        # What is to be repeated has not ended yet.
        state = State(attempt.state) if attempt.retry_at is None else State.PENDING
        # What a run left is read after its end: until then nothing is known of its metrics.
        is_read = attempt.metrics_read_at is not None or state is not State.STOPPED
        outcome = Outcome(state if is_read else State.NETWORK_TEARDOWN, attempt.reason)
        documents = {name: json.loads(body) for name, body in metrics.documents(tx, attempt.id).items()}
        problems = attempt.metrics_problems
    return tuple(
        evaluate(gate, series, documents, is_pull=is_pull, outcome=outcome, problems=problems)
        for gate in gates_of(experiment)
    )


def pull_facts(
    tx: Transaction, number: int, repository: Repository, around: Surroundings, known: Known | None = None
) -> PullFacts | None:
    """Return a pull request with its head and the heads before it; None when it never had one with a config."""
    heads = commits.pull_heads(tx, repository.id, number)
    if not heads:
        return None
    head = tx.get_one(Commit, heads[0].commit_id)
    earlier = tuple(_earlier(tx, row.commit_id) for row in heads[1 : _EARLIER + 1])
    has_comment = checks.has_comment(tx, repository.id, number)
    return PullFacts(number, commit_facts(tx, head, repository, around, known), earlier, has_comment)


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

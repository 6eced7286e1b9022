"""From rows to facts: all that the reports and the pages say of a commit, with its gates evaluated.

Gates are evaluated here, each time, from the stored series: a pull request that is opened on a commit already run
gets its verdicts without a new run.
"""

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
    ImageFacts,
    ModelFacts,
    PlaceFacts,
    PortFacts,
    PullFacts,
    PullLine,
    RequestFacts,
    RunFacts,
    SearchFacts,
    TaskFacts,
    WouldRun,
    metrics_of,
)
from bot.core.states import Observation, State
from bot.core.trials import best as best_of
from bot.store import checks, commits, comparisons, experiments, metrics, requests
from bot.store.database import Transaction
from bot.store.runs import TRUSTED
from bot.store.schema import (
    Attempt,
    Commit,
    Experiment,
    Model,
    Pull,
    PullHead,
    Repository,
    Request,
    Run,
    TransitionRow,
)
from bot.store.searches import aim_of, judged_series
from bot.store.settled import Settled
from bot.store.verdicts import BaseGates, asked_of, demands_of, gate_results, gates_of


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


NOWHERE = Surroundings(public_url="", web_url="", isolation="", is_isolated=True, shows_images=False)
"""For those who want to know how things stand, and show no address."""


def commit_facts(
    tx: Transaction, commit: Commit, repository: Repository, around: Surroundings, known: Known | None = None
) -> CommitFacts:
    """Return all that is to be said of a commit. `known` remembers, between two calls, what has settled."""
    known = Known() if known is None else known
    pulls, asked = _pulls(tx, commit), demands_of(tx, commit)
    rows = tx.scalars(select(Run).where(Run.commit_id == commit.id).order_by(Run.position, Run.id)).all()
    context = _Context(bool(pulls), asked, around, known)
    runs = tuple(_run(tx, run, context) for run in rows)
    held = None if commit.held is None else _held(commit.held)
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


def _held(value: Mapping[str, Any]) -> HeldFacts:
    return HeldFacts(**{**value, "would_run": tuple(WouldRun(**one) for one in value["would_run"])})


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
    lacking: dict[str, list[ExperimentFacts]] = {}
    for one in asked:
        for demand in one.steps:
            for variant in demand.variants:
                name = (demand.workflow, demand.step, variant)
                if name not in have:
                    have.add(name)
                    lacking.setdefault(demand.workflow, []).append(
                        _missing(demand, variant, one.branch, is_held=is_held)
                    )
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

    return RunFacts(run.workflow, tuple(facts_of(row) for row in tx.scalars(of_run).all()), skipped=run.skipped)


def experiment_facts(
    tx: Transaction,
    run: Run,
    experiment: Experiment,
    attempt: Attempt | None,
    is_pull: bool,
    around: Surroundings,
    asked: BaseGates = (),
) -> ExperimentFacts:
    """Return an experiment with its newest attempt. One that was never tried (a skipped workflow) is CREATED."""
    params = experiment.params
    base = ExperimentFacts(
        public_id=experiment.public_id,
        workflow=run.workflow,
        step=experiment.step,
        variant=experiment.variant,
        state=State.CREATED,
        gates=gate_results(tx, experiment, attempt, (), is_pull, asked),
        caveats=(*experiment.notes, *_whose(run), *around.caveats),
        command=str(params.get("command") or ""),
        workdir=str(params.get("workdir") or "."),
        isolation=around.isolation,
        details_url=around.experiment_url(experiment),
        picture_url=around.picture_url(attempt),
        not_launchable=experiment.refusal,
        reports_each=experiment.reports_each,
        variables=_variables(params),
    )
    return base if attempt is None else _tried(tx, base, experiment, attempt, is_pull, around, asked)


def _whose(run: Run) -> tuple[str, ...]:
    """Return what a reader must know of code that comes from outside."""
    if run.trust == TRUSTED or not run.trusted_by:
        return ()
    return (
        f"it comes from outside and was approved by `{run.trusted_by}`: it runs without secrets and without network",
    )


def _given(attempt: Attempt) -> tuple[str, ...]:
    """Return what a reader must know of variables that somebody gave in a command: the result is theirs, too."""
    if not attempt.settings:
        return ()
    given = ", ".join(f"`{name}={value}`" for name, value in attempt.settings.items())
    return (f"with {given}, as `{attempt.author}` asked for in a command",)


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
    asked: BaseGates,
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
        gates=gate_results(tx, experiment, attempt, judged, is_pull, asked),
        metrics=metrics_of(judged),
        metrics_read=attempt.metrics_read_at is not None,
        caveats=(*_given(attempt), *base.caveats, *attempt.metrics_problems, *attempt.facts.get("remarks", ())),
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
        settings=attempt.settings,
        params=comparisons.plain(experiment.params),
        variables={**base.variables, **attempt.settings},
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

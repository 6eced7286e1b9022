"""What the pages show, read in one transaction and handed out as plain values."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased

from bot.core.gates import GateResult
from bot.core.search import Goal
from bot.core.series import Series
from bot.core.states import State
from bot.core.trials import Trial, top
from bot.store import experiments, metrics, models
from bot.store.database import Transaction
from bot.store.models import ModelLine
from bot.store.runs import APPROVED, REVOKED
from bot.store.schema import (
    Attempt,
    Commit,
    Experiment,
    PullHead,
    Repository,
    Run,
    RunTrigger,
    TransitionRow,
)
from bot.store.searches import aim_of, judged_series
from bot.store.verdicts import BaseGates, asked_of, demands_of, gate_results


@dataclass(frozen=True)
class Key:
    """What decides whether an experiment's page may be read: its view token, None when the page is closed."""

    experiment_id: int
    view_token: str | None


@dataclass(frozen=True)
class Place:
    """Where an experiment belongs. `full_name` is the repository's, `label` is `<workflow> / <step>`."""

    public_id: str
    label: str
    full_name: str
    sha: str
    title: str


@dataclass(frozen=True)
class Entry:
    """An experiment in the list: the state of its newest attempt, None before there is one."""

    place: Place
    state: State | None
    reason: str
    created_at: int


@dataclass(frozen=True)
class Asked:
    """Why a run exists: GitHub's event, the ref, the pull request's number (0 for none), and whose doing it is.

    `is_over`: the reason has gone (a deleted branch, a destroyed merge group).
    """

    event: str
    ref: str
    number: int
    author: str
    is_over: bool


@dataclass(frozen=True)
class Cause:
    """Why an attempt was made: `how` is event, command, rerun or approval, `by` whoever did it ("" where unknown).

    `settings` are the variables that a command gave, `retry` counts the repetitions by the platform since then.
    """

    how: str
    by: str
    settings: dict[str, Any]
    retry: int


@dataclass(frozen=True)
class Approval:
    """Code from outside that somebody (`by`) let run at exactly this commit; `is_revoked` when another came since."""

    by: str
    is_revoked: bool


@dataclass(frozen=True)
class Stay:
    """A state that the attempt entered `at`, and left at `until` (None while it is in it). `reason` is for people."""

    state: State
    at: int
    until: int | None
    reason: str


@dataclass(frozen=True)
class TaskLine:
    """One task. `name` is the backend's (`worker-0`), `log_tail` the end of its log, known once it was read."""

    name: str
    state: State
    exit_code: int | None
    node: str | None
    peak_memory_mb: int | None
    reason: str
    log_tail: str


@dataclass(frozen=True)
class SearchPage:
    """A search: its trials, the complete ones best first, then the others by their numbers.

    `asked` is how many its config asked for, None where it does not say. `series` are those of the best trial.
    """

    goal: Goal
    metric: str
    asked: int | None
    trials: tuple[Trial, ...]
    best: Trial | None
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Launched:
    """An attempt as its backend knows it. `tasks` are the names of its tasks, `archive` where its files went.

    `removed_at` is when its files on this machine were swept away.
    """

    backend_id: str
    tasks: tuple[str, ...]
    archive: str | None
    removed_at: int | None


@dataclass(frozen=True)
class Running:
    """A running attempt and the ports that it opened."""

    backend_id: str
    ports: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Tasks that do the same, and what each may use. `environment` is None for the machine's own Python."""

    role: str
    count: int
    command: str
    machine: str
    cpus: float
    memory_mb: int
    gpus: int
    environment: str | None


@dataclass(frozen=True)
class AttemptLine:
    """One attempt among its siblings. `ended_at` is None while it is unfinished."""

    number: int
    state: State
    created_at: int
    ended_at: int | None
    reason: str
    cause: Cause


@dataclass(frozen=True)
class AttemptPage:
    """All about one attempt. `backend_id` is its name at the backend, `is_launched` tells whether it was handed there,
    `is_over` that nothing will change any more: it ended, and its metrics have been read to their end.

    `timeout` is in seconds; `problems` are what the metrics reader could not read. `facts` are what the backend found
    out, `ports` what can be looked at now, `archive` where artifacts and model were put, `removed_at` when they were
    removed from this machine. `retry_at` is when the platform tries again, None when this end stands.
    """

    number: int
    cause: Cause
    backend_id: str
    is_launched: bool
    is_over: bool
    state: State
    reason: str
    host: str | None
    exit_code: int | None
    peak_memory_mb: int | None
    timeout: float
    workdir: str
    groups: tuple[Group, ...]
    tasks: tuple[TaskLine, ...]
    stays: tuple[Stay, ...]
    problems: tuple[str, ...]
    report: str | None
    log_tail: str
    series: tuple[Series, ...]
    gates: tuple[GateResult, ...]
    progress: str
    facts: dict[str, Any]
    ports: tuple[int, ...]
    is_trusted: bool
    search: SearchPage | None
    model: ModelLine | None
    archive: str | None
    removed_at: int | None
    retry_at: int | None


@dataclass(frozen=True)
class ExperimentPage:
    """All about one experiment. `attempt` is the one looked at, None before there is one.

    `approval` is None for code of people who may write to the repository.
    """

    place: Place
    kind: str
    config_path: str
    params: dict[str, Any]
    notes: tuple[str, ...]
    asked: tuple[Asked, ...]
    approval: Approval | None
    attempts: tuple[AttemptLine, ...]
    attempt: AttemptPage | None


def key(tx: Transaction, public_id: str) -> Key | None:
    """Return what opens an experiment's page, None when there is no such experiment."""
    columns = select(Experiment.id, Experiment.view_token).where(Experiment.public_id == public_id)
    found = tx.execute(columns).one_or_none()
    return None if found is None else Key(*found)


def launched(tx: Transaction, experiment_id: int, number: int) -> Launched | None:
    """Return an attempt as its backend knows it, None when there is no such attempt there."""
    where = (Attempt.experiment_id == experiment_id, Attempt.number == number, Attempt.handle.is_not(None))
    attempt = tx.scalar(select(Attempt).where(*where))
    if attempt is None:
        return None
    tasks = tuple(f"{row.role}-{row.index}" for row in experiments.tasks(tx, attempt.id))
    return Launched(attempt.backend_id, tasks, attempt.archive, attempt.removed_at)


def running(tx: Transaction, public_id: str) -> Running | None:
    """Return the running attempt at an experiment with its ports, None when none is running."""
    columns = select(Attempt.backend_id, Attempt.spec["ports"]).join(Experiment)
    where = (Experiment.public_id == public_id, Attempt.state == State.RUNNING)
    found = tx.execute(columns.where(*where).order_by(Attempt.number.desc()).limit(1)).one_or_none()
    return None if found is None else Running(found[0], _containers(found[1]))


def recent(tx: Transaction, limit: int) -> list[Entry]:
    """Return the newest experiments, newest first."""
    sibling = aliased(Attempt)
    newest = select(func.max(sibling.number)).where(sibling.experiment_id == Experiment.id).scalar_subquery()
    query = (
        _placed()
        .add_columns(Attempt.state, Attempt.reason)
        .outerjoin(Attempt, (Attempt.experiment_id == Experiment.id) & (Attempt.number == newest))
        .order_by(Experiment.id.desc())
        .limit(limit)
    )
    return [
        Entry(_place(experiment, run, commit, repository), state and State(state), reason or "", experiment.created_at)
        for experiment, run, commit, repository, state, reason in tx.execute(query)
    ]


def experiment_page(tx: Transaction, experiment_id: int, number: int | None = None) -> ExperimentPage | None:
    """Return an experiment with one of its attempts, the newest unless `number` names another.

    None when there is no such experiment or no such attempt.
    """
    experiment, run, commit, repository = tx.execute(_placed().where(Experiment.id == experiment_id)).one()
    attempts = tx.scalars(select(Attempt).where(Attempt.experiment_id == experiment_id).order_by(Attempt.number)).all()
    chosen = next((one for one in reversed(attempts) if number in (None, one.number)), None)
    if chosen is None and number is not None:
        return None
    is_pull = tx.scalar(select(PullHead.id).where(PullHead.commit_id == commit.id).limit(1)) is not None
    return ExperimentPage(
        place=_place(experiment, run, commit, repository),
        kind=experiment.kind,
        config_path=commit.config_path,
        params=experiment.params,
        notes=tuple(str(note) for note in (*experiment.notes, experiment.refusal) if note),
        asked=_asked(tx, run.id),
        approval=_approval(run),
        attempts=tuple(_line(one) for one in attempts),
        attempt=None
        if chosen is None
        else _attempt(tx, experiment, chosen, is_pull, asked_of(demands_of(tx, commit), run.workflow, experiment.step)),
    )


def _placed() -> Select[Experiment, Run, Commit, Repository]:
    return (
        select(Experiment, Run, Commit, Repository)
        .join(Run, Experiment.run_id == Run.id)
        .join(Commit, Run.commit_id == Commit.id)
        .join(Repository, Commit.repository_id == Repository.id)
    )


def _place(experiment: Experiment, run: Run, commit: Commit, repository: Repository) -> Place:
    variant = f" ({experiment.variant})" if experiment.variant else ""
    label = f"{run.workflow} / {experiment.step}{variant}"
    return Place(experiment.public_id, label, f"{repository.owner}/{repository.name}", commit.sha, commit.title)


def _asked(tx: Transaction, run_id: int) -> tuple[Asked, ...]:
    rows = tx.scalars(select(RunTrigger).where(RunTrigger.run_id == run_id).order_by(RunTrigger.id))
    return tuple(Asked(row.event, row.ref, row.number, row.author, row.ended_at is not None) for row in rows)


def _approval(run: Run) -> Approval | None:
    if run.trust not in (APPROVED, REVOKED):
        return None
    return Approval(run.trusted_by or "", run.trust == REVOKED)


def _cause(attempt: Attempt) -> Cause:
    return Cause(attempt.cause, attempt.author, attempt.settings, attempt.retry)


def _line(attempt: Attempt) -> AttemptLine:
    state = State(attempt.state)
    ended = attempt.entered_at if state.is_final else None
    return AttemptLine(attempt.number, state, attempt.created_at, ended, attempt.reason, _cause(attempt))


def _containers(ports: list[dict[str, int]] | None) -> tuple[int, ...]:
    """Return the run's own side of the ports in a spec; an earlier version's has none."""
    return tuple(port["container"] for port in ports or ())


def _attempt(tx: Transaction, experiment: Experiment, attempt: Attempt, is_pull: bool, asked: BaseGates) -> AttemptPage:
    series = metrics.load(tx, attempt.id)
    search = _search(tx, attempt)
    of_best = () if search is None else search.series
    judged = judged_series(tx, attempt, None if search is None else search.best)
    return AttemptPage(
        number=attempt.number,
        cause=_cause(attempt),
        backend_id=attempt.backend_id,
        is_launched=attempt.handle is not None,
        is_over=State(attempt.state).is_final and attempt.metrics_read_at is not None and attempt.retry_at is None,
        state=State(attempt.state),
        reason=attempt.reason,
        host=attempt.host,
        exit_code=attempt.exit_code,
        peak_memory_mb=attempt.peak_memory_mb,
        timeout=attempt.spec["timeout"],
        workdir=attempt.spec.get("workdir", "."),
        groups=tuple(_group(value) for value in attempt.spec["groups"]),
        tasks=_tasks(tx, attempt.id),
        stays=_stays(tx, attempt.id),
        problems=tuple(str(problem) for problem in attempt.metrics_problems),
        report=attempt.report,
        log_tail=attempt.log_tail,
        series=(*of_best, *series),
        gates=gate_results(tx, experiment, attempt, judged, is_pull, asked),
        progress=attempt.progress,
        facts=attempt.facts,
        ports=_containers(attempt.spec.get("ports")) if attempt.state == State.RUNNING else (),
        is_trusted=attempt.spec.get("is_trusted", True),
        search=search,
        model=models.of_attempt(tx, attempt.id),
        archive=attempt.archive,
        removed_at=attempt.removed_at,
        retry_at=attempt.retry_at,
    )


def _search(tx: Transaction, attempt: Attempt) -> SearchPage | None:
    aim = aim_of(attempt.spec, attempt.facts)
    if aim is None:
        return None
    trials, (goal, metric) = experiments.trials(tx, attempt.id), aim
    complete = top(trials, goal, len(trials))
    best = next(iter(complete), None)
    numbers = {trial.number for trial in complete}
    others = tuple(trial for trial in trials if trial.number not in numbers)
    series = () if best is None else tuple(metrics.load(tx, attempt.id, best.number))
    declared = attempt.spec.get("search") or {}
    return SearchPage(goal, metric, declared.get("trials"), (*complete, *others), best, series)


def _group(value: dict[str, Any]) -> Group:
    machine = value["machine"]
    return Group(
        role=value["role"],
        count=value["count"],
        command=value["command"],
        machine=machine["name"],
        cpus=machine["cpus"],
        memory_mb=machine["memory_mb"],
        gpus=machine["gpus"],
        environment=machine["environment"],
    )


def _tasks(tx: Transaction, attempt_id: int) -> tuple[TaskLine, ...]:
    return tuple(
        TaskLine(
            f"{row.role}-{row.index}",
            State(row.state),
            row.exit_code,
            row.node,
            row.peak_memory_mb,
            row.reason,
            row.log_tail,
        )
        for row in experiments.tasks(tx, attempt_id)
    )


def _stays(tx: Transaction, attempt_id: int) -> tuple[Stay, ...]:
    query = select(TransitionRow).where(TransitionRow.attempt_id == attempt_id).order_by(TransitionRow.id)
    rows = tx.scalars(query).all()
    left = [row.at for row in rows[1:]] + [None]
    return tuple(Stay(State(row.target), row.at, until, row.reason) for row, until in zip(rows, left, strict=True))

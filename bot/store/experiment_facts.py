"""From rows to facts: all that is to be said of one experiment and its newest attempt, with its gates evaluated.

Gates are evaluated here, each time, from the stored series: a pull request that is opened on a commit already run
gets its verdicts without a new run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from bot.core.report import (
    ExperimentFacts,
    ImageFacts,
    ModelFacts,
    PlaceFacts,
    PortFacts,
    SearchFacts,
    TaskFacts,
    metrics_of,
)
from bot.core.states import Observation, State
from bot.core.trials import best as best_of
from bot.store import comparisons, experiments, metrics
from bot.store.database import Transaction
from bot.store.runs import TRUSTED
from bot.store.schema import Attempt, Experiment, Model, Run, TransitionRow
from bot.store.searches import aim_of, judged_series
from bot.store.surroundings import Surroundings
from bot.store.verdicts import BaseGates, gate_results


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

"""The check runs that a commit should have, each with every word of it."""

from bot.core.report import annotations, overview
from bot.core.report.causes import last_words
from bot.core.report.facts import CommitFacts, step_name
from bot.core.report.matrix import Matrix, MatrixGate
from bot.core.report.names import ROLL_UP, Names
from bot.core.report.overview import Overview, Trouble
from bot.core.report.part import GateRow, Part
from bot.core.report.renderer import Renderer
from bot.core.report.standing import Standing
from bot.core.report.views import (
    ANNOTATIONS,
    SUMMARY_BYTES,
    TITLE_CHARACTERS,
    Action,
    Annotation,
    CheckView,
    Kind,
    digest,
)
from bot.core.states import State
from bot.core.text import fit

RERUN_FAILED = Action("Re-run failed", "Try again what failed on this commit", "rerun-failed")
COMPARE = Action("Compare", "Show the metrics beside the base's", "compare")
APPROVE = Action("Approve and run", "Run exactly this commit, without rights", "approve")
RUN = Action("Run it", "Run this commit all the same", "run")


def desired_checks(commit: CommitFacts, renderer: Renderer) -> tuple[CheckView, ...]:
    """Return the commit's checks: the roll-up, then each experiment, or matrix of them, followed by its gates.

    A config with errors has the roll-up alone: what its workflows would be called is not known.
    """
    seen, names = overview.of_commit(commit), _names(commit)
    checks = [_roll_up(seen, renderer)]
    for block in seen.blocks:
        # The variant belongs to the step: a gate's name follows it. The cells of a matrix have one check together.
        workflow = block.facts.workflow
        step = (workflow, block.label.removeprefix(f"{workflow} / "))
        key = (workflow, block.facts.step, "" if isinstance(block, Matrix) else block.facts.variant)
        name = names.take(key, *step)
        if isinstance(block, Matrix):
            checks.append(_matrix(seen, block, name, renderer))
            checks += [
                _matrix_gate(block, gate, names.take((*key, gate.name), *step, gate.name), renderer)
                for gate in block.gates
            ]
        else:
            checks.append(_experiment(seen, block, name, renderer))
            checks += [
                _gate(block, row, names.take((*key, row.name), *step, row.name), renderer) for row in block.gates
            ]
    return tuple(checks)


def _names(commit: CommitFacts) -> Names:
    """Return names of which those that a base asks for are kept for what it means by them.

    A step that a pull request puts before another one, with a name that reads the same, would else have the check that
    is required, and pass in its place.
    """
    names = Names()
    for one in (step for demands in commit.asked for step in demands.steps):
        for variant in one.variants:
            key, label = (one.workflow, one.step, variant), step_name(one.step, variant)
            names.keep(key, one.workflow, label)
            for gate in one.gates:
                names.keep((*key, gate.name), one.workflow, label, gate.name)
    return names


def _roll_up(seen: Overview, renderer: Renderer) -> CheckView:
    ends = [part.facts.ended_at for part in seen.parts]
    return _view(
        ROLL_UP,
        "rollup",
        None,
        seen.standing,
        title=renderer.title("rollup", seen=seen),
        summary=renderer.markdown(
            "rollup.summary",
            seen=seen,
            shown=seen.blocks,
            headline=renderer.headline(seen),
            annotated=ANNOTATIONS,
            has_usual=_has_usual(seen.commit),
        ),
        actions=_actions(seen),
        remarks=annotations.of_config([*seen.commit.errors, *seen.commit.warnings]),
        details_url=seen.commit.details_url,
        completed_at=max((end for end in ends if end is not None), default=None),
    )


def _experiment(seen: Overview, part: Part, name: str, renderer: Renderer) -> CheckView:
    x = part.facts
    context = {"seen": seen, "part": part, "x": x, "words": _words(part)}
    return _view(
        name,
        "experiment",
        x.public_id,
        part.standing,
        title=renderer.title("experiment", **context),
        summary=renderer.markdown("experiment.summary", **context),
        text=None if part.has_nothing else renderer.markdown("experiment.text", **context),
        actions=_actions(seen),
        remarks=annotations.of_failures([part]),
        details_url=x.details_url,
        started_at=x.entered(State.PROVISIONING),
        completed_at=x.ended_at,
    )


def _words(part: Part) -> str:
    """Return what the log says about a failure of the user's command."""
    return last_words(part.facts.last_log) if part.is_users_failure else ""


def _matrix(seen: Overview, matrix: Matrix, name: str, renderer: Renderer) -> CheckView:
    """Return the one check of all cells. It belongs to the experiment of the first, and opens the one that speaks."""
    context = {"seen": seen, "matrix": matrix, "x": matrix.facts, "words": _words(matrix.speaker)}
    context["trouble"] = Trouble(matrix.speaker, None, matrix.speaker.standing)
    return _view(
        name,
        "experiment",
        matrix.cells[0].facts.public_id,
        matrix.standing,
        title=renderer.title("matrix", **context),
        summary=renderer.markdown("matrix.summary", **context),
        text=None if matrix.is_skipped else renderer.markdown("matrix.text", **context),
        actions=_actions(seen),
        # GitHub only ever adds annotations: they are told when all cells have ended.
        remarks=annotations.of_failures(matrix.bad if matrix.standing.is_done else ()),
        details_url=matrix.facts.details_url,
        started_at=matrix.started_at,
        completed_at=matrix.ended_at,
    )


def _matrix_gate(matrix: Matrix, gate: MatrixGate, name: str, renderer: Renderer) -> CheckView:
    cell, row = gate.worst
    context = {"matrix": matrix, "gate": gate, "cell": cell, "row": row}
    return _view(
        name,
        "gate",
        matrix.cells[0].facts.public_id,
        gate.standing,
        title=renderer.title("matrix.gate", **context),
        summary=renderer.markdown("matrix.gate.summary", **context),
        details_url=cell.facts.details_url,
        completed_at=matrix.ended_at,
    )


def _gate(part: Part, row: GateRow, name: str, renderer: Renderer) -> CheckView:
    context = {"part": part, "x": part.facts, "row": row}
    return _view(
        name,
        "gate",
        part.facts.public_id,
        row.standing,
        title=renderer.title("gate", **context),
        summary=renderer.markdown("gate.summary", **context),
        details_url=part.facts.details_url,
        completed_at=part.facts.ended_at,
    )


def _view(
    name: str,
    kind: Kind,
    experiment: str | None,
    standing: Standing,
    *,
    title: str,
    summary: str,
    text: str | None = None,
    remarks: tuple[Annotation, ...] = (),
    actions: tuple[Action, ...] = (),
    details_url: str | None = None,
    started_at: int | None = None,
    completed_at: int | None = None,
) -> CheckView:
    title = title[:TITLE_CHARACTERS]
    # A verdict is seen at once, in every word; what happens before it in its phases only.
    glance = title if standing.is_done else standing.phase
    return CheckView(
        name=name,
        kind=kind,
        experiment=experiment,
        status=standing.status,
        conclusion=standing.conclusion,
        title=title,
        summary=fit(summary, SUMMARY_BYTES),
        text=None if text is None else fit(text, SUMMARY_BYTES),
        headline=digest(f"{standing.status}/{standing.conclusion}/{glance}"),
        annotations=remarks,
        # GitHub shows buttons on completed checks only.
        actions=actions if standing.is_done else (),
        details_url=details_url,
        started_at=started_at,
        completed_at=completed_at if standing.is_done else None,
    )


def _actions(seen: Overview) -> tuple[Action, ...]:
    """Return the buttons of a commit's checks: what can be done about how it stands."""
    held, actions = seen.commit.held, []
    if held is not None:
        return (APPROVE if held.needs_approval else RUN,)
    if any(trouble.standing.is_bad for trouble in seen.troubles) and seen.experiments:
        actions.append(RERUN_FAILED)
    if seen.experiments:
        actions.append(COMPARE)
    return tuple(actions)


def _has_usual(commit: CommitFacts) -> bool:
    """Tell whether it is known of anything that would run how long it takes."""
    return commit.held is not None and any(one.usual is not None for one in commit.held.would_run)

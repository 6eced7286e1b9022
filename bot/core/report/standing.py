"""How experiments, gates and a whole commit stand: the status and conclusion that GitHub shows. No words here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.core.gates import GateResult, Verdict
from bot.core.report.facts import CommitFacts, ExperimentFacts, RunFacts
from bot.core.report.pieces import TaskFacts
from bot.core.report.views import Conclusion, Status
from bot.core.states import State


@dataclass(frozen=True)
class Standing:
    """A status, the conclusion once there is one, and the phase that a glance at the list should see."""

    status: Status
    conclusion: Conclusion | None = None
    phase: str = ""

    @property
    def is_done(self) -> bool:
        return self.status is Status.COMPLETED

    @property
    def is_bad(self) -> bool:
        """Tell whether it keeps a merge button shut."""
        return self.conclusion in _WORST_FIRST[:4]


_WORST_FIRST = (
    Conclusion.FAILURE,
    Conclusion.TIMED_OUT,
    Conclusion.ACTION_REQUIRED,
    Conclusion.CANCELLED,
    Conclusion.SUCCESS,
    Conclusion.SKIPPED,
)

_ENDS = {
    State.STOPPED: Conclusion.SUCCESS,
    State.FAILED: Conclusion.FAILURE,
    State.ERROR: Conclusion.FAILURE,
    State.CANCELLED: Conclusion.CANCELLED,
}

_VERDICTS = {
    Verdict.PASSED: Conclusion.SUCCESS,
    Verdict.FAILED: Conclusion.FAILURE,
    Verdict.NOT_EVALUATED: Conclusion.FAILURE,
    Verdict.CANCELLED: Conclusion.CANCELLED,
    Verdict.REMOVED: Conclusion.FAILURE,
    # Skipped, as the checks of a workflow that a filter left out: it says that nobody looked, and lets merge.
    # `neutral` would let merge too, but reads as if somebody had looked and found nothing to say.
    Verdict.NOT_ON_PUSH: Conclusion.SKIPPED,
}


def _done(conclusion: Conclusion) -> Standing:
    return Standing(Status.COMPLETED, conclusion)


def of_experiment(run: RunFacts, x: ExperimentFacts) -> Standing:
    """Return how an experiment stands. One that ended is in progress until its last metrics have been read.

    One that the platform repeats by itself stays in progress, too: its check has begun, and nothing was concluded.
    """
    if (known := _before_all(run)) is not None:
        return known
    if x.not_launchable or x.removed_from:
        return _done(Conclusion.FAILURE)
    if x.is_over:
        timed_out = x.is_timed_out and x.state is State.FAILED
        return _done(Conclusion.TIMED_OUT if timed_out else _ENDS[x.state])
    if x.retry_at is not None:
        return Standing(Status.IN_PROGRESS, phase="retrying")
    if x.state in (State.CREATED, State.PENDING) and not x.retry:
        return Standing(Status.QUEUED)
    return Standing(Status.IN_PROGRESS, phase="running" if x.has_run else "starting")


def of_gate(run: RunFacts, x: ExperimentFacts, result: GateResult) -> Standing:
    """Return how a gate stands. It waits in the queue until its verdict: one write to GitHub fewer a gate.

    A verdict counts once the experiment is over: until then the points that decide may not have been read.
    """
    if (known := _before_all(run)) is not None:
        return known
    if result.verdict in (Verdict.NOT_ON_PUSH, Verdict.REMOVED):
        return _done(_VERDICTS[result.verdict])
    if x.not_launchable:
        return _done(Conclusion.FAILURE)
    if result.verdict is Verdict.WAITING or not x.is_over:
        return Standing(Status.QUEUED)
    return _done(_VERDICTS[result.verdict])


def _before_all(run: RunFacts) -> Standing | None:
    """Return how everything of a run stands that was left out, or waits for somebody's word; None for all others."""
    if run.is_held:
        return _done(Conclusion.ACTION_REQUIRED)
    return None if run.skipped is None else _done(Conclusion.SKIPPED)


def of_task(task: TaskFacts) -> Standing:
    """Return how one of several tasks stands. One that was stopped with the others is not what went wrong."""
    if task.state is State.CANCELLED:
        return _done(Conclusion.SKIPPED)
    if task.state.is_final:
        return _done(_ENDS[task.state])
    return Standing(Status.IN_PROGRESS if task.state is State.RUNNING else Status.QUEUED)


def of_cells(cells: Sequence[Standing]) -> Standing:
    """Return how a matrix stands: in progress until its last cell is done, then the worst of them."""
    if all(cell.is_done for cell in cells):
        return _done(_worst(cells))
    if all(cell.status is Status.QUEUED for cell in cells):
        return Standing(Status.QUEUED)
    if any(cell.is_bad for cell in cells):
        return Standing(Status.IN_PROGRESS, phase="in trouble")
    has_run = any(cell.is_done or cell.phase == "running" for cell in cells)
    return Standing(Status.IN_PROGRESS, phase="running" if has_run else "starting")


def of_commit(commit: CommitFacts) -> Standing:
    """Return how the roll-up stands: in progress until everything is done, then the worst of it."""
    if commit.errors:
        return _done(Conclusion.FAILURE)
    parts = list(_parts(commit))
    if commit.held is not None:
        parts.append(_done(Conclusion.ACTION_REQUIRED))
    if all(part.is_done for part in parts):
        return _done(_worst(parts))
    return Standing(Status.IN_PROGRESS, phase="in trouble" if any(part.is_bad for part in parts) else "")


def _worst(standings: Iterable[Standing]) -> Conclusion:
    found = {one.conclusion for one in standings}
    return next((one for one in _WORST_FIRST if one in found), Conclusion.SKIPPED)


def _parts(commit: CommitFacts) -> Iterable[Standing]:
    for run in commit.runs:
        for x in run.experiments:
            yield of_experiment(run, x)
            yield from (of_gate(run, x, result) for result in x.gates)

"""Station three: what the backend saw becomes transitions. One poll for all attempts; nothing is written for those
whose report is the same as last time.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.backends.base import AttemptReport, Backend, TaskReport
from bot.clock import MINUTE, SECOND, Clock
from bot.core.states import Observation, State
from bot.core.trials import Trial
from bot.store import commits, experiments
from bot.store.database import Database, Transaction
from bot.store.schema import Attempt
from bot.worker.each import Each

_LOST_AFTER = 10 * SECOND
_TIME_TO_GO = 2 * MINUTE
"""How long an overdue attempt may take to end before it is given up."""
_log = logging.getLogger(__name__)


class Watch:
    """The one place where an attempt's state changes after its launch, and where deadlines are kept."""

    name = "watch"

    def __init__(self, database: Database, clock: Clock, backend: Backend) -> None:
        self._database, self._clock, self._backend = database, clock, backend
        # What was last written down. Lost in a restart, which costs one look at each attempt and writes nothing:
        # `observe` ignores what is already past.
        self._written: dict[str, AttemptReport] = {}
        self._unknown_since: dict[str, int] = {}
        self._each = Each(clock)

    def tick(self) -> bool:
        with self._database.read() as tx:
            attempts = experiments.submitted(tx)
        reports = self._backend.poll([attempt.backend_id for attempt in attempts])
        self._each.do(attempts, _name, lambda attempt: self._see(attempt, reports[attempt.backend_id]))
        self._forget({attempt.backend_id for attempt in attempts})
        self._end_overdue()
        return False

    def _see(self, attempt: Attempt, report: AttemptReport) -> None:
        if not report.known:
            self._miss(attempt)
            return
        known = self._written.get(report.id)
        if known == report:
            return
        with self._database.write() as tx:
            experiments.observe(tx, attempt.id, _judged(attempt, report.seen))
            for task in report.tasks:
                self._see_task(tx, attempt.id, task)
            if report.tasks:
                experiments.change(tx, attempt.id, **_summary(report))
            has_news = experiments.see_trials(tx, attempt.id, _new_trials(report, known))
            if has_news or (known is not None and known.progress != report.progress):
                commits.touch(tx, experiments.commit_of(tx, attempt.id))
            if report.is_interrupted:
                # The launch station hands over again what has no handle.
                experiments.change(tx, attempt.id, handle=None, launching_at=self._clock.now(), tries=0)
        self._written[report.id] = report

    def _see_task(self, tx: Transaction, attempt_id: int, task: TaskReport) -> None:
        values: dict[str, object] = {
            "exit_code": task.exit_code,
            "node": task.node,
            "peak_memory_mb": task.peak_memory_mb,
        }
        if task.seen and task.seen[-1].state.is_final:
            values |= {"state": task.seen[-1].state, "reason": task.seen[-1].reason}
        experiments.see_task(tx, attempt_id, task.role, task.index, **values)

    def _miss(self, attempt: Attempt) -> None:
        """A backend that does not know what it was given has lost it, unless it just cannot see it for a moment."""
        since = self._unknown_since.setdefault(attempt.backend_id, self._clock.now())
        if self._clock.now() - since >= _LOST_AFTER:
            self._end(attempt, "the backend lost this attempt", may_retry=True)

    def _end_overdue(self) -> None:
        with self._database.read() as tx:
            overdue = experiments.overdue(tx, self._clock.now())
        self._each.do(overdue, _name, self._end_one)

    def _end_one(self, attempt: Attempt) -> None:
        """End an overdue attempt. What the backend has keeps its place until it is gone, or had its time to go."""
        reason = _overdue(attempt)
        if attempt.launching_at is not None:
            self._backend.cancel(attempt.backend_id, reason)
        if attempt.handle is None or attempt.cancel_sent_at is not None:
            self._end(attempt, reason)
            return
        now = self._clock.now()
        with self._database.write() as tx:
            experiments.change(tx, attempt.id, cancel_sent_at=now, deadline=now + _TIME_TO_GO)

    def _end(self, attempt: Attempt, reason: str, *, may_retry: bool = False) -> None:
        _log.warning("attempt %s: %s", attempt.backend_id, reason)
        with self._database.write() as tx:
            experiments.observe(tx, attempt.id, [Observation(State.ERROR, self._clock.now(), reason, may_retry)])

    def _forget(self, active: Iterable[str]) -> None:
        self._written = {key: report for key, report in self._written.items() if key in active}
        self._unknown_since = {key: at for key, at in self._unknown_since.items() if key in active}


def _overdue(attempt: Attempt) -> str:
    return f"stayed in “{State(attempt.state).label}” longer than it may"


def _judged(attempt: Attempt, seen: Sequence[Observation]) -> Sequence[Observation]:
    """Return what was seen; an end that nobody but this station asked for is the platform's fault."""
    is_ours = attempt.cancel_sent_at is not None and attempt.cancel_reason is None
    if not is_ours or not seen or seen[-1].state is not State.CANCELLED:
        return seen
    return [*seen[:-1], replace(seen[-1], state=State.ERROR)]


def _summary(report: AttemptReport) -> dict[str, object]:
    """Return what an attempt's row tells of all its tasks. The exit code is that of the first that failed."""
    peaks = [task.peak_memory_mb for task in report.tasks if task.peak_memory_mb is not None]
    failed = [task for task in report.tasks if task.seen and task.seen[-1].state is State.FAILED]
    return {
        "exit_code": (failed or report.tasks)[0].exit_code,
        "peak_memory_mb": max(peaks, default=None),
        "progress": report.progress,
        "facts": dict(report.facts),
    }


def _new_trials(report: AttemptReport, known: AttemptReport | None) -> list[Trial]:
    """Return the trials of which there is news: of thousands, the one that began or ended."""
    before = {} if known is None else {line.get("number"): line for line in known.trials}
    return [*_trials(report.id, (line for line in report.trials if before.get(line.get("number")) != line))]


def _trials(attempt: str, lines: Iterable[Mapping[str, Any]]) -> Iterator[Trial]:
    """Yield the trials that can be read: what a tuner wrote is looked at like all that comes from outside."""
    for line in lines:
        try:
            yield Trial.from_json(line)
        except ValueError:
            _log.warning("attempt %s: a trial cannot be read", attempt)


def _name(attempt: Attempt) -> str:
    return f"watching {attempt.backend_id}"

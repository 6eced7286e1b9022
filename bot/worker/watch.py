"""Station three: what the backend saw becomes transitions. One poll for all attempts; nothing is written for those
whose report is the same as last time.
"""

import logging
from collections.abc import Iterable

from bot.backends.base import AttemptReport, Backend
from bot.clock import SECOND, Clock
from bot.core.states import Observation, State
from bot.store import experiments
from bot.store.database import Database
from bot.store.schema import Attempt
from bot.worker.each import Each

_LOST_AFTER = 10 * SECOND
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
        if self._written.get(report.id) == report:
            return
        with self._database.write() as tx:
            experiments.observe(tx, attempt.id, report.seen)
            for task in report.tasks:
                experiments.see_task(tx, attempt.id, task.role, task.index, task.exit_code, task.node)
            if report.tasks:
                peaks = [task.peak_memory_mb for task in report.tasks if task.peak_memory_mb is not None]
                values = {"exit_code": report.tasks[0].exit_code, "peak_memory_mb": max(peaks, default=None)}
                experiments.change(tx, attempt.id, **values)
        self._written[report.id] = report

    def _miss(self, attempt: Attempt) -> None:
        """A backend that does not know what it was given has lost it, unless it just cannot see it for a moment."""
        since = self._unknown_since.setdefault(attempt.backend_id, self._clock.now())
        if self._clock.now() - since >= _LOST_AFTER:
            self._end(attempt, "the backend lost this attempt")

    def _end_overdue(self) -> None:
        with self._database.read() as tx:
            overdue = experiments.overdue(tx, self._clock.now())
        self._each.do(overdue, _name, self._end_one)

    def _end_one(self, attempt: Attempt) -> None:
        reason = f"stayed in “{State(attempt.state).label}” longer than it may"
        if attempt.launching_at is not None:
            self._backend.cancel(attempt.backend_id, reason)
        self._end(attempt, reason)

    def _end(self, attempt: Attempt, reason: str) -> None:
        _log.warning("attempt %s: %s", attempt.backend_id, reason)
        with self._database.write() as tx:
            experiments.observe(tx, attempt.id, [Observation(State.ERROR, self._clock.now(), reason)])

    def _forget(self, active: Iterable[str]) -> None:
        self._written = {key: report for key, report in self._written.items() if key in active}
        self._unknown_since = {key: at for key, at in self._unknown_since.items() if key in active}


def _name(attempt: Attempt) -> str:
    return f"watching {attempt.backend_id}"

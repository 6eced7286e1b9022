"""Station four: what an attempt wrote into its artifacts becomes series, documents and a picture.

All files are read by the metrics reader's own process, which can be killed: nothing that a run wrote can hold up
more than this station. A running attempt is read every few seconds, a finished one once more, to its end.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.backends.base import Backend, Mode, from_json
from bot.clock import MINUTE, SECOND, Clock
from bot.core.masking import Masker
from bot.core.series import Series, Source
from bot.core.states import State
from bot.metrics.pictures import PictureStore
from bot.metrics.reader import MetricsReader
from bot.store import commits, experiments, metrics
from bot.store.database import Database
from bot.store.experiments import Placed
from bot.store.schema import Attempt, Task
from bot.store.searches import aim_of, best_trial
from bot.store.secrets import Secrets
from bot.store.verdicts import gates_of
from bot.worker.each import Each
from bot.worker.findings import Findings, look, look_at_trial
from bot.worker.places import is_culprit, places

_EVERY = 5 * SECOND
_PATIENCE = 30 * MINUTE
"""How long what an ended run left may take to be read, from the first look at it: the worker may have been away."""
_MOST_STALLS = 2
"""Readings of an ended run that may bring nothing before that is a verdict: the machine may be busy with others."""
_POINTS_AT_ONCE, _BREATH = 5_000, 0.05
_LOG_TAIL = 16_384
_MOST_LOGS = 8
_REPORT = "report.md"
_LARGEST_REPORT = 65_536
_log = logging.getLogger(__name__)


class Collect:
    """Reads the artifacts of running and finished attempts. A finished attempt's gates wait for its last reading."""

    name = "collect"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        backend: Backend,
        reader: MetricsReader,
        pictures: PictureStore,
        secrets: Secrets,
    ) -> None:
        """`secrets` that a run was given are masked in all that is taken from it."""
        self._database, self._clock, self._backend = database, clock, backend
        self._reader, self._pictures, self._secrets = reader, pictures, secrets
        self._next_look: dict[int, int] = {}
        self._since: dict[int, int] = {}
        self._stalls: dict[int, int] = {}
        self._each = Each(clock)

    def tick(self) -> bool:
        now = self._clock.now()
        with self._database.read() as tx:
            unread = experiments.unread(tx)
        # Finished ones first: somebody waits for their verdict.
        due = [p for p in unread if _is_over(p) or self._next_look.get(p.attempt.id, 0) <= now]
        due.sort(key=lambda placed: not _is_over(placed))
        self._each.do(due, lambda placed: f"reading {placed.attempt.backend_id}", self._collect)
        self._next_look = {p.attempt.id: self._next_look.get(p.attempt.id, 0) for p in unread}
        self._since = {p.attempt.id: self._since.get(p.attempt.id, now) for p in unread if _is_over(p)}
        self._stalls = {number: count for number, count in self._stalls.items() if number in self._since}
        return False

    def _collect(self, placed: Placed) -> None:
        if not _is_over(placed):
            self._next_look[placed.attempt.id] = self._clock.now() + _EVERY
            self._look(placed)
            return
        try:
            self._finish(placed)
        except Exception as error:
            if not self._is_late(placed):
                raise
            _log.exception("what %s left is given up", placed.attempt.backend_id)
            self._give_up(placed, f"what the run left could not be read: {type(error).__name__}")

    def _look(self, placed: Placed) -> None:
        """Store what a running attempt logged since the last look; write nothing if that is nothing."""
        attempt = placed.attempt
        found = self._read(placed, self._masker(placed))
        if self._store(attempt.id, found) == 0:
            return
        with self._database.write() as tx:
            experiments.change(tx, attempt.id, metrics_cursor=found.cursor)
            commits.touch(tx, placed.commit.id)

    def _store(self, attempt_id: int, found: Findings) -> int:
        """Store the points, a few at a time, and return how many were new.

        A rest after each: who finds SQLite locked looks again only now and then, and the door must not miss its turn.
        """
        added, is_first = 0, True
        for trial, series in found.series:
            for part in metrics.parts([series], _POINTS_AT_ONCE):
                if not is_first:
                    self._clock.sleep(_BREATH)
                is_first = False
                with self._database.write() as tx:
                    added += metrics.add(tx, attempt_id, [part], trial)
        return added

    def _finish(self, placed: Placed) -> None:
        """Read once more. What is too much for one reading is read on at the next tick: others have their turn too."""
        attempt, masker = placed.attempt, self._masker(placed)
        was_launched = attempt.handle is not None
        found = self._read(placed, masker) if was_launched else Findings()
        self._store(attempt.id, found)
        gets_on = not found.is_complete and self._gets_on(attempt, found)
        if gets_on and not self._is_late(placed):
            with self._database.write() as tx:
                experiments.change(tx, attempt.id, metrics_cursor=found.cursor)
            return
        if gets_on:
            found = replace(found, problems=(*found.problems, "there was more than could be read in time"))
        found = self._with_best_trial(placed, found, masker)
        tasks = self._tasks(attempt) if was_launched else []
        tails = {task.id: self._log_tail(placed, task, masker) for task in tasks}
        more = {"remarks": found.remarks, "places": self._places(attempt, tasks, tails, masker)}
        report = self._report(attempt.backend_id) if was_launched else None
        with self._database.write() as tx:
            metrics.put_documents(tx, attempt.id, found.documents)
        picture = self._picture(placed)
        with self._database.write() as tx:
            for task in tasks:
                experiments.see_task(tx, attempt.id, task.role, task.index, log_tail=tails[task.id])
            experiments.change(
                tx,
                attempt.id,
                metrics_read_at=self._clock.now(),
                metrics_cursor=found.cursor,
                metrics_problems=list(found.problems),
                facts={**attempt.facts, **{name: value for name, value in more.items() if value}},
                log_tail=next(iter(tails.values()), ""),
                report=None if report is None else masker.mask(report),
                picture=picture,
            )
            commits.touch(tx, placed.commit.id)

    def _gets_on(self, attempt: Attempt, found: Findings) -> bool:
        """Tell whether another reading may bring more."""
        if found.cursor != attempt.metrics_cursor:
            return True
        self._stalls[attempt.id] = self._stalls.get(attempt.id, 0) + 1
        return self._stalls[attempt.id] <= _MOST_STALLS

    def _picture(self, placed: Placed) -> str | None:
        title, attempt = f"{placed.run.workflow} / {placed.experiment.step}", placed.attempt
        with self._database.read() as tx:
            found = experiments.trials(tx, attempt.id)
            series = [] if found else metrics.load(tx, attempt.id)
        aim = aim_of(attempt.spec, attempt.facts)
        if found and aim is not None:
            return self._pictures.draw_search(title, found, *aim)
        return self._pictures.draw(title, _logged(series), gates_of(placed.experiment))

    def _read(self, placed: Placed, masker: Masker) -> Findings:
        return look(self._reader, from_json(placed.attempt.spec), placed.attempt.metrics_cursor, masker)

    def _with_best_trial(self, placed: Placed, found: Findings, masker: Masker) -> Findings:
        """Return what a search is judged by: its best trial, read anew and alone.

        Of what was read of all trials while they ran, some belongs to a try that a crash cut off, and of many
        trials not all is kept.
        """
        attempt = placed.attempt
        with self._database.read() as tx:
            number = best_trial(tx, attempt)
        if attempt.spec.get("mode") != Mode.SEARCH or number is None or attempt.handle is None:
            return found
        best = look_at_trial(self._reader, from_json(attempt.spec), number, masker)
        with self._database.write() as tx:
            metrics.forget(tx, attempt.id, number, Source.TENSORFLOW)
        self._store(attempt.id, best)
        return replace(found, documents=best.documents, problems=(*found.problems, *best.problems))

    def _masker(self, placed: Placed) -> Masker:
        wanted, where = placed.attempt.spec.get("secrets", ()), placed.repository
        return Masker(self._secrets.known(where.owner, where.name, wanted) if wanted else ())

    def _is_late(self, placed: Placed) -> bool:
        now = self._clock.now()
        return now - self._since.get(placed.attempt.id, now) > _PATIENCE

    def _give_up(self, placed: Placed, problem: str) -> None:
        """A verdict is waited for: gates fail with this sentence."""
        with self._database.write() as tx:
            values = {"metrics_read_at": self._clock.now(), "metrics_problems": [problem]}
            experiments.change(tx, placed.attempt.id, **values)
            commits.touch(tx, placed.commit.id)

    def _tasks(self, attempt: Attempt) -> list[Task]:
        """Return the tasks whose logs are looked at, the one that failed first before all others: it says why."""
        with self._database.read() as tx:
            tasks = experiments.tasks(tx, attempt.id)
        return sorted(tasks, key=lambda task: (not is_culprit(attempt, task), task.state != State.FAILED))[:_MOST_LOGS]

    def _places(
        self, attempt: Attempt, tasks: Sequence[Task], tails: Mapping[int, str], masker: Masker
    ) -> list[dict[str, Any]]:
        """Return where in the commit it failed. What cannot be found out is not worth a verdict that does not come."""
        try:
            return places(attempt, [(task, tails[task.id]) for task in tasks], masker)
        except Exception:
            _log.exception("where %s failed was not found out", attempt.backend_id)
            return []

    def _log_tail(self, placed: Placed, task: Task, masker: Masker) -> str:
        chunk = self._backend.logs(placed.attempt.backend_id, f"{task.role}-{task.index}", -_LOG_TAIL, _LOG_TAIL)
        return masker.mask(chunk.data.decode(errors="replace").replace("\0", ""))

    def _report(self, backend_id: str) -> str | None:
        """Return the run's own `report.md`, if it left one of a sane size."""
        for artifact in self._backend.artifacts(backend_id):
            if artifact.path == _REPORT and artifact.size <= _LARGEST_REPORT:
                try:
                    with self._backend.open_artifact(backend_id, _REPORT) as file:
                        text = file.read(_LARGEST_REPORT)
                except OSError:
                    return None  # a run may take the right to read it away
                return text.decode(errors="replace").replace("\0", "")
        return None


def _logged(series: Sequence[Series]) -> list[Series]:
    """Return what the run itself logged: what it used of the machine is told by its peaks."""
    return [one for one in series if one.source is not Source.SYSTEM]


def _is_over(placed: Placed) -> bool:
    return State(placed.attempt.state).is_final

"""Station four: what an attempt wrote into its artifacts becomes series, documents and a picture.

All files are read by the metrics reader's own process, which can be killed: nothing that a run wrote can hold up
more than this station. A running attempt is read every few seconds, a finished one once more, to its end.
"""

import logging

from bot.backends.base import Backend, from_json
from bot.clock import MINUTE, SECOND, Clock
from bot.core.states import State
from bot.metrics.pictures import PictureStore
from bot.metrics.reader import MetricsReader, Reading
from bot.store import commits, experiments, metrics
from bot.store.database import Database
from bot.store.experiments import Placed
from bot.store.facts import gates_of
from bot.worker.each import Each
from bot.worker.workload import metric_roots

_EVERY = 5 * SECOND
_PATIENCE = 30 * MINUTE
"""How long after an end what was left may take to be read."""
_POINTS_AT_ONCE, _BREATH = 5_000, 0.05
_LOG_TAIL = 16_384
_REPORT = "report.md"
_LARGEST_REPORT = 65_536
_log = logging.getLogger(__name__)


class Collect:
    """Reads the artifacts of running and finished attempts. A finished attempt's gates wait for its last reading."""

    name = "collect"

    def __init__(
        self, database: Database, clock: Clock, backend: Backend, reader: MetricsReader, pictures: PictureStore
    ) -> None:
        self._database, self._clock, self._backend = database, clock, backend
        self._reader, self._pictures = reader, pictures
        self._next_look: dict[int, int] = {}
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
        reading = self._read(placed)
        if self._store(attempt.id, reading) == 0:
            return
        with self._database.write() as tx:
            experiments.change(tx, attempt.id, metrics_cursor=reading.cursor)
            commits.touch(tx, placed.commit.id)

    def _store(self, attempt_id: int, reading: Reading) -> int:
        """Store the points, a few at a time, and return how many were new.

        A rest after each: who finds SQLite locked looks again only now and then, and the door must not miss its turn.
        """
        added = 0
        for number, part in enumerate(metrics.parts(reading.series, _POINTS_AT_ONCE)):
            if number:
                self._clock.sleep(_BREATH)
            with self._database.write() as tx:
                added += metrics.add(tx, attempt_id, [part])
        return added

    def _finish(self, placed: Placed) -> None:
        """Read once more. What is too much for one reading is read on at the next tick: others have their turn too."""
        attempt = placed.attempt
        was_launched = attempt.handle is not None
        reading = self._read(placed) if was_launched else Reading()
        self._store(attempt.id, reading)
        gets_on = not reading.is_complete and reading.cursor != attempt.metrics_cursor
        if gets_on and not self._is_late(placed):
            with self._database.write() as tx:
                experiments.change(tx, attempt.id, metrics_cursor=reading.cursor)
            return
        tail = self._log_tail(attempt.backend_id) if was_launched else ""
        report = self._report(attempt.backend_id) if was_launched else None
        with self._database.write() as tx:
            metrics.put_documents(tx, attempt.id, reading.documents)
        with self._database.read() as tx:
            series = metrics.load(tx, attempt.id)
        picture = self._pictures.draw(
            f"{placed.run.workflow} / {placed.experiment.step}", series, gates_of(placed.experiment)
        )
        with self._database.write() as tx:
            experiments.change(
                tx,
                attempt.id,
                metrics_read_at=self._clock.now(),
                metrics_cursor=reading.cursor,
                metrics_problems=list(reading.problems),
                log_tail=tail,
                report=report,
                picture=picture,
            )
            commits.touch(tx, placed.commit.id)

    def _read(self, placed: Placed) -> Reading:
        return self._reader.read(metric_roots(from_json(placed.attempt.spec)), placed.attempt.metrics_cursor)

    def _is_late(self, placed: Placed) -> bool:
        return self._clock.now() - placed.attempt.entered_at > _PATIENCE

    def _give_up(self, placed: Placed, problem: str) -> None:
        """A verdict is waited for: gates fail with this sentence."""
        with self._database.write() as tx:
            values = {"metrics_read_at": self._clock.now(), "metrics_problems": [problem]}
            experiments.change(tx, placed.attempt.id, **values)
            commits.touch(tx, placed.commit.id)

    def _log_tail(self, backend_id: str) -> str:
        chunk = self._backend.logs(backend_id, "worker-0", -_LOG_TAIL, _LOG_TAIL)
        return chunk.data.decode(errors="replace").replace("\0", "")

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


def _is_over(placed: Placed) -> bool:
    return State(placed.attempt.state).is_final

"""A decision is run while somebody looks on: the stations work in threads, the rows are followed, the end is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.clock import Clock
from bot.core.report import Renderer
from bot.core.report.overview import Overview
from bot.run import results, view
from bot.run.bench import REPOSITORY, Bench
from bot.run.follow import Followed, Follower
from bot.run.ink import BLANK, Style, line
from bot.run.interrupt import Interrupt
from bot.run.screen import Screen
from bot.store import runs, targets
from bot.store.schema import Commit
from bot.worker.build import Decision
from bot.worker.loop import Worker

INTERRUPTED = 130
_EVERY = 0.1
_LAST_ROUND = 12.0
"""Seconds that the stations may take to finish what they are at."""


class Play:
    """One run of a bench, from its rows to its verdict. `by` is whoever looks on."""

    def __init__(self, bench: Bench, screen: Screen, renderer: Renderer, clock: Clock, by: str) -> None:
        self._bench, self._screen, self._renderer = bench, screen, renderer
        self._clock, self._by = clock, by

    def run(self, decision: Decision, worker: Worker, log: Path) -> int:
        """Return 0 when all went well, 1 when something failed, 130 after Ctrl-C. `log` is where stations complain."""
        with self._bench.database.write() as tx:
            commit = self._bench.builder.apply(tx, decision).commit
        names = frozenset(run.workflow.name for run in decision.chosen if run.is_run)
        interrupt = Interrupt(
            lambda: self._stop(commit.id), "Ctrl-C stops them", "stopping; Ctrl-C again does not wait for it"
        )
        around = self._bench.around
        follower = Follower(self._bench.database, self._clock, self._screen, self._renderer, around, _EVERY)
        try:
            with interrupt.heard(), _working(worker):
                seen = follower.follow(Followed(REPOSITORY, commit.sha, names), interrupt.hint)
        except KeyboardInterrupt:
            self._screen.say([line("Left. What still runs is ended without you, within some seconds.")])
            return INTERRUPTED
        self._conclude(seen, log)
        if interrupt.was_heard:
            return INTERRUPTED
        return view.status(seen)

    def _stop(self, commit_id: int) -> None:
        """Ask for the end of everything. The launch station passes it on."""
        with self._bench.database.write() as tx:
            ids = targets.ids(targets.of_commit(tx, tx.get_one(Commit, commit_id)))
            runs.cancel(tx, commit_id, ids, "stopped at the terminal", self._by)

    def _conclude(self, seen: Overview, log: Path) -> None:
        lines = [*results.result(seen, self._renderer, self._bench.where), BLANK, view.verdict(seen, self._renderer)]
        if log.exists():
            lines.append(line(f"the stations complained, see {log}", Style.DIM))
        self._screen.say(lines)


@contextmanager
def _working(worker: Worker) -> Iterator[None]:
    """Let the stations work beside us. Who leaves in a hurry does not wait for them: what they started ends with us."""
    thread = threading.Thread(target=worker.run, name="worker", daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        worker.stop()
        raise
    worker.stop()
    thread.join(_LAST_ROUND)

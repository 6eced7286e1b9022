"""What the terminal shows in every situation, as one readable document: what golden.txt pins.

`python -m tests.run.words` writes it anew; read the difference before you commit it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bot.core.report import CommitFacts, ExperimentFacts
from bot.core.report.overview import Overview
from bot.core.states import SECOND
from bot.run import results, view
from bot.run.ink import Line, cut, text_of
from tests.core.report import examples as e
from tests.core.report import hostile
from tests.core.report import scenes as s
from tests.core.report.words import RENDERER

GOLDEN = Path(__file__).with_name("golden.txt")
WIDTH, HEIGHT = 110, 20
ACCURACY = replace(e.ACCURACY, low=0.31, high=0.9701)

SITUATIONS: dict[str, Callable[[], list[Line]]] = {
    "running": lambda: drawn(e.commit(e.WAITING, s.DOWNLOADING, e.RUNNING_TOO)),
    "a search that runs": lambda: drawn(e.commit(s.SEARCHING)),
    "several tasks that run": lambda: drawn(e.commit(s.CLUSTER_LIVE)),
    "more than there is room for": lambda: drawn(s.LIVE_MATRIX, height=4),
    "the platform tries again": lambda: drawn(e.commit(e.RETRYING)),
    "succeeded": lambda: over(e.commit(replace(e.SUCCEEDED, metrics=(ACCURACY, e.LOSS)))),
    "a gate failed": lambda: over(e.commit(e.BELOW, e.UNGATED)),
    "a gate found nothing": lambda: over(e.commit(e.ABSENT_METRIC)),
    "the command failed": lambda: over(e.commit(e.BROKEN)),
    "out of memory": lambda: over(e.commit(e.OVER_LIMIT)),
    "out of time": lambda: over(e.commit(e.TIMED_OUT)),
    "one of several tasks failed": lambda: over(e.commit(s.DEAD_SERVER)),
    "a platform error": lambda: over(e.commit(e.PLATFORM)),
    "cancelled": lambda: over(e.commit(e.SUPERSEDED)),
    "not launched": lambda: over(e.commit(e.UNLAUNCHED)),
    "no metrics": lambda: over(e.commit(e.SILENT)),
    "a search": lambda: over(e.commit(s.SEARCHED)),
    "a matrix": lambda: over(s.BAD_MATRIX),
    "hostile": lambda: over(hostile.commit()),
    "hostile, and running": lambda: drawn(e.commit(replace(hostile.experiment(hostile.WEAPON), state=e.RUNNING.state))),
}


def seen(commit: CommitFacts) -> Overview:
    return view.seen_of(commit, frozenset(run.workflow for run in commit.runs))


def drawn(commit: CommitFacts, height: int = HEIGHT) -> list[Line]:
    now = e.BEGIN + 65 * SECOND
    return view.drawing(seen(commit), RENDERER, now, e.BEGIN, "Ctrl-C stops them", height)


def over(commit: CommitFacts) -> list[Line]:
    known = seen(commit)
    told = [line for part in known.parts for line in view.ended(part, known, RENDERER)]
    return [*told, *results.result(known, RENDERER, where), (), view.verdict(known, RENDERER)]


def where(x: ExperimentFacts) -> Sequence[tuple[str, str]]:
    return [("log", f"/home/me/runs/{x.public_id}/{x.attempt}/worker-0/log")]


def document() -> str:
    """Return every situation with its name, drawn lines cut as a terminal of 110 columns would have them."""
    return "\n".join(f"── {name}\n{_text(make())}" for name, make in SITUATIONS.items())


def _text(lines: Sequence[Line]) -> str:
    return "".join(f"{text_of(cut(line, WIDTH))}\n" for line in lines)


if __name__ == "__main__":
    GOLDEN.write_text(document())

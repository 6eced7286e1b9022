"""The words of every situation as one readable document each: what golden/ pins.

`python -m tests.core.report.words` writes them anew; read the difference before you commit it.
"""

from collections.abc import Callable
from pathlib import Path

from jinja2 import FileSystemLoader

from bot.core.report import CheckView, CommitFacts, PullFacts, Renderer, desired_checks, desired_comment
from bot.core.text import ZWSP
from tests.core.report import conversation as c
from tests.core.report import examples as e
from tests.core.report import hostile
from tests.core.report import scenes as s

GOLDEN = Path(__file__).parent / "golden"
RENDERER = Renderer(FileSystemLoader(Path(__file__).parents[3] / "templates"))

SITUATIONS: dict[str, Callable[[], str]] = {
    "checks-waiting": lambda: checks(e.commit(e.WAITING)),
    "checks-running": lambda: checks(e.commit(e.RUNNING)),
    "checks-succeeded": lambda: checks(e.commit(e.SUCCEEDED)),
    "checks-gate-failed": lambda: checks(e.commit(e.BELOW, e.UNGATED)),
    "checks-metric-absent": lambda: checks(e.commit(e.ABSENT_METRIC)),
    "checks-command-failed": lambda: checks(e.commit(e.BROKEN)),
    "checks-no-module": lambda: checks(e.commit(e.NO_MODULE)),
    "checks-out-of-memory": lambda: checks(e.commit(e.KILLED)),
    "checks-memory-limit": lambda: checks(e.commit(e.OVER_LIMIT)),
    "checks-failed-before": lambda: checks(e.commit(e.MISSING_DATA)),
    "checks-timed-out": lambda: checks(e.commit(e.TIMED_OUT)),
    "checks-platform-error": lambda: checks(e.commit(e.PLATFORM)),
    "checks-retrying": lambda: checks(e.commit(e.RETRYING)),
    "checks-retried": lambda: checks(e.commit(e.RETRIED)),
    "checks-given-up": lambda: checks(e.commit(e.GIVEN_UP)),
    "checks-cancelled": lambda: checks(e.commit(e.SUPERSEDED)),
    "checks-skipped": lambda: checks(e.commit(e.WAITING, skipped="nothing that it watches has changed")),
    "checks-not-launched": lambda: checks(e.commit(e.UNLAUNCHED)),
    "checks-only-on-pulls": lambda: checks(e.commit(e.PUSHED)),
    "checks-no-metrics": lambda: checks(e.commit(e.SILENT)),
    "checks-picture": lambda: checks(e.commit(e.PICTURED)),
    "checks-config-error": lambda: checks(e.commit(problems=e.ERRORS + e.WARNINGS)),
    "checks-config-warning": lambda: checks(e.commit(e.SILENT, problems=e.WARNINGS)),
    "checks-hostile": lambda: checks(hostile.commit()),
    "checks-tasks-running": lambda: checks(e.commit(s.CLUSTER_LIVE)),
    "checks-tasks-succeeded": lambda: checks(e.commit(s.CLUSTER)),
    "checks-tasks-failed": lambda: checks(e.commit(s.DEAD_SERVER)),
    "checks-tasks-hosts": lambda: checks(e.commit(s.HOSTS)),
    "checks-matrix-running": lambda: checks(s.LIVE_MATRIX),
    "checks-matrix-passed": lambda: checks(s.GOOD_MATRIX),
    "checks-matrix-failed": lambda: checks(s.BAD_MATRIX),
    "checks-matrix-wide": lambda: checks(s.WIDE_MATRIX),
    "checks-matrix-each": lambda: checks(s.EACH_MATRIX),
    "checks-matrix-skipped": lambda: checks(s.matrix(*s.UNTRIED, skipped="nothing that it watches has changed")),
    "checks-search-running": lambda: checks(e.commit(s.SEARCHING)),
    "checks-search-ended": lambda: checks(e.commit(s.SEARCHED)),
    "checks-search-fruitless": lambda: checks(e.commit(s.FRUITLESS)),
    "checks-provisioning": lambda: checks(e.commit(s.DOWNLOADING)),
    "checks-image-not-used": lambda: checks(e.commit(s.NO_IMAGE)),
    "checks-image-model": lambda: checks(e.commit(s.IMAGE)),
    "checks-ports": lambda: checks(e.commit(s.OPEN_PORTS)),
    "checks-held-fork": lambda: checks(c.FORK),
    "checks-held-author": lambda: checks(c.AUTHOR),
    "checks-held-skipped": lambda: checks(c.SKIPPED),
    "checks-held-draft": lambda: checks(c.DRAFT),
    "checks-held-nothing": lambda: checks(c.NOTHING_TO_RUN),
    "checks-removed": lambda: checks(c.REMOVED),
    "checks-asked": lambda: checks(c.ASKED),
    "checks-compared": lambda: checks(c.COMPARED),
    "comment-held-fork": lambda: comment(c.conversation(c.FORK)),
    "comment-removed": lambda: comment(c.conversation(c.REMOVED)),
    "comment-two-pulls": lambda: comment(c.conversation(e.commit(e.SINGLE, pulls=c.PULLS))),
    "comment-asked": lambda: comment(c.conversation(c.ASKED, requests=c.REQUESTS)),
    "comment-help": lambda: comment(c.conversation(e.commit(e.RUNNING), wants_help=True)),
    "comment-no-config": lambda: comment(c.conversation(None, requests=c.REQUESTS[1:2], wants_help=True)),
    "comment-compared": lambda: comment(c.conversation(c.COMPARED)),
    "comment-compared-newest": lambda: comment(c.conversation(c.BESIDE_NEWEST)),
    "comment-matrix": lambda: comment(e.pull(s.BAD_MATRIX)),
    "comment-matrix-wide": lambda: comment(e.pull(s.WIDE_MATRIX)),
    "comment-search": lambda: comment(e.pull(e.commit(s.SEARCHED))),
    "comment-tasks-failed": lambda: comment(e.pull(e.commit(s.DEAD_SERVER))),
    "comment-passed": lambda: comment(e.pull(e.commit(e.SUCCEEDED))),
    "comment-one-gate": lambda: comment(e.pull(e.commit(e.SINGLE))),
    "comment-failed": lambda: comment(e.pull(e.commit(e.BELOW, e.UNGATED))),
    "comment-mixed": lambda: comment(e.pull(e.commit(e.BROKEN, e.UNGATED, e.RUNNING_TOO))),
    "comment-earlier-commits": lambda: comment(e.pull(e.commit(e.RUNNING), *e.EARLIER, has_comment=True)),
    "comment-no-metrics": lambda: comment(e.pull(e.commit(e.SILENT))),
    "comment-hidden-gate": lambda: comment(e.pull(e.commit(e.HIDING))),
    "comment-cancelled": lambda: comment(e.pull(e.commit(e.SUPERSEDED), has_comment=True)),
    "comment-skipped": lambda: comment(
        e.pull(e.commit(e.WAITING, skipped="nothing that it watches has changed"), *e.EARLIER, has_comment=True)
    ),
    "comment-picture": lambda: comment(e.pull(e.commit(e.PICTURED))),
    "comment-config-error": lambda: comment(e.pull(e.commit(problems=e.ERRORS + e.WARNINGS))),
    "comment-hostile": lambda: comment(e.pull(hostile.commit(), hostile.EARLIER)),
}


def checks(commit: CommitFacts) -> str:
    """Return all checks of a commit as a document."""
    return "\n".join(_check(view) for view in desired_checks(commit, RENDERER))


def _check(view: CheckView) -> str:
    lines = [f"{'=' * 20} {view.name}", f"{view.conclusion or view.status}: {view.title}", "-" * 20, view.summary]
    if view.text is not None:
        lines += ["-" * 20, view.text]
    for one in view.annotations:
        lines += ["-" * 20, f"{one.level} at {one.path}:{one.line}:{one.column}: {one.title}", one.message]
    return "\n".join([*lines, ""])


def comment(pull: PullFacts) -> str:
    """Return the comment's body as a document."""
    view = desired_comment(pull, RENDERER)
    return "none\n" if view is None else f"{view.body}\n"


def document(situation: str) -> str:
    """Return a situation's document, zero-width spaces made visible."""
    return SITUATIONS[situation]().replace(ZWSP, "‹0›")


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for situation in SITUATIONS:
        (GOLDEN / f"{situation}.md").write_text(document(situation))

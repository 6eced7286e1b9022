"""Failures on the very lines: which of them are told, how often, and whom they name."""

from dataclasses import replace

from bot.core.report import ExperimentFacts, PlaceFacts, RunFacts, TaskFacts, desired_checks
from bot.core.report.views import Annotation
from bot.core.states import State
from tests.core.report import examples as e
from tests.core.report import scenes as s
from tests.core.report.words import RENDERER

FIT = "train / fit"
BOTH = (
    TaskFacts("worker-0", State.FAILED, 1, reason="exit code 1"),
    TaskFacts("worker-1", State.FAILED, 1, reason="exit code 1"),
)


def of_check(name: str, *facts: ExperimentFacts) -> tuple[Annotation, ...]:
    commit = e.commit(runs=(RunFacts("train", facts),))
    return next(view.annotations for view in desired_checks(commit, RENDERER) if view.name == name)


def test_a_failure_is_told_on_its_line() -> None:
    assert of_check(FIT, e.BROKEN) == (
        Annotation(
            "train.py",
            12,
            "failure",
            "The loss is NaN",
            'ValueError: the loss is nan\n\nin check: raise ValueError(f"the loss is {loss}")',
        ),
    )


def test_a_file_that_could_not_be_compiled_has_no_function() -> None:
    place = PlaceFacts("worker-0", "model.py", 7, "SyntaxError: '(' was never closed", "", "def f(")
    [one] = of_check(FIT, replace(e.BROKEN, places=(place,)))
    assert (one.title, one.message) == ("SyntaxError", "SyntaxError: '(' was never closed\n\ndef f(")


def test_of_several_tasks_each_that_failed_is_told_the_first_first() -> None:
    places = (replace(e.NAN, task="worker-1", line=7), replace(e.NAN, task="worker-0"))
    found = of_check(FIT, replace(e.BROKEN, tasks=BOTH, places=places))
    assert [(one.line, one.message.split("\n")[-1]) for one in found] == [
        (7, "Failed here: worker-1"),
        (12, "Failed here: worker-0"),
    ]


def test_tasks_that_failed_alike_are_told_once() -> None:
    places = (replace(e.NAN, task="worker-0"), replace(e.NAN, task="worker-1"))
    [one] = of_check(FIT, replace(e.BROKEN, tasks=BOTH, places=places))
    assert one.message.endswith("Failed here: worker-0; worker-1")


def test_the_title_speaks_of_the_task_that_failed_first() -> None:
    tasks = tuple(replace(task, log_tail=e.TRACEBACK) for task in BOTH)
    places = (replace(e.NAN, task="worker-1", line=7), replace(e.NAN, task="worker-0"))
    facts = replace(e.BROKEN, tasks=tasks, places=places, reason="worker-1: exit code 1")
    titles = {view.name: view.title for view in desired_checks(e.commit(facts), RENDERER)}
    assert titles[FIT] == "worker-1: the loss is NaN at train.py:7"


def test_cells_that_failed_alike_are_told_once_and_named() -> None:
    cells = [replace(s.BROKEN_CELL, variant=f"seed={n}") for n in range(14)]
    odd = replace(s.BROKEN_CELL, variant="seed=14", places=(replace(e.NAN, line=3),))
    first, second = of_check(FIT, *cells, odd, s.CELLS[0])
    assert first.message.endswith(
        "Failed here: seed=0; seed=1; seed=2; seed=3; seed=4; seed=5; seed=6; seed=7; seed=8; seed=9 and 4 more"
    )
    assert (second.line, second.message.split("\n")[-1]) == (3, "Failed here: seed=14")


def test_a_matrix_tells_them_when_its_last_cell_has_ended() -> None:
    assert of_check(FIT, s.BROKEN_CELL, s.live(s.CELLS[1], State.RUNNING)) == ()


def test_fifty_are_told_at_most() -> None:
    cells = [replace(s.BROKEN_CELL, variant=f"seed={n}", places=(replace(e.NAN, line=n + 1),)) for n in range(60)]
    assert [one.line for one in of_check(FIT, *cells)] == [*range(1, 51)]


def test_what_did_not_fail_by_itself_has_no_line() -> None:
    for facts in (e.TIMED_OUT, e.PLATFORM, e.SUPERSEDED, e.SINGLE, e.RETRYING):
        assert of_check(FIT, replace(facts, places=e.BROKEN.places)) == ()


def test_a_limit_ended_it_so_the_title_says_that_and_no_line() -> None:
    facts = replace(e.OVER_LIMIT, places=e.BROKEN.places)
    title = next(view.title for view in desired_checks(e.commit(facts), RENDERER) if view.name == FIT)
    assert title == "Killed: memory limit 4 GB"


def test_a_long_path_is_shown_by_its_end() -> None:
    place = replace(e.NAN, path=f"{'deep/' * 40}train.py")
    facts = replace(e.BROKEN, places=(place,))
    view = next(view for view in desired_checks(e.commit(facts), RENDERER) if view.name == FIT)
    assert view.title.endswith("deep/deep/train.py:12")
    assert len(view.title) < 100
    assert view.annotations[0].path == place.path

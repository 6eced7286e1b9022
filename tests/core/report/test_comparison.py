"""A figure beside another one: which way it went, and whether that is the way it should."""

from dataclasses import replace

import pytest

from bot.core.gates import Range, Verdict
from bot.core.report import CommitFacts, ComparisonFacts, ReferenceFacts, desired_checks
from bot.core.report.comparison import Change, direction
from tests.core.report import conversation as c
from tests.core.report import examples as e
from tests.core.report import scenes as s
from tests.core.report.words import RENDERER


def summary(commit: CommitFacts) -> str:
    return desired_checks(commit, RENDERER)[0].summary


@pytest.mark.parametrize(
    ("target", "wanted"), [(Range(0.9, None), 1), (Range(None, 0.5), -1), (Range(0.1, 0.2), 0), (Range(1, 1), 0)]
)
def test_a_gates_target_says_which_way_is_good(target: Range, wanted: int) -> None:
    assert direction(target) == wanted


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (Change(0.96, 0.94, 2, True), "▲ 0.02 better"),
        (Change(0.94, 0.96, 2, False), "▼ 0.02 worse"),
        (Change(812.0, 790.0, None, None), "▲ 22"),
        (Change(0.5, 0.5, 2, None), "="),
        (Change(float("nan"), 0.5, 2, None), ""),
        (Change(0.5, float("nan"), 2, None), ""),
        (Change(float("inf"), 0.5, 2, True), "▲ ∞ better"),
        (Change(float("inf"), float("inf"), None, None), "="),
    ],
)
def test_a_change_has_an_arrow_and_says_whether_it_is_for_the_better(change: Change, told: str) -> None:
    assert change.told == told


def test_a_figure_that_only_one_of_the_two_has_stands_alone() -> None:
    base = replace(c.BASE, experiments={c.PLACE: ReferenceFacts({"tensorflow:loss": 0.11})})
    assert "| `tensorflow:accuracy` | 0.96 | | | > 0.9 | ✅ passed |" in summary(
        e.commit(c.MEASURED, comparisons=(base,))
    )


def test_what_a_gate_could_not_compare_is_beside_nothing() -> None:
    waits = replace(c.MEASURED, gates=(e.result(e.GATE_ACCURACY, Verdict.WAITING),), metrics=())
    assert "| `tensorflow:accuracy` |  | | | > 0.9 |" in summary(e.commit(waits, comparisons=(c.BASE,)))


def test_an_experiment_that_is_new_is_beside_nothing() -> None:
    new = replace(c.MEASURED, step="new")
    assert "▲" not in summary(e.commit(new, comparisons=(c.BASE,)))


def test_without_results_the_base_has_no_column() -> None:
    empty = ComparisonFacts("main", "newest", reason="nothing has finished there yet")
    text = summary(e.commit(c.MEASURED, comparisons=(empty,)))
    assert "| metric | this commit | gate | result |" in text
    assert "nothing has finished" not in text, "nobody asked"


def test_the_cells_of_a_matrix_stand_beside_theirs() -> None:
    cells = [one for run in s.BAD_MATRIX.runs for one in run.experiments]
    there = {(one.workflow, one.step, one.variant): ReferenceFacts({"tensorflow:accuracy": 0.5}) for one in cells}
    text = summary(replace(s.BAD_MATRIX, comparisons=(replace(c.BASE, experiments=there),)))
    assert text.count("better |") == sum(one.gates[0].value is not None for one in cells)


def test_parameters_are_those_that_differ_with_what_a_command_set() -> None:
    mine = replace(c.MEASURED, settings={"LR": "0.2"})
    text = summary(e.commit(mine, comparisons=(c.BASE,)))
    assert "| train / fit `LR` | `0.2` | `0.05` |" in text
    assert "`machine`" not in text


def test_metrics_beyond_the_first_few_are_in_the_fold() -> None:
    many = tuple(replace(e.LOSS, name=f"m{n}", last=float(n)) for n in range(9))
    there = ReferenceFacts({}, {f"tensorflow:m{n}": 1.0 for n in range(9)})
    text = summary(
        e.commit(
            replace(e.SILENT, workflow="train", step="fit", metrics=many),
            comparisons=(replace(c.BASE, experiments={c.PLACE: there}),),
        )
    )
    table, fold = text.split("<details>", 1)
    assert ("`tensorflow:m4`" in table, "`tensorflow:m5`" in table) == (True, False)
    assert ("`tensorflow:m4`" in fold, "| train / fit `tensorflow:m8` | 8 | 1 | ▲ 7 |" in fold) == (False, True)

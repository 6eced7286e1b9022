"""Which experiments are meant: by a check's button, and with what was not started for want of them."""

from dataclasses import replace

import pytest

from bot.core.matrix import MAX_CELLS_REPORTED_EACH
from bot.store import targets
from bot.store.schema import Check
from bot.store.targets import Target

FIT = Target(1, "a", "train", "fit", "", 0, True, True, False, False, 0)
EVALUATE = replace(FIT, experiment_id=2, step="evaluate", position=1, has_failed=False, was_kept_back=True)
PUBLISH = replace(EVALUATE, experiment_id=3, step="publish", position=2)
OTHER = replace(EVALUATE, experiment_id=4, workflow="bench", step="speed", position=1)


def cells(count: int, *failed: int, each: bool = False) -> list[Target]:
    """The cells of a matrix."""
    return [
        replace(FIT, experiment_id=10 + n, variant=f"seed={n}", has_failed=n in failed, reports_each=each)
        for n in range(count)
    ]


def meant(everything: list[Target], experiment_id: int) -> list[int]:
    found = targets.of_check(everything, Check(experiment_id=experiment_id))
    return [one.experiment_id for one in found]


def test_what_waited_for_it_comes_along_and_nothing_of_another_workflow() -> None:
    found = targets.with_followers([FIT, EVALUATE, PUBLISH, OTHER], [FIT])
    assert targets.ids(found) == {1, 2, 3}


def test_nobody_takes_what_comes_before_along_nor_what_had_its_turn() -> None:
    done = replace(EVALUATE, was_kept_back=False)
    assert targets.ids(targets.with_followers([FIT, done, PUBLISH], [PUBLISH])) == {3}
    assert targets.ids(targets.with_followers([FIT, done, PUBLISH], [FIT])) == {1, 3}
    assert targets.with_followers([FIT, EVALUATE], []) == []


def test_a_check_means_its_own_experiment() -> None:
    assert meant([FIT, EVALUATE], 2) == [2]
    assert meant([FIT], 99) == []


@pytest.mark.parametrize(
    ("everything", "expected"),
    [
        (cells(3, 1), [11]),
        (cells(3), [10, 11, 12]),
        (cells(3, 1, each=True), [10]),
        (cells(MAX_CELLS_REPORTED_EACH + 1, 2, each=True), [12]),
    ],
    ids=["what failed", "none failed: all", "each has its check", "too many for a check each"],
)
def test_the_one_check_of_a_matrix_means_its_cells(everything: list[Target], expected: list[int]) -> None:
    assert meant([*everything, EVALUATE], 10) == expected


def test_a_cell_is_called_by_its_variant() -> None:
    assert (FIT.label, cells(1)[0].label) == ("train / fit", "train / fit (seed=0)")

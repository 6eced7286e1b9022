"""A matrix: which runs a step becomes."""

import pytest

from bot.core.matrix import MAX_LABEL, MatrixError, cells


def labels(*args: object, **more: object) -> list[str]:
    return [cell.label for cell in cells(*args, **more)]  # type: ignore[arg-type]


GRID = {"lr": ["0.1", "1e-2"], "seed": ["1", "2"]}


def test_each_combination_is_a_cell_and_the_last_name_changes_fastest() -> None:
    assert labels(GRID) == ["lr=0.1, seed=1", "lr=0.1, seed=2", "lr=1e-2, seed=1", "lr=1e-2, seed=2"]


def test_what_is_excluded_is_left_out_and_what_is_included_follows() -> None:
    found = labels(GRID, include=[{"seed": "9", "lr": "1"}], exclude=[{"lr": "0.1", "seed": "2"}, {"lr": "1e-2"}])

    assert found == ["lr=0.1, seed=1", "seed=9, lr=1"]


def test_cells_may_be_listed_alone() -> None:
    assert labels({}, include=[{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]) == ["a=1, b=2", "a=3, b=4"]


def test_a_run_finds_its_values_as_they_were_written_and_all_of_them_as_json() -> None:
    (cell,) = cells({"python": ["3.10"], "lr": ["1e-2"], "fast": ["true"], "name": ["a b"], "huge": ["1e999"]})

    assert cell.environment() == {
        "python": "3.10",
        "lr": "1e-2",
        "fast": "true",
        "name": "a b",
        "huge": "1e999",
        "MATRIX": '{"python": 3.1, "lr": 0.01, "fast": true, "name": "a b", "huge": "1e999"}',
    }


def test_labels_are_short_unique_and_on_one_line() -> None:
    long = labels({"a": ["x" * 100, "y" * 10]})
    alike = labels({"a": ["x\ny", "x y"]})

    assert long == ["a=" + "x" * (MAX_LABEL - 7) + " #1", "a=yyyyyyyyyy #2"]
    assert alike == ["a=x y #1", "a=x y #2"]


def test_a_label_cannot_pass_for_a_part_of_a_checks_name() -> None:
    assert labels({"a": ["x / y"]}) == ["a=x/y"]


@pytest.mark.parametrize(
    ("values", "include", "exclude", "message", "where"),
    [
        ({}, [], [], "The matrix has no cell", ()),
        ({"a": ["1"]}, [], [{"a": "1"}], "The matrix has no cell", ()),
        ({"a": ["1"]}, [], [{"a": "2"}], "No cell has these values: nothing is excluded", ("exclude", 0)),
        ({"a": ["1"]}, [{"b": "1"}], [], "An included cell has other names", ("include", 0)),
        ({"a": ["1"]}, [{"a": "2"}, {"a": "1"}], [], "This cell is there already", ("include", 1)),
        ({}, [{"a": "1"}, {"b": "1"}], [], "An included cell has other names", ("include", 1)),
        ({"a": [*"abcdefghijklmnopq"], "b": [*"abcdefghijklmnopq"]}, [], [], "The matrix has more than 256 cells", ()),
        ({"a": [*map(str, range(256))]}, [{"a": "x"}], [], "The matrix has more than 256 cells", ()),
        ({chr(97 + n): [*map(str, range(256))] for n in range(20)}, [], [], "The matrix has more than 256 cells", ()),
    ],
)
def test_what_makes_no_matrix(
    values: dict[str, list[str]],
    include: list[dict[str, str]],
    exclude: list[dict[str, str]],
    message: str,
    where: tuple[str | int, ...],
) -> None:
    with pytest.raises(MatrixError) as caught:
        cells(values, include, exclude)

    assert str(caught.value).startswith(message)
    assert caught.value.where == where
    assert caught.value.hint

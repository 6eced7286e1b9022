"""A matrix: one step run once for each combination of some values. A run of it is a cell."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from bot.core.space import Scalar, SpaceError, scalar

MAX_CELLS = 256
MAX_CELLS_REPORTED_EACH = 20
MAX_LABEL = 60
"""Characters of a label: it stands in tables, and in names of checks."""

MATRIX = "MATRIX"
"""The variable that holds a cell's values as one JSON object."""


@dataclass(frozen=True)
class Cell:
    """One run of a matrix step. `values` are the texts as written; `label` (`lr=0.1, seed=1`) is unique in its step."""

    label: str
    values: Mapping[str, str]

    def environment(self) -> dict[str, str]:
        """Return the run's variables: each value as it was written, and all of them as JSON in `MATRIX`.

        In the JSON what reads as a number is a number, `true` and `false` are what they say, all else is text.
        """
        return {**self.values, MATRIX: json.dumps({name: _typed(text) for name, text in self.values.items()})}


class MatrixError(ValueError):
    """Values that make no matrix, and in `hint` what to write instead; `where` is the place among them."""

    def __init__(self, message: str, hint: str, *where: str | int) -> None:
        super().__init__(message)
        self.hint, self.where = hint, where


Values = Mapping[str, str]


def cells(
    values: Mapping[str, Sequence[str]], include: Sequence[Values] = (), exclude: Sequence[Values] = ()
) -> tuple[Cell, ...]:
    """Return the combinations of `values` without those that agree with all of an `exclude`, then those of `include`.

    The last name changes fastest. Raises MatrixError beyond `MAX_CELLS`, when nothing is left, when an `include` does
    not give every name a value or repeats a cell, and when an `exclude` fits nothing.
    """
    size = prod(len(listed) for listed in values.values()) if values else 0
    if size > MAX_CELLS:
        raise _too_many()
    crossed = [dict(zip(values, row, strict=True)) for row in product(*values.values())] if values else []
    found = _with(include, _without(exclude, crossed), set(values) or set(include[0] if include else ()))
    if not found:
        raise MatrixError("The matrix has no cell", "Name at least one value, like `seed: [1, 2]`.")
    if len(found) > MAX_CELLS:
        raise _too_many()
    return tuple(_labelled(found))


def _too_many() -> MatrixError:
    hint = "Choose fewer values; for a wide search take `hyperparameters.run`."
    return MatrixError(f"The matrix has more than {MAX_CELLS} cells", hint)


def _without(exclude: Sequence[Values], crossed: list[dict[str, str]]) -> list[dict[str, str]]:
    for position, unwanted in enumerate(exclude):
        if not any(unwanted.items() <= cell.items() for cell in crossed):
            hint = "Name values as they stand in the lists."
            raise MatrixError("No cell has these values: nothing is excluded", hint, "exclude", position)
    return [cell for cell in crossed if not any(unwanted.items() <= cell.items() for unwanted in exclude)]


def _with(include: Sequence[Values], found: list[dict[str, str]], names: set[str]) -> list[dict[str, str]]:
    whole = list(found)
    for position, cell in enumerate(include):
        if set(cell) != names:
            hint = "Give a value to each of " + ", ".join(f"`{name}`" for name in sorted(names)) + ", and to no other."
            raise MatrixError("An included cell has other names", hint, "include", position)
        if cell in whole:
            raise MatrixError("This cell is there already", "Delete it.", "include", position)
        whole.append(dict(cell))
    return whole


def _labelled(found: Sequence[Values]) -> Iterable[Cell]:
    """Number the labels where one is too long, or two read the same."""
    labels = [_label(values) for values in found]
    if len(set(labels)) < len(labels) or max(map(len, labels)) > MAX_LABEL:
        labels = [f"{label[: MAX_LABEL - 5].rstrip()} #{position}" for position, label in enumerate(labels, 1)]
    return map(Cell, labels, found)


def _label(values: Values) -> str:
    """Return `lr=0.1, seed=1` on one line, without what separates the parts of a check's name."""
    return " ".join(", ".join(f"{name}={text}" for name, text in values.items()).replace(" / ", "/").split())


def _typed(text: str) -> Scalar:
    try:
        return scalar(text)
    except SpaceError:
        # A number that no float holds.
        return text

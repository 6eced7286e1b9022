"""`matrix` and `report` of a step: one run for each combination of values, and what has a check of its own."""

from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from bot.core.config.document import Mapping
from bot.core.config.environment import setting, variable
from bot.core.config.models import AnyParams, Reporting, SearchParams, secret_name
from bot.core.config.problems import quote
from bot.core.config.section import KEY, Loc, Reading, Section, wrong
from bot.core.config.values import choice
from bot.core.matrix import MATRIX, MAX_CELLS, MAX_CELLS_REPORTED_EACH, Cell, MatrixError, cells

MAX_NAMES = 20
MAX_VALUE = 500
"""Characters of one value."""


def _matrix(value: Any) -> tuple[Cell, ...]:
    if not isinstance(value, Mapping):
        raise wrong("A mapping is expected here", "Write `lr: [0.1, 0.01]` lines.")
    if len(value) > MAX_NAMES:
        raise wrong(f"More than {MAX_NAMES} names in a matrix", "What never changes belongs into `experimentEnv`.")
    values = {_variable(name): _listed(listed, name) for name, listed in value.items() if name not in _LISTS}
    include, exclude = (_partial(value.get(key), key) for key in _LISTS)
    try:
        return cells(values, include, exclude)
    except MatrixError as error:
        raise wrong(str(error), error.hint, *error.where) from None


_LISTS = ("include", "exclude")


def _variable(name: str, *where: str | int) -> str:
    try:
        variable(name)
    except ValueError:
        hint = "A value becomes a variable of its name: use letters, digits and `_`, no digit first."
        raise wrong(f"{quote(name)} cannot be a variable's name", hint, *where, name, KEY) from None
    if name == MATRIX:
        raise wrong(f"`{MATRIX}` is taken: it holds all values as JSON", "Choose another name.", *where, name, KEY)
    return name


def _listed(value: Any, name: str) -> list[str]:
    items = value if isinstance(value, list) else [value]
    if not items:
        raise wrong("The list is empty", "Name at least one value, or delete the key.", name)
    if len(items) > MAX_CELLS:
        raise wrong(f"More than {MAX_CELLS} values", "Choose fewer.", name)
    texts = [_text(item, name, position) for position, item in enumerate(items)]
    for position, text in enumerate(texts):
        if text in texts[:position]:
            raise wrong(f"{quote(text)} stands here a second time", "Keep one of them.", name, position)
    return texts


def _partial(value: Any, key: str) -> list[dict[str, str]]:
    """Return the mappings below `include` or `exclude`."""
    items = [] if value is None else value if isinstance(value, list) else [value]
    if len(items) > MAX_CELLS:
        raise wrong(f"More than {MAX_CELLS} entries", "Choose fewer.", key)
    for position, item in enumerate(items):
        if not isinstance(item, Mapping) or not item:
            raise wrong("A mapping of values is expected here", "Write `- {lr: 0.1, seed: 1}`.", key, position)
    return [
        {_variable(name, key, position): _text(text, key, position, name) for name, text in item.items()}
        for position, item in enumerate(items)
    ]


def _text(value: Any, *where: str | int) -> str:
    try:
        text = setting(value)
    except ValueError:
        raise wrong("Text or a number is expected here", "Put lists and mappings in quotes.", *where) from None
    if secret_name(text) is not None:
        # Values stand in labels and tables.
        raise wrong("A secret cannot be a value of a matrix", "Put it into `experimentEnv`.", *where)
    if len(text) > MAX_VALUE:
        raise wrong(f"The value is longer than {MAX_VALUE} characters", "Put it into a file.", *where)
    return text


_SCALAR = {"type": ["string", "number", "boolean"]}
_PARTIAL = {"type": "object", "minProperties": 1, "additionalProperties": _SCALAR}

Matrix = Annotated[
    tuple[Cell, ...],
    PlainValidator(_matrix),
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "properties": {key: {"anyOf": [_PARTIAL, {"type": "array", "items": _PARTIAL}]} for key in _LISTS},
            "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]},
        }
    ),
    Field(description=f"One run for each combination of these values, at most {MAX_CELLS}"),
]


class MatrixKeys(Section):
    """The keys of a step about its runs."""

    matrix: Matrix | None = None
    report: Annotated[Reporting, choice(Reporting)] | None = Field(
        None, description="step (default): one check with a table of the runs; each: a check for each run"
    )


def read_matrix(
    section: MatrixKeys, params: AnyParams, reading: Reading, loc: Loc
) -> tuple[tuple[Cell, ...], Reporting]:
    """Return the cells of the step at `loc`, and what has a check."""
    cells, report = section.matrix or (), section.report or Reporting.STEP
    if not cells and section.report is not None:
        hint = "Delete it, or write a `matrix`."
        reading.error("`report` has no meaning without `matrix`", hint, reading.key_at(*loc, "report"))
    if report is Reporting.EACH and len(cells) > MAX_CELLS_REPORTED_EACH:
        message = f"{len(cells)} cells are too many for a check each: {MAX_CELLS_REPORTED_EACH} at most"
        reading.error(message, "Write `report: step`, or choose fewer values.", reading.value_at(*loc, "report"))
    if cells and isinstance(params, SearchParams):
        hint = "Put the values into the search's `space` by `choice([…])`, or write several steps."
        reading.error("A search has no `matrix`", hint, reading.key_at(*loc, "matrix"))
    for name in cells[0].values if cells else ():
        if name in params.env:
            hint = "Delete it from one of them: which of two values counts would be a guess."
            message = f"{quote(name)} stands in `matrix` and in `experimentEnv`"
            reading.error(message, hint, reading.key_at(*loc, "matrix", name))
    return cells, report

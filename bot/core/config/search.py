"""`search` of a step `hyperparameters.run`: what is tried, what is measured, how far."""

import re
from collections.abc import Mapping as AnyMapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from bot.core.config.checks import POINTER, is_metric
from bot.core.config.document import Mapping
from bot.core.config.problems import quote
from bot.core.config.section import KEY, Loc, Reading, Section, named, wrong
from bot.core.config.values import Duration, choice, whole
from bot.core.search import PARAMS, Goal, Pruner, Sampler, Search, SpaceError, command, grid_size
from bot.core.series import Source
from bot.core.space import MAX_CHOICES, Choice, Distribution, parse, scalar
from bot.core.space import choice as choice_of

MAX_PARAMETERS = 50
MAX_TRIALS = 10_000
MAX_PARALLEL = 64
MAX_SEED = 2**32 - 1
"""What numpy's generators take."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)


def _parameter(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        hint = "Use letters, digits, `_`, `.` and `-`, at most 64, a letter first."
        raise wrong(f"{quote(str(name))} cannot be a parameter's name", hint)
    if name == PARAMS:
        raise wrong(f"`{PARAMS}` is taken: it holds all parameters as JSON", "Choose another name.")
    return name


def _space(value: Any) -> Any:
    """Tell what braces do to an unquoted `{lr: loguniform(1e-4, 1e-1)}`: the comma begins another key."""
    if isinstance(value, Mapping):
        for name, written in value.items():
            if name.endswith(")") and written is None:
                hint = "Write each parameter on a line of its own, or its distribution in quotes."
                raise wrong("Inside braces a comma separates parameters", hint, name, KEY)
    return value


def _distribution(value: Any) -> Distribution:
    try:
        if isinstance(value, list):
            return choice_of([_option(item) for item in value])
        if isinstance(value, str):
            return parse(value)
    except SpaceError as error:
        raise wrong(str(error), error.hint) from None
    raise wrong("A distribution is expected here", "Write for example `loguniform(1e-4, 1e-1)` or `[32, 64]`.")


def _option(item: Any) -> str | int | float | bool:
    if isinstance(item, str):
        return scalar(item)
    raise SpaceError("A value to choose is text or a number", "Write `[32, 64]`; put what has brackets in quotes.")


_Distribution = Annotated[
    Distribution,
    PlainValidator(_distribution),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\s*(uniform|loguniform|quniform|int|choice)\s*\("},
                {
                    "type": "array",
                    "items": {"type": ["string", "number", "boolean"]},
                    "minItems": 1,
                    "maxItems": MAX_CHOICES,
                },
            ]
        }
    ),
]

OBJECTIVES = (Source.CUSTOM, Source.TENSORFLOW, Source.LOGGED)
"""What a search can improve: what a run says of itself."""


def _metric(value: Any) -> tuple[Source, str]:
    source, colon, metric = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not colon or source not in OBJECTIVES or not is_metric(metric):
        hint = "Write `tensorflow:<scalar>`, `logged:<metric>` or `custom:/<pointer>`."
        raise wrong("What the search improves is expected here", hint)
    if source == Source.CUSTOM and not POINTER.fullmatch(metric):
        hint = "For `custom` write where the number stands, like `custom:/loss`."
        raise wrong(f"{quote(metric)} is not a JSON pointer", hint)
    return Source(source), metric


_Metric = Annotated[
    tuple[Source, str],
    PlainValidator(_metric),
    WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(OBJECTIVES)}):.+$"}),
]


class SearchBlock(Section):
    """A search that is declared."""

    space: Annotated[
        dict[Annotated[str, BeforeValidator(_parameter)], _Distribution],
        named(MAX_PARAMETERS, "parameters"),
        BeforeValidator(_space),
    ] = Field(description="What is tried: a distribution, or a list to choose from, for each parameter")
    metric: _Metric = Field(examples=["custom:/loss"], description="What is measured of a trial; its last value")
    goal: Annotated[Goal, choice(Goal)] = Field(examples=["minimize"])
    trials: Annotated[int, Field(ge=1, le=MAX_TRIALS), whole(1, MAX_TRIALS)] = Field(examples=["30"])
    parallel: Annotated[int, Field(ge=1, le=MAX_PARALLEL), whole(1, MAX_PARALLEL)] | None = Field(
        None, description="How many trials run at the same time; default 1"
    )
    sampler: Annotated[Sampler, choice(Sampler)] | None = Field(None, description="Default: tpe")
    pruner: Annotated[Pruner, choice(Pruner)] | None = Field(
        None, description="Stops trials that are worse than others at the same step; default: none"
    )
    timeout: Duration | None = Field(None, description="When no further trial begins and the running ones end")
    seed: Annotated[int, Field(ge=0, le=MAX_SEED), whole(0, MAX_SEED)] | None = Field(
        None, description="Makes the choice of parameters repeatable where one trial runs at a time"
    )


def read_search(block: SearchBlock, reading: Reading, loc: Loc) -> Search | None:
    """Return the search that the section at `loc` declares, None when it cannot fit."""
    trials, parallel = block.trials, block.parallel or 1
    if parallel > trials:
        hint = f"Write at most `parallel: {trials}`."
        reading.error("More trials at the same time than trials in all", hint, reading.value_at(*loc, "parallel"))
        return None
    if block.sampler is Sampler.GRID:
        trials = _on_grid(block, reading, loc)
    if not trials or not _is_small(block.space, trials, reading, loc):
        return None
    source, metric = block.metric
    if source is Source.CUSTOM and block.pruner not in (None, Pruner.NONE):
        hint = "The document is read at a trial's end; measure `tensorflow:` or `logged:` to stop trials early."
        message = f"`pruner: {block.pruner}` stops nothing: `custom` has no values before the end"
        reading.warn(message, hint, reading.value_at(*loc, "pruner"))
    return Search(
        space=block.space,
        metric_source=source,
        metric=metric,
        goal=block.goal,
        trials=trials,
        parallel=min(parallel, trials),
        sampler=block.sampler or Sampler.TPE,
        pruner=block.pruner or Pruner.NONE,
        timeout_seconds=block.timeout,
        seed=block.seed,
    )


def _on_grid(block: SearchBlock, reading: Reading, loc: Loc) -> int:
    """Return how many trials a grid has room for, 0 when there is no grid."""
    try:
        size = grid_size(block.space)
    except SpaceError as error:
        reading.error(str(error), error.hint, reading.value_at(*loc, "space", error.key))
        return 0
    if size < block.trials:
        message = f"The grid has {size} points: the search ends after {size} trials"
        reading.warn(message, f"Write `trials: {size}`.", reading.value_at(*loc, "trials"))
    return min(size, block.trials)


def check_command(template: str, search: Search, reading: Reading, loc: Loc) -> None:
    """Complain of a training command (the value at `loc`) that no trial could run."""
    try:
        command(template, dict.fromkeys(search.space, 0))
    except SpaceError as error:
        reading.error(str(error), error.hint, reading.value_at(*loc))


MAX_WRITTEN = 16 << 20
"""Bytes of parameters that all trials of a search may be written with: each stands in a file and in a row."""
_NUMBER = 24


def _is_small(space: AnyMapping[str, Distribution], trials: int, reading: Reading, loc: Loc) -> bool:
    widest = sum(len(name) + _width(distribution) for name, distribution in space.items())
    if trials * widest <= MAX_WRITTEN:
        return True
    message = f"{trials} trials with up to {widest} characters of parameters are too much to write down"
    reading.error(message, "Try fewer, or name long values by short words.", reading.value_at(*loc, "trials"))
    return False


def _width(distribution: Distribution) -> int:
    if isinstance(distribution, Choice):
        return max(len(str(option)) for option in distribution.options)
    return _NUMBER

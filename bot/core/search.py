"""A search that a config declares: what is tried, what is measured, and the command of one trial.

The command is a template, not a script: it is split into words once, `{lr}` inside a word is replaced by the value
of the parameter `lr`, and no shell sees the result. A value can therefore never become a second command.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bot.core.series import Source
from bot.core.space import Choice, Distribution, FloatRange, IntRange, Scalar, SpaceError, grid_size, parse, written

__all__ = (
    "Choice",
    "Distribution",
    "FloatRange",
    "Goal",
    "IntRange",
    "Pruner",
    "Sampler",
    "Scalar",
    "Search",
    "SpaceError",
    "command",
    "environment",
    "grid_size",
    "parse",
    "split",
    "written",
)


class Goal(StrEnum):
    """Which of two values is the better one."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


class Sampler(StrEnum):
    """How the next trial's parameters are chosen."""

    TPE = "tpe"
    RANDOM = "random"
    GRID = "grid"


class Pruner(StrEnum):
    """How a bad trial is recognised before its end."""

    MEDIAN = "median"
    ASHA = "asha"
    NONE = "none"


@dataclass(frozen=True)
class Search:
    """A declared search. `metric` is a name, for `custom` a JSON pointer into `gradient-model-metadata.json`.

    `trials` is how many are tried in all, `parallel` how many at the same time. `timeout_seconds` ends the search,
    with what was found by then; None leaves it to the step's own timeout.
    """

    space: Mapping[str, Distribution]
    metric_source: Source
    metric: str
    goal: Goal
    trials: int
    parallel: int = 1
    sampler: Sampler = Sampler.TPE
    pruner: Pruner = Pruner.NONE
    timeout_seconds: float | None = None
    seed: int | None = None

    @property
    def objective(self) -> str:
        """What is measured, as the config writes it: `custom:/loss`."""
        return f"{self.metric_source}:{self.metric}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; distributions as their texts, in the order of the config."""
        return {
            "space": {name: str(distribution) for name, distribution in self.space.items()},
            "metric": self.objective,
            "goal": self.goal,
            "trials": self.trials,
            "parallel": self.parallel,
            "sampler": self.sampler,
            "pruner": self.pruner,
            "timeout_seconds": self.timeout_seconds,
            "seed": self.seed,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Search":
        """Return what `to_json` wrote. Raises ValueError (or KeyError, TypeError) when it did not."""
        source, _, metric = data["metric"].partition(":")
        return cls(
            space={name: parse(text) for name, text in data["space"].items()},
            metric_source=Source(source),
            metric=metric,
            goal=Goal(data["goal"]),
            trials=int(data["trials"]),
            parallel=int(data["parallel"]),
            sampler=Sampler(data["sampler"]),
            pruner=Pruner(data["pruner"]),
            timeout_seconds=data["timeout_seconds"],
            seed=data["seed"],
        )


_OPERATORS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1", "&>"})
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def split(template: str) -> tuple[str, ...]:
    """Return the words of a training command, placeholders still in them. Raises SpaceError."""
    text = template.strip()
    if "\n" in text:
        raise SpaceError("The command of a search is one line", "No shell reads it: put several into a script.")
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise SpaceError("A quote of the command is never closed", "Close it.") from None
    if not words or not words[0]:
        raise SpaceError("The command is empty", "Write `python train.py --lr {lr}`.")
    for word in words:
        if word in _OPERATORS:
            hint = "Put it into a script, or write `sh -c '…'` and read the parameters from the variables."
            raise SpaceError(f"No shell reads this command: `{word}` would be a word like the others", hint)
    return words


def command(template: str | Sequence[str], params: Mapping[str, Scalar]) -> list[str]:
    """Return the words of one trial's command. `template` is the text, or the words that `split` made of it.

    `{name}` is replaced by the parameter's value, `{{` and `}}` are braces. Raises SpaceError for any other brace
    and for a name that `params` does not have.
    """
    words = split(template) if isinstance(template, str) else template
    return [_PART.sub(_filled(params), word) for word in words]


def _filled(params: Mapping[str, Scalar]) -> Callable[[re.Match[str]], str]:
    def fill(found: re.Match[str]) -> str:
        part, name = found[0], found[1]
        if part in ("{{", "}}"):
            return part[0]
        if name is None or name not in params:
            hint = "Placeholders are `{name}` with a parameter of `space`; write `{{` and `}}` for braces."
            raise SpaceError(f"`{part}` is no parameter of this search", hint)
        return written(params[name])

    return fill


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
PARAMS = "PARAMS"
"""The variable that holds all parameters of a trial as one JSON object."""


def environment(params: Mapping[str, Scalar]) -> dict[str, str]:
    """Return a trial's variables: each parameter under its own name where that can be a variable's, and `PARAMS`."""
    own = {name: written(value) for name, value in params.items() if _VARIABLE.fullmatch(name)}
    return {**own, PARAMS: json.dumps(dict(params))}

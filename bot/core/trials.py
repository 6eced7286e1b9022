"""Trials of a search: what became of each set of parameters, and which were the best."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

from bot.core.search import Goal
from bot.core.space import Scalar

TOP = 10
"""How many trials a report shows."""


class TrialState(StrEnum):
    """What became of a trial. A pruned one was stopped early because it was worse than the others."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True)
class Trial:
    """One set of parameters.

    `value` is what the search compares: the final one of a complete trial, the last one seen of a pruned trial,
    always finite. `task` is where it ran (`worker-1`), `steps` the last step of its metric that was seen. Times are in
    microseconds. `reason` is a sentence of a trial that is not complete.
    """

    number: int
    params: Mapping[str, Scalar]
    state: TrialState
    value: float | None = None
    task: str = ""
    began_at: int | None = None
    ended_at: int | None = None
    reason: str = ""
    steps: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a line of the file `trials`; what it calls `step` is `steps` here."""
        line = asdict(self)
        line["step"] = line.pop("steps")
        return line

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> "Trial":
        """Return the trial of such a line; unknown keys are ignored. Raises ValueError for anything else."""
        try:
            value = line["value"]
            return cls(
                number=int(line["number"]),
                params={str(name): _scalar(one) for name, one in line["params"].items()},
                state=TrialState(line["state"]),
                value=None if value is None or not isfinite(value) else float(value),
                task=str(line.get("task", "")),
                began_at=_whole(line.get("began_at")),
                ended_at=_whole(line.get("ended_at")),
                reason=str(line.get("reason", "")),
                steps=_whole(line.get("step")),
            )
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"this is no trial: {error}") from error


def standing(lines: Iterable[Trial]) -> tuple[Trial, ...]:
    """Return the trials by number: of several lines about one, the last one stands."""
    last = {trial.number: trial for trial in lines}
    return tuple(last[number] for number in sorted(last))


def top(trials: Iterable[Trial], goal: Goal, limit: int = TOP) -> tuple[Trial, ...]:
    """Return the best complete trials, best first; of equal ones the earlier. Others have no value to compare."""
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE and _is_number(trial.value)]
    return tuple(sorted(complete, key=lambda trial: (_cost(trial, goal), trial.number))[:limit])


def best(trials: Iterable[Trial], goal: Goal) -> Trial | None:
    """Return the best complete trial, None when there is none."""
    return next(iter(top(trials, goal, 1)), None)


def _is_number(value: float | None) -> bool:
    return value is not None and isfinite(value)


def _cost(trial: Trial, goal: Goal) -> float:
    value = trial.value if trial.value is not None else 0.0
    return value if goal is Goal.MINIMIZE else -value


def _scalar(value: Any) -> Scalar:
    if not isinstance(value, str | int | float | bool):
        raise TypeError(f"a parameter is {type(value).__name__}")
    if isinstance(value, float) and not isfinite(value):
        raise TypeError("a parameter is not finite, which not every database can keep")
    return value


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)

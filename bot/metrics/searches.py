"""What a picture of a search shows. Values only; `search_drawing` puts them on paper."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, log10
from statistics import quantiles
from typing import Any

from bot.core.search import Goal
from bot.core.space import Choice, Distribution, FloatRange, IntRange, Scalar, written
from bot.core.trials import Trial, TrialState, best

TRIALS = 2_000
"""Trials that are drawn: the first ones, and the best."""

LARGEST = 1e300
"""Beyond that, the arithmetic of pictures overflows."""

AXES = 50
"""Parameters that are weighed against each other; fewer are drawn."""

_OPTIONS = 12
"""Values of a parameter that has no order; the others share a place."""

OTHERS = "others"


@dataclass(frozen=True)
class Axis:
    """A parameter: its range when it has numbers, or its `options`, as texts, when it has none."""

    name: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    is_whole: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dot:
    """A trial that has ended: `places` are its values on the axes, for options their position. None where unknown."""

    number: int
    state: TrialState
    value: float | None
    places: tuple[float | None, ...]


@dataclass(frozen=True)
class SearchPicture:
    """A search that has at least one complete trial: `best` is its number."""

    metric: str
    goal: Goal
    axes: tuple[Axis, ...]
    dots: tuple[Dot, ...]
    best: int

    @property
    def label(self) -> str:
        """The metric without where it comes from: `loss` for `custom:/loss`."""
        return self.metric.partition(":")[2].strip("/") or self.metric

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "SearchPicture":
        axes = tuple(Axis(**{**axis, "options": tuple(axis["options"])}) for axis in value["axes"])
        dots = tuple(
            Dot(dot["number"], TrialState(dot["state"]), dot["value"], tuple(dot["places"])) for dot in value["dots"]
        )
        return cls(value["metric"], Goal(value["goal"]), axes, dots, value["best"])


def arrange(
    trials: Sequence[Trial], goal: Goal, metric: str, space: Mapping[str, Distribution] | None = None
) -> SearchPicture | None:
    """Return what is to be seen of the trials; None while none is complete.

    Without a `space` (a shared study has none that anybody tells us), the ranges are those of the values.
    """
    winner = best(trials, goal)
    if winner is None:
        return None
    ended = [trial for trial in trials if trial.state is not TrialState.RUNNING]
    shown = ended[:TRIALS]
    if winner not in shown:
        shown = [*shown[:-1], winner]
    names = [*(space or _names(shown))][:AXES]
    axes = tuple(_axis(name, space[name]) if space else _seen_axis(name, shown) for name in names)
    dots = tuple(_dot(trial, axes) for trial in shown)
    return SearchPicture(metric, goal, axes, dots, winner.number)


def _names(trials: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for name in trial.params))


def _axis(name: str, distribution: Distribution) -> Axis:
    if isinstance(distribution, FloatRange):
        return Axis(name, distribution.low, distribution.high, distribution.log)
    if isinstance(distribution, IntRange):
        return Axis(name, distribution.low, distribution.high, distribution.log, is_whole=True)
    return _choice(name, distribution)


def _choice(name: str, choice: Choice) -> Axis:
    options = [written(option) for option in choice.options]
    return Axis(name, options=tuple(options if len(options) <= _OPTIONS else [*options[: _OPTIONS - 1], OTHERS]))


def _seen_axis(name: str, trials: Sequence[Trial]) -> Axis:
    values = [trial.params[name] for trial in trials if name in trial.params]
    numbers = [float(value) for value in values if _is_number(value)]
    if len(numbers) < len(values) or not all(isfinite(number) for number in numbers):
        return _choice(name, Choice(tuple(dict.fromkeys(written(value) for value in values))))
    low, high = min(numbers), max(numbers)
    # Nobody tries a thousandth and a whole side by side on a plain scale.
    return Axis(name, low, high, log=low > 0 and high / low >= 1000, is_whole=all(map(float.is_integer, numbers)))


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _dot(trial: Trial, axes: Sequence[Axis]) -> Dot:
    return Dot(trial.number, trial.state, trial.value, tuple(_place(trial.params.get(one.name), one) for one in axes))


def _place(value: Scalar | None, axis: Axis) -> float | None:
    if value is None:
        return None
    if axis.options:
        text = written(value)
        return float(axis.options.index(text) if text in axis.options else len(axis.options) - 1)
    return float(value) if _is_number(value) else None


@dataclass(frozen=True)
class Scale:
    """Where values are drawn. Trials that exploded lie beyond it: they would press all others onto a line."""

    low: float
    high: float
    is_log: bool = False

    @classmethod
    def of(cls, picture: SearchPicture) -> "Scale":
        values = sorted(dot.value for dot in picture.dots if dot.value is not None and abs(dot.value) <= LARGEST)
        low, high = (values[0], values[-1]) if values else (0.0, 1.0)
        if low > 0 and high / low >= 100:
            return cls(low, high, is_log=True)
        if len(values) >= 4:
            first, _, third = quantiles(values, n=4)
            far = 3 * (third - first)
            # Only what is worse may be left out.
            is_low_better = picture.goal is Goal.MINIMIZE
            low, high = (low, min(high, third + far)) if is_low_better else (max(low, first - far), high)
        return cls(low, high)

    @property
    def limits(self) -> tuple[float, float]:
        """The ends of the paper: a rim beyond the scale's own."""
        if self.is_log:
            rim = (self.high / self.low) ** 0.07
            return self.low / rim, self.high * rim
        margin = (self.high - self.low) * 0.08 or abs(self.high) * 0.1 or 1.0
        return self.low - margin, self.high + margin

    def share(self, value: float) -> float:
        """Return how far up a value is, from 0 to 1; what lies beyond is at the end."""
        value = min(max(value, self.low), self.high)
        if self.low == self.high:
            return 0.5
        if self.is_log:
            return log10(value / self.low) / log10(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

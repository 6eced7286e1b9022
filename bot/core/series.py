"""Metric series: what a run logged, how it becomes one value, and how it is drawn with letters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from enum import StrEnum
from math import inf, isfinite, isnan
from typing import TypeVar

T = TypeVar("T")


class Source(StrEnum):
    """Where a gate's data come from: the part before the colon in `checks.<source>:<metric>`.

    `logged` is what a run sent by the ancestor's clients (`add_metrics`, statsd), `system` what was measured of it:
    both are series like those of `tensorflow`, with the task that they belong to as their run.
    """

    TENSORFLOW = "tensorflow"
    ONNX = "onnx"
    CUSTOM = "custom"
    LOGGED = "logged"
    SYSTEM = "system"


SYSTEM_METRICS = (
    "cpuPercentage",
    "memoryUsage",
    "gpuMemoryFree",
    "gpuMemoryUsed",
    "gpuPowerDraw",
    "gpuTemp",
    "gpuUtilization",
    "gpuMemoryUtilization",
)
"""The metrics of `system`, by the ancestor's names."""


class Aggregate(StrEnum):
    """How a series becomes one value. Standard deviation and variance are the population's."""

    MEAN = "mean"
    STDDEV = "stddev"
    MAX = "max"
    MIN = "min"
    VAR = "var"
    MEDIAN = "median"


class Kind(StrEnum):
    """What a point's value is. Databases have no NaN that all of them keep, so the kind stands beside the value."""

    FINITE = "finite"
    NAN = "nan"
    PLUS_INFINITY = "+inf"
    MINUS_INFINITY = "-inf"


POINTS_PER_SERIES = 100_000
"""The most points of one series that are kept. A gate is not evaluated on a series that was cut."""


@dataclass(frozen=True)
class Point:
    """One logged value. `at` is in microseconds, `value` is None unless `kind` is finite.

    `ordinal` names the place in the file it came from: reading the same file again gives the same ordinal, so that
    (run, tag, ordinal) tells whether a point is already stored. It grows along a file, and says nothing beyond.
    """

    step: int
    at: int
    value: float | None
    kind: Kind = Kind.FINITE
    ordinal: int = 0

    @classmethod
    def of(cls, step: int, at: int, number: float, ordinal: int = 0) -> "Point":
        """Return the point for any float, NaN and the infinities included."""
        if isfinite(number):
            return cls(step, at, number, Kind.FINITE, ordinal)
        kind = Kind.NAN if isnan(number) else Kind.PLUS_INFINITY if number > 0 else Kind.MINUS_INFINITY
        return cls(step, at, None, kind, ordinal)

    @property
    def number(self) -> float:
        """Return the value as the float that was logged."""
        if self.value is not None:
            return self.value
        return {Kind.PLUS_INFINITY: inf, Kind.MINUS_INFINITY: -inf}.get(self.kind, float("nan"))


@dataclass(frozen=True)
class Series:
    """The points of one tag of one run. `run` is the folder of the event files, empty for the top one.

    For `logged` and `system` it is the task, such as `worker-0`.
    """

    source: Source
    run: str
    tag: str
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        """The full name, run first: `train/loss`; the top folder is `.`, as TensorBoard shows it."""
        return f"{self.run or '.'}/{self.tag}"

    @property
    def latest(self) -> Point | None:
        """Return the point of the highest step, the one logged last where several have it."""
        return max(self.points, key=lambda point: (point.step, point.at, point.ordinal), default=None)


_EXACT = Context(prec=60)
"""Sums of decimals as they were printed: the mean of 0.29, 0.29 and 0.29 is 0.29, not 0.28999999999999998."""


def aggregate(series: Series, how: Aggregate) -> float:
    """Return one value for the series; NaN when it is empty or any of its points is NaN or infinite."""
    if not series.points or any(point.kind is not Kind.FINITE for point in series.points):
        return float("nan")
    numbers = [point.number for point in series.points]
    if how is Aggregate.MAX:
        return max(numbers)
    if how is Aggregate.MIN:
        return min(numbers)
    with localcontext(_EXACT):
        return float(_moment([Decimal(repr(number)) for number in numbers], how))


def _moment(values: list[Decimal], how: Aggregate) -> Decimal:
    if how is Aggregate.MEDIAN:
        ordered = sorted(values)
        middle = len(ordered) // 2
        return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    mean = sum(values, Decimal()) / len(values)
    if how is Aggregate.MEAN:
        return mean
    variance = sum(((value - mean) ** 2 for value in values), Decimal()) / len(values)
    return variance if how is Aggregate.VAR else variance.sqrt()


_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Iterable[float], width: int = 24) -> str:
    """Return the values as at most `width` bars, low to high; a blank stands where nothing was finite."""
    means = [_mean(bucket) for bucket in _buckets(list(values), width)]
    finite = [mean for mean in means if isfinite(mean)]
    if not finite:
        return " " * len(means)
    low, high = min(finite), max(finite)
    return "".join(_bar(mean, low, high) for mean in means)


def _bar(value: float, low: float, high: float) -> str:
    if not isfinite(value):
        return " "
    # Halved, because the difference of two floats may be too large for a float.
    span = high / 2 - low / 2
    share = (value / 2 - low / 2) / span if span else 0.5
    return _BARS[min(int(share * len(_BARS)), len(_BARS) - 1)]


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if isfinite(value)]
    return sum(value / len(finite) for value in finite) if finite else float("nan")


def downsample(points: Sequence[Point], limit: int) -> tuple[Point, ...]:
    """Return at most `limit` (2 or more) of the points, by step: of each stretch its lowest and its highest.

    A mean would hide the spike that somebody looks for; what is not finite is kept where a stretch has nothing else.
    """
    ordered = sorted(points, key=lambda point: (point.step, point.at, point.ordinal))
    if len(ordered) <= limit:
        return tuple(ordered)
    return tuple(point for bucket in _buckets(ordered, limit // 2) for point in _extremes(bucket))


def _extremes(bucket: Sequence[Point]) -> list[Point]:
    finite = [place for place, point in enumerate(bucket) if point.kind is Kind.FINITE]
    if not finite:
        return [bucket[0]]
    lowest = min(finite, key=lambda place: bucket[place].number)
    highest = max(finite, key=lambda place: bucket[place].number)
    return [bucket[place] for place in sorted({lowest, highest})]


def _buckets(values: Sequence[T], count: int) -> list[Sequence[T]]:
    """Cut `values` into `count` stretches of nearly the same length, or into single ones when there are fewer."""
    count = min(count, len(values))
    return [values[len(values) * i // count : len(values) * (i + 1) // count] for i in range(count)]

"""Gates: our metric rules. A gate compares one aggregated value with a target range and gives a verdict."""

from dataclasses import dataclass, field
from enum import StrEnum


class Source(StrEnum):
    """Where a gate's data come from: the part before the colon in `checks.<source>:<metric>`."""

    TENSORFLOW = "tensorflow"
    ONNX = "onnx"
    CUSTOM = "custom"


class Aggregate(StrEnum):
    """How a series becomes one value. Standard deviation and variance are the population's."""

    MEAN = "mean"
    STDDEV = "stddev"
    MAX = "max"
    MIN = "min"
    VAR = "var"
    MEDIAN = "median"


class Rounding(StrEnum):
    """Which way a value goes to its decimals: `down` is towards minus infinity, `up` towards plus infinity."""

    DOWN = "down"
    UP = "up"


class IfNotFound(StrEnum):
    """The verdict of a gate whose data do not exist."""

    FAILURE = "failure"
    SUCCESS = "success"


@dataclass(frozen=True)
class Range:
    """A target. `low`/`high` None means unbounded. One-sided ranges are strict, `A..B` includes both ends."""

    low: float | None
    high: float | None

    def contains(self, value: float) -> bool:
        """Tell whether `value` lies inside. NaN never does."""
        if self.low is not None and self.high is not None:
            return self.low <= value <= self.high
        if self.low is not None:
            return value > self.low
        return self.high is not None and value < self.high

    def __str__(self) -> str:
        """Return the target as people write it: `0.9..`, `..0.5` or `0.1..0.2`."""
        return f"{'' if self.low is None else f'{self.low:g}'}..{'' if self.high is None else f'{self.high:g}'}"


@dataclass(frozen=True)
class Gate:
    """One entry of `checks:`, defaults applied.

    `metric` is a TensorBoard tag (`loss`, or `train/loss` when several runs have it) or a free name for
    `custom`. `aggregate` is an `Aggregate` for series; for `custom` it is a JSON pointer (RFC 6901).
    """

    source: Source
    metric: str
    target: Range
    aggregate: str
    precision: int = 2
    round: Rounding = Rounding.DOWN
    only_pulls: bool = False
    if_not_found: IfNotFound = IfNotFound.FAILURE
    comment_on_pr: bool = True

    @property
    def name(self) -> str:
        """`<source>:<metric>`, as in the config and in the check's name."""
        return f"{self.source}:{self.metric}"


class Verdict(StrEnum):
    """What a gate says. All but `PASSED` and `NOT_ON_PUSH` keep a merge button shut."""

    WAITING = "waiting"
    PASSED = "passed"
    FAILED = "failed"
    NOT_EVALUATED = "not evaluated"
    CANCELLED = "cancelled"
    NOT_ON_PUSH = "only on pull requests"


@dataclass(frozen=True)
class GateResult:
    """A gate's verdict with what a person needs to believe it.

    `value` is what was compared (aggregated, rounded), None when there is none; `found` lists candidates when
    the metric's name was ambiguous or absent; `reason` is one sentence.
    """

    gate: Gate
    verdict: Verdict
    value: float | None = None
    reason: str = ""
    found: tuple[str, ...] = field(default=())

"""Gates: our metric rules. A gate compares one aggregated value with a target range and gives a verdict."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import islice
from math import isfinite
from typing import Any

from bot.core.pointer import PointerError, number_pointers, resolve
from bot.core.series import POINTS_PER_SERIES, Aggregate, Series, Source, aggregate
from bot.core.states import State

__all__ = (
    "DOCUMENT",
    "Aggregate",
    "Gate",
    "GateResult",
    "IfNotFound",
    "Outcome",
    "Range",
    "Rounding",
    "Source",
    "Verdict",
    "evaluate",
    "matching",
    "rounded",
)


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
        return f"{'' if self.low is None else f'{self.low:.15g}'}..{'' if self.high is None else f'{self.high:.15g}'}"


@dataclass(frozen=True)
class Gate:
    """One entry of `checks:`, defaults applied.

    `metric` is a TensorBoard tag (`loss`, or `train/loss` when several runs have it), a name of `logged` or `system`
    (`worker-0/loss` when several tasks have it), or a free name for `custom`. `aggregate` is an `Aggregate` for
    series; for `custom` it is a JSON pointer (RFC 6901).
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

    @property
    def rule(self) -> tuple[object, ...]:
        """What decides its verdict: two gates of the same rule always agree."""
        return (
            self.source,
            self.metric,
            self.target,
            self.aggregate,
            self.precision,
            self.round,
            self.only_pulls,
            self.if_not_found,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the gate as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Gate":
        """Return the gate that `to_json` wrote."""
        return cls(
            **{
                **value,
                "source": Source(value["source"]),
                "target": Range(**value["target"]),
                "round": Rounding(value["round"]),
                "if_not_found": IfNotFound(value["if_not_found"]),
            }
        )


class Verdict(StrEnum):
    """What a gate says. All but `PASSED` and `NOT_ON_PUSH` keep a merge button shut."""

    WAITING = "waiting"
    PASSED = "passed"
    FAILED = "failed"
    NOT_EVALUATED = "not evaluated"
    CANCELLED = "cancelled"
    REMOVED = "removed"
    NOT_ON_PUSH = "only on pull requests"


@dataclass(frozen=True)
class GateResult:
    """A gate's verdict with what a person needs to believe it.

    `value` is what was compared (aggregated, rounded), None when there is none; `found` lists candidates when
    the metric's name was ambiguous or absent; `reason` is one sentence. `base` is the branch whose rule it is, where
    that differs from the commit's own.
    """

    gate: Gate
    verdict: Verdict
    value: float | None = None
    reason: str = ""
    found: tuple[str, ...] = field(default=())
    base: str = ""


@dataclass(frozen=True)
class Outcome:
    """How the experiment stands; `reason` is the sentence that came with its end, empty where the state says it all."""

    state: State
    reason: str = ""


DOCUMENT = "gradient-model-metadata.json"
"""The JSON document that `custom` gates point into (the ancestor's name for it)."""

FOUND_LIMIT = 10
"""How many candidates a result lists."""

_NEAR_LIMIT = 500
"""How many numbers of a document are looked at for near names."""


def evaluate(
    gate: Gate,
    series: Sequence[Series],
    documents: Mapping[str, Any],
    *,
    is_pull: bool,
    outcome: Outcome,
    problems: Sequence[str] = (),
) -> GateResult:
    """Return the verdict of `gate` on what one attempt logged (`series`) and left (`documents`, parsed JSON by name).

    `is_pull` tells whether the commit is looked at for a pull request. `problems` are the sentences of a reading that
    did not see everything: what was not read may be the very points that fail the gate, so nothing is concluded then.
    Those that begin with the document's name concern `custom` gates, all others the series.
    """
    if gate.only_pulls and not is_pull:
        return GateResult(gate, Verdict.NOT_ON_PUSH, reason="evaluated on pull requests only")
    if outcome.state is not State.STOPPED:
        return _unfinished(gate, outcome)
    if gate.source is Source.ONNX:
        # An ONNX file holds no metrics, and no public manual says where the ancestor took them from.
        return GateResult(
            gate,
            Verdict.NOT_EVALUATED,
            reason="not evaluated: `onnx` metrics are not read; use `tensorflow:` for logged scalars"
            f" or `custom:` for a value in {DOCUMENT}",
        )
    if gate.source is Source.CUSTOM:
        return _from_document(gate, documents, problems)
    return _from_series(gate, series, problems)


def _unfinished(gate: Gate, outcome: Outcome) -> GateResult:
    if not outcome.state.is_final:
        return GateResult(gate, Verdict.WAITING, reason=f"the experiment is {outcome.state.label.lower()}")
    why = f": {outcome.reason}" if outcome.reason else ""
    if outcome.state is State.CANCELLED:
        return GateResult(gate, Verdict.CANCELLED, reason=f"the experiment was cancelled{why}")
    end = "failed" if outcome.state is State.FAILED else "ended with an error of the platform"
    return GateResult(gate, Verdict.NOT_EVALUATED, reason=f"not evaluated: the experiment {end}{why}")


def _absent(gate: Gate, what: str, found: tuple[str, ...]) -> GateResult:
    if gate.if_not_found is IfNotFound.SUCCESS:
        return GateResult(gate, Verdict.PASSED, reason=f"{what}, and `if-not-found` is `success`", found=found)
    return GateResult(gate, Verdict.FAILED, reason=what, found=found)


def _from_series(gate: Gate, series: Sequence[Series], problems: Sequence[str]) -> GateResult:
    unread = [problem for problem in problems if not problem.startswith(DOCUMENT)]
    if unread:
        return GateResult(gate, Verdict.NOT_EVALUATED, reason=f"not evaluated: {unread[0]}")
    candidates = [one for one in series if one.source is gate.source]
    matches = matching(gate.metric, candidates)
    if not matches:
        return _absent(gate, f"no scalar `{gate.metric}` was logged", _nearest(gate.metric, candidates))
    if len(matches) > 1:
        names = tuple(sorted(one.name for one in matches))
        who = "run" if gate.source is Source.TENSORFLOW else "task"
        reason = f"`{gate.metric}` was logged by {len(matches)} {who}s: put the {who} before its name"
        return GateResult(gate, Verdict.FAILED, reason=reason, found=names[:FOUND_LIMIT])
    return _from_one(gate, matches[0])


def _from_one(gate: Gate, series: Series) -> GateResult:
    count = len(series.points)
    if count >= POINTS_PER_SERIES:
        reason = f"not evaluated: only the first {POINTS_PER_SERIES} points are kept; log fewer"
        return GateResult(gate, Verdict.NOT_EVALUATED, reason=reason)
    value = aggregate(series, Aggregate(gate.aggregate))
    return _judge(gate, value, f"{gate.aggregate} of {count} point{'s' * (count != 1)}")


def matching(metric: str, series: Sequence[Series]) -> list[Series]:
    """Return the series that `metric` may mean: by tag, or by the end of the run's path and the tag (`train/loss`).

    What a task sent, and what was measured of it, has the task as its run: `worker-0/cpuPercentage`.
    """
    return [one for one in series if metric == one.tag or _names_run(metric, one)]


def _names_run(metric: str, series: Series) -> bool:
    run = metric.removesuffix(f"/{series.tag}")
    return run != metric and f"/{series.run or '.'}".endswith(f"/{run}")


def _nearest(metric: str, series: Sequence[Series]) -> tuple[str, ...]:
    runs = Counter(one.tag for one in series)
    return _closest(metric, {one.tag if runs[one.tag] == 1 else one.name for one in series})


def _closest(name: str, candidates: set[str]) -> tuple[str, ...]:
    def likeness(candidate: str) -> tuple[float, str]:
        return -SequenceMatcher(None, name.lower(), candidate.lower()).ratio(), candidate

    return tuple(sorted(candidates, key=likeness)[:FOUND_LIMIT])


def _from_document(gate: Gate, documents: Mapping[str, Any], problems: Sequence[str]) -> GateResult:
    unread = [problem for problem in problems if problem.startswith(DOCUMENT)]
    if unread:
        return GateResult(gate, Verdict.NOT_EVALUATED, reason=f"not evaluated: {unread[0]}")
    if DOCUMENT not in documents:
        return _absent(gate, f"there is no {DOCUMENT} in the model path", ())
    document = documents[DOCUMENT]
    try:
        value = resolve(document, gate.aggregate)
    except PointerError as error:
        return GateResult(gate, Verdict.FAILED, reason=str(error))
    except LookupError:
        found = _closest(gate.aggregate, set(islice(number_pointers(document), _NEAR_LIMIT)))
        return _absent(gate, f"`{gate.aggregate}` is not in {DOCUMENT}", found)
    number = _as_number(value)
    if number is None:
        reason = f"`{gate.aggregate}` is {_kind_of(value)}, not a finite number"
        return GateResult(gate, Verdict.FAILED, reason=reason)
    return _judge(gate, number, f"`{gate.aggregate}`")


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _kind_of(value: Any) -> str:
    if isinstance(value, str):
        return value if value in NON_FINITE else "a text"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "too large, or NaN"
    names = {bool: "a truth value", type(None): "null", dict: "an object", list: "an array"}
    return names.get(type(value), "something else")


NON_FINITE = ("NaN", "Infinity", "-Infinity")
"""How the numbers that JSON does not know stand in a stored document: as texts."""


def _judge(gate: Gate, value: float, what: str) -> GateResult:
    if not isfinite(value):
        return GateResult(gate, Verdict.FAILED, reason=f"{what} is not a finite number and never passes")
    compared = rounded(value, gate.precision, gate.round)
    is_inside = gate.target.contains(compared)
    told = f"{what} is {value:.6g}"
    if compared != value:
        told += f", rounded {gate.round} to {compared:.{gate.precision}f}"
    told += f": {'inside' if is_inside else 'outside'} {gate.target}"
    return GateResult(gate, Verdict.PASSED if is_inside else Verdict.FAILED, compared, told)


_WIDE = Context(prec=1500)
"""Wide enough for every float with any sensible number of decimals."""


def rounded(value: float, precision: int, way: Rounding) -> float:
    """Return the finite `value` with `precision` decimals, rounded `way` as the number that people read.

    The nearest float to 0.29 lies below it; rounding that down would give 0.28, so its printed decimals are rounded.
    """
    mode = ROUND_FLOOR if way is Rounding.DOWN else ROUND_CEILING
    # Plus 0.0: a rounded -0.001 is nought, not minus nought.
    return float(Decimal(repr(value)).quantize(Decimal(1).scaleb(-precision), mode, _WIDE)) + 0.0

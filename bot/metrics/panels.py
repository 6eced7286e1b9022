"""What a picture shows: which series, side by side, with which targets. Values only; `drawing` puts them on paper."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bot.core.gates import Aggregate, Gate, matching
from bot.core.series import Series, downsample

PANELS = 6
CURVES = 4
POINTS = 400


@dataclass(frozen=True)
class Curve:
    """One run's line: steps and values, None where the value was not finite."""

    label: str
    steps: tuple[int, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Panel:
    """One tag with a curve for each run that logged it. `low` and `high` are its gate's target, None where open."""

    title: str
    curves: tuple[Curve, ...]
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Panel":
        curves = tuple(Curve(c["label"], tuple(c["steps"]), tuple(c["values"])) for c in value["curves"])
        return cls(value["title"], curves, value["low"], value["high"])


def arrange(series: Sequence[Series], gates: Iterable[Gate]) -> tuple[Panel, ...]:
    """Return at most six panels: tags that a gate looks at first, in the gates' order, then the others by name.

    A target is shown only where it is in the unit of the curve: a standard deviation is not.
    """
    targets: dict[str, Gate] = {}
    for gate in gates:
        for one in matching(gate.metric, [s for s in series if s.source is gate.source]):
            targets.setdefault(one.tag, gate)
    others = sorted({one.tag for one in series if one.points} - targets.keys())
    return tuple(_panel(tag, series, targets.get(tag)) for tag in [*targets, *others][:PANELS])


def beside(ours: Sequence[Series], theirs: Sequence[Series], label: str) -> Iterator[Series]:
    """Yield the series of this commit and of the one called `label`, as runs of the same tags.

    The name that a run has in its commit is told only where a tag has several: else the commits tell them apart.
    """
    runs: dict[str, set[str]] = {}
    for one in (*ours, *theirs):
        runs.setdefault(one.tag, set()).add(one.run)
    for name, series in (("this commit", ours), (label, theirs)):
        for one in series:
            yield replace(one, run=name if len(runs[one.tag]) == 1 else f"{name} {one.run}".strip())


def _panel(tag: str, series: Sequence[Series], gate: Gate | None) -> Panel:
    runs = sorted((one for one in series if one.tag == tag), key=lambda one: one.run)
    curves = tuple(_curve(one) for one in runs[:CURVES])
    if gate is None or gate.aggregate in (Aggregate.STDDEV, Aggregate.VAR):
        return Panel(tag, curves)
    return Panel(tag, curves, gate.target.low, gate.target.high)


def _curve(series: Series) -> Curve:
    points = downsample(series.points, POINTS)
    return Curve(series.run, tuple(point.step for point in points), tuple(point.value for point in points))

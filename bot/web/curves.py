"""Metric curves as plain numbers for an SVG: the template draws them, no script and no library does."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isfinite

from bot.core.gates import Gate, matching
from bot.core.series import Kind, Point, Series, Source, downsample

WIDTH, HEIGHT = 320, 120
"""The drawing's size in SVG units."""
_MARGIN = 6
_MOST_POINTS = 400
_LEVELS = ("mean", "median", "min", "max")
"""Aggregates that are values of the curve's own scale, so that their targets can be drawn into it."""


@dataclass(frozen=True)
class Curve:
    """One series as it is drawn. `lines` are SVG point lists (a gap where a value was not finite), `dots` lone points.

    `targets` are the heights of the bounds that gates set.
    """

    name: str
    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    targets: tuple[float, ...]
    low: float
    high: float
    first_step: int
    last_step: int
    latest: float
    count: int
    not_finite: int


def curves(series: Sequence[Series], gates: Sequence[Gate], limit: int) -> list[Curve]:
    """Return at most `limit` curves, those that a gate looks at first."""
    watched = {one.name for gate in gates for one in _seen_by(gate, series)}
    ordered = sorted((one for one in series if one.points), key=lambda one: one.name not in watched)
    return [_curve(one, [gate for gate in gates if one in _seen_by(gate, series)]) for one in ordered[:limit]]


def _seen_by(gate: Gate, series: Sequence[Series]) -> list[Series]:
    if gate.source is Source.CUSTOM:
        return []
    return matching(gate.metric, [one for one in series if one.source is gate.source])


def _curve(series: Series, gates: Sequence[Gate]) -> Curve:
    """Return the curve of a series that has points."""
    points = downsample(series.points, _MOST_POINTS)
    values = [point.number for point in points if point.kind is Kind.FINITE]
    bounds = list(_bounds(gates)) if values else []
    frame = _Frame.around(points, [*values, *bounds])
    stretches = [[frame.place(point) for point in stretch] for stretch in _stretches(points)]
    return Curve(
        name=series.name.removeprefix("./"),
        lines=tuple(" ".join(f"{x},{y}" for x, y in stretch) for stretch in stretches if len(stretch) > 1),
        dots=tuple(stretch[0] for stretch in stretches if len(stretch) == 1),
        targets=tuple(frame.height(bound) for bound in bounds),
        low=min(values, default=float("nan")),
        high=max(values, default=float("nan")),
        first_step=min(point.step for point in series.points),
        last_step=max(point.step for point in series.points),
        latest=max(series.points, key=lambda point: (point.step, point.at, point.ordinal)).number,
        count=len(series.points),
        not_finite=sum(point.kind is not Kind.FINITE for point in series.points),
    )


def _bounds(gates: Iterable[Gate]) -> Iterator[float]:
    for gate in gates:
        if gate.aggregate in _LEVELS:
            yield from (bound for bound in (gate.target.low, gate.target.high) if bound is not None and isfinite(bound))


def _stretches(points: Sequence[Point]) -> Iterator[list[Point]]:
    for is_finite, stretch in groupby(points, key=lambda point: point.kind is Kind.FINITE):
        if is_finite:
            yield list(stretch)


@dataclass(frozen=True)
class _Frame:
    """What of the data lies at the drawing's edges."""

    first: int
    last: int
    bottom: float
    top: float

    @classmethod
    def around(cls, points: Sequence[Point], levels: Sequence[float]) -> "_Frame":
        steps = [point.step for point in points]
        return cls(min(steps), max(steps), min(levels, default=0.0), max(levels, default=0.0))

    def place(self, point: Point) -> tuple[float, float]:
        # Whole numbers of any size divide without overflow; floats as large as these steps may be would not.
        share = (point.step - self.first) / (self.last - self.first) if self.last > self.first else 0.5
        return round(_MARGIN + share * (WIDTH - 2 * _MARGIN), 1), self.height(point.number)

    def height(self, value: float) -> float:
        # Halved, because the difference of two floats may be too large for a float.
        span = self.top / 2 - self.bottom / 2
        share = (value / 2 - self.bottom / 2) / span if span else 0.5
        return round(HEIGHT - _MARGIN - share * (HEIGHT - 2 * _MARGIN), 1)

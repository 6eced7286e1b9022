"""Parallel coordinates: each trial a line through its parameters to its value."""

from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap

from bot.core.search import Goal
from bot.core.trials import TrialState
from bot.metrics.drawing import GRID, INK, SOFT, shown
from bot.metrics.searches import Axis, Dot, Scale, SearchPicture

BEST, GOOD = "#bc4c00", "#0969da"
_COLOURS = LinearSegmentedColormap.from_list("worse to better", ["#dfe5eb", "#a8c7ea", GOOD])

_DRAWN = 10
"""Parameters that are drawn side by side."""

_LETTERS = 110
"""Letters of the names that fit side by side."""

_SLANTED = 22
"""Letters of a name that is written slanted, because not all of them fit."""

_GOLDEN = 0.618034
"""Multiples of it spread evenly: lines through one option lie beside each other, always in the same way."""


def side_by_side(axes: Axes, picture: SearchPicture, shares: Mapping[int, float], scale: Scale) -> None:
    """Draw the complete trials, with the parameters that matter most."""
    chosen = _chosen(picture, shares)
    columns = [picture.axes[place] for place in chosen]
    dots = [dot for dot in picture.dots if dot.state is TrialState.COMPLETE and dot.value is not None]
    # The better ones lie on top of the worse.
    dots.sort(key=lambda dot: dot.value or 0.0, reverse=picture.goal is Goal.MINIMIZE)
    lines = [_line(dot, chosen, columns, scale) for dot in dots]
    ranks = [rank / max(len(dots) - 1, 1) for rank in range(len(dots))]
    axes.add_collection(LineCollection(lines, colors=_COLOURS(ranks), linewidths=0.9, zorder=2))
    winner = next(line for dot, line in zip(dots, lines, strict=True) if dot.number == picture.best)
    axes.add_collection(LineCollection([winner], colors=BEST, linewidths=2, zorder=3))
    for column, axis in enumerate(columns):
        _column(axes, column, axis, room=_LETTERS // (len(columns) + 1))
    _last_column(axes, len(columns), picture, scale)
    pad = _heads(axes, [*(axis.name for axis in columns), picture.label])
    margin = 0.05 + 0.04 * len(columns)
    hidden = len(picture.axes) - len(columns)
    axes.set_title("complete trials, the best one marked", loc="left", fontsize=9, pad=pad)
    if hidden:
        axes.set_title(
            f"{len(columns)} of {len(picture.axes)} parameters", loc="right", fontsize=7, color=SOFT, pad=pad
        )
    axes.set(xlim=(-margin, len(columns) + margin), ylim=(0, 1), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _chosen(picture: SearchPicture, shares: Mapping[int, float]) -> list[int]:
    """Return the places of the parameters that are drawn: those that matter most, in the config's order."""
    places = [*shares, *(place for place in range(len(picture.axes)) if place not in shares)]
    return sorted(places[:_DRAWN])


def _line(dot: Dot, chosen: Sequence[int], columns: Sequence[Axis], scale: Scale) -> list[tuple[float, float]]:
    points = [
        (float(column), _share(dot.places[place], axis, dot.number))
        for column, (place, axis) in enumerate(zip(chosen, columns, strict=True))
    ]
    return [*points, (float(len(columns)), scale.share(dot.value or 0.0))]


def _share(place: float | None, axis: Axis, number: int) -> float:
    """Return how far up a parameter's value is drawn, between 0 and 1; below the scale where it is not known."""
    if place is None:
        return -0.03
    if axis.options:
        spread = 0.5 * ((number * _GOLDEN) % 1 - 0.5)
        return (place + 0.5 + spread) / len(axis.options)
    low, high = (log10(axis.low), log10(axis.high)) if axis.log else (axis.low, axis.high)
    value = log10(place) if axis.log else place
    return (value - low) / (high - low) if high > low else 0.5


def _column(axes: Axes, column: int, axis: Axis, room: int) -> None:
    axes.plot([column, column], [0, 1], color=GRID, linewidth=1, zorder=1)
    if not axis.options:
        _ends(axes, column, f"{axis.low:.3g}", f"{axis.high:.3g}{' log' if axis.log else ''}")
        return
    for place, option in enumerate(axis.options):
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
        at = (column, (place + 0.5) / len(axis.options))
        axes.text(
            *at, shown(option, min(room, 12)), ha="center", va="center", fontsize=6.5, color=SOFT, bbox=box, zorder=4
        )


def _heads(axes: Axes, names: Sequence[str]) -> float:
    """Write the names above their columns, slanted where they do not fit, and return their height in points."""
    *parameters, metric = names
    room = _LETTERS // len(names)
    longest = max(map(len, parameters), default=0)
    above: dict[str, Any] = {"xytext": (0, 14), "textcoords": "offset points", "fontsize": 8, "color": INK}
    axes.annotate(shortened(metric, max(room, 12)), (len(parameters), 1), ha="center", fontweight="bold", **above)
    if longest <= room:
        for column, name in enumerate(parameters):
            axes.annotate(shortened(name, room), (column, 1), ha="center", **above)
        return 24
    above["xytext"] = (-8, 14)
    for column, name in enumerate(parameters):
        axes.annotate(shortened(name, _SLANTED), (column, 1), rotation=20, rotation_mode="anchor", **above)
    return 24 + 1.5 * min(longest, _SLANTED)


def _ends(axes: Axes, column: int, low: str, high: str) -> None:
    look: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 6.5, "color": SOFT}
    axes.annotate(low, (column, 0), (0, -9), **look)
    axes.annotate(high, (column, 1), (0, 4), **look)


def _last_column(axes: Axes, column: int, picture: SearchPicture, scale: Scale) -> None:
    axes.plot([column, column], [0, 1], color=INK, linewidth=1, zorder=1)
    values = [dot.value for dot in picture.dots if dot.value is not None]
    more, less = ("≥ " if max(values) > scale.high else ""), ("≤ " if min(values) < scale.low else "")
    _ends(axes, column, f"{less}{scale.low:.3g}", f"{more}{scale.high:.3g}")


def shortened(name: str, room: int) -> str:
    """Return the name in `room` letters: names that begin alike differ at their ends, so the middle is left out."""
    plain = shown(name, 200)
    if len(plain) <= room:
        return shown(plain, room)
    tail = (room - 1) // 2
    return f"{plain[: room - 1 - tail]}…{plain[len(plain) - tail :]}"

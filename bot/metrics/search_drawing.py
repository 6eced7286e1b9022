"""The picture of a search, by matplotlib: its history, what mattered, and all trials side by side."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from bot.core.search import Goal
from bot.core.trials import TrialState
from bot.metrics.drawing import INK, PAPER, SOFT, WIDTH, paper, png, shown
from bot.metrics.importance import NotKnown, importances
from bot.metrics.search_lines import BEST, GOOD, shortened, side_by_side
from bot.metrics.searches import Scale, SearchPicture

_BARS = 8
"""Parameters whose importance is drawn."""

_LOOKS: Mapping[TrialState, Mapping[str, Any]] = {
    TrialState.COMPLETE: {"s": 12, "color": GOOD, "alpha": 0.65, "linewidths": 0},
    TrialState.PRUNED: {"s": 12, "facecolors": "none", "edgecolors": SOFT, "linewidths": 0.7},
    TrialState.FAILED: {"s": 14, "marker": "x", "color": "#cf222e", "linewidths": 0.9},
}


def render(title: str, picture: SearchPicture) -> bytes:
    """Return a PNG, 1600 pixels wide. The same input gives the same bytes."""
    with paper():
        figure = Figure(figsize=(WIDTH, 5.2), dpi=200, facecolor=PAPER, layout="constrained")
        figure.suptitle(shown(title, 90), x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
        grid = figure.add_gridspec(2, 5, height_ratios=(1, 1.15))
        scale = Scale.of(picture)
        _history(figure.add_subplot(grid[0, :3]), picture, scale)
        shares = _importance(figure.add_subplot(grid[0, 3:]), picture)
        side_by_side(figure.add_subplot(grid[1, :]), picture, shares, scale)
        return png(figure)


def _history(axes: Axes, picture: SearchPicture, scale: Scale) -> None:
    axes.set_title(shortened(picture.label, 18), loc="left", fontsize=9)
    for state, look in _LOOKS.items():
        _dots(axes, picture, state, look, scale)
    _best_so_far(axes, picture)
    axes.set_yscale("log" if scale.is_log else "linear")
    axes.set_ylim(*scale.limits)
    if scale.is_log:
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("trial", fontsize=7, labelpad=1)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    last = max(dot.number for dot in picture.dots)
    axes.set_xlim(-0.5 - last * 0.02, max(last * 1.02, 3) + 0.5)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.01, 0.985),
        ncols=4,
        fontsize=7,
        frameon=False,
        labelcolor=SOFT,
        handletextpad=0.1,
        columnspacing=0.8,
    )


def _dots(axes: Axes, picture: SearchPicture, state: TrialState, look: Mapping[str, Any], scale: Scale) -> None:
    """Draw the trials of a state: at their value, or at the rim where that lies beyond it or is not known."""
    dots = [dot for dot in picture.dots if dot.state is state]
    inside = [dot for dot in dots if dot.value is not None and scale.low <= dot.value <= scale.high]
    above = [dot for dot in dots if dot.value is not None and dot.value > scale.high]
    below = [dot for dot in dots if dot not in inside and dot not in above]
    values = [dot.value or 0.0 for dot in inside]
    axes.scatter([dot.number for dot in inside], values, label=str(state) if dots else None, zorder=2, **look)
    for beyond, height, mark in ((above, 0.98, "^"), (below, 0.02, "v")):
        axes.scatter(
            [dot.number for dot in beyond],
            [height] * len(beyond),
            transform=axes.get_xaxis_transform(),
            **{"marker": mark, "zorder": 2, **look},
        )


def _best_so_far(axes: Axes, picture: SearchPicture) -> None:
    numbers: list[int] = []
    values: list[float] = []
    for dot in sorted(picture.dots, key=lambda dot: dot.number):
        if dot.state is not TrialState.COMPLETE or dot.value is None:
            continue
        is_better = not values or (dot.value < values[-1] if picture.goal is Goal.MINIMIZE else dot.value > values[-1])
        numbers.append(dot.number)
        values.append(dot.value if is_better else values[-1])
    axes.plot(numbers, values, color=BEST, linewidth=1.4, drawstyle="steps-post", label="best", zorder=3)
    axes.scatter([picture.best], [values[-1]], s=26, color=BEST, zorder=4)


def _importance(axes: Axes, picture: SearchPicture) -> Mapping[int, float]:
    """Draw the importances and return them; none, with the reason on paper, where nothing is known."""
    axes.set_title("importance of parameters", loc="left", fontsize=9)
    try:
        shares = importances(picture)
    except NotKnown as error:
        axes.text(0.5, 0.5, str(error), transform=axes.transAxes, ha="center", va="center", color=SOFT, fontsize=7)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return {}
    bars = [*shares.items()][:_BARS]
    axes.barh(range(len(bars)), [share for _, share in bars], color=GOOD, height=0.62)
    for row, (_, share) in enumerate(bars):
        axes.text(share + bars[0][1] * 0.02, row, f"{share:.0%}", va="center", fontsize=7, color=SOFT)
    axes.set_yticks(range(len(bars)), [shortened(picture.axes[place].name, 16) for place, _ in bars])
    axes.set_ylim(max(len(bars), 4) - 0.5, -0.5)
    axes.set(xlim=(0, bars[0][1] * 1.16), xticks=[])
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
    return shares

"""Pictures of metrics, by matplotlib. Runs in the reading process: texts and values are whatever a run wrote."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from io import BytesIO
from itertools import accumulate
from math import ceil, nan
from typing import Any
from unicodedata import east_asian_width

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bot.core.gates import Range
from bot.metrics.panels import Panel
from bot.metrics.searches import LARGEST

WIDTH = 8.0
"""Inches; at 200 dots an inch the picture is sharp where GitHub shows it about 800 pixels wide."""

INK, SOFT, GRID, PAPER = "#1f2328", "#59636e", "#d9dee4", "#ffffff"
_CURVES = ("#0969da", "#bc4c00", "#8250df", "#1a7f37")
_TARGET = "#1a7f37"
_ROOM = 90
"""Letters of a title that fit into the picture's width."""

_STYLE: Any = {
    # The bundled font: the same bytes on every machine.
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    # A tag `$x$` is a tag, no formula: formulas are a language, and slow.
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "axes.formatter.useoffset": False,
    "axes.edgecolor": GRID,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
}


def render(title: str, panels: Sequence[Panel]) -> bytes:
    """Return a PNG, 1600 pixels wide, with one small diagram for each panel. The same input gives the same bytes."""
    columns = {0: 1, 1: 1, 2: 2, 4: 2}.get(len(panels), 3)
    rows = max(ceil(len(panels) / columns), 1)
    with paper():
        figure = Figure(figsize=(WIDTH, 0.4 + 2.1 * rows), dpi=200, facecolor=PAPER, layout="constrained")
        figure.suptitle(shown(title, 90), x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
        grid = figure.subplots(rows, columns, squeeze=False).flat
        for axes, panel in zip(grid, panels, strict=False):
            _draw(axes, panel, room=_ROOM // columns)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        return png(figure)


def paper() -> AbstractContextManager[None]:
    """Return the style of our pictures, for the time of a `with`."""
    style: AbstractContextManager[None] = matplotlib.rc_context(_STYLE)
    return style


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG that does not tell when and with what it was made."""
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def shown(text: str, room: int) -> str:
    """Return the text without what has no shape of its own (control characters, direction marks), and not too long.

    `room` is in letters; the wide ones of East Asia count as two.
    """
    plain = "".join(character if character.isprintable() else "·" for character in text[: room + 1])
    widths = accumulate(2 if east_asian_width(character) in "WF" else 1 for character in plain)
    fits = sum(width <= room for width in widths)
    return plain if fits == len(plain) else f"{plain[: max(fits - 1, 0)]}…"


def _draw(axes: Axes, panel: Panel, room: int) -> None:
    target = "" if panel.low is None and panel.high is None else f"target {Range(panel.low, panel.high)}"
    axes.set_title(shown(panel.title, max(room - len(target), 8)), loc="left", fontsize=9)
    axes.set_title(target, loc="right", fontsize=7, color=_TARGET)
    if not any(value is not None and abs(value) <= LARGEST for curve in panel.curves for value in curve.values):
        axes.text(0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", color=SOFT)
        axes.set(xticks=[], yticks=[])
        return
    for curve, colour in zip(panel.curves, _CURVES, strict=False):
        values = [nan if value is None or abs(value) > LARGEST else value for value in curve.values]
        # Few points are marked: the line of a single one would be invisible.
        mark = "o" if len(values) <= 40 else ""
        label = shown(curve.label or ".", 24)
        axes.plot(curve.steps, values, color=colour, linewidth=1.6, marker=mark, markersize=2.5, label=label)
    if target:
        _show_target(axes, panel)
    if len(panel.curves) > 1:
        axes.legend(fontsize=7, frameon=False, labelcolor=SOFT)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("step", fontsize=7, labelpad=1)


def _show_target(axes: Axes, panel: Panel) -> None:
    """Shade the values that pass, and draw their limits where they are near enough not to flatten the curve."""
    bottom, top = axes.get_ylim()
    near = [limit for limit in (panel.low, panel.high) if limit is not None and _is_near(limit, bottom, top)]
    rim = (top - bottom) / 10
    bottom, top = min([bottom, *(limit - rim for limit in near)]), max([top, *(limit + rim for limit in near)])
    for limit in near:
        axes.axhline(limit, color=_TARGET, linewidth=1, linestyle=(0, (4, 3)))
    low = bottom if panel.low is None else max(panel.low, bottom)
    high = top if panel.high is None else min(panel.high, top)
    if low < high:
        axes.axhspan(low, high, color=_TARGET, alpha=0.08, linewidth=0)
    axes.set_ylim(bottom, top)


def _is_near(limit: float, bottom: float, top: float) -> bool:
    # A flat curve has no height of its own: then the size of its values tells what is near.
    reach = max(2 * (top - bottom), 0.7 * max(abs(bottom), abs(top)))
    return bottom - reach < limit < top + reach

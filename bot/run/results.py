"""What a terminal is told when all is over: every metric and gate in tables, and what there is to look at."""

from collections.abc import Callable, Iterator, Sequence

from bot.core.report import ExperimentFacts, MetricFacts, Renderer
from bot.core.report.figures import compared, duration, number, parameter, target
from bot.core.report.matrix import Matrix, MatrixGate
from bot.core.report.overview import Overview
from bot.core.report.part import GateRow, Part
from bot.core.report.search import SearchView
from bot.core.text import short
from bot.run.ink import BLANK, Cell, Line, Span, Style, line, shortened, table
from bot.run.view import sign

Where = Callable[[ExperimentFacts], Sequence[tuple[str, str]]]
"""What to look at of an experiment: what it is called (`artifacts`), and where that is."""
_NAME, _COLUMN = 48, 24
_CELLS, _GATES = 100, 4
"""How many cells of a matrix are listed, and how many of its gates have a column."""


def result(seen: Overview, renderer: Renderer, where: Where) -> list[Line]:
    """Return the tables of all experiments that were to run."""
    lines = list[Line]()
    for block in seen.blocks:
        if not block.is_skipped:
            own = _matrix(block, renderer) if isinstance(block, Matrix) else _part(block)
            lines += [BLANK, *own, *_places(block, where)]
    return lines


def _part(part: Part) -> Iterator[Line]:
    yield line(short(part.label), Style.BOLD)
    rows = [_gate(row.name, row, row.metric) for row in part.gates]
    rows += [[Cell(Span(" ")), _named(metric.label), *_figures(metric)] for metric in part.ungated]
    if rows:
        rows = [_heads("", "", "last", "lowest", "highest", "compared", "wanted"), *rows]
        yield from table(rows if part.facts.metrics else [_without_figures(row) for row in rows])
    if not part.standing.is_bad:  # a failed experiment speaks for its gates
        yield from _reasons(part.gates)
    if part.search is not None and len(part.search.top) > 1:
        yield from _trials(part.search)


def _matrix(matrix: Matrix, renderer: Renderer) -> Iterator[Line]:
    yield line(f"{short(matrix.label)}: {renderer.words('matrix', matrix=matrix)}", Style.BOLD)
    gates = [gate for gate in matrix.gates if gate.is_asked]
    if gates:
        rows = [[*_without_figures(_gate(gate.name, gate, None)), _named(_worst(gate))] for gate in gates]
        yield from table([_heads("", "", "worst", "wanted", "in"), *rows])
    cells, left = matrix.listed(_CELLS)
    shown = gates[:_GATES]
    names = [*(gate.name for gate in shown), *matrix.columns]
    heads = _heads("", "", *(shortened(short(name), _COLUMN) for name in names), "took")
    yield from table([heads, *(_cell(cell, shown, matrix.columns) for cell in cells)])
    if left:
        yield line(f"  and {left}", Style.DIM)


def _worst(gate: MatrixGate) -> str:
    return gate.worst[0].facts.variant


def _cell(cell: Part, gates: Sequence[MatrixGate], columns: Sequence[str]) -> list[Cell]:
    took = cell.facts.ran_for
    return [
        Cell(sign(cell.standing)),
        _named(cell.facts.variant),
        *(_compared(row) if (row := gate.of(cell)) is not None else _figure("") for gate in gates),
        *(_figure("" if (metric := cell.measured(name)) is None else number(metric.last)) for name in columns),
        _figure("" if took is None else duration(took)),
    ]


def _gate(name: str, row: GateRow | MatrixGate, metric: MetricFacts | None) -> list[Cell]:
    wanted = Cell(Span(target(row.gate.target)))
    return [Cell(sign(row.standing)), _named(name), *_figures(metric), _compared(row), wanted]


def _without_figures(row: list[Cell]) -> list[Cell]:
    """Return a gate's row without the three places of a metric: last, lowest, highest."""
    return [*row[:2], *row[5:]]


def _compared(row: GateRow | MatrixGate) -> Cell:
    value = row.value
    text = "" if value is None else compared(value, row.gate.precision)
    return Cell(Span(text, Style.BAD if row.standing.is_bad else Style.PLAIN), is_number=True)


def _figures(metric: MetricFacts | None) -> list[Cell]:
    values = (None, None, None) if metric is None else (metric.last, metric.low, metric.high)
    return [_figure("" if value is None else number(value)) for value in values]


def _figure(text: str) -> Cell:
    return Cell(Span(text), is_number=True)


def _named(name: str) -> Cell:
    return Cell(Span(shortened(short(name), _NAME)))


def _heads(*names: str) -> list[Cell]:
    """Return the heads of columns of figures; what comes after the figures stands as its cells do."""
    return [Cell(Span(name, Style.DIM), is_number=name not in ("wanted", "in")) for name in names]


def _reasons(gates: Sequence[GateRow]) -> Iterator[Line]:
    """Yield why gates were not evaluated."""
    for row in gates:
        if row.standing.is_done and row.value is None and row.result.reason:
            yield Span(f"  {shortened(short(row.name), _NAME)}: "), Span(short(row.result.reason).replace("`", ""))


def _trials(search: SearchView) -> list[Line]:
    names = search.columns
    heads = _heads(
        "trial", shortened(short(search.label), _COLUMN), *(shortened(short(n), _COLUMN) for n in names), "took"
    )
    rows = []
    for trial in search.top:
        is_timed = trial.began_at is not None and trial.ended_at is not None
        took = duration((trial.ended_at or 0) - (trial.began_at or 0)) if is_timed else ""
        values = [shortened(short(parameter(trial.params[n])), _COLUMN) if n in trial.params else "" for n in names]
        shown = "" if trial.value is None else number(trial.value)
        rows.append([_figure(text) for text in (str(trial.number), shown, *values, took)])
    return table([heads, *rows])


def _places(block: Part | Matrix, where: Where) -> list[Line]:
    """Return what to look at; of a matrix that of the cell that speaks for all."""
    whose = f" of {shortened(short(block.facts.variant), _COLUMN)}" if isinstance(block, Matrix) else ""
    return table([[Cell(Span(f"{what}{whose}", Style.DIM)), Cell(Span(place))] for what, place in where(block.facts)])

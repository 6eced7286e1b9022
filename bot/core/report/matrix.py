"""A matrix: the experiments of one step that differ in their variants. They share one check, and one for each gate."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.core.gates import Gate, GateResult, Range
from bot.core.matrix import MAX_CELLS_REPORTED_EACH
from bot.core.report import standing
from bot.core.report.facts import ExperimentFacts, MetricFacts, RunFacts
from bot.core.report.part import GateRow, Part
from bot.core.report.standing import Standing
from bot.core.report.tally import Row, cut, tally
from bot.core.report.views import Conclusion, Status
from bot.core.states import State
from bot.core.text import Safe

CELLS, FEW_CELLS = 100, 20
"""How many cells are listed in a check, and folded away in an overview."""

COLUMNS = 4
"""How many metrics a table of cells shows."""


@dataclass(frozen=True)
class MatrixGate:
    """A gate over all cells: `rows` has a place for each cell (None where a cell lacks the gate)."""

    cells: tuple[Part, ...]
    rows: tuple[GateRow | None, ...]
    standing: Standing

    @property
    def worst(self) -> tuple[Part, GateRow]:
        """The cell that fails, or is the nearest to failing, with what it compared."""
        return min(self._pairs, key=lambda pair: _merit(*pair))

    @property
    def result(self) -> GateResult:
        return self.worst[1].result

    @property
    def gate(self) -> Gate:
        return self.worst[1].gate

    @property
    def name(self) -> str:
        return self.gate.name

    @property
    def value(self) -> float | None:
        """What the worst cell compared, once all have."""
        return self.worst[1].value if self.standing.is_done else None

    @property
    def is_asked(self) -> bool:
        return self.standing.conclusion is not Conclusion.SKIPPED

    def of(self, cell: Part) -> GateRow | None:
        """Return what `cell` has to say."""
        return next((row for one, row in zip(self.cells, self.rows, strict=True) if one is cell), None)

    def listed(self, limit: int = CELLS) -> tuple[tuple[tuple[Part, GateRow], ...], Safe]:
        """Return the cells with what they compared, and what to say of those that are left out."""
        return cut([Row(pair, pair[1].standing) for pair in self._pairs], limit)

    @property
    def _pairs(self) -> list[tuple[Part, GateRow]]:
        return [(cell, row) for cell, row in zip(self.cells, self.rows, strict=True) if row is not None]


def _merit(cell: Part, row: GateRow) -> tuple[bool, bool, bool, float]:
    """Return how well a cell does at a gate: a value that fails is the worst, by how much it fails."""
    value = row.value
    margin = 0.0 if value is None else _margin(row.gate.target, value)
    return not row.standing.is_bad, value is None, cell.standing.is_bad, margin


def _margin(wanted: Range, value: float) -> float:
    """Return how far inside the target `value` lies; below nought it lies outside."""
    above = float("inf") if wanted.low is None else value - wanted.low
    below = float("inf") if wanted.high is None else wanted.high - value
    return min(above, below)


@dataclass(frozen=True)
class Matrix:
    """The cells of a step, in the config's order, and their gates."""

    run: RunFacts
    cells: tuple[Part, ...]
    standing: Standing
    gates: tuple[MatrixGate, ...]

    @property
    def is_matrix(self) -> bool:
        return True

    @property
    def is_skipped(self) -> bool:
        return self.run.skipped is not None

    @property
    def speaker(self) -> Part:
        """The cell that speaks for all: the first that went wrong, else the first."""
        return next(iter(self.bad), self.cells[0])

    @property
    def facts(self) -> ExperimentFacts:
        return self.speaker.facts

    @property
    def label(self) -> str:
        """`<workflow> / <step>`, as the check is called."""
        return f"{self.facts.workflow} / {self.facts.step}"

    @property
    def bad(self) -> tuple[Part, ...]:
        return tuple(cell for cell in self.cells if cell.standing.is_bad)

    @property
    def ok(self) -> int:
        return sum(cell.standing.conclusion is Conclusion.SUCCESS for cell in self.cells)

    @property
    def finished(self) -> int:
        return sum(cell.standing.is_done for cell in self.cells)

    @property
    def others(self) -> Safe:
        """How many of the cells that have not succeeded stand how."""
        return tally(cell.standing for cell in self.cells if cell.standing.conclusion is not Conclusion.SUCCESS)

    @property
    def tally(self) -> Safe:
        return tally(cell.standing for cell in self.cells)

    @property
    def refusal(self) -> str:
        """Why no cell could be launched, empty when any could."""
        reasons = [cell.facts.not_launchable for cell in self.cells]
        return reasons[0] if all(reasons) else ""

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of any cell must know, each thing once."""
        return tuple(dict.fromkeys(caveat for cell in self.cells for caveat in cell.facts.caveats))

    @property
    def notable(self) -> tuple[MetricFacts, ...]:
        """Nothing: what the cells measured without a gate stands in their table."""
        return ()

    @property
    def asked(self) -> int:
        return sum(gate.is_asked for gate in self.gates)

    @property
    def passed(self) -> int:
        return sum(gate.standing.conclusion is Conclusion.SUCCESS for gate in self.gates)

    @property
    def lead(self) -> MatrixGate | None:
        """The gate whose worst value stands for all cells in a title."""
        return next((gate for gate in self.gates if gate.value is not None), None)

    @property
    def columns(self) -> tuple[str, ...]:
        """The ungated metrics that the table of cells has room for."""
        room = max(0, COLUMNS - len(self.gates))
        done = (cell for cell in self.cells if cell.standing.is_done)
        return tuple(dict.fromkeys(metric.label for cell in done for metric in cell.ungated))[:room]

    @property
    def started_at(self) -> int | None:
        began = (cell.facts.entered(State.PROVISIONING) for cell in self.cells)
        return min((at for at in began if at is not None), default=None)

    @property
    def ended_at(self) -> int | None:
        return max((cell.facts.ended_at for cell in self.cells if cell.facts.ended_at is not None), default=None)

    def listed(self, limit: int = CELLS) -> tuple[tuple[Part, ...], Safe]:
        """Return the cells of a table, and what to say of those that are left out."""
        failing = [sum(row.standing.is_bad for row in cell.gates) for cell in self.cells]
        return cut([Row(cell, cell.standing, bad) for cell, bad in zip(self.cells, failing, strict=True)], limit)


def blocks(run: RunFacts, parts: Iterable[Part]) -> Iterator[Part | Matrix]:
    """Put the variants of a step together, unless they are few and ask for checks of their own.

    Those of which there is only the name, for a base asks for it, are put together by themselves: with them too many
    to have checks of their own, the others would leave theirs behind as they were.
    """
    steps: dict[tuple[str, bool, bool], list[Part]] = {}
    for part in parts:
        x = part.facts
        steps.setdefault((x.step, bool(x.variant), bool(x.public_id)), []).append(part)
    for (_, has_variants, _), cells in steps.items():
        is_each = len(cells) <= MAX_CELLS_REPORTED_EACH and all(cell.facts.reports_each for cell in cells)
        if has_variants and not is_each:
            yield _matrix(run, tuple(cells))
        else:
            yield from cells


def _matrix(run: RunFacts, cells: tuple[Part, ...]) -> Matrix:
    return Matrix(run, cells, standing.of_cells([cell.standing for cell in cells]), tuple(_gates(cells)))


def _gates(cells: tuple[Part, ...]) -> Iterator[MatrixGate]:
    """Yield the gates of the cells. All cells of a step have the same, in the same order."""
    for place in range(max(len(cell.gates) for cell in cells)):
        rows = tuple(cell.gates[place] if place < len(cell.gates) else None for cell in cells)
        yield MatrixGate(cells, rows, _verdict([row.standing for row in rows if row is not None]))


def _verdict(standings: list[Standing]) -> Standing:
    """Return how a gate over all cells stands: it waits for the last of them, as a gate waits for its experiment."""
    whole = standing.of_cells(standings)
    return whole if whole.is_done else Standing(Status.QUEUED)

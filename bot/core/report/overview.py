"""A commit at a glance: its experiments with their gates, what is counted, what is wrong. Made once, told in places."""

from collections.abc import Iterator
from dataclasses import dataclass

from bot.core.report import standing
from bot.core.report.facts import CommitFacts, RunFacts
from bot.core.report.matrix import Matrix, blocks
from bot.core.report.part import GateRow, Part, of_experiment
from bot.core.report.standing import Standing
from bot.core.report.views import Conclusion


@dataclass(frozen=True)
class Trouble:
    """One thing that keeps the merge button shut: an experiment, or (`gate`) a gate of one that ended well."""

    part: Part
    gate: GateRow | None
    standing: Standing


@dataclass(frozen=True)
class Overview:
    """Everything that the roll-up and the comment say, counted. A matrix is one of its blocks, with one row a gate."""

    commit: CommitFacts
    standing: Standing
    blocks: tuple[Part | Matrix, ...]
    troubles: tuple[Trouble, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """Every experiment, the cells of matrices among them."""
        return tuple(part for block in self.blocks for part in (block.cells if isinstance(block, Matrix) else [block]))

    @property
    def experiments(self) -> int:
        return len(self._active)

    @property
    def finished(self) -> int:
        return sum(part.standing.is_done for part in self._active)

    @property
    def gates(self) -> int:
        """How many gates are asked here: not those of skipped workflows, nor those for pull requests on a push."""
        return sum(block.asked for block in self.blocks)

    @property
    def passed(self) -> int:
        return sum(block.passed for block in self.blocks)

    @property
    def has_begun(self) -> bool:
        """Tell whether anything of it ran, even where the rest is held."""
        return any(not part.run.is_held for part in self.parts)

    @property
    def only_gate(self) -> GateRow | None:
        """The gate, if there is but one, of one experiment."""
        asked = [row for block in self.blocks for row in block.gates if row.is_asked]
        return asked[0] if len(asked) == 1 and isinstance(asked[0], GateRow) else None

    @property
    def skip_reasons(self) -> tuple[str, ...]:
        """Why workflows do not run here, each reason once."""
        return tuple(dict.fromkeys(block.run.skipped for block in self.blocks if block.run.skipped is not None))

    @property
    def _active(self) -> list[Part]:
        return [part for part in self.parts if not part.is_skipped]


def of_commit(commit: CommitFacts) -> Overview:
    """Return the overview of a commit. A config with errors has no experiments."""
    runs = () if commit.errors else commit.runs
    found = tuple(block for run in runs for block in _blocks(run))
    return Overview(commit, standing.of_commit(commit), found, tuple(_troubles(found)))


def _blocks(run: RunFacts) -> Iterator[Part | Matrix]:
    return blocks(run, [of_experiment(run, x) for x in run.experiments])


def _troubles(found: tuple[Part | Matrix, ...]) -> Iterator[Trouble]:
    """Yield the worst first: failures, then what was cancelled. A failed experiment speaks for its gates."""
    troubles = [trouble for block in found for trouble in _troubles_of(block)]
    yield from sorted(troubles, key=lambda trouble: trouble.standing.conclusion is Conclusion.CANCELLED)


def _troubles_of(block: Part | Matrix) -> Iterator[Trouble]:
    if isinstance(block, Matrix):
        yield from (Trouble(cell, None, cell.standing) for cell in block.bad)
        pairs = [gate.worst for gate in block.gates]
    elif block.standing.is_bad:
        yield Trouble(block, None, block.standing)
        pairs = []
    else:
        pairs = [(block, row) for row in block.gates]
    for part, row in pairs:
        if row.standing.is_bad and not part.standing.is_bad:
            yield Trouble(part, row, row.standing)

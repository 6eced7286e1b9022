"""A commit beside another one: what each metric was there, and whether the difference is for the better."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bot.core.gates import Range
from bot.core.report import figures
from bot.core.report.facts import ExperimentFacts, MetricFacts
from bot.core.report.part import GateRow, Part
from bot.core.search import Goal

Place = tuple[str, str, str]
"""Workflow, step and variant: what makes two experiments of different commits the same."""

MOST_PARAMETERS, MOST_ROWS = 30, 100


@dataclass(frozen=True)
class ReferenceFacts:
    """An experiment at the other commit: what our gates compare there, its metrics' last values, its parameters."""

    gates: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparisonFacts:
    """A commit beside `label` (a branch, a tag, a commit). `how` is how the other commit was found, `sha` which it is.

    `reason` says why there is nothing to compare with, empty when there is.
    """

    label: str
    how: str
    sha: str = ""
    title: str = ""
    reason: str = ""
    experiments: Mapping[Place, ReferenceFacts] = field(default_factory=dict)
    picture_url: str | None = None

    @property
    def is_base(self) -> bool:
        """Tell whether it is the branch that the commit is to be merged into, and not one that somebody named."""
        return self.how != "asked"

    @property
    def short_sha(self) -> str:
        return self.sha[:7]

    def of(self, part: Part) -> "Beside | None":
        """Return an experiment beside itself at the other commit; None where it was not run there."""
        x = part.facts
        reference = self.experiments.get((x.workflow, x.step, x.variant))
        return None if reference is None or part.has_nothing else Beside(part, reference)


@dataclass(frozen=True)
class Change:
    """A metric here and there. `is_better` is None where nobody said which direction is good, or nothing changed."""

    ours: float
    theirs: float
    precision: int | None
    is_better: bool | None

    @property
    def delta(self) -> float:
        return self.ours - self.theirs

    @property
    def mine(self) -> str:
        """Return our own value as it is shown."""
        return self._number(self.ours)

    @property
    def shown(self) -> str:
        """Return the other value, as precisely as our own is shown."""
        return self._number(self.theirs)

    @property
    def told(self) -> str:
        """Return `▲ 0.012 better`, `▼ 3`, `=`."""
        if self.ours != self.ours or self.theirs != self.theirs:
            return ""
        if self.ours == self.theirs:
            return "="
        arrow = "▲" if self.delta > 0 else "▼"
        word = {True: " better", False: " worse", None: ""}[self.is_better]
        return f"{arrow} {self._number(abs(self.delta))}{word}"

    def _number(self, value: float) -> str:
        return figures.number(value) if self.precision is None else figures.compared(value, self.precision)


@dataclass(frozen=True)
class Beside:
    """An experiment and the same one at the other commit."""

    part: Part
    reference: ReferenceFacts

    def gate(self, row: GateRow) -> Change | None:
        """Return what a gate compared, beside what it would have compared there."""
        theirs = self.reference.gates.get(row.name)
        if theirs is None or row.value is None:
            return None
        return Change(row.value, theirs, row.gate.precision, _is_better(row.value - theirs, direction(row.gate.target)))

    def metric(self, label: str, ours: float) -> Change | None:
        """Return the last value of a metric that no gate is about, beside its last value there."""
        theirs = self.reference.metrics.get(label)
        if theirs is None:
            return None
        return Change(ours, theirs, None, _is_better(ours - theirs, self._goal_of(label)))

    def rows(self) -> Iterator[tuple[str, Change]]:
        """Yield every metric that both have, by its name: those of gates first."""
        for row in self.part.gates:
            if (change := self.gate(row)) is not None:
                yield row.name, change
        yield from self.ungated(self.part.ungated)

    def ungated(self, metrics: Iterable[MetricFacts]) -> Iterator[tuple[str, Change]]:
        """Yield those of these metrics that both have."""
        for metric in metrics:
            if (change := self.metric(metric.label, metric.last)) is not None:
                yield metric.label, change

    @property
    def parameters(self) -> tuple[tuple[str, str, str], ...]:
        """Return the parameters that differ: name, here, there; empty where one of the two has it not."""
        ours, theirs = parameters(self.part.facts), self.reference.params
        names = [name for name in dict.fromkeys((*ours, *theirs)) if ours.get(name) != theirs.get(name)]
        return tuple((name, ours.get(name, ""), theirs.get(name, "")) for name in names)[:MOST_PARAMETERS]

    def _goal_of(self, label: str) -> int:
        search = self.part.facts.search
        if search is None or search.metric != label:
            return 0
        return 1 if search.goal is Goal.MAXIMIZE else -1


def direction(target: Range) -> int:
    """Return 1 where more is better by a gate's target, -1 where less is, 0 where it does not say."""
    if target.low is not None and target.high is not None:
        return 0
    return 1 if target.high is None else -1


def _is_better(delta: float, wanted: int) -> bool | None:
    return None if not wanted or delta == 0 else (delta > 0) is (wanted > 0)


def parameters(x: ExperimentFacts) -> Mapping[str, str]:
    """Return what decides how an experiment runs, by the names that its config has for it, and a command's settings."""
    return {**x.params, **x.settings}

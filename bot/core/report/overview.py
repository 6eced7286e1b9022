"""A commit at a glance: its experiments with their gates, what is counted, what is wrong. Made once, told in places."""

from collections.abc import Iterator
from dataclasses import dataclass

from bot.core.gates import Gate, GateResult
from bot.core.report import standing
from bot.core.report.causes import exception_line, exit_meaning
from bot.core.report.facts import CommitFacts, ExperimentFacts, MetricFacts, RunFacts
from bot.core.report.standing import Standing
from bot.core.report.views import Conclusion

UNGATED = 5
"""How many metrics without a gate an overview shows of each experiment; its own check shows them all."""


@dataclass(frozen=True)
class GateRow:
    """A gate with its standing, and the metric it is about if there is one."""

    result: GateResult
    standing: Standing
    metric: MetricFacts | None

    @property
    def gate(self) -> Gate:
        return self.result.gate

    @property
    def name(self) -> str:
        return self.result.gate.name

    @property
    def value(self) -> float | None:
        """What was compared, once it was."""
        return self.result.value if self.standing.is_done else None

    @property
    def is_asked(self) -> bool:
        """Tell whether it is asked here: not in a skipped workflow, nor on a push if it is for pull requests."""
        return self.standing.conclusion is not Conclusion.SKIPPED


@dataclass(frozen=True)
class Part:
    """An experiment with its standing, its gates in the config's order, and the metrics that no gate is about."""

    run: RunFacts
    facts: ExperimentFacts
    standing: Standing
    gates: tuple[GateRow, ...]
    ungated: tuple[MetricFacts, ...]

    @property
    def is_skipped(self) -> bool:
        return self.run.skipped is not None

    @property
    def lead(self) -> MetricFacts | None:
        """The metric that stands for the experiment in a title: the first with a gate, else the first."""
        gated = [row.metric for row in self.gates if row.metric is not None]
        return next(iter([*gated, *self.ungated]), None)

    @property
    def notable(self) -> tuple[MetricFacts, ...]:
        """The ungated metrics of an overview, a few. Numbers that still move belong to the experiment's own check."""
        return self.ungated[:UNGATED] if self.standing.is_done else ()

    @property
    def asked(self) -> int:
        return sum(row.is_asked for row in self.gates)

    @property
    def passed(self) -> int:
        return sum(row.standing.conclusion is Conclusion.SUCCESS for row in self.gates)

    @property
    def exit_meaning(self) -> str:
        return exit_meaning(self.facts.exit_code)

    @property
    def exception(self) -> str:
        return exception_line(self.facts.log_tail)


@dataclass(frozen=True)
class Trouble:
    """One thing that keeps the merge button shut: an experiment, or (`gate`) a gate of one that ended well."""

    part: Part
    gate: GateRow | None
    standing: Standing


@dataclass(frozen=True)
class Overview:
    """Everything that the roll-up and the comment say, counted."""

    commit: CommitFacts
    standing: Standing
    parts: tuple[Part, ...]
    troubles: tuple[Trouble, ...]

    @property
    def experiments(self) -> int:
        return len(self._active)

    @property
    def finished(self) -> int:
        return sum(part.standing.is_done for part in self._active)

    @property
    def gates(self) -> int:
        """How many gates are asked here: not those of skipped workflows, nor those for pull requests on a push."""
        return sum(part.asked for part in self.parts)

    @property
    def passed(self) -> int:
        return sum(part.passed for part in self.parts)

    @property
    def only_gate(self) -> GateRow | None:
        """The gate, if there is but one."""
        asked = [row for part in self.parts for row in part.gates if row.is_asked]
        return asked[0] if len(asked) == 1 else None

    @property
    def skip_reasons(self) -> tuple[str, ...]:
        """Why workflows do not run here, each reason once."""
        return tuple(dict.fromkeys(part.run.skipped for part in self.parts if part.run.skipped is not None))

    @property
    def _active(self) -> list[Part]:
        return [part for part in self.parts if not part.is_skipped]


def of_commit(commit: CommitFacts) -> Overview:
    """Return the overview of a commit. A config with errors has no experiments."""
    runs = () if commit.errors else commit.runs
    parts = tuple(_part(run, x) for run in runs for x in run.experiments)
    return Overview(commit, standing.of_commit(commit), parts, tuple(_troubles(parts)))


def _part(run: RunFacts, x: ExperimentFacts) -> Part:
    gates = tuple(GateRow(one, standing.of_gate(run, x, one), _metric_of(one.gate, x.metrics)) for one in x.gates)
    gated = [row.metric for row in gates]
    ungated = tuple(metric for metric in x.metrics if metric not in gated)
    return Part(run, x, standing.of_experiment(run, x), gates, ungated)


def _metric_of(gate: Gate, metrics: tuple[MetricFacts, ...]) -> MetricFacts | None:
    """Return the metric a gate is about: by its name, or by run and name where only one of the two has the run."""
    candidates = [metric for metric in metrics if metric.source is gate.source]
    exact = [metric for metric in candidates if metric.name == gate.metric]
    near = [m for m in candidates if gate.metric.endswith(f"/{m.name}") or m.name.endswith(f"/{gate.metric}")]
    found = exact or near
    return found[0] if len(found) == 1 else None


def _troubles(parts: tuple[Part, ...]) -> Iterator[Trouble]:
    """Yield the worst first: failures, then what was cancelled. A failed experiment speaks for its gates."""
    found = [trouble for part in parts for trouble in _troubles_of(part)]
    yield from sorted(found, key=lambda trouble: trouble.standing.conclusion is Conclusion.CANCELLED)


def _troubles_of(part: Part) -> Iterator[Trouble]:
    if part.standing.is_bad:
        yield Trouble(part, None, part.standing)
        return
    yield from (Trouble(part, row, row.standing) for row in part.gates if row.standing.is_bad)

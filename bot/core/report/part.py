"""One experiment as the reports see it: its standing, its gates in the config's order, what it measured besides."""

from dataclasses import dataclass
from typing import NamedTuple

from bot.core.gates import Gate, GateResult
from bot.core.report import causes, standing
from bot.core.report.facts import ExperimentFacts, MetricFacts, RunFacts
from bot.core.report.figures import peaks
from bot.core.report.pieces import PlaceFacts, TaskFacts
from bot.core.report.search import SearchView
from bot.core.report.standing import Standing
from bot.core.report.tally import Row, cut
from bot.core.report.views import Conclusion
from bot.core.series import Source
from bot.core.states import State
from bot.core.text import Safe

UNGATED = 5
"""How many metrics without a gate an overview shows of each experiment; its own check shows them all."""

TASKS, LOGS = 32, 4
"""How many tasks are listed, and of how many the end of the log is shown."""

MEMORY = "memoryUsage"


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


class Log(NamedTuple):
    """The end of a task's log; no name where there is but one task."""

    task: str
    tail: str


@dataclass(frozen=True)
class Part:
    """An experiment with its standing, its gates in the config's order, and the metrics that no gate is about.

    `search` is what is to be shown of a search now.
    """

    run: RunFacts
    facts: ExperimentFacts
    standing: Standing
    gates: tuple[GateRow, ...]
    ungated: tuple[MetricFacts, ...]
    search: SearchView | None = None

    @property
    def is_matrix(self) -> bool:
        return False

    @property
    def label(self) -> str:
        """`<workflow> / <step>`, with the variant if there is one."""
        return self.facts.label

    @property
    def is_skipped(self) -> bool:
        return self.run.skipped is not None

    @property
    def has_nothing(self) -> bool:
        """Tell whether there is nothing to show of it but its name: it was left out, held, or removed."""
        return self.is_skipped or self.run.is_held or bool(self.facts.removed_from)

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
    def is_users_failure(self) -> bool:
        """Tell whether the user's command failed, so that its log has something to say."""
        failed = self.standing.conclusion in (Conclusion.FAILURE, Conclusion.TIMED_OUT)
        return failed and self.facts.state is State.FAILED

    @property
    def limit(self) -> str:
        """The limit for which it was ended, in a few words; empty when it was not."""
        x = self.facts
        return causes.limit(x.reason if x.culprit is None else x.culprit.reason) if self.is_users_failure else ""

    @property
    def cause(self) -> str:
        """Why its command failed by itself, in a few words; empty when nobody can tell."""
        x = self.facts
        if not self.is_users_failure or x.last_exit is None or self.limit:
            return ""
        return causes.cause(x.last_exit, x.last_log, "" if self.place is None else self.place.exception)

    @property
    def places(self) -> tuple[PlaceFacts, ...]:
        """The lines at which its tasks failed. One that was out of time may have been anywhere."""
        return self.facts.places if self.standing.conclusion is Conclusion.FAILURE and self.is_users_failure else ()

    @property
    def place(self) -> PlaceFacts | None:
        """The line that belongs to the cause."""
        culprit = self.facts.culprit
        mine = (place for place in self.places if culprit is None or place.task == culprit.name)
        return None if self.limit else next(mine, None)

    @property
    def tasks(self) -> tuple[tuple[TaskFacts, ...], Safe]:
        """The tasks of a table, and what to say of those that are left out."""
        return cut([Row(task, standing.of_task(task)) for task in self.facts.tasks], TASKS)

    @property
    def logs(self) -> tuple[Log, ...]:
        """The ends of the logs: that of the task that failed first, then a few others."""
        x = self.facts
        if len(x.tasks) < 2:
            return (Log("", x.log_tail),) if x.log_tail.strip() else ()
        tasks = sorted(x.tasks, key=lambda task: task is not x.culprit)
        return tuple(Log(task.name, task.log_tail) for task in tasks if task.log_tail.strip())[:LOGS]

    @property
    def peaks(self) -> str:
        """The highest values of the system's metrics on one line, memory only where nobody else measured it."""
        is_known = self.facts.peak_memory_mb is not None
        return peaks({name: value for name, value in self.facts.peaks.items() if not (is_known and name == MEMORY)})

    def measured(self, label: str) -> MetricFacts | None:
        """Return the ungated metric of that label once the experiment is over."""
        found = (metric for metric in self.ungated if metric.label == label)
        return next(found, None) if self.standing.is_done else None


def of_experiment(run: RunFacts, x: ExperimentFacts) -> Part:
    """Return the experiment with everything about it put in relation."""
    gates = tuple(GateRow(one, standing.of_gate(run, x, one), _metric_of(one.gate, x.metrics)) for one in x.gates)
    gated = [row.metric for row in gates]
    # What was measured of the machine is told by its peaks.
    ungated = tuple(metric for metric in x.metrics if metric not in gated and metric.source is not Source.SYSTEM)
    stands = standing.of_experiment(run, x)
    search = None if x.search is None else x.search.seen(is_done=stands.is_done)
    return Part(run, x, stands, gates, ungated, search)


def _metric_of(gate: Gate, metrics: tuple[MetricFacts, ...]) -> MetricFacts | None:
    """Return the metric a gate is about: by its name, or by run and name where only one of the two has the run."""
    candidates = [metric for metric in metrics if metric.source is gate.source]
    exact = [metric for metric in candidates if metric.name == gate.metric]
    near = [m for m in candidates if gate.metric.endswith(f"/{m.name}") or m.name.endswith(f"/{gate.metric}")]
    found = exact or near
    return found[0] if len(found) == 1 else None

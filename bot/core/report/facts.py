"""What the reports are made of: facts, loaded from rows by the report station. All text here is untrusted.

Times are UTC integer microseconds.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from bot.core.config.problems import Problem
from bot.core.demands import Demands, GateChange
from bot.core.gates import GateResult
from bot.core.report.pieces import (
    ArtifactFacts,
    HeldFacts,
    ImageFacts,
    ModelFacts,
    PlaceFacts,
    PortFacts,
    PullLine,
    RequestFacts,
    TaskFacts,
)
from bot.core.report.search import SearchFacts
from bot.core.retries import TRIES
from bot.core.series import Series, Source, downsample
from bot.core.states import Observation, State
from bot.core.trials import Trial

if TYPE_CHECKING:
    from bot.core.report.comparison import ComparisonFacts


def step_name(step: str, variant: str) -> str:
    """Return what a step is called, or a cell of its matrix."""
    return f"{step} ({variant})" if variant else step


@dataclass(frozen=True)
class MetricFacts:
    """A metric as it stands: `values` are its points in order (thinned out is fine), for the curve drawn in letters.

    `low` and `high` are the least and the greatest finite value of all; None where there is none.
    """

    source: Source
    name: str
    last: float
    step: int | None
    values: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def label(self) -> str:
        """`<source>:<name>`, as a gate would name it."""
        return f"{self.source}:{self.name}"


CURVE = 240
"""Points of a curve drawn in letters, ten for each letter; facts are remembered, and a series may have 100,000."""


def metrics_of(series: Sequence[Series]) -> tuple[MetricFacts, ...]:
    """Return each series as a metric. The run stands in the name only where several runs have the same tag."""
    runs = Counter((one.source, one.tag) for one in series)
    found = []
    for one in series:
        if (latest := one.latest) is not None:
            name = one.tag if runs[one.source, one.tag] == 1 else one.name
            values = tuple(point.number for point in downsample(one.points, CURVE))
            finite = [point.value for point in one.points if point.value is not None]
            low, high = min(finite, default=None), max(finite, default=None)
            found.append(MetricFacts(one.source, name, latest.number, latest.step, values, low, high))
    return tuple(found)


@dataclass(frozen=True)
class ExperimentFacts:
    """An experiment with its newest attempt.

    `timeline` holds every state entered, oldest first; `reason` belongs to the state it is in ("waiting for 2 CPUs",
    "superseded by abc1234"). `metrics_read` tells that the last of the metrics have been read: until then a run that
    ended is not over. `report_md` is what the run wrote, `log_tail` the end of its log. `not_launchable` says why this
    version cannot start it, else it is empty; `isolation` is a sentence, `caveats` are things a reader must know.

    Experiments of one run and step that differ in `variant` are the cells of a matrix: they share their checks, unless
    `reports_each`. `progress` tells how far the provisioning is ("mnist: 120 of 512 MB"), `walls` what limits and
    isolation were in force, a few words each ("memory 4 GB (cgroup v2)", "network: none"). `peaks` are the highest
    values of the system's metrics by their names (`figures.PEAKS`), memory in bytes. `variables` are those that a
    cell's values stand in, to run it again; never secrets. `settings` are those that a command gave, `params` what its
    config says of how it runs, in plain words. `places` are where its tasks failed, the first first.

    `retry` counts the repetitions that the platform made by itself, and `retry_at` is when the next one is due: until
    then nothing has concluded. `removed_from` is the base branch that has the experiment where the commit does not: it
    is only a name then.
    """

    public_id: str
    workflow: str
    step: str
    state: State
    variant: str = ""
    attempt: int = 1
    reason: str = ""
    timeline: tuple[Observation, ...] = ()
    gates: tuple[GateResult, ...] = ()
    metrics: tuple[MetricFacts, ...] = ()
    metrics_read: bool = False
    caveats: tuple[str, ...] = ()
    exit_code: int | None = None
    is_timed_out: bool = False
    peak_memory_mb: int | None = None
    memory_mb: int | None = None
    command: str = ""
    workdir: str = "."
    machine: str = ""
    environment: str | None = None
    isolation: str = ""
    log_tail: str = ""
    report_md: str | None = None
    picture_url: str | None = None
    details_url: str | None = None
    not_launchable: str = ""
    reports_each: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    tasks: tuple[TaskFacts, ...] = ()
    search: SearchFacts | None = None
    progress: str = ""
    image: ImageFacts | None = None
    gpu: str = ""
    walls: tuple[str, ...] = ()
    peaks: Mapping[str, float] = field(default_factory=dict)
    ports: tuple[PortFacts, ...] = ()
    model: ModelFacts | None = None
    artifacts: ArtifactFacts | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    removed_from: str = ""
    places: tuple[PlaceFacts, ...] = ()
    retry: int = 0
    retry_at: int | None = None

    @property
    def label(self) -> str:
        """`<workflow> / <step>`, as people call it."""
        return f"{self.workflow} / {step_name(self.step, self.variant)}"

    def entered(self, state: State) -> int | None:
        """Return when `state` was entered, None if it was not."""
        return next((seen.at for seen in self.timeline if seen.state is state), None)

    @property
    def ended_at(self) -> int | None:
        return next((seen.at for seen in self.timeline if seen.state.is_final), None)

    @property
    def ran_for(self) -> int | None:
        """How long the command ran, in microseconds; None before it ended or when it never began."""
        begun = self.entered(State.RUNNING)
        ended = self.entered(State.NETWORK_TEARDOWN) or self.ended_at
        return None if begun is None or ended is None else ended - begun

    @property
    def has_run(self) -> bool:
        return self.entered(State.RUNNING) is not None

    @property
    def culprit(self) -> TaskFacts | None:
        """The task that failed first of several, if one did: the attempt's reason names it."""
        failed = [task for task in self.tasks if task.state is State.FAILED] if len(self.tasks) > 1 else []
        named = (task for task in failed if self.reason.startswith(f"{task.name}: "))
        return next(named, next(iter(failed), None))

    @property
    def can_run_alone(self) -> bool:
        """Tell whether its command can be run again by hand: one of several tasks would wait for the others."""
        return len(self.tasks) <= 1 or self.search is not None

    @property
    def last_log(self) -> str:
        """The end of the log in which a failure is explained: that of the task that failed."""
        return self.log_tail if self.culprit is None else self.culprit.log_tail

    @property
    def last_exit(self) -> int | None:
        return self.exit_code if self.culprit is None or self.culprit.exit_code is None else self.culprit.exit_code

    @property
    def best_trial(self) -> Trial | None:
        """The best trial of a search that is over, where it can be run again alone."""
        is_known = self.search is not None and self.search.is_declared and self.is_over
        return self.search.seen(is_done=True).best if self.search is not None and is_known else None

    @property
    def is_over(self) -> bool:
        """Tell whether nothing about it will change: it ended for good, and what it left has been read (if it ran)."""
        return self.state.is_final and self.retry_at is None and (self.metrics_read or not self.has_run)

    @property
    def retry_in(self) -> int:
        """How long the platform waits before it tries again, in microseconds."""
        return max(0, (self.retry_at or 0) - (self.ended_at or 0))

    @property
    def try_number(self) -> int:
        """Which of the tries that the platform makes by itself this is, or is to be next."""
        return self.retry + (1 if self.retry_at is None else 2)

    @property
    def most_tries(self) -> int:
        return TRIES


@dataclass(frozen=True)
class RunFacts:
    """A workflow at the commit. `skipped` says why it does not run here; None when it does.

    `is_held`: nothing of the commit runs until somebody says so, and these are the names that its base asks for.
    """

    workflow: str
    experiments: tuple[ExperimentFacts, ...]
    skipped: str | None = None
    is_held: bool = False


@dataclass(frozen=True)
class CommitFacts:
    """A commit that has a config, or whose base has one (`config_path` is "" then).

    `web_url` is GitHub's own address, such as `https://github.com`. `held` says why nothing of it runs, `pulls` are the
    pull requests whose head it is, `asked` what their bases ask for, `changes` the gates that differ from theirs.
    `requests` are what people asked for, newest first.
    """

    full_name: str
    sha: str
    title: str
    config_path: str
    web_url: str = "https://github.com"
    problems: tuple[Problem, ...] = ()
    runs: tuple[RunFacts, ...] = ()
    details_url: str | None = None
    held: HeldFacts | None = None
    pulls: tuple[PullLine, ...] = ()
    asked: tuple[Demands, ...] = ()
    changes: tuple[GateChange, ...] = ()
    requests: tuple[RequestFacts, ...] = ()
    comparisons: "tuple[ComparisonFacts, ...]" = ()

    @property
    def base(self) -> "ComparisonFacts | None":
        """What the commit stands beside in every table: the branch that it is to go into, if that has results."""
        return next((one for one in self.comparisons if one.is_base and one.experiments), None)

    @property
    def short_sha(self) -> str:
        return self.sha[:7]

    @property
    def repository_url(self) -> str:
        return f"{self.web_url}/{self.full_name}"

    @property
    def url(self) -> str:
        return f"{self.repository_url}/commit/{self.sha}"

    def line_url(self, place: PlaceFacts) -> str:
        """Return GitHub's address of a line of this commit."""
        return f"{self.repository_url}/blob/{self.sha}/{quote(place.path, errors='replace')}#L{place.line}"

    @property
    def config_url(self) -> str:
        return f"{self.repository_url}/blob/{self.sha}/{self.config_path}"

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity != "error")


@dataclass(frozen=True)
class EarlierCommit:
    """How an earlier head of the pull request ended: the conclusion and title of its roll-up, None while unfinished."""

    sha: str
    title: str
    conclusion: str | None
    verdict: str


@dataclass(frozen=True)
class PullFacts:
    """A pull request: the commit at its head, and those that were its head before, newest first.

    `head` is None where neither it nor its base has a config: then there is only what people `asked`.
    `has_comment` tells that its comment was made (or is about to be): it then follows the newest commit.
    `wants_help`: somebody asked what can be asked for.
    """

    number: int
    head: CommitFacts | None
    earlier: tuple[EarlierCommit, ...] = ()
    has_comment: bool = False
    requests: tuple[RequestFacts, ...] = ()
    wants_help: bool = False

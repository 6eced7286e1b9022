"""Check suites and check runs: what an App says of a commit."""

from dataclasses import dataclass, field
from typing import Any

from bot.devhub.model.values import Status


@dataclass(eq=False)
class CheckSuite:
    """All check runs of one App for one commit."""

    id: int
    sha: str
    branch: str | None
    before: str | None
    created_at: int
    runs: "list[CheckRun]" = field(default_factory=list)

    def latest(self) -> "list[CheckRun]":
        """Return the newest run of each name, oldest first: what governs, and what people see."""
        newest = {run.name: run for run in self.runs}
        return sorted(newest.values(), key=lambda run: run.id)

    @property
    def status(self) -> Status:
        latest = self.latest()
        if latest and all(run.status == "completed" for run in latest):
            return "completed"
        return "in_progress" if any(run.status != "queued" for run in latest) else "queued"

    @property
    def conclusion(self) -> str | None:
        """Return the worst conclusion of the newest runs, None while one is unfinished."""
        if self.status != "completed":
            return None
        found = {run.conclusion for run in self.latest()}
        return next((c for c in _WORST_FIRST if c in found), None)

    @property
    def updated_at(self) -> int:
        return max((run.updated_at for run in self.runs), default=self.created_at)


_WORST_FIRST = ("failure", "timed_out", "action_required", "cancelled", "stale", "success", "neutral", "skipped")


@dataclass(frozen=True)
class Output:
    """What a check run says. `summary` and `text` are Markdown."""

    title: str | None = None
    summary: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Moment:
    """One visible state of a check run, for tests that ask what people could see and when."""

    at: int
    status: Status
    conclusion: str | None
    title: str | None


@dataclass(eq=False)
class CheckRun:
    """A check. `history` has each distinct (status, conclusion, title), oldest first."""

    id: int
    suite: CheckSuite = field(repr=False)
    name: str
    created_at: int
    updated_at: int
    started_at: int
    status: Status = "queued"
    conclusion: str | None = None
    completed_at: int | None = None
    external_id: str = ""
    details_url: str | None = None
    output: Output = Output()
    annotations: list[dict[str, Any]] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)
    history: list[Moment] = field(default_factory=list)

    @property
    def sha(self) -> str:
        return self.suite.sha

    def remember(self, at: int) -> None:
        """Note what became visible at `at`, unless nothing did."""
        self.updated_at = at
        moment = Moment(at, self.status, self.conclusion, self.output.title)
        last = self.history[-1] if self.history else None
        if last is None or (last.status, last.conclusion, last.title) != (
            moment.status,
            moment.conclusion,
            moment.title,
        ):
            self.history.append(moment)

"""What we write to GitHub's Checks API, and the form that it takes there (REST reference, "Check runs")."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

ANNOTATIONS_PER_REQUEST = 50
"""GitHub's limit. Each request *appends* its annotations to those that are there."""
ACTIONS = 3
"""GitHub's limit of buttons on a check."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Status(StrEnum):
    """The statuses that an App may set."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class Conclusion(StrEnum):
    """The conclusions that an App may set. For a required check success, neutral and skipped are passing."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    TIMED_OUT = "timed_out"
    ACTION_REQUIRED = "action_required"


class Level(StrEnum):
    """How loud an annotation is."""

    NOTICE = "notice"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Annotation:
    """A remark on lines of a file at the check's commit; lines and columns count from 1.

    `message` at most 64 KiB, `title` at most 255 characters. Columns are sent only when the remark is on one line,
    because GitHub refuses them otherwise.
    """

    path: str
    start_line: int
    end_line: int
    message: str
    level: Level = Level.FAILURE
    title: str = ""
    start_column: int | None = None
    end_column: int | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return GitHub's form. It refuses null, so what is not known is left out."""
        wire: dict[str, Any] = {
            "path": self.path,
            "start_line": self.start_line,
            "end_line": self.end_line,
            "annotation_level": self.level.value,
            "message": self.message,
        }
        if self.title:
            wire["title"] = self.title
        if self.start_line == self.end_line and self.start_column is not None:
            wire["start_column"] = self.start_column
            wire["end_column"] = self.start_column if self.end_column is None else self.end_column
        return wire


@dataclass(frozen=True)
class Action:
    """A button, shown when the check is completed. `label` and `identifier` ≤ 20 characters, `description` ≤ 40."""

    label: str
    description: str
    identifier: str

    def to_wire(self) -> dict[str, str]:
        """Return GitHub's form."""
        return {"label": self.label, "description": self.description, "identifier": self.identifier}


@dataclass(frozen=True)
class CheckWrite:
    """A check as GitHub shall show it. Whoever makes one keeps to GitHub's sizes: 65,535 *bytes* for each text.

    `conclusion` stands exactly with COMPLETED, ValueError otherwise. Times are UTC microseconds; GitHub keeps whole
    seconds. `name` cannot be changed later: a check's name is an API.
    """

    name: str
    status: Status
    title: str
    summary: str
    conclusion: Conclusion | None = None
    text: str = ""
    details_url: str = ""
    started_at: int | None = None
    completed_at: int | None = None
    annotations: tuple[Annotation, ...] = ()
    actions: tuple[Action, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what GitHub would refuse, before it costs a request."""
        if (self.conclusion is not None) != (self.status is Status.COMPLETED):
            raise ValueError(f"check {self.name!r}: a conclusion stands with the status completed and only with it")
        if len(self.actions) > ACTIONS:
            raise ValueError(f"check {self.name!r}: GitHub takes at most {ACTIONS} actions")

    def to_wire(self, annotations_from: int) -> dict[str, Any]:
        """Return the arguments that creating and editing have in common, with at most 50 annotations.

        `text` and `actions` are sent even when empty: an edit must be able to take away what is there.
        """
        output: dict[str, Any] = {"title": self.title, "summary": self.summary, "text": self.text}
        batch = self.annotations[annotations_from : annotations_from + ANNOTATIONS_PER_REQUEST]
        if batch:
            output["annotations"] = [a.to_wire() for a in batch]
        wire: dict[str, Any] = {
            "status": self.status.value,
            "output": output,
            "actions": [a.to_wire() for a in self.actions],
        }
        if self.conclusion is not None:
            wire["conclusion"] = self.conclusion.value
        if self.details_url:
            wire["details_url"] = self.details_url
        for name, time in (("started_at", self.started_at), ("completed_at", self.completed_at)):
            if time is not None:
                wire[name] = _EPOCH + timedelta(microseconds=time)
        return wire

"""What GitHub should show: plain values, compared by their digests with what it was last told."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

SUMMARY_BYTES = 65_535
"""The most that a check's summary, and its text, may have: GitHub counts bytes (github/docs#35252)."""

COMMENT_BYTES = 60_000
"""GitHub takes 65,536 characters a comment; bytes are never fewer, and a page so long helps nobody."""

NAME_BYTES = 255
TITLE_CHARACTERS = 250
ANNOTATIONS = 50
"""GitHub takes 50 annotations a request and *appends* those of a second one: one request's worth is what we show."""


class Status(StrEnum):
    """A check run's status."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class Conclusion(StrEnum):
    """The conclusions of a check run that we use. A required check lets through `success` and `skipped`."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    ACTION_REQUIRED = "action_required"


@dataclass(frozen=True)
class Action:
    """A button on a completed check. `label` and `identifier` have at most 20 characters, `description` 40."""

    label: str
    description: str
    identifier: str


@dataclass(frozen=True)
class Annotation:
    """A remark on a line of a file. Columns only where GitHub allows them: on a single line."""

    path: str
    line: int
    level: Literal["failure", "warning"]
    title: str
    message: str
    column: int | None = None


Kind = Literal["rollup", "experiment", "gate"]


@dataclass(frozen=True)
class CheckView:
    """A check run as it should be shown. `name` is unique in its commit; `experiment` is the public id it belongs to.

    `headline` (64 hexadecimal digits) is equal for two views that differ in nothing but progress: numbers, or a step
    between two states that a glance at the list need not see at once. Times are microseconds.
    """

    name: str
    kind: Kind
    experiment: str | None
    status: Status
    conclusion: Conclusion | None
    title: str
    summary: str
    text: str | None
    headline: str
    annotations: tuple[Annotation, ...] = ()
    actions: tuple[Action, ...] = ()
    details_url: str | None = None
    started_at: int | None = None
    completed_at: int | None = None

    @property
    def is_final(self) -> bool:
        return self.status is Status.COMPLETED

    def digest(self) -> str:
        """Return 64 hexadecimal digits that change with anything that GitHub would show."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the view as JSON-able values, to be stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "CheckView":
        """Return the view that `to_json` wrote."""
        conclusion = value["conclusion"]
        return cls(
            **{
                **value,
                "status": Status(value["status"]),
                "conclusion": None if conclusion is None else Conclusion(conclusion),
                "annotations": tuple(Annotation(**annotation) for annotation in value["annotations"]),
                "actions": tuple(Action(**action) for action in value.get("actions", ())),
            }
        )


@dataclass(frozen=True)
class CommentView:
    """The pull request's comment as it should read. `is_final` when the commit at its head is through."""

    body: str
    is_final: bool

    def digest(self) -> str:
        """Return 64 hexadecimal digits that change with the text."""
        return digest(self.body)


def digest(value: object) -> str:
    """Return 64 hexadecimal digits of a JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

"""What GitHub tells, as our own facts. GitHub's JSON ends in this file.

Shapes are those of GitHub's webhook reference; only the members read here are relied upon, and a payload that
lacks one is `Unreadable`, never an exception.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SHA = re.compile(r"[0-9a-f]{40}")
_NO_SHA = "0" * 40
_MERGE_QUEUE = "refs/heads/gh-readonly-queue/"
PULL_REQUEST_ACTIONS = frozenset({"opened", "reopened", "synchronize", "ready_for_review", "closed"})
REPOSITORY_ACTIONS = frozenset({"renamed", "transferred", "edited", "privatized", "publicized"})


@dataclass(frozen=True)
class Repository:
    """A repository as an event describes it. `installation_id` says whose token opens it."""

    github_id: int
    owner: str
    name: str
    is_private: bool
    default_branch: str
    installation_id: int

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True)
class PushReceived:
    """A branch or a tag moved to `sha`. `before` is None for a new ref."""

    repository: Repository
    ref: str
    before: str | None
    sha: str


@dataclass(frozen=True)
class RefDeleted:
    """A branch or a tag is gone."""

    repository: Repository
    ref: str


@dataclass(frozen=True)
class PullRequestChanged:
    """A pull request was opened, moved, closed or turned to another base (`edited`).

    `updated_at` is GitHub's own text: it sorts, arrival does not.
    """

    repository: Repository
    action: str
    number: int
    sha: str
    head_branch: str
    base_branch: str
    base_sha: str
    updated_at: str
    is_fork: bool


@dataclass(frozen=True)
class MergeGroupRequested:
    """The merge queue asks for checks on a commit that exists nowhere else."""

    repository: Repository
    sha: str
    ref: str
    base_branch: str
    base_sha: str


@dataclass(frozen=True)
class RepositoryChanged:
    """A repository has another name, owner, default branch or visibility by now."""

    repository: Repository


@dataclass(frozen=True)
class Ignored:
    """A delivery that is none of our business, and why."""

    reason: str


@dataclass(frozen=True)
class Unreadable:
    """A delivery that was signed but cannot be understood, and why."""

    reason: str


Event = PushReceived | RefDeleted | PullRequestChanged | MergeGroupRequested | RepositoryChanged


def parse(kind: str, body: bytes) -> Event | Ignored | Unreadable:
    """Return the fact that a verified delivery of `X-GitHub-Event: kind` tells. Total: never raises."""
    parser = _PARSERS.get(kind)
    if parser is None:
        return Ignored(f"event {kind[:80]!r} is not one of ours")
    try:
        payload = json.loads(body)
        # A lone surrogate would raise later, where it is stored or sent.
        json.dumps(payload, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        return Unreadable(f"the body is not JSON that can be read: {type(error).__name__}")
    try:
        return parser(payload)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Unreadable(f"the {kind} payload lacks what GitHub documents: {type(error).__name__} {error}"[:300])


def _repository(payload: Mapping[str, Any]) -> Repository:
    repository = payload["repository"]
    return Repository(
        github_id=_number(repository["id"]),
        owner=_name(repository["owner"]["login"]),
        name=_name(repository["name"]),
        is_private=bool(repository["private"]),
        default_branch=_text(repository["default_branch"]),
        installation_id=_number(payload["installation"]["id"]),
    )


def _push(payload: Mapping[str, Any]) -> Event | Ignored:
    ref = _text(payload["ref"])
    if ref.startswith(_MERGE_QUEUE):
        return Ignored("a merge queue's own branch: its merge_group event says the same")
    if not ref.startswith(("refs/heads/", "refs/tags/")):
        return Ignored(f"{ref[:80]!r} is neither a branch nor a tag")
    repository = _repository(payload)
    if payload["deleted"] is True or payload["after"] == _NO_SHA:
        return RefDeleted(repository, ref)
    before = _text(payload["before"])
    # For an annotated tag `after` is the tag object; the commit it points at is the head commit.
    head = payload.get("head_commit")
    sha = head["id"] if ref.startswith("refs/tags/") and head else payload["after"]
    return PushReceived(repository, ref, None if before == _NO_SHA else _sha(before), _sha(sha))


def _pull_request(payload: Mapping[str, Any]) -> Event | Ignored:
    action = _text(payload["action"])
    # Filters look at the base: were a new one not looked at, checks skipped for the old one would let it merge.
    changes = payload.get("changes")
    is_retargeted = action == "edited" and isinstance(changes, dict) and "base" in changes
    if action not in PULL_REQUEST_ACTIONS and not is_retargeted:
        return Ignored(f"pull_request action {action[:80]!r} changes no commit")
    pull, repository = payload["pull_request"], _repository(payload)
    head, base = pull["head"], pull["base"]
    return PullRequestChanged(
        repository=repository,
        action=action,
        number=_number(payload["number"]),
        sha=_sha(head["sha"]),
        head_branch=_text(head["ref"]),
        base_branch=_text(base["ref"]),
        base_sha=_sha(base["sha"]),
        updated_at=_text(pull["updated_at"]),
        # A deleted fork leaves `head.repo` null: whatever is not this very repository is a stranger's.
        is_fork=head["repo"] is None or head["repo"]["id"] != repository.github_id,
    )


def _merge_group(payload: Mapping[str, Any]) -> Event | Ignored:
    if payload["action"] != "checks_requested":
        return Ignored(f"merge_group action {_text(payload['action'])[:80]!r} asks for nothing")
    group = payload["merge_group"]
    return MergeGroupRequested(
        repository=_repository(payload),
        sha=_sha(group["head_sha"]),
        ref=_text(group["head_ref"]),
        base_branch=_text(group["base_ref"]).removeprefix("refs/heads/"),
        base_sha=_sha(group["base_sha"]),
    )


def _repository_changed(payload: Mapping[str, Any]) -> Event | Ignored:
    action = _text(payload["action"])
    if action not in REPOSITORY_ACTIONS:
        return Ignored(f"repository action {action[:80]!r} changes nothing that we know")
    return RepositoryChanged(_repository(payload))


_PARSERS = {
    "push": _push,
    "pull_request": _pull_request,
    "merge_group": _merge_group,
    "repository": _repository_changed,
}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, {type(value).__name__} found")
    if "\0" in value:
        raise ValueError("a text with a null byte")  # no name that git knows has one, and no program takes it
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise TypeError("a positive number expected")
    return value


def _sha(value: Any) -> str:
    if not isinstance(value, str) or not _SHA.fullmatch(value):
        raise ValueError("a full commit SHA expected")
    return value


def _name(value: Any) -> str:
    """Owners and repositories become parts of URLs and paths: only GitHub's own alphabet may pass."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value) or set(value) == {"."}:
        raise ValueError("not a name that GitHub gives")
    return value

"""Repositories and pull requests as GitHub's API tells of them, and the names that may stand in an address."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.clock import SECOND, time_of

_PART = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._-]{1,100}")
_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Repo:
    """Where a verb acts. ValueError for names that GitHub does not know: they become part of a URL."""

    installation: int
    owner: str
    name: str

    def __post_init__(self) -> None:
        """Refuse names with a slash, a dot path or worse."""
        if not (_PART.fullmatch(self.owner) and _PART.fullmatch(self.name)):
            raise ValueError(f"not the name of a repository: {self.owner!r}/{self.name!r}")

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True)
class Pull:
    """A pull request as it is now. `head_repository_id` is None when the fork it came from is gone.

    `author` is empty where the account is gone, `updated_at` GitHub's own text.
    """

    number: int
    is_open: bool
    is_draft: bool
    title: str
    head_sha: str
    head_branch: str
    head_repository_id: int | None
    base_sha: str
    base_branch: str
    base_repository_id: int
    author: str = ""
    updated_at: str = ""

    @property
    def is_fork(self) -> bool:
        return self.head_repository_id != self.base_repository_id


@dataclass(frozen=True)
class Standing:
    """A repository as it is now. `pushed_at` is when anything was last pushed to it, in seconds."""

    github_id: int
    owner: str
    name: str
    is_private: bool
    default_branch: str
    is_archived: bool
    pushed_at: int


def standing_of(found: Mapping[str, Any]) -> Standing:
    """Return GitHub's JSON of a repository as a value."""
    return Standing(
        github_id=int(found["id"]),
        owner=str(found["owner"]["login"]),
        name=str(found["name"]),
        is_private=bool(found["private"]),
        default_branch=str(found["default_branch"]),
        is_archived=bool(found["archived"]),
        pushed_at=time_of(found["pushed_at"]) // SECOND if found["pushed_at"] else 0,
    )


def pull_of(pull: Mapping[str, Any]) -> Pull:
    """Return GitHub's JSON of a pull request as a value."""
    head, base = pull["head"], pull["base"]
    return Pull(
        number=int(pull["number"]),
        is_open=pull["state"] == "open",
        is_draft=bool(pull.get("draft")),
        title=str(pull["title"]),
        head_sha=checked_sha(head["sha"]),
        head_branch=str(head["ref"]),
        head_repository_id=int(head["repo"]["id"]) if head["repo"] else None,
        base_sha=checked_sha(base["sha"]),
        base_branch=str(base["ref"]),
        base_repository_id=int(base["repo"]["id"]),
        author=str(pull["user"]["login"]) if pull["user"] else "",
        updated_at=str(pull["updated_at"]),
    )


def checked_sha(sha: str) -> str:
    if not _SHA.fullmatch(sha):
        raise ValueError(f"not a whole commit id: {sha!r}")
    return sha

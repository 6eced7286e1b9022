"""Repositories, their pull requests, and what is said there."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bot.devhub.model.accounts import Account
from bot.devhub.model.checks import CheckRun, CheckSuite
from bot.devhub.model.values import RANK, Role


@dataclass(eq=False)
class Reaction:
    """What somebody felt about a comment: one of GitHub's eight, as `+1`."""

    id: int
    user: Account
    content: str
    created_at: int


@dataclass(eq=False)
class Comment:
    """A comment on a pull request. `edited_by` is who edited it last, None as long as nobody did."""

    id: int
    author: Account
    body: str
    created_at: int
    updated_at: int
    edited_by: Account | None = None
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(eq=False)
class CommitComment:
    """A comment on a commit."""

    id: int
    author: Account
    sha: str
    body: str
    created_at: int


@dataclass(eq=False)
class Pull:
    """A pull request. `head_repository` is another than `repository` for one from a fork."""

    id: int
    number: int
    repository: "Repository" = field(repr=False)
    head_repository: "Repository" = field(repr=False)
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    title: str
    body: str
    author: Account
    is_draft: bool
    created_at: int
    updated_at: int
    closed_at: int | None = None
    merged_at: int | None = None
    merged_by: Account | None = None
    merge_commit_sha: str | None = None
    is_queued: bool = False
    comments: list[Comment] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def is_fork(self) -> bool:
        return self.head_repository is not self.repository


@dataclass(frozen=True)
class MergeGroup:
    """A commit that the merge queue made of a pull request, at `ref` of its own, for checks to look at."""

    pull: Pull
    sha: str
    ref: str
    base_sha: str
    base_ref: str


@dataclass(frozen=True)
class RequiredCheck:
    """A check without which nothing gets into a branch. `app_id` is the App that must report it, None: anybody may.

    It stands in a ruleset, or in the older protection of the branch (`is_classic`).
    """

    branch: str
    name: str
    app_id: int | None
    is_classic: bool


@dataclass(eq=False)
class Repository:
    """A repository; its bare git repository is at `path`. A deleted one is still what its forks' pulls point at."""

    id: int
    owner: Account
    name: str
    is_private: bool
    default_branch: str
    path: Path
    created_at: int
    pushed_at: int
    parent: "Repository | None" = field(default=None, repr=False)
    any_sha: bool = True
    is_archived: bool = False
    is_deleted: bool = False
    collaborators: dict[str, Role] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict, repr=False)
    merge_groups: dict[str, MergeGroup] = field(default_factory=dict, repr=False)
    suites: dict[str, CheckSuite] = field(default_factory=dict, repr=False)
    commit_comments: list[CommitComment] = field(default_factory=list, repr=False)
    required_checks: list[RequiredCheck] = field(default_factory=list, repr=False)
    push_lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    def role_of(self, account: Account) -> Role:
        """Return what the account may do here; everybody reads what is public."""
        if account is self.owner:
            return "admin"
        return self.collaborators.get(account.login.lower(), "none" if self.is_private else "read")

    def grants(self, account: Account, role: Role) -> bool:
        """Tell whether the account has `role` or more."""
        return RANK[self.role_of(account)] >= RANK[role]

    def required_on(self, branch: str, *, classic: bool) -> list[RequiredCheck]:
        """Return what must pass on a branch, by rulesets or by the older protection."""
        return [one for one in self.required_checks if one.branch == branch and one.is_classic is classic]

    def open_pulls(self) -> list[Pull]:
        return [pull for pull in self.pulls.values() if pull.is_open]

    def runs(self) -> "Iterator[CheckRun]":
        return itertools.chain.from_iterable(suite.runs for suite in self.suites.values())

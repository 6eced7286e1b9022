"""What GitHub remembers: accounts, repositories, pull requests, checks, comments, the App and its installations.

Records with behaviour and nothing else: no HTTP, no git, no JSON. Times are UTC microseconds. Every change is made
while `World.lock` is held.
"""

import itertools
import re
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

RESERVED = frozenset({"api", "app", "installation", "meta", "rate_limit", "repos", "repositories", "user", "users"})
"""First parts of our own URLs: an owner of that name would hide behind them."""
NO_SHA = "0" * 40
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")

Role = Literal["admin", "maintain", "write", "triage", "read", "none"]
Status = Literal["queued", "in_progress", "completed"]


def iso(at: int) -> str:
    """Return microseconds as GitHub writes times: whole seconds, UTC, `Z`."""
    return datetime.fromtimestamp(at // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(eq=False)
class Account:
    """A person, an organization or an App's bot. `token` opens git (as the password) and the API."""

    id: int
    login: str
    kind: Literal["User", "Organization", "Bot"]
    token: str = field(default_factory=lambda: "ghp_" + secrets.token_hex(18), repr=False)

    @property
    def email(self) -> str:
        return f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass(eq=False)
class Comment:
    """A comment on a pull request."""

    id: int
    author: Account
    body: str
    created_at: int
    updated_at: int


@dataclass(eq=False)
class CommitComment:
    """A comment on a commit."""

    id: int
    author: Account
    sha: str
    body: str
    created_at: int


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
    comments: list[Comment] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def is_fork(self) -> bool:
        return self.head_repository is not self.repository


@dataclass(eq=False)
class Repository:
    """A repository; its bare git repository is at `path`."""

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
    collaborators: dict[str, Role] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict, repr=False)
    suites: dict[str, CheckSuite] = field(default_factory=dict, repr=False)
    commit_comments: list[CommitComment] = field(default_factory=list, repr=False)
    push_lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    def role_of(self, account: Account) -> Role:
        if account is self.owner:
            return "admin"
        return self.collaborators.get(account.login.lower(), "none" if self.is_private else "read")

    def open_pulls(self) -> list[Pull]:
        return [pull for pull in self.pulls.values() if pull.is_open]

    def runs(self) -> "Iterator[CheckRun]":
        return itertools.chain.from_iterable(suite.runs for suite in self.suites.values())


@dataclass(eq=False)
class App:
    """The GitHub App under test, and the credentials that its bot needs."""

    id: int
    slug: str
    name: str
    client_id: str
    owner: Account
    bot: Account
    permissions: dict[str, str]
    events: tuple[str, ...]
    created_at: int
    private_key: str = field(repr=False)
    public_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


@dataclass(eq=False)
class Installation:
    """The App on one account. `selected` None means all of its repositories, else ids."""

    id: int
    account: Account
    created_at: int
    selected: set[int] | None = None

    def covers(self, repository: Repository) -> bool:
        if repository.owner is not self.account:
            return False
        return self.selected is None or repository.id in self.selected


class World:
    """All accounts and repositories, found by name or id. Names are compared as GitHub does: without case."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.accounts: dict[str, Account] = {}
        self.repositories: dict[int, Repository] = {}
        self.installations: dict[int, Installation] = {}
        self._names: dict[str, int] = {}
        self._ids = itertools.count(1001)

    def new_id(self) -> int:
        return next(self._ids)

    def account(self, login: str, kind: Literal["User", "Organization", "Bot"] = "User") -> Account:
        """Return the account of that name; whoever is mentioned for the first time joins."""
        if kind != "Bot" and (not _NAME.fullmatch(login) or login.lower() in RESERVED):
            raise ValueError(f"{login!r} cannot be the name of an account")
        if login.lower() not in self.accounts:
            self.accounts[login.lower()] = Account(self.new_id(), login, kind)
        return self.accounts[login.lower()]

    def add(self, repository: Repository) -> None:
        if not _NAME.fullmatch(repository.name) or repository.name.endswith(".git"):
            raise ValueError(f"{repository.name!r} cannot be the name of a repository")
        if self.find(repository.owner.login, repository.name) is not None:
            raise ValueError(f"{repository.full_name} exists already")
        self.repositories[repository.id] = repository
        self._names[repository.full_name.lower()] = repository.id

    def rename(self, repository: Repository, name: str) -> None:
        """Give a new name; the old one goes on leading to it, as GitHub's redirects do."""
        repository.name = name
        self._names[repository.full_name.lower()] = repository.id

    def find(self, owner: str, name: str) -> Repository | None:
        """Return the repository that has, or had, this name."""
        found = self._names.get(f"{owner}/{name}".lower())
        return None if found is None else self.repositories.get(found)

    def installation_on(self, repository: Repository) -> Installation | None:
        return next((i for i in self.installations.values() if i.covers(repository)), None)

    def pull_of_comment(self, repository: Repository, comment_id: int) -> tuple[Pull, Comment] | None:
        for pull in repository.pulls.values():
            for comment in pull.comments:
                if comment.id == comment_id:
                    return pull, comment
        return None

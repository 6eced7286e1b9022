"""What GitHub tells, as our own facts. `bot.core.payloads` makes them; nothing behind it knows GitHub's JSON."""

from dataclasses import dataclass


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
    """A branch or a tag moved to `sha`. `before` is None for a new ref, `pushed_at` is GitHub's own time in seconds."""

    repository: Repository
    ref: str
    before: str | None
    sha: str
    sender: str = ""
    pushed_at: int = 0


@dataclass(frozen=True)
class RefDeleted:
    """A branch or a tag is gone."""

    repository: Repository
    ref: str
    pushed_at: int = 0


@dataclass(frozen=True)
class PullRequestChanged:
    """A pull request was opened, moved, closed, made ready or a draft, or turned to another base (`edited`).

    `updated_at` is GitHub's own text: it sorts, arrival does not. `author` opened it.
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
    author: str = ""
    is_draft: bool = False
    is_open: bool = True


@dataclass(frozen=True)
class MergeGroupRequested:
    """The merge queue asks for checks on a commit that exists nowhere else."""

    repository: Repository
    sha: str
    ref: str
    base_branch: str
    base_sha: str
    sender: str = ""


@dataclass(frozen=True)
class MergeGroupDestroyed:
    """The merge queue needs a commit's checks no more: `merged`, `invalidated` or `dequeued`."""

    repository: Repository
    sha: str
    reason: str


@dataclass(frozen=True)
class RepositoryChanged:
    """A repository has another name, owner, default branch or visibility by now, or is no archive any more."""

    repository: Repository


@dataclass(frozen=True)
class RepositoryClosed:
    """Nothing can be told to a repository any more: `deleted` or `archived`."""

    repository: Repository
    action: str


@dataclass(frozen=True)
class InstallationChanged:
    """The App was installed or removed, suspended or let in again, or may reach other repositories than before.

    `added` and `removed` are GitHub's ids of repositories, those of the whole installation where it begins or ends.
    """

    installation_id: int
    account: str
    action: str
    added: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()


@dataclass(frozen=True)
class CommentMade:
    """Somebody commented on a pull request. `created_at` is GitHub's own text."""

    repository: Repository
    number: int
    comment_id: int
    body: str
    sender: str
    created_at: str


@dataclass(frozen=True)
class CommentTouched:
    """A comment was changed or deleted: it may be ours."""

    repository: Repository
    number: int
    comment_id: int


@dataclass(frozen=True)
class RerunAsked:
    """Somebody pressed "Re-run" beside a check run (`check_id`), or for all of a commit (None)."""

    repository: Repository
    sha: str
    sender: str
    check_id: int | None = None
    branch: str | None = None


@dataclass(frozen=True)
class ActionAsked:
    """Somebody pressed one of the buttons that we put on a check run."""

    repository: Repository
    sha: str
    sender: str
    check_id: int
    identifier: str


@dataclass(frozen=True)
class Ignored:
    """A delivery that is none of our business, and why."""

    reason: str


@dataclass(frozen=True)
class Unreadable:
    """A delivery that was signed but cannot be understood, and why."""

    reason: str


Wanted = PushReceived | MergeGroupRequested | PullRequestChanged
"""Events that may want something built."""

Asked = CommentMade | RerunAsked | ActionAsked
"""Events by which a person asks for something."""

Event = (
    Wanted
    | Asked
    | RefDeleted
    | MergeGroupDestroyed
    | RepositoryChanged
    | RepositoryClosed
    | InstallationChanged
    | CommentTouched
)

"""A commit that somebody wants built: what an event, a person or a look at GitHub makes of it, in one shape."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bot.core import events
from bot.core.config import EventKind
from bot.forge.repo import Pull
from bot.store.asking import Asking

_KINDS = {
    "push": EventKind.PUSHES,
    "pull_request": EventKind.PULL_REQUESTS,
    "merge_group": EventKind.MERGE_QUEUE,
    "command": EventKind.COMMAND,
}


@dataclass(frozen=True)
class Asked:
    """What a person wants of a commit: `by` whom, and how it was said (`cause`: command, rerun, approval).

    `again` are experiments that are to be tried once more although they have ended. `only` are the workflows that are
    looked at, None for all. `names` are those that a command names (none: all that take commands, tried once more),
    None where it was no command; `settings` are variables that it gives.
    """

    by: str
    cause: str
    again: frozenset[int] = frozenset()
    only: frozenset[str] | None = None
    names: frozenset[str] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Build:
    """A commit that is to be built. `number` and what follows are those of its pull request, if it has one.

    `ref` is what was pushed, or the base that it is to be merged into; `fetch_ref` is where git finds the commit,
    `compare_with` the commit whose files it is compared with. `author` is the person whose doing it is. `updated_at` is
    GitHub's own time of the pull request.

    `asked` is set where a person asked for it, `approved_by` where somebody said that this very commit, which comes
    from outside, may run.
    """

    repository: events.Repository
    sha: str
    ref: str
    event: str
    kind: EventKind
    fetch_ref: str
    compare_with: str | None
    author: str = ""
    number: int = 0
    updated_at: str = ""
    is_fork: bool = False
    is_draft: bool = False
    pushed_at: int = 0
    asked: Asked | None = None
    approved_by: str = ""

    @property
    def base_branch(self) -> str | None:
        """The branch that the commit is to be merged into, None where it is not to be merged."""
        is_merged = self.kind in (EventKind.PULL_REQUESTS, EventKind.MERGE_QUEUE)
        return self.ref.removeprefix("refs/heads/") if is_merged else None

    @property
    def place(self) -> str:
        """Whose runs it replaces: those of the same pull request, or of the same ref."""
        return f"pull/{self.number}" if self.number else self.ref


def of_event(event: events.Wanted) -> Build:
    """Return what an event wants built."""
    match event:
        case events.PushReceived():
            return Build(
                event.repository,
                event.sha,
                event.ref,
                "push",
                EventKind.PUSHES,
                fetch_ref=event.ref,
                compare_with=event.before,
                author=event.sender,
                pushed_at=event.pushed_at,
            )
        case events.MergeGroupRequested():
            return Build(
                event.repository,
                event.sha,
                f"refs/heads/{event.base_branch}",
                "merge_group",
                EventKind.MERGE_QUEUE,
                fetch_ref=event.ref,
                compare_with=event.base_sha,
                author=event.sender,
            )
        case events.PullRequestChanged():
            return Build(
                event.repository,
                event.sha,
                f"refs/heads/{event.base_branch}",
                "pull_request",
                EventKind.PULL_REQUESTS,
                fetch_ref=f"refs/pull/{event.number}/head",
                compare_with=event.base_sha,
                author=event.author,
                number=event.number,
                updated_at=event.updated_at,
                is_fork=event.is_fork,
                is_draft=event.is_draft,
            )


def of_pull(repository: events.Repository, pull: Pull) -> Build:
    """Return the head of a pull request as GitHub shows it now."""
    return Build(
        repository,
        pull.head_sha,
        f"refs/heads/{pull.base_branch}",
        "pull_request",
        EventKind.PULL_REQUESTS,
        fetch_ref=f"refs/pull/{pull.number}/head",
        compare_with=pull.base_sha,
        author=pull.author,
        number=pull.number,
        updated_at=pull.updated_at,
        is_fork=pull.is_fork,
        is_draft=pull.is_draft,
    )


def of_branch(repository: events.Repository, branch: str, sha: str) -> Build:
    """Return the head of a branch, as somebody wants it built without a push."""
    ref = f"refs/heads/{branch}"
    return Build(repository, sha, ref, "command", EventKind.COMMAND, fetch_ref=ref, compare_with=None)


def of_tag(repository: events.Repository, tag: str, sha: str) -> Build:
    """Return the commit that a tag names, as if it had just been pushed."""
    ref = f"refs/tags/{tag}"
    return Build(repository, sha, ref, "push", EventKind.PUSHES, fetch_ref=ref, compare_with=None)


def of_sha(repository: events.Repository, sha: str) -> Build:
    """Return a commit by itself. Nothing but the default branch's newest config says what it may have."""
    return Build(repository, sha, sha, "command", EventKind.PUSHES, fetch_ref=sha, compare_with=None)


def as_asked(build: Build, asked: Asked, approved_by: str = "") -> Build:
    """Return the same commit, as a person wants it."""
    return replace(build, asked=asked, approved_by=approved_by)


def as_push(build: Build) -> Build:
    """Return the head of a branch as if it had just been pushed there."""
    return replace(build, event="push", kind=EventKind.PUSHES)


def of_asking(repository: events.Repository, sha: str, asking: Asking) -> Build:
    """Return a commit that was built before, for the reason that it then had."""
    kind = _KINDS[asking.event]
    return Build(
        repository,
        sha,
        asking.ref,
        asking.event,
        kind,
        fetch_ref=f"refs/pull/{asking.number}/head" if asking.number else asking.ref,
        # What changed since then is not known here: everything may have.
        compare_with=None,
        author=asking.author,
        number=asking.number,
        updated_at=asking.updated_at,
        is_fork=asking.is_fork,
        is_draft=asking.is_draft,
    )

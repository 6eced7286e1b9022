"""What follows when refs have moved, however they were moved: events, pull requests, check suites.

GitHub's rules: no event for tags when more than three are pushed at once, none for branches beyond 5,000; at most
2,048 commits are listed; a pull request follows its head branch and is closed when the branch is deleted.
"""

from dataclasses import dataclass
from typing import Any

from bot.devhub.git import Commit, Git, GitError
from bot.devhub.manifest import allows
from bot.devhub.model import NO_SHA, Account, Pull, Repository
from bot.devhub.site import Site

_MOST_TAGS = 3
_MOST_BRANCHES = 5_000
_MOST_COMMITS = 2_048


@dataclass(frozen=True)
class Move:
    """A ref that moved. `before` or `after` is forty zeros for one that is new or gone."""

    ref: str
    before: str
    after: str

    @property
    def branch(self) -> str | None:
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else None


def moves(before: dict[str, str], after: dict[str, str]) -> list[Move]:
    """Return what changed between two readings of the refs, branches first."""
    changed = (ref for ref in {**before, **after} if before.get(ref) != after.get(ref))
    return [Move(ref, before.get(ref, NO_SHA), after.get(ref, NO_SHA)) for ref in sorted(changed)]


def after_push(site: Site, repository: Repository, pusher: Account, before: dict[str, str]) -> dict[str, str]:
    """Tell the App of everything that moved since `before`, let pull requests follow; return the refs as they are."""
    refs = site.git(repository).refs()
    changed = moves(before, refs)
    with site.world.lock:
        if changed:
            repository.pushed_at = site.clock.now()
        for move in _told(changed):
            site.emit("push", repository, pusher, _push_payload(site, repository, pusher, move, before))
        for move in changed:
            if move.branch is not None:
                _open_suite(site, repository, pusher, move)
                _follow(site, repository, pusher, move)
    return refs


def _told(changed: list[Move]) -> list[Move]:
    branches = [move for move in changed if move.branch is not None]
    tags = [move for move in changed if move.branch is None]
    return (branches if len(branches) <= _MOST_BRANCHES else []) + (tags if len(tags) <= _MOST_TAGS else [])


def _open_suite(site: Site, repository: Repository, pusher: Account, move: Move) -> None:
    """GitHub opens a check suite for each App that may write checks, at every push of a commit new to it."""
    installation = site.world.installation_on(repository)
    permissions = site.app.permissions if installation is None else installation.permissions
    if move.after == NO_SHA or move.after in repository.suites or not allows(permissions, "checks", "write"):
        return
    suite = site.suite(repository, move.after, move.branch, move.before)
    head = site.commit(repository, suite.sha)
    shape = site.shapes.check_suite(repository, suite, site.app, head)
    site.emit("check_suite", repository, pusher, {"action": "requested", "check_suite": shape})


def _follow(site: Site, repository: Repository, pusher: Account, move: Move) -> None:
    for other in list(site.world.repositories.values()):
        for pull in other.open_pulls():
            if pull.head_repository is repository and pull.head_ref == move.branch:
                _head_moved(site, pull, pusher, move)


def _head_moved(site: Site, pull: Pull, pusher: Account, move: Move) -> None:
    pull.updated_at = site.clock.now()
    if move.after == NO_SHA:
        pull.closed_at = site.clock.now()
        emit_pull(site, pull, pusher, "closed")
        return
    pull.head_sha = move.after
    pull.base_sha = site.git(pull.repository).tip(pull.base_ref) or pull.base_sha
    keep_head(site, pull)
    emit_pull(site, pull, pusher, "synchronize", before=move.before, after=move.after)


def keep_head(site: Site, pull: Pull) -> None:
    """Point `refs/pull/<number>/head` at the head; a fork's commits are fetched into the repository first."""
    git = site.git(pull.repository)
    if pull.is_fork:
        source, ref = str(pull.head_repository.path), f"refs/pull/{pull.number}/head"
        git.run("fetch", "--quiet", "--no-tags", source, f"+{pull.head_sha}:{ref}")
    else:
        git.run("update-ref", f"refs/pull/{pull.number}/head", pull.head_sha)


def emit_pull(site: Site, pull: Pull, sender: Account, action: str, **more: Any) -> None:
    """Send a `pull_request` event."""
    shape = site.full_pull(pull, site.shapes)
    payload = {"action": action, "number": pull.number, "pull_request": shape, **more}
    site.emit("pull_request", pull.repository, sender, payload)


def _push_payload(
    site: Site, repository: Repository, pusher: Account, move: Move, before: dict[str, str]
) -> dict[str, Any]:
    git, shapes = site.git(repository), site.shapes
    created, deleted = move.before == NO_SHA, move.after == NO_SHA
    head = None if deleted else _head(site, repository, move.after)
    commits = [] if deleted or move.branch is None else _new_commits(git, move, before)
    span = move.after[:12] if created or deleted else f"{move.before[:12]}...{move.after[:12]}"
    return {
        "ref": move.ref,
        "before": move.before,
        "after": move.after,
        "repository": _as_pushed(site, repository),
        "pusher": {"name": pusher.login, "email": pusher.email},
        "created": created,
        "deleted": deleted,
        "forced": not created and not deleted and not git.is_ancestor(move.before, move.after),
        "base_ref": _base_ref(move, head, before),
        "compare": f"{shapes.page(repository)}/compare/{span}",
        "commits": [shapes.pushed_commit(repository, commit) for commit in commits],
        "head_commit": None if head is None else shapes.pushed_commit(repository, head),
    }


def _head(site: Site, repository: Repository, sha: str) -> Commit | None:
    """Return the commit that a ref names; a tag may name a tree or a file as well."""
    try:
        return site.commit(repository, sha)
    except GitError:
        return None


def _new_commits(git: Git, move: Move, before: dict[str, str]) -> list[Commit]:
    """Return the commits that the push brought to this branch, oldest first."""
    known = [move.before] if move.before != NO_SHA else sorted(set(before.values()))
    return git.log(move.after, *(f"^{sha}" for sha in known), limit=_MOST_COMMITS)[::-1]


def _base_ref(move: Move, head: Commit | None, before: dict[str, str]) -> str | None:
    """Return the branch that a new ref starts at, where there is one: GitHub's `base_ref`."""
    if move.before != NO_SHA or head is None:
        return None
    return next((ref for ref, sha in before.items() if sha == head.sha and ref.startswith("refs/heads/")), None)


def _as_pushed(site: Site, repository: Repository) -> dict[str, Any]:
    """Return the repository as push payloads alone have it: times as numbers, the owner with a name."""
    shape, owner = site.shapes.repository(repository), repository.owner
    seconds = {"created_at": repository.created_at // 1_000_000, "pushed_at": repository.pushed_at // 1_000_000}
    named = {"owner": shape["owner"] | {"name": owner.login, "email": owner.email}}
    return shape | seconds | named | {"stargazers": 0, "master_branch": repository.default_branch}

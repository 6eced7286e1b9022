"""What of a checkout is to be run: as a push or a pull request would have it, or by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.core import config, events
from bot.core.config import MAX_BYTES, Config, EventKind
from bot.core.plan import Policy, Trigger, plan
from bot.forge.git import FileError, GitCache, RepositoryId
from bot.run.checkout import Checkout
from bot.run.errors import CannotRun
from bot.run.sources import Snapshots
from bot.worker.build import Builder, Decision, Nothing
from bot.worker.builds import Asked, Build
from bot.worker.configs import Found

_NUMBER = 1
"""Of the pull request that a checkout is run as."""


@dataclass(frozen=True)
class Wish:
    """What somebody (`by`) wants: `names` are workflows, `settings` variables of their runs.

    Without names it is what would run if the checkout were pushed to `branch` (None: the one it is on), or proposed to
    be merged into `pull`.
    """

    by: str
    names: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    branch: str | None = None
    pull: str | None = None


def config_of(git: GitCache, repository: events.Repository, sha: str, checkout: Checkout) -> tuple[Found, str]:
    """Return the config of a snapshot and its text. Raises CannotRun where there is none."""
    found = Snapshots(git).open(repository, sha, "").config(sha)
    if found is None:
        raise CannotRun(_why_no_config(checkout))
    where = RepositoryId(repository.github_id, repository.owner, repository.name)
    try:
        text = git.read_file(where, sha, found.path, MAX_BYTES, None)
    except FileError:  # a link, for instance, which is one of its problems
        text = b""
    return found, text.decode(errors="replace")


def _why_no_config(checkout: Checkout) -> str:
    """A config that lies there may be ignored by git, and that of a repository lies in its root."""
    ours = config.CONFIG_PATHS[0]
    if (checkout.root / ours).exists():
        return f"{checkout.root / ours} is ignored by git: a bot would not see it either"
    above = next((one for one in checkout.root.parents if (one / ours).exists()), None)
    if above is not None:
        return f"{checkout.root} has no config of its own; that of {above} is run by: experiment-ci run {above}"
    return f"{checkout.root} has no {' or '.join(config.CONFIG_PATHS)} of ours; `experiment-ci init` proposes one"


def build_of(
    wish: Wish, checkout: Checkout, repository: events.Repository, sha: str, again: frozenset[int] = frozenset()
) -> Build:
    """Return the snapshot `sha` as something that a person wants built; `again` was tried before."""
    only = frozenset(wish.names) if wish.names else None
    asked = Asked(wish.by, "command", again, only=only, settings=wish.settings)
    ref = f"refs/heads/{wish.pull or wish.branch or checkout.branch or checkout.default_branch}"
    kind, event, number = EventKind.PUSHES, "push", 0
    if wish.pull is not None:
        kind, event, number = EventKind.PULL_REQUESTS, "pull_request", _NUMBER
    return Build(
        repository, sha, ref, event, kind, fetch_ref=ref, compare_with=None, author=wish.by, number=number, asked=asked
    )


def decide(builder: Builder, build: Build, found: Config) -> Decision:
    """Return what is to be done. Raises CannotRun where that is nothing, or a name is unknown."""
    names = [workflow.name for workflow in found.workflows]
    only = build.asked.only if build.asked is not None else None
    if unknown := sorted((only or frozenset()) - set(names)):
        raise CannotRun(f"there is no workflow `{unknown[0]}`; there are {_listed(names)}")
    decision = builder.decide(build)
    if isinstance(decision, Nothing) or not any(run.is_run for run in decision.chosen):
        raise CannotRun(_why_nothing(build, found))
    return decision


def _why_nothing(build: Build, found: Config) -> str:
    policy = Policy.of(build.repository.default_branch, found)
    reasons: dict[str, list[str]] = {}
    for run in plan(found, policy, Trigger(build.kind, build.ref, build.number)).runs:
        reasons.setdefault(run.reason or "waiting for a command", []).append(run.workflow.name)
    told = "; ".join(f"{_listed(names)}: {reason}" for reason, names in reasons.items())
    what = "a pull request into" if build.number else "a push to"
    branch = build.ref.removeprefix("refs/heads/")
    return f"{what} {branch} would run nothing ({told}). Name a workflow, or say --branch or --pull"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)

"""The plan: what an event means for a config. Values in, values out; nothing is started here."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bot.core.config import AnyParams, Config, EventKind, Workflow
from bot.core.limits import Limits, for_strangers
from bot.core.permission import Permission


@dataclass(frozen=True)
class Policy:
    """What the default branch allows, whatever a branch's own config says.

    `default_branch` is built without being asked for; others must be selected by a filter or a pull request.
    `secrets` are the names that the default branch's config gives to experiments, `pulls_write_storage` tells whether
    it lets other code than its own write to the project's storage. `strangers` are the limits of code from outside.
    """

    default_branch: str
    secrets: frozenset[str] = frozenset()
    pulls_write_storage: bool = False
    command_role: Permission | None = None
    trusted_bots: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    strangers: Limits = field(default_factory=lambda: for_strangers(None))

    def to_json(self) -> dict[str, Any]:
        """Return what the repository's row keeps of it: what is asked without reading the config again."""
        return {"limits": self.limits.to_json(), "command_role": self.command_role}

    @classmethod
    def of(cls, default_branch: str, config: Config | None) -> "Policy":
        """Return what the default branch's config allows; None where it has none that can be read."""
        if config is None:
            return cls(default_branch)
        return cls(
            default_branch,
            config.secret_names(),
            config.pulls_write_storage,
            config.command_role,
            config.trusted_bots,
            config.limits,
            for_strangers(config),
        )


@dataclass(frozen=True)
class Trigger:
    """Why we plan. `ref` is the full ref that was pushed, or the *base* of a pull request or merge group.

    A pull request is matched by its base branch: were it matched by its own, its author could name it past a gate.
    `changed` is None when the list of changed paths is not known: then everything may have changed. `asked` are the
    workflows that a person asks for by name.
    """

    kind: EventKind
    ref: str
    number: int = 0
    changed: Sequence[str] | None = None
    asked: frozenset[str] = frozenset()

    @property
    def branch(self) -> str | None:
        """The branch's name, None for a tag."""
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else None

    @property
    def tag(self) -> str | None:
        """The tag's name, None for a branch."""
        return self.ref.removeprefix("refs/tags/") if self.ref.startswith("refs/tags/") else None


@dataclass(frozen=True)
class Grants:
    """What a run may have: these secrets; storage that keeps what it writes; no more than `limits`.

    `is_default_branch`: the code is its. `is_trusted` False: somebody from outside wrote it, and it was approved.
    """

    secrets: frozenset[str]
    keeps_storage: bool
    is_default_branch: bool
    is_trusted: bool = True
    limits: Limits = field(default_factory=Limits)


def grants(policy: Policy, trigger: Trigger, *, is_trusted: bool = True) -> Grants:
    """Return what runs may have: what the default branch's config allows, for nobody gives a right to himself.

    What was pushed to the default branch itself writes to the storage as well; everything else (a branch, a pull
    request, a merge group, a tag) only where that config lets it. Code from outside has nothing but its commands.
    """
    if not is_trusted:
        return Grants(
            frozenset(), keeps_storage=False, is_default_branch=False, is_trusted=False, limits=policy.strangers
        )
    is_pushed = trigger.kind in (EventKind.PUSHES, EventKind.COMMAND)
    if is_pushed and trigger.branch == policy.default_branch:
        return Grants(policy.secrets, keeps_storage=True, is_default_branch=True, limits=policy.limits)
    return Grants(
        policy.secrets, keeps_storage=policy.pulls_write_storage, is_default_branch=False, limits=policy.limits
    )


class Decision(StrEnum):
    """What becomes of a workflow. SILENT posts nothing at all, SKIP concludes its checks as skipped."""

    RUN = "run"
    SKIP = "skip"
    SILENT = "silent"


@dataclass(frozen=True)
class PlannedRun:
    """A workflow with its decision; `reason` says why it is skipped, for people."""

    workflow: Workflow
    position: int
    decision: Decision
    reason: str = ""

    @property
    def is_run(self) -> bool:
        return self.decision is Decision.RUN


@dataclass(frozen=True)
class Plan:
    """The workflows of a config, decided. `is_reported` is False when the commit is none of our business."""

    runs: tuple[PlannedRun, ...]
    is_reported: bool

    @property
    def visible(self) -> tuple[PlannedRun, ...]:
        """The runs that have checks on the commit."""
        return tuple(run for run in self.runs if run.decision is not Decision.SILENT)


def is_watched(policy: Policy, trigger: Trigger) -> bool:
    """Tell whether a commit is built (and its config's errors told) without a filter that asks for it."""
    if trigger.kind is EventKind.PUSHES:
        return trigger.branch == policy.default_branch
    return True


def plan(config: Config, policy: Policy, trigger: Trigger, *, wanted: Collection[str] = (), why_skip: str = "") -> Plan:
    """Decide every workflow of `config` for `trigger`.

    `wanted` are names of workflows that run whatever the config's own filters say: those that the base branch selects.
    `why_skip` is a reason to skip all that would run: the commit's message asks for it.
    """
    runs = []
    for position, workflow in enumerate(config.workflows):
        chosen = _decide(workflow, position, policy, trigger, is_wanted=workflow.name in wanted)
        if why_skip and chosen.is_run:
            chosen = PlannedRun(workflow, position, Decision.SKIP, why_skip)
        runs.append(chosen)
    is_selected = any(run.is_run or run.reason == why_skip != "" for run in runs)
    return Plan(tuple(runs), is_selected or is_watched(policy, trigger))


def _decide(workflow: Workflow, position: int, policy: Policy, trigger: Trigger, *, is_wanted: bool) -> PlannedRun:
    if trigger.kind is EventKind.COMMAND:
        return _decide_command(workflow, position, trigger)
    triggers = workflow.triggers
    if is_wanted:
        return PlannedRun(workflow, position, Decision.RUN)
    if triggers.events == frozenset({EventKind.COMMAND}):
        return PlannedRun(workflow, position, Decision.SILENT)
    reason = _why_not(workflow, policy, trigger)
    if not reason:
        return PlannedRun(workflow, position, Decision.RUN)
    # A required check must conclude on every pull request and merge group, or it would block for ever.
    waits_for_us = trigger.kind in (EventKind.PULL_REQUESTS, EventKind.MERGE_QUEUE)
    return PlannedRun(workflow, position, Decision.SKIP if waits_for_us else Decision.SILENT, reason)


def _decide_command(workflow: Workflow, position: int, trigger: Trigger) -> PlannedRun:
    """A person asked: filters say what runs by itself, so they have no say here."""
    takes_commands = EventKind.COMMAND in workflow.triggers.events
    is_asked = workflow.name in trigger.asked if trigger.asked else True
    return PlannedRun(workflow, position, Decision.RUN if takes_commands and is_asked else Decision.SILENT)


def _why_not(workflow: Workflow, policy: Policy, trigger: Trigger) -> str:
    triggers = workflow.triggers
    if trigger.kind not in triggers.events:
        return f"this workflow does not run for {trigger.kind}"
    if trigger.tag is not None:
        if triggers.tags is None or not triggers.tags.selects(trigger.tag):
            return "no filter selects this tag"
    elif triggers.branches is not None:
        if not triggers.branches.selects(trigger.branch or ""):
            return f"its branch filter does not select {trigger.branch}"
    elif trigger.kind is EventKind.PUSHES and trigger.branch != policy.default_branch:
        return "only the default branch and pull requests are built unless a filter selects more"
    watched, changed = triggers.paths, trigger.changed
    if watched is not None and changed is not None and not any(watched.selects(path) for path in changed):
        return "nothing that it watches has changed"
    return ""


def caveats(params: AnyParams) -> tuple[str, ...]:
    """Return what a reader of the results must know: keys that this version reads but does not act upon."""
    if params.cluster_id is not None or params.is_preemptible:
        return ("clusterId and isPreemptible choose nothing on this bot's machines",)
    return ()


def images(params: AnyParams) -> tuple[str, ...]:
    """Return the container images that an experiment names, each once; only its backend knows whether it uses them."""
    return tuple(dict.fromkeys(role.container for role in params.roles() if role.container is not None))

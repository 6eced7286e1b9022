"""A branch, a tag or a SHA that somebody names on the bot's machine: which commit that is, and what of it is run."""

import re
from collections.abc import Sequence

from bot.core import events
from bot.forge.client import Forge, Repo
from bot.store.schema import Request
from bot.worker import builds
from bot.worker.build import Builder, Decision, Nothing
from bot.worker.builds import Asked, Build
from bot.worker.reply import Declined

_SHA = re.compile(r"[0-9a-f]{7,40}")


def place(forge: Forge, where: Repo, event: events.Repository, ref: str) -> Build:
    """Return what `ref` names now. Raises Declined, ForgeError.

    By its SHA GitHub shows every commit of every fork: of those only the default branch's own are taken. They have no
    more rights than what it gives to other branches, for their own config may be an old one.
    """
    branch, tag = ref.removeprefix("refs/heads/"), ref.removeprefix("refs/tags/")
    if (sha := forge.branch_head(where, branch)) is not None:
        return builds.as_push(builds.of_branch(event, branch, sha))
    if (sha := forge.resolve(where, f"tags/{tag}")) is not None:
        return builds.of_tag(event, tag, sha)
    sha = forge.resolve(where, ref) if _SHA.fullmatch(ref) else None
    if sha is None:
        raise Declined(f"there is no branch, tag or commit `{ref}`")
    head = forge.branch_head(where, event.default_branch)
    if head is None or forge.merge_base(where, head, sha) != sha:
        raise Declined(f"`{ref}` is no commit of `{event.default_branch}`: name the branch that has it", sha)
    return builds.of_sha(event, sha)


def decide(builder: Builder, build: Build, request: Request, again: frozenset[int]) -> Decision:
    """Return what is to be done: what a push selects, or the workflows that are named, whatever their triggers say.

    `again` are the experiments that were tried before. Raises Declined, GitError, ForgeError.
    """
    only = frozenset(map(str, request.names))
    asked = Asked(request.sender, "command", again, only=only or None, settings=request.settings)
    decision = builder.decide(builds.as_asked(build, asked))
    errors = decision.errors if isinstance(decision, Nothing) else decision.loaded.errors
    if errors:
        raise Declined(f"{errors[0].path} has errors: line {errors[0].line}: {errors[0].message}", build.sha)
    if isinstance(decision, Nothing):
        raise Declined(_why_not(decision.reason, decision.workflows, only), build.sha)
    known = [] if decision.plan is None else [run.workflow.name for run in decision.plan.runs]
    if only - set(known) or not started(decision):
        raise Declined(_why_not(f"a push to {build.ref} would run nothing", known, only), build.sha)
    return decision


def started(decision: Decision) -> list[str]:
    """Return the names of the workflows that run."""
    return [run.workflow.name for run in decision.chosen if run.is_run]


def _why_not(reason: str, known: Sequence[str], only: frozenset[str]) -> str:
    """Return why nothing is run, and what there is to be named."""
    there = ", ".join(f"`{name}`" for name in known)
    unknown = sorted(only - set(known))
    if unknown and known:
        return f"there is no workflow `{unknown[0]}`; there are {there}"
    return f"{reason}; name one: {there}" if known else reason

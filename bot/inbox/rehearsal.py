"""What would come of an event: the worker's own code decides, over tables in which nothing stays."""

from collections.abc import Iterator
from dataclasses import dataclass

from bot.clock import Clock
from bot.core import events
from bot.core.commands import Verb
from bot.core.limits import duration
from bot.core.report import Renderer, desired_checks
from bot.core.report.figures import counted, memory
from bot.forge.errors import ForgeError
from bot.forge.git import GitError
from bot.inbox.payload import Payload
from bot.run.errors import CannotRun
from bot.store import commits
from bot.store.database import Rehearsal
from bot.store.facts import commit_facts, repository_of
from bot.store.schema import Delivery, Repository, Request
from bot.store.surroundings import Surroundings
from bot.worker import builds
from bot.worker.answer import Answer
from bot.worker.build import Builder, Decision, Held, Nothing
from bot.worker.following import Follower
from bot.worker.intake import requests_of
from bot.worker.reply import Declined, Reply


@dataclass(frozen=True)
class Stage:
    """All that an event meets. `answer` is None where there is no GitHub to ask what people may do."""

    database: Rehearsal
    clock: Clock
    builder: Builder
    renderer: Renderer
    around: Surroundings
    answer: Answer | None = None


@dataclass(frozen=True)
class Told:
    """What would happen, a line each. `is_well`: nothing of it is wrong by itself (a config with errors)."""

    lines: tuple[str, ...]
    is_well: bool = True


def rehearse(stage: Stage, payload: Payload, event: events.Event) -> Told:
    """Return what would come of an event. Raises CannotRun where GitHub, or what is given, does not say."""
    try:
        match event:
            case events.PullRequestChanged(is_open=False):
                return Told((Follower(stage.database, stage.clock).close(event).reason,))
            case events.PushReceived() | events.MergeGroupRequested() | events.PullRequestChanged():
                return _built(stage, builds.of_event(event))
            case events.CommentMade() | events.RerunAsked() | events.ActionAsked():
                return Told(tuple(_asked(stage, payload, event)))
            case _:
                return Told((Follower(stage.database, stage.clock).follow(event).reason,))
    except (GitError, ForgeError) as error:
        raise CannotRun(f"the worker would look again later, or give up: {error}") from None


# What is built


def _built(stage: Stage, build: builds.Build) -> Told:
    decision = stage.builder.decide(build)
    if isinstance(decision, Nothing):
        known = f"; its workflows are {', '.join(decision.workflows)}" if decision.workflows else ""
        return Told((f"nothing is run: {decision.reason}{known}", *_superseding(build)), not decision.errors)
    told = [*decision.sentences(), *_held(decision), *_given(decision), *_superseding(build)]
    with stage.database.write() as tx:
        applied = stage.builder.apply(tx, decision)
        facts = commit_facts(tx, applied.commit, repository_of(tx, applied.commit), stage.around)
    # Templates take a moment to compile: meanwhile nobody is to wait for the tables.
    views = desired_checks(facts, stage.renderer)
    told.append(f"  {counted(applied.attempts, 'new attempt')}, and these checks on {build.sha[:7]}:")
    told += [f"    {view.name}: {view.conclusion or view.status}: {view.title}" for view in views]
    refused = [f"  refused: {x.label}: {x.reason}" for run in facts.runs for x in run.experiments if x.state == "error"]
    return Told((*told, *refused), not (decision.loaded.errors or refused))


def _held(decision: Decision) -> Iterator[str]:
    held: Held | None = decision.held
    for one in () if held is None else held.would_run:
        asked = f"{one['runs']} × {one['machine']}: {counted(one['cpus'], 'CPU')}, {memory(one['memory_mb'])}"
        yield f"  would run: {one['label']}: {one['refusal'] or asked}, at most {duration(one['timeout'])} each"
    if held is not None:
        verb = Verb.RUN if held.why == "skip" else f"{Verb.APPROVE} {decision.build.sha}"
        yield f"  somebody who may says: /experiment {verb}"
    elif decision.approved_by:
        yield f"  {decision.approved_by} approved this commit before"


def _given(decision: Decision) -> Iterator[str]:
    granted = decision.grants
    if granted is None or decision.held is not None:
        return
    secrets = ", ".join(sorted(granted.secrets)) or "none"
    storage = "keeps what it writes" if granted.keeps_storage else "keeps nothing of it"
    yield f"  may have: secrets: {secrets}; /storage {storage}{'' if granted.is_trusted else '; no network'}"
    limits = granted.limits.to_json()
    if limits:
        told = ", ".join(f"{name} {_plain(value)}" for name, value in limits.items())
        yield f"  limits of {decision.policy.default_branch}: {told}"


def _superseding(build: builds.Build) -> Iterator[str]:
    if build.number:
        yield f"  what runs for older heads of pull request #{build.number} is asked to stop"


def _plain(value: object) -> str:
    return " ".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)


# What people ask for


def _asked(stage: Stage, payload: Payload, event: events.Asked) -> Iterator[str]:
    with stage.database.read() as tx:
        repository = commits.find_repository(tx, event.repository.github_id)
    if repository is None:
        raise CannotRun(f"the bot has never heard of {event.repository.full_name}: there is nothing to ask about yet")
    if stage.answer is None:
        raise CannotRun("what people ask for rests on what GitHub shows: leave --config away")
    now = stage.clock.now()
    delivery = Delivery(guid="simulated", event=payload.event, body=payload.body, received_at=now)
    asked = [*requests_of(delivery, event)]
    for request in asked:
        request.repository_id, request.created_at, request.ref, request.id = repository.id, now, "", 0
        words = " ".join([request.verb, *map(str, request.names)]).strip()
        yield f"{event.sender} asks: {words}"
        yield f"  {_answered(stage.answer, stage, request, repository)}"
    if not asked:
        yield "nothing: a comment without a command"


def _answered(answer: Answer, stage: Stage, request: Request, repository: Repository) -> str:
    try:
        reply: Reply = answer.reply(request, repository)
    except Declined as declined:
        return f"refused: {declined}"
    if reply.do is None:
        return f"done: {reply.text}"
    with stage.database.write() as tx:
        return f"done: {reply.do(tx)}"

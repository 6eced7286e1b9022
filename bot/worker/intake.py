"""Station one: a delivery becomes runs, experiments and attempts — or a reason why not.

A delivery is looked at until something can be said of it: git or GitHub not answering only postpones it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from bot.clock import DAY, HOUR, MINUTE, SECOND, Clock
from bot.core import events
from bot.core.config import CONFIG_PATHS, MAX_BYTES, EventKind, Loaded, Problem, Step, is_ours, load
from bot.core.matrix import Cell
from bot.core.plan import Decision, Grants, Plan, Policy, Trigger, grants, is_watched, plan
from bot.core.states import Observation, State
from bot.forge.credentials import Credentials
from bot.forge.errors import ForgeError, Refused
from bot.forge.git import CommitAbsent, Denied, FileAbsent, FileError, GitCache, GitError, RepositoryId
from bot.store import commits, deliveries, experiments
from bot.store.database import Busy, Database, Transaction
from bot.store.schema import Attempt, Commit, Delivery, Pull, Repository, Run
from bot.worker.workload import Workload

_AT_ONCE = 20
_TRIES = 8
_KEPT = 30 * DAY
_LONGEST_WAIT = 5 * MINUTE
_PATIENCE = 1 * DAY
"""How long git or GitHub may be away before a delivery is given up."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a delivery: `done` or `ignored`, with a sentence for whoever asks why nothing happened."""

    state: str
    reason: str


@dataclass(frozen=True)
class Request:
    """A commit that somebody wants built. `number` and `updated_at` are those of its pull request, if it has one."""

    repository: events.Repository
    sha: str
    ref: str
    trigger_event: str
    kind: EventKind
    fetch_ref: str
    compare_with: str | None
    number: int = 0
    updated_at: str = ""


@dataclass(frozen=True)
class Variant:
    """A step, or a cell of its matrix, at its place in the workflow."""

    step: Step
    cell: Cell | None
    position: int
    granted: Grants


class Intake:
    """Reads deliveries in the order in which they came and writes down what each asks for."""

    name = "intake"

    def __init__(
        self, database: Database, clock: Clock, git: GitCache, credentials: Credentials, workload: Workload
    ) -> None:
        self._database, self._clock = database, clock
        self._git, self._credentials, self._workload = git, credentials, workload
        self._next_sweep = 0

    def tick(self) -> bool:
        with self._database.read() as tx:
            waiting = deliveries.waiting(tx, self._clock.now(), _AT_ONCE)
        for delivery in waiting:
            self._take(delivery)
        self._forget()
        return len(waiting) == _AT_ONCE

    def _forget(self) -> None:
        """Delete old deliveries, once in an hour. GitHub redelivers for three days; we remember for thirty."""
        now = self._clock.now()
        if now >= self._next_sweep:
            self._next_sweep = now + HOUR
            with self._database.write() as tx:
                deliveries.forget(tx, before=now - _KEPT)

    def _take(self, delivery: Delivery) -> None:
        event = events.parse(delivery.event, delivery.body)
        if isinstance(event, events.Ignored):
            self._conclude(delivery, Outcome("ignored", event.reason))
        elif isinstance(event, events.Unreadable):
            self._conclude(delivery, Outcome("unreadable", event.reason))
        else:
            self._try(delivery, event)

    def _try(self, delivery: Delivery, event: events.Event) -> None:
        try:
            outcome = self._handle(event)
        except (GitError, ForgeError) as error:
            is_final = isinstance(error, Refused) or (isinstance(error, GitError) and not error.is_retryable)
            is_late = self._clock.now() - delivery.received_at > _PATIENCE
            self._stumbled(delivery, str(error), is_final=is_final or is_late)
        except Busy:
            raise  # no word against the delivery: it is looked at again, from its beginning
        except Exception as error:
            # A fault of ours. The deliveries behind this one must not wait for its repair.
            _log.exception("delivery %s could not be taken in", delivery.guid)
            is_final = delivery.tries + 1 >= _TRIES
            self._stumbled(delivery, f"a fault of the bot: {type(error).__name__}", is_final=is_final)
        else:
            self._conclude(delivery, outcome)

    def _stumbled(self, delivery: Delivery, reason: str, *, is_final: bool) -> None:
        """Look at a delivery again later, unless that is useless."""
        if is_final:
            self._conclude(delivery, Outcome("failed", reason))
            return
        _log.warning("delivery %s waits: %s", delivery.guid, reason)
        until = self._clock.now() + min(2**delivery.tries * SECOND, _LONGEST_WAIT)
        with self._database.write() as tx:
            deliveries.postpone(tx, delivery.id, reason, until)

    def _conclude(self, delivery: Delivery, outcome: Outcome) -> None:
        with self._database.write() as tx:
            deliveries.conclude(tx, delivery.id, outcome.state, outcome.reason, self._clock.now())

    def _handle(self, event: events.Event) -> Outcome:
        match event:
            case events.RepositoryChanged():
                return self._follow(event)
            case events.RefDeleted():
                return Outcome("ignored", f"{event.ref} was deleted")
            case events.PullRequestChanged(is_fork=True):
                return Outcome("ignored", "pull requests from forks are not built yet: nothing of theirs was read")
            case events.PullRequestChanged(action="closed"):
                return self._close(event)
            case events.PushReceived() | events.MergeGroupRequested() | events.PullRequestChanged():
                return self._build(_request(event))

    def _close(self, event: events.PullRequestChanged) -> Outcome:
        with self._database.write() as tx:
            repository = commits.see_repository(tx, event.repository)
            pull = commits.see_pull(tx, repository.id, event.number, event.sha, False, event.updated_at)
            if pull.is_open:
                return Outcome("ignored", f"pull request #{event.number} was opened again after this")
            count = experiments.cancel_pull(tx, pull, _why_cancelled(pull))
        return Outcome("done", f"{_why_cancelled(pull)}; {count} experiments were asked to stop")

    def _follow(self, event: events.RepositoryChanged) -> Outcome:
        """What waits to be told goes to the repository's new name from now on."""
        with self._database.write() as tx:
            if not commits.follow_repository(tx, event.repository):
                return Outcome("ignored", "nothing was ever run for this repository")
        return Outcome("done", f"this repository is {event.repository.full_name}")

    def _build(self, request: Request) -> Outcome:
        token = self._credentials.token(request.repository.installation_id, request.repository.github_id)
        where = RepositoryId(request.repository.github_id, request.repository.owner, request.repository.name)
        try:
            self._git.fetch_commit(where, request.sha, token, ref=request.fetch_ref)
        except Denied:
            # A token can die before its hour (new permissions, a selection changed): one new one, then it is true.
            token = self._credentials.renewed(request.repository.installation_id, request.repository.github_id)
            self._git.fetch_commit(where, request.sha, token, ref=request.fetch_ref)
        found = self._config(where, request.sha, token)
        if found is None:
            self._supersede(request)
            return Outcome("ignored", "this commit has no config")
        path, loaded = found
        trigger = Trigger(request.kind, request.ref, request.number, self._changed(where, request, loaded, token))
        policy = self._policy(where, request, trigger, token)
        title = self._git.commit_info(where, request.sha, token).subject
        return self._write(request, path, loaded, policy, trigger, title)

    def _policy(self, where: RepositoryId, request: Request, trigger: Trigger, token: str) -> Policy:
        """Return what the default branch allows, as it stands now; itself it allows by the config that was pushed."""
        branch = request.repository.default_branch
        if trigger.kind is EventKind.PUSHES and trigger.branch == branch:
            return Policy(branch)
        try:
            found = self._config(where, self._git.branch_head(where, branch, token), token)
        except CommitAbsent:
            return Policy(branch)
        config = None if found is None else found[1].config
        return Policy(branch) if config is None else Policy(branch, config.secret_names(), config.pulls_write_storage)

    def _config(self, where: RepositoryId, sha: str, token: str) -> tuple[str, Loaded] | None:
        """Return the first config that is ours, with its problems; None when the commit has none."""

        def read(path: str) -> bytes:
            return self._git.read_file(where, sha, path, MAX_BYTES, token)

        for path in CONFIG_PATHS:
            try:
                data = read(path)
            except FileAbsent:
                continue
            except FileError as error:
                if path == CONFIG_PATHS[0]:
                    return path, Loaded(None, (_unreadable(path, error),))
                continue  # a root config.yaml that cannot be read does not say that it is ours
            if path == CONFIG_PATHS[0] or is_ours(data):
                return path, load(data, path, lambda name: _params_file(read, name))
        return None

    def _changed(self, where: RepositoryId, request: Request, loaded: Loaded, token: str) -> Sequence[str] | None:
        """Return what changed, if a workflow asks; None when that cannot be told, which means that all may have."""
        asks = loaded.config is not None and any(w.triggers.paths is not None for w in loaded.config.workflows)
        if not asks or request.compare_with is None:
            return None
        return self._git.changed_paths(where, request.compare_with, request.sha, token)

    def _write(
        self, request: Request, path: str, loaded: Loaded, policy: Policy, trigger: Trigger, title: str
    ) -> Outcome:
        planned = None if loaded.config is None else plan(loaded.config, policy, trigger)
        granted = None if loaded.config is None else grants(loaded.config, policy, trigger)
        if not (is_watched(policy, trigger) if planned is None else planned.is_reported):
            return Outcome("ignored", f"{request.ref} is not built: no filter selects it")
        with self._database.write() as tx:
            repository = commits.see_repository(tx, request.repository)
            problems = [asdict(problem) for problem in loaded.problems]
            commit = commits.see_commit(tx, repository.id, request.sha, title, path, problems, self._clock.now())
            pull = _see_pull(tx, request, repository)
            if pull is not None:
                commits.see_pull_head(tx, commit, request.number, trigger.branch or "", request.updated_at)
            if planned is not None and granted is not None:
                is_now = pull is None or (pull.is_open and pull.head_sha == request.sha)
                self._write_runs(tx, request, repository, commit, planned, granted, is_now=is_now)
            if pull is not None:
                experiments.cancel_pull(tx, pull, _why_cancelled(pull))
            commits.touch(tx, commit.id)
        if planned is None:
            return Outcome("done", f"{path} has errors")
        count = sum(run.decision is Decision.RUN for run in planned.runs)
        return Outcome("done", f"{count} of {len(planned.runs)} workflows run")

    def _write_runs(
        self,
        tx: Transaction,
        request: Request,
        repository: Repository,
        commit: Commit,
        planned: Plan,
        granted: Grants,
        *,
        is_now: bool,
    ) -> None:
        """Write down what is to run. `is_now`: a delayed event does not bring back what was called off meanwhile."""
        now = self._clock.now()
        for chosen in planned.visible:
            skipped = None if chosen.decision is Decision.RUN else chosen.reason
            run = experiments.see_run(tx, commit, chosen.workflow.name, chosen.position, skipped, now)
            experiments.see_trigger(tx, run, request.trigger_event, request.ref, request.number, now)
            for position, step in enumerate(chosen.workflow.steps):
                for cell in step.matrix or (None,):
                    variant = Variant(step, cell, position, granted)
                    self._write_experiment(tx, request, repository, commit, run, variant, is_now=is_now)

    def _write_experiment(
        self,
        tx: Transaction,
        request: Request,
        repository: Repository,
        commit: Commit,
        run: Run,
        variant: Variant,
        *,
        is_now: bool,
    ) -> None:
        now, step, cell, granted = self._clock.now(), variant.step, variant.cell, variant.granted
        experiment = experiments.find_experiment(tx, run, step.name, "" if cell is None else cell.label)
        if experiment is None:
            row = self._workload.experiment(run.id, variant.position, step, cell, granted, now)
            experiment = experiments.add_experiment(tx, row)
        number = _next_number(experiments.newest_attempt(tx, experiment.id), is_now=is_now)
        if run.skipped is None and number is not None:
            # What its first attempt was given, the default branch may have taken back meanwhile.
            experiment.refusal = self._workload.refusal(step, granted)
            attempt = self._workload.attempt(
                repository, commit, experiment, step, cell, granted, number, request.ref, now
            )
            self._add_attempt(tx, attempt, experiment.refusal)

    def _add_attempt(self, tx: Transaction, attempt: Attempt, refusal: str) -> None:
        """Store an attempt; one that this version cannot run ends where it begins, and says so."""
        experiments.add_attempt(tx, attempt)
        if refusal:
            experiments.observe(tx, attempt.id, [Observation(State.ERROR, self._clock.now(), refusal)])

    def _supersede(self, request: Request) -> None:
        """Stop what runs for older heads of a pull request whose newest has no config."""
        with self._database.write() as tx:
            pull = _see_pull(tx, request, commits.see_repository(tx, request.repository))
            if pull is not None:
                experiments.cancel_pull(tx, pull, _why_cancelled(pull))


def _see_pull(tx: Transaction, request: Request, repository: Repository) -> Pull | None:
    """Return the pull request that asks, as the newest of its events tells it; None when none asks."""
    if not request.number:
        return None
    return commits.see_pull(tx, repository.id, request.number, request.sha, True, request.updated_at)


def _why_cancelled(pull: Pull) -> str:
    return f"superseded by {pull.head_sha[:7]}" if pull.is_open else f"pull request #{pull.number} was closed"


def _next_number(newest: Attempt | None, *, is_now: bool) -> int | None:
    """Return the number of the attempt to make; None when there is one already.

    A commit that comes back (a pull request opened again, a branch forced back, a merge of what was just closed) has
    only the cancelled checks of what was called off: they would block it for ever.
    """
    if newest is None:
        return 1
    return newest.number + 1 if is_now and experiments.was_called_off(newest) else None


def _request(event: events.PushReceived | events.MergeGroupRequested | events.PullRequestChanged) -> Request:
    match event:
        case events.PushReceived():
            return _of_push(event)
        case events.MergeGroupRequested():
            return _of_merge_group(event)
        case events.PullRequestChanged():
            return _of_pull_request(event)


def _of_push(event: events.PushReceived) -> Request:
    return Request(
        repository=event.repository,
        sha=event.sha,
        ref=event.ref,
        trigger_event="push",
        kind=EventKind.PUSHES,
        fetch_ref=event.ref,
        compare_with=event.before,
    )


def _of_merge_group(event: events.MergeGroupRequested) -> Request:
    return Request(
        repository=event.repository,
        sha=event.sha,
        ref=f"refs/heads/{event.base_branch}",
        trigger_event="merge_group",
        kind=EventKind.MERGE_QUEUE,
        fetch_ref=event.ref,
        compare_with=event.base_sha,
    )


def _of_pull_request(event: events.PullRequestChanged) -> Request:
    return Request(
        repository=event.repository,
        sha=event.sha,
        ref=f"refs/heads/{event.base_branch}",
        trigger_event="pull_request",
        kind=EventKind.PULL_REQUESTS,
        fetch_ref=f"refs/pull/{event.number}/head",
        compare_with=event.base_sha,
        number=event.number,
        updated_at=event.updated_at,
    )


def _params_file(read: Callable[[str], bytes], path: str) -> bytes:
    """Read a file that the config names: what is wrong with it is the config's problem, with its line."""
    try:
        return read(path)
    except FileError as error:
        raise LookupError(str(error)) from error


def _unreadable(path: str, error: FileError) -> Problem:
    return Problem("error", str(error), "Commit the config as a plain file of at most 64 KiB.", path, 1, 1)

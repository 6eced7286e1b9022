"""Station two: an attempt that may start is handed to the backend, once.

The intent is written before the backend is called and the handle after it. A crash in between leaves an intent
without a handle: the backend is asked again by our own id, and `submit` is idempotent by that id.

Between the two the code is fetched, beside this station: it looks in at every round and goes on with the others. The
intent holds a place on the machine meanwhile; an attempt that has to wait for git takes its intent back.
"""

import logging
import socket
from collections.abc import Iterable
from dataclasses import replace

from bot.backends.base import AttemptSpec, Backend, BackendError, from_json, to_json
from bot.clock import HOUR, MINUTE, SECOND, Clock
from bot.core.limits import Limits
from bot.core.report.figures import counted, resources
from bot.core.schedule import Need, Room, choose
from bot.core.states import Observation, State
from bot.forge.errors import ForgeError
from bot.forge.git import GitError, RepositoryId
from bot.forge.submodules import PartUnavailable
from bot.store import commits, experiments, installations, runs
from bot.store.database import Database
from bot.store.experiments import Placed
from bot.store.schema import Attempt, Repository
from bot.store.secrets import Secrets, SecretsUnavailable
from bot.worker.each import Each
from bot.worker.fetching import Sources, Wanted
from bot.worker.workload import repetition

_LONGEST_WAIT = 5 * MINUTE
_PATIENCE = 1 * HOUR
"""How long an attempt waits between its tries, all in all, for git, GitHub or the backend, before it is given up."""
_log = logging.getLogger(__name__)


class Launch:
    """created → pending → the backend; and every end that was asked for before or after."""

    name = "launch"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        backend: Backend,
        sources: Sources,
        secrets: Secrets,
    ) -> None:
        self._database, self._clock, self._backend = database, clock, backend
        self._sources, self._secrets = sources, secrets
        self._each = Each(clock)

    def tick(self) -> bool:
        self._sources.look()
        self._repeat()
        self._cancel()
        self._queue()
        self._start()
        return False

    def _repeat(self) -> None:
        """Make the next attempt where the platform broke the last one. One that nobody wants any more is cancelled."""
        with self._database.read() as tx:
            due = experiments.due_again(tx, self._clock.now())
        self._each.do(due, lambda placed: f"repeating {placed.attempt.backend_id}", self._repeat_one)

    def _repeat_one(self, placed: Placed) -> None:
        with self._database.write() as tx:
            last = experiments.newest_attempt(tx, placed.experiment.id)
            if last is not None and last.retry_at is not None:  # nobody made another meanwhile
                experiments.add_attempt(tx, repetition(last, self._clock.now()))
                commits.touch(tx, placed.commit.id)

    def _cancel(self) -> None:
        """Pass on every end that was asked for."""
        with self._database.read() as tx:
            asked = experiments.to_cancel(tx)
        self._each.do(asked, lambda attempt: f"cancelling {attempt.backend_id}", self._cancel_one)

    def _cancel_one(self, attempt: Attempt) -> None:
        reason = attempt.cancel_reason or ""
        if attempt.launching_at is None:
            self._observe(attempt.id, State.CANCELLED, reason)
            return
        self._backend.cancel(attempt.backend_id, reason)
        if attempt.handle is None and not self._backend.poll([attempt.backend_id])[attempt.backend_id].known:
            self._observe(attempt.id, State.CANCELLED, reason)
        with self._database.write() as tx:
            experiments.change(tx, attempt.id, cancel_sent_at=self._clock.now())

    def _queue(self) -> None:
        """Let a created attempt wait for its place as soon as the steps before it have succeeded."""
        with self._database.read() as tx:
            created = experiments.in_states(tx, State.CREATED)
            ways = {placed.run.id: experiments.siblings(tx, placed.run.id) for placed in created}
        for placed in created:
            before = [
                (experiment, attempt)
                for experiment, attempt in ways[placed.run.id]
                if experiment.position < placed.experiment.position
            ]
            ended = [(e, State(a.state)) for e, a in before if State(a.state).is_final and a.retry_at is None]
            broken = next((e.step for e, state in ended if state is not State.STOPPED), None)
            if broken is not None:
                self._observe(placed.attempt.id, State.CANCELLED, f"not started: the step `{broken}` did not succeed")
            elif len(ended) == len(before) and self._has_turn(placed):
                self._observe(placed.attempt.id, State.PENDING, _waits_for(placed))

    def _has_turn(self, placed: Placed) -> bool:
        """Tell whether nobody of its group is before it; if somebody is, say who."""
        if placed.run.concurrency is None:
            return True
        with self._database.read() as tx:
            other = runs.ahead(tx, placed.run)
        if other is None:
            return True
        group = placed.run.concurrency["group"]
        waits = f"waiting for its turn in the group `{group}`, after `{other.workflow}` at `{other.sha[:7]}`"
        if placed.attempt.progress != waits:
            with self._database.write() as tx:
                experiments.change(tx, placed.attempt.id, progress=waits)
                commits.touch(tx, placed.commit.id)
        return False

    def _start(self) -> None:
        """Hand to the backend what has a place."""
        with self._database.read() as tx:
            waiting = experiments.in_states(tx, State.PENDING)
            active = experiments.in_states(
                tx, State.PROVISIONING, State.PROVISIONED, State.NETWORK_SETUP, State.RUNNING, State.NETWORK_TEARDOWN
            )
            # Where the App is suspended there is no code to be had, and nobody would hear of the end.
            silent = installations.silent(tx)
        now = self._clock.now()
        fresh = [p for p in waiting if p.attempt.launching_at is None and p.attempt.not_before <= now]
        fresh = [p for p in fresh if p.repository.installation_id not in silent]
        taken = [p for p in waiting if p.attempt.launching_at is not None] + active
        # Intents without a handle come first: they hold a place already. A running one without is to be gone on with.
        due = [p for p in taken if p.attempt.handle is None and p.repository.installation_id not in silent]
        due += self._placed(fresh, taken)
        due = [p for p in due if p.attempt.not_before <= now and not _is_to_be_cancelled(p.attempt)]
        self._each.do(due, lambda placed: f"launching {placed.attempt.backend_id}", self._launch)

    def _placed(self, waiting: list[Placed], taken: list[Placed]) -> list[Placed]:
        capacity = self._backend.capabilities.capacity
        room = None if capacity is None else Room(capacity.cpus, capacity.memory_mb, capacity.gpus)
        possible = []
        for placed in waiting:
            need = _need(placed)
            if room is None or room.fits(need):
                possible.append(placed)
            else:
                self._observe(placed.attempt.id, State.ERROR, _too_large(need, room))
        chosen = choose([_need(p) for p in possible], [_need(p) for p in taken], room)
        by_id = {placed.attempt.id: placed for placed in possible}
        return [by_id[attempt_id] for attempt_id in chosen]

    def _launch(self, placed: Placed) -> None:
        spec = self._intend(placed.attempt)
        try:
            if spec.code is not None:
                code = self._sources.take(_wanted(spec, placed.repository))
                if code is None:
                    return
                spec = replace(spec, code=code)
        except PartUnavailable as error:
            self._observe(placed.attempt.id, State.FAILED, str(error), State.PROVISIONING)
            return
        except (GitError, ForgeError) as error:
            self._stumbled(placed.attempt, error, gives_place_back=self._is_unknown(placed.attempt))
            return
        self._submit(placed, spec)

    def _submit(self, placed: Placed, spec: AttemptSpec) -> None:
        attempt, repository = placed.attempt, placed.repository
        try:
            secrets = self._secrets.reveal(repository.owner, repository.name, spec.secrets)
            handle = self._backend.submit(spec, secrets)
        except (BackendError, SecretsUnavailable) as error:
            self._stumbled(attempt, error)
            return
        with self._database.write() as tx:
            experiments.change(tx, attempt.id, handle=handle)
            is_over = experiments.is_over(tx, attempt.id)
        if is_over:
            # Its time ran out meanwhile. Nobody watches it any more, so it must not run.
            self._backend.cancel(attempt.backend_id, "its end was written down before it began")

    def _intend(self, attempt: Attempt) -> AttemptSpec:
        """Write down that it is about to be handed over, with the GPUs that are its own from now on."""
        spec, host = from_json(attempt.spec), socket.gethostname()
        if attempt.launching_at is not None and attempt.host == host:
            return spec
        with self._database.write() as tx:
            since = attempt.launching_at or self._clock.now()
            if attempt.launching_at is None and (wanted := _gpus_of(spec)):
                spec = replace(spec, gpus=self._free_gpus(experiments.launched(tx), wanted))
            experiments.change(tx, attempt.id, launching_at=since, host=host, spec=to_json(spec))
        return spec

    def _free_gpus(self, launched: Iterable[Attempt], wanted: int) -> tuple[int, ...]:
        """Return the lowest numbers of GPUs that no launched attempt has; nobody shares one."""
        capacity = self._backend.capabilities.capacity
        there = wanted if capacity is None else capacity.gpus
        taken = {number for attempt in launched for number in attempt.spec.get("gpus", ())}
        return tuple(number for number in range(there) if number not in taken)[:wanted]

    def _is_unknown(self, attempt: Attempt) -> bool:
        """Tell whether the backend certainly does not have it, in this life of the bot or an earlier one."""
        return attempt.state == State.PENDING and not self._backend.poll([attempt.backend_id])[attempt.backend_id].known

    def _stumbled(self, attempt: Attempt, error: Exception, gives_place_back: bool = False) -> None:
        """Try again later, for a while; then it is the platform's error, said with its reason."""
        _log.warning("attempt %s was not launched: %s", attempt.backend_id, error)
        if not _is_worth_another_try(error) or sum(map(_wait, range(attempt.tries))) > _PATIENCE:
            self._observe(attempt.id, State.ERROR, f"could not be launched: {error}")
            return
        values: dict[str, object] = {"tries": attempt.tries + 1, "not_before": self._clock.now() + _wait(attempt.tries)}
        if gives_place_back:
            values["launching_at"] = None
        with self._database.write() as tx:
            experiments.change(tx, attempt.id, **values)

    def _observe(self, attempt_id: int, state: State, reason: str, *before: State) -> None:
        now = self._clock.now()
        with self._database.write() as tx:
            seen = [*(Observation(one, now) for one in before), Observation(state, now, reason)]
            experiments.observe(tx, attempt_id, seen)


def _is_to_be_cancelled(attempt: Attempt) -> bool:
    """Tell whether it must not be launched any more.

    Once the backend was told to end an attempt that it has, only its handle is missing: submitting it again brings
    that, and without it nobody would ever look at how it ended.
    """
    return attempt.cancel_reason is not None and attempt.cancel_sent_at is None


def _wait(tries: int) -> int:
    """Return the microseconds until the next try, after so many."""
    return min((5 * SECOND) << min(tries, 10), _LONGEST_WAIT)


def _wanted(spec: AttemptSpec, repository: Repository) -> Wanted:
    assert spec.code is not None  # noqa: S101 - for mypy
    where = RepositoryId(repository.github_id, repository.owner, repository.name)
    return Wanted(where, repository.installation_id, spec.code)


def _need(placed: Placed) -> Need:
    spec: AttemptSpec = from_json(placed.attempt.spec)
    limits = Limits.from_json(placed.repository.policy.get("limits", {}))
    return Need(
        attempt_id=placed.attempt.id,
        repository_id=placed.repository.id,
        cpus=sum(group.count * group.machine.cpus for group in spec.groups),
        memory_mb=sum(group.count * group.machine.memory_mb for group in spec.groups),
        gpus=_gpus_of(spec),
        author=placed.attempt.author,
        most=limits.running,
        most_of_author=limits.running_per_author,
    )


def _gpus_of(spec: AttemptSpec) -> int:
    return sum(group.count * group.machine.gpus for group in spec.groups)


def _is_worth_another_try(error: Exception) -> bool:
    if isinstance(error, ForgeError | GitError):
        return error.is_retryable or error.is_shut_out
    return not isinstance(error, SecretsUnavailable)


def _waits_for(placed: Placed) -> str:
    need = _need(placed)
    gpus = f" and {counted(need.gpus, 'GPU')}" if need.gpus else ""
    limits = [
        f"of this repository {need.most} run at a time" if need.most is not None else "",
        f"of one author {need.most_of_author}" if need.most_of_author is not None else "",
    ]
    told = ", ".join(limit for limit in limits if limit)
    return f"waiting for {counted(need.cpus, 'CPU')}, {need.memory_mb} MB of memory{gpus}{f' ({told})' if told else ''}"


def _too_large(need: Need, room: Room) -> str:
    return (
        f"asks for more than all machines have: {resources(need.cpus, need.memory_mb, need.gpus)}"
        f" of {resources(room.cpus, room.memory_mb, room.gpus)}"
    )

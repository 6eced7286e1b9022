"""Experiments on this machine: the bot's side. Each attempt has a supervisor, which is not this process's child.

Everything that counts is in the attempt's directory, so any process that has DATA_DIR finds every attempt again by its
id, however the one before it ended:

    runs/<public id>/<attempt>/   order.json  cancel.json  lock  journal  supervisor.log
                     workspace/  scratch/  generated/          gone after the run
                     artifacts/  measurements/  trials  study/  ports/
                     worker-0/log  parameter-server-0/log  …   one directory for each task
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from bot.backends import artifacts, logfile, means, orders, processes, walls
from bot.backends import engine as engines
from bot.backends.base import (
    Artifact,
    AttemptReport,
    AttemptSpec,
    BackendError,
    BackendUnavailable,
    Capabilities,
    Capacity,
    Image,
    LogChunk,
    Mode,
    TaskReport,
    from_json,
    to_json,
)
from bot.backends.cgroups import sweep
from bot.backends.engine import Engine, EngineError
from bot.backends.journal import Journal, Story, TaskStory, UnknownJournal
from bot.backends.leftovers import remove
from bot.backends.network import PRIVATE, SHARED
from bot.backends.orders import Order
from bot.backends.powers import Powers, choose, probe
from bot.backends.processes import Process
from bot.backends.running import MARKER
from bot.backends.trialsfile import TrialsFile
from bot.clock import Clock
from bot.core.states import WAY, Observation, State

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""
_START_LIMIT = 60.0
_MOST_ROUNDS, _PATIENCE = 100, 5.0
"""A process that the kernel cannot end (a dead disk holds it) must not hold up the poll of all others."""
_MOST_INTERRUPTIONS = 3
_ID = re.compile(r"([A-Za-z0-9_.]+)-([0-9]+)")
_TASK = re.compile(r"[a-z-]+-[0-9]+")
_PACKAGE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Fetching:
    """How datasets and workspaces are fetched: from where, and how many gigabytes of them are kept for the next run."""

    endpoint_url: str | None = None
    region: str = "us-east-1"
    cache_gb: int = 100
    allow_private: bool = False

    @property
    def request(self) -> dict[str, Any]:
        """What `bot.storage.fetch` is told of it."""
        return {
            "endpoint_url": self.endpoint_url,
            "region": self.region,
            "cache_bytes": self.cache_gb << 30,
            "allow_private": self.allow_private,
        }


@dataclass
class _Known:
    """What was read of an attempt so far, so that a poll reads only what is new."""

    story: Story = field(default_factory=Story)
    trials: TrialsFile = field(default_factory=TrialsFile)
    report: AttemptReport | None = None


class LocalBackend:
    """`Backend` for one machine. `data_dir` is shared by all processes of the bot; `capacity` is all there is to give.

    Raises BackendUnavailable where runs cannot be isolated, unless `allow_unisolated`: then code runs with all the
    rights of the bot, which is for trusted code only. `run_as` is the uid and gid that a root bot gives to runs.
    """

    def __init__(
        self,
        data_dir: Path,
        capacity: Capacity,
        clock: Clock,
        allow_unisolated: bool = False,
        *,
        run_as: tuple[int, int] = walls.NOBODY,
        grace: float = GRACE,
        log_limit: int = logfile.LIMIT,
        bwrap: str = "bwrap",
        network: str = "auto",
        powers: Powers | None = None,
        fetching: Fetching | None = None,
        containers: str = engines.NO_ENGINE,
        owner: Process | None = None,
    ) -> None:
        """`network` and `containers` are the settings NETWORK and CONTAINERS.

        `powers` are found out here, unless somebody has just done so. `owner` is the process with which all that is
        submitted here ends, however that goes; None: runs outlive whoever submitted them.
        """
        self._runs, self._clock, self._owner = data_dir.absolute() / "runs", clock, owner
        self._grace, self._log_limit = grace, log_limit
        datasets = data_dir.absolute() / "cache" / "datasets"
        self._fetching = {"cache_dir": str(datasets), **(fetching or Fetching()).request}
        found = walls.find(bwrap, run_as, allow_unisolated)
        self._sandbox, self._network = found.sandbox, network
        self._known: dict[str, _Known] = {}
        for directory in (self._runs, self._runs.parent / "storage", self._runs.parent / "cache"):
            # Nobody else of this machine needs to see what repositories trained; runs get theirs as mounts.
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._means = means.find(data_dir)
        self._powers = powers or self._find_powers()
        choose(network, self._powers, is_trusted=True)
        self._engine = engines.find(containers)
        if self._engine is not None and self._sandbox.bwrap is None:
            raise BackendUnavailable(f"CONTAINERS={containers} needs isolation, and there is none: {found.description}")
        self.capabilities = Capabilities(
            name="local",
            isolation=found.description,
            is_isolated=found.sandbox.bwrap is not None,
            capacity=capacity,
            limits=(*self._means.sentences, *self._powers.sentences),
            modes=frozenset(Mode) if found.sandbox.bwrap is not None else frozenset({Mode.SINGLE}),
            images="" if self._engine is None else self._engine.sentence,
        )

    def submit(self, spec: AttemptSpec, secrets: Mapping[str, str] | None = None) -> str:
        """See `Backend.submit`. The handle is the attempt's directory; returns when the supervisor is there."""
        run_dir = self._directory(spec.id)
        if run_dir is None or Path(spec.run_dir) != run_dir:
            raise BackendError(f"the attempt {spec.id!r} cannot lie at {spec.run_dir}")
        if not any(group.tasks for group in spec.groups):
            raise BackendError("an attempt without a task cannot be run")
        if spec.mode not in self.capabilities.modes:
            raise BackendError(f"without isolation there are single nodes only: {self.capabilities.isolation}")
        story = self._story(spec.id)
        if not story.is_started or story.is_interrupted:
            try:
                run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._order(spec).write(run_dir)
                _start_supervisor(run_dir, secrets or {})
            except (OSError, subprocess.TimeoutExpired) as error:
                raise BackendError(f"the supervisor of {spec.id} could not be started: {error}") from error
        return str(run_dir)

    def _find_powers(self) -> Powers:
        if self._sandbox.bwrap is None:
            return Powers()
        return probe(self._runs, walls.around_nothing(self._sandbox))

    def _order(self, spec: AttemptSpec) -> Order:
        engine = self._engine if _first_image(spec) is not None else None
        network = self._choose_network(spec, engine)
        can_overlay = self._powers.overlay and (engine is None or engine.is_root)
        storage = "write" if spec.keeps_storage else "overlay" if can_overlay else "read"
        return Order(
            to_json(spec),
            self._sandbox,
            self._grace,
            self._log_limit,
            self._means,
            network=network,
            slirp=self._powers.slirp,
            storage=storage,
            engine=engine,
            fetching=self._fetching,
            facts={
                "walls": [*self._walls(engine), f"network: {network}", f"storage: {storage}"],
                **_unused_image(spec, engine),
            },
            owner=self._owner,
        )

    def _choose_network(self, spec: AttemptSpec, engine: Engine | None) -> str:
        """Return the attempt's network. Raises BackendUnavailable."""
        if engine is None or engine.is_root:
            return choose(self._network, self._powers, is_trusted=spec.is_trusted)
        # Elsewhere, or in a user namespace of its own, an engine cannot enter the network of an attempt.
        if self._network == PRIVATE or not spec.is_trusted:
            what = "NETWORK=private" if spec.is_trusted else "code that is not trusted"
            raise BackendUnavailable(
                f"{what} and images go together only with podman under a bot that is root: {engine.kind} has no other"
                " network here than this machine's"
            )
        return SHARED

    def _walls(self, engine: Engine | None) -> list[str]:
        if engine is None:
            return [*self._means.sentences]
        return [
            engine.sentence,
            *(self._means.sentences if engine.is_root else ("memory and processes: watched, too",)),
        ]

    def poll(self, ids: Sequence[str]) -> Mapping[str, AttemptReport]:
        """See `Backend.poll`. An attempt whose supervisor died is ended here, with everything that was left of it."""
        self._known = {attempt_id: self._known.get(attempt_id, _Known()) for attempt_id in ids}
        return {attempt_id: self._look(attempt_id, known) for attempt_id, known in self._known.items()}

    def cancel(self, attempt_id: str, reason: str) -> None:
        """See `Backend.cancel`. An attempt that has an order but no supervisor yet is cancelled when it gets one."""
        run_dir = self._directory(attempt_id)
        if run_dir is None or not (run_dir / orders.ORDER).exists():
            return
        story = self._story(attempt_id)
        if not story.is_over:
            orders.cancel(run_dir, reason)
            if story.supervisor is not None:
                story.supervisor.send(signal.SIGUSR1)

    def logs(self, attempt_id: str, task: str, from_byte: int, limit: int = 65_536) -> LogChunk:
        """See `Backend.logs`. What is not there has an empty log that is not complete."""
        run_dir = self._directory(attempt_id)
        if run_dir is None or not _TASK.fullmatch(task):
            return LogChunk(0, 0, b"", is_complete=False)
        # Asked first: what is written before the last state is in the file when we read it.
        is_over = self._story(attempt_id).is_over
        try:
            with (run_dir / task / "log").open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                start = min(from_byte, size) if from_byte >= 0 else max(0, size + from_byte)
                file.seek(start)
                data = file.read(max(0, limit))
        except FileNotFoundError:
            return LogChunk(0, 0, b"", is_complete=is_over)
        end = start + len(data)
        return LogChunk(start, end, data, is_complete=is_over and end >= size)

    def artifacts(self, attempt_id: str) -> Iterator[Artifact]:
        """See `Backend.artifacts`."""
        run_dir = self._directory(attempt_id)
        return iter(()) if run_dir is None else artifacts.find(run_dir / orders.ARTIFACTS)

    def open_artifact(self, attempt_id: str, path: str) -> BinaryIO:
        """See `Backend.open_artifact`."""
        run_dir = self._directory(attempt_id)
        if run_dir is None:
            raise FileNotFoundError(path)
        return artifacts.open_one(run_dir / orders.ARTIFACTS, path)

    def open_port(self, attempt_id: str, port: int) -> socket.socket:
        """See `Backend.open_port`. The sidecar listens at a socket of the attempt's directory."""
        run_dir = self._directory(attempt_id)
        if run_dir is None:
            raise ConnectionRefusedError(f"there is no attempt {attempt_id}")
        try:
            directory = os.open(run_dir / "ports", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ConnectionRefusedError(f"{attempt_id} opened no port") from None
        connection = socket.socket(socket.AF_UNIX)
        try:
            # By the descriptor: the whole path may be longer than the 107 bytes that a socket's address takes.
            connection.connect(f"/proc/self/fd/{directory}/{int(port)}.sock")
        except OSError as error:
            connection.close()
            raise ConnectionRefusedError(f"port {port} of {attempt_id} is not open: {error}") from None
        finally:
            os.close(directory)
        return connection

    def _directory(self, attempt_id: str) -> Path | None:
        """Return `runs/<public id>/<attempt>`; None for what cannot be an id of ours."""
        match = _ID.fullmatch(attempt_id)
        if match is None or match[1] in (".", ".."):
            return None
        return self._runs / match[1] / match[2]

    def _story(self, attempt_id: str) -> Story:
        """Return what the journal says now, an empty story when there is none."""
        story = Story()
        run_dir = self._directory(attempt_id)
        if run_dir is not None:
            with contextlib.suppress(FileNotFoundError, UnknownJournal):
                story.read(run_dir / orders.JOURNAL)
        return story

    def _look(self, attempt_id: str, known: _Known) -> AttemptReport:
        run_dir = self._directory(attempt_id)
        if run_dir is None:
            return AttemptReport(attempt_id, known=False)
        try:
            return self._read_on(attempt_id, run_dir, known)
        except (UnknownJournal, OSError, ValueError, KeyError, TypeError) as error:
            reason = f"what the supervisor wrote down cannot be read: {error}"
            return AttemptReport(attempt_id, known=True, seen=(Observation(State.ERROR, self._clock.now(), reason),))

    def _read_on(self, attempt_id: str, run_dir: Path, known: _Known) -> AttemptReport:
        journal, story = run_dir / orders.JOURNAL, known.story
        if known.report is not None and story.is_over:
            return known.report
        try:
            size = journal.stat().st_size
        except FileNotFoundError:
            return AttemptReport(attempt_id, known=False)
        is_new = size > story.offset and story.read(journal)
        if _is_dead(story):
            is_new = _end_of_the_dead(run_dir, story, self._clock) or is_new
        is_new = known.trials.read(run_dir / orders.TRIALS) or is_new
        if is_new or known.report is None:
            known.report = _report(attempt_id, run_dir, known)
        return known.report


def _first_image(spec: AttemptSpec) -> Image | None:
    return next((group.image for group in spec.groups if group.image is not None), None)


def _unused_image(spec: AttemptSpec, engine: Engine | None) -> dict[str, object]:
    image = _first_image(spec)
    if image is None or engine is not None:
        return {}
    return {"image": {"name": image.name, "reason": "this bot has no container engine"}}


def _is_dead(story: Story) -> bool:
    is_at_work = story.supervisor is not None and not story.is_over and not story.is_interrupted
    return is_at_work and story.supervisor is not None and not story.supervisor.is_alive()


def _start_supervisor(run_dir: Path, secrets: Mapping[str, str]) -> None:
    """Start the supervisor and wait for its first word. It gets nothing of ours: no environment, no terminal, no file.

    The secrets go through a pipe: no other process can see them there, and no file ever holds them.

    Raises OSError when it did not come to life. Starting a second one is harmless: it ends at once.
    """
    command = [sys.executable, "-S", "-P", "-m", "bot.backends.supervisor", str(run_dir)]
    environment = {"PYTHONPATH": str(_PACKAGE), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    with (run_dir / orders.DIARY).open("ab") as diary:
        done = subprocess.run(
            command,
            input=json.dumps(dict(secrets)).encode(),
            stdout=diary,
            stderr=diary,
            env=environment,
            cwd=run_dir,
            start_new_session=True,
            timeout=_START_LIMIT,
            check=False,
        )
    if done.returncode != 0:
        lines = (run_dir / orders.DIARY).read_text(errors="replace").splitlines()
        raise OSError(lines[-1] if lines else f"status {done.returncode}")


def _end_of_the_dead(run_dir: Path, story: Story, clock: Clock) -> bool:
    """Write down the end of an attempt whose supervisor is dead, after the end of all that it guarded.

    The lock, which the kernel took from the dead, keeps two bots from doing it both; tell whether anything was written.
    """
    lock = os.open(run_dir / orders.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = run_dir / orders.JOURNAL
        story.read(path)  # its last words may have come since we looked
        if not story.is_over:
            _kill_survivors(story, clock)
            journal = Journal(path, clock)
            if _can_go_on(run_dir, story):
                journal.note(interrupted=True)
            else:
                # A search that cost several supervisors would cost another.
                more = {} if story.interruptions else {"may_retry": True}
                journal.see(State.ERROR, f"its supervisor died{_cause(story)}; all its processes were ended", **more)
            journal.close()
            story.read(path)
            _sweep(Order.read(run_dir), clock)
            remove([run_dir / name for name in ("workspace", "scratch", "generated")], are_ours=os.getuid() != 0)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _sweep(order: Order, clock: Clock) -> None:
    """Remove what the kernel and an engine keep of an attempt whose processes have been killed."""
    sweep(order.means, order.attempt["id"], clock)
    if order.engine is not None:
        with contextlib.suppress(EngineError):  # its containers are dead, which is what counts
            order.engine.sweep(order.attempt["id"])


def _kill_survivors(story: Story, clock: Clock) -> None:
    """With walls nobody survives the supervisor, unless the kernel is late; without them, everybody may.

    Waits for it, but not for ever: a search goes on at once, and must not meet itself.
    """
    for process in story.processes:
        process.send(signal.SIGKILL)
    give_up = clock.monotonic() + _PATIENCE
    while any(process.is_alive() for process in story.processes) and clock.monotonic() < give_up:
        clock.sleep(0.01)
    if story.marker is None:
        return
    for _ in range(_MOST_ROUNDS):  # more than one: a process may be starting another while we kill
        survivors = processes.with_environment(MARKER, story.marker)
        if not survivors:
            return
        processes.kill_all(survivors)


def _cause(story: Story) -> str:
    if story.supervisor is not None and story.supervisor.boot != processes.boot_id():
        return " when the machine was restarted"
    return ""


def _can_go_on(run_dir: Path, story: Story) -> bool:
    """Tell whether the attempt is one of a search that has begun: what its tuner wrote down is enough to go on from."""
    is_search = Order.read(run_dir).attempt["mode"] == Mode.SEARCH
    has_run = any(seen.state is State.RUNNING for seen in story.seen)
    return is_search and has_run and story.interruptions < _MOST_INTERRUPTIONS


def _report(attempt_id: str, run_dir: Path, known: _Known) -> AttemptReport:
    story = known.story
    if not story.is_started:
        return AttemptReport(attempt_id, known=False)
    spec = from_json(Order.read(run_dir).attempt)
    return AttemptReport(
        attempt_id,
        known=True,
        seen=tuple(story.seen),
        tasks=tuple(
            _task(story, group.role, index, name) for group in spec.groups for index, name in enumerate(group.tasks)
        ),
        is_interrupted=story.is_interrupted,
        progress=story.progress,
        facts=dict(story.facts),
        trials=known.trials.lines,
    )


def _task(story: Story, role: str, index: int, name: str) -> TaskReport:
    """Return a task's own way: the attempt's until its own end, which may come before."""
    own = story.tasks.get(name, TaskStory())
    seen = tuple(story.seen)
    if own.end is not None:
        seen = (*(one for one in seen if one.state in _BEFORE_THE_END), own.end)
    return TaskReport(role, index, seen, own.exit_code, story.node, own.peak_memory_mb)


_BEFORE_THE_END = frozenset(WAY[:6])

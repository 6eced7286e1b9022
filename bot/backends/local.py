"""Experiments on this machine: the bot's side. Each attempt has a supervisor, which is not this process's child.

Everything that counts is in the attempt's directory, so any process that has DATA_DIR finds every attempt again by its
id, however the one before it ended:

    runs/<public id>/<attempt>/   order.json  cancel.json  lock  supervisor.log  workspace/  scratch/
                     worker-0/    journal  log  artifacts/
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bot.backends import artifacts, logfile, orders, processes, walls
from bot.backends.base import (
    Artifact,
    AttemptReport,
    AttemptSpec,
    BackendError,
    Capabilities,
    Capacity,
    LogChunk,
    TaskReport,
    to_json,
)
from bot.backends.journal import Journal, Story, UnknownJournal
from bot.backends.orders import Order
from bot.backends.running import MARKER
from bot.clock import Clock
from bot.core.states import Observation, State

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""
_START_LIMIT = 60.0
_MOST_ROUNDS = 100
"""A process that the kernel cannot end (a dead disk holds it) must not hold up the poll of all others."""
_ID = re.compile(r"([A-Za-z0-9_.]+)-([0-9]+)")
_TASK = re.compile(r"[a-z-]+-[0-9]+")
_PACKAGE = Path(__file__).parents[2]
_LIMITS = (
    "time: the whole process tree is ended",
    "memory: looked at once a second, the run is ended beyond its machine's",
    "CPUs: not enforced; they decide how many experiments run at once",
)


@dataclass
class _Known:
    """What was read of an attempt so far, so that a poll reads only what is new."""

    story: Story = field(default_factory=Story)
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
    ) -> None:
        self._runs, self._clock = data_dir.absolute() / "runs", clock
        self._grace, self._log_limit = grace, log_limit
        found = walls.find(bwrap, run_as, allow_unisolated)
        self._sandbox = found.sandbox
        self._known: dict[str, _Known] = {}
        for directory in (self._runs, self._runs.parent / "storage"):
            # Nobody else of this machine needs to see what repositories trained; runs get theirs as mounts.
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.capabilities = Capabilities(
            name="local",
            isolation=found.description,
            is_isolated=found.sandbox.bwrap is not None,
            capacity=capacity,
            limits=_LIMITS,
        )

    def submit(self, spec: AttemptSpec) -> str:
        """See `Backend.submit`. The handle is the attempt's directory; returns when the supervisor is there."""
        run_dir = self._directory(spec.id)
        if run_dir is None or Path(spec.run_dir) != run_dir:
            raise BackendError(f"the attempt {spec.id!r} cannot lie at {spec.run_dir}")
        if len(spec.groups) != 1 or spec.groups[0].count != 1:
            raise BackendError("this version runs single nodes only")
        if not self._story(spec.id).is_started:
            try:
                run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
                Order(to_json(spec), self._sandbox, self._grace, self._log_limit).write(run_dir)
                _start_supervisor(run_dir)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise BackendError(f"the supervisor of {spec.id} could not be started: {error}") from error
        return str(run_dir)

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
        return iter(()) if run_dir is None else artifacts.find(run_dir / orders.TASK / "artifacts")

    def open_artifact(self, attempt_id: str, path: str) -> BinaryIO:
        """See `Backend.open_artifact`."""
        run_dir = self._directory(attempt_id)
        if run_dir is None:
            raise FileNotFoundError(path)
        return artifacts.open_one(run_dir / orders.TASK / "artifacts", path)

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
                story.read(run_dir / orders.TASK / "journal")
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
        journal, story = run_dir / orders.TASK / "journal", known.story
        if known.report is not None and story.is_over:
            return known.report
        try:
            size = journal.stat().st_size
        except FileNotFoundError:
            return AttemptReport(attempt_id, known=False)
        is_new = size > story.offset and story.read(journal)
        if story.supervisor is not None and not story.is_over and not story.supervisor.is_alive():
            is_new = _end_of_the_dead(run_dir, story, self._clock) or is_new
        if is_new or known.report is None:
            known.report = _report(attempt_id, story)
        return known.report


def _start_supervisor(run_dir: Path) -> None:
    """Start the supervisor and wait for its first word. It gets nothing of ours: no environment, no terminal, no file.

    Raises OSError when it did not come to life. Starting a second one is harmless: it ends at once.
    """
    command = [sys.executable, "-S", "-P", "-m", "bot.backends.supervisor", str(run_dir)]
    environment = {"PYTHONPATH": str(_PACKAGE), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    with (run_dir / orders.DIARY).open("ab") as diary:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
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
        path = run_dir / orders.TASK / "journal"
        story.read(path)  # its last words may have come since we looked
        if not story.is_over:
            _kill_survivors(story)
            journal = Journal(path, clock)
            journal.see(State.ERROR, f"its supervisor died{_cause(story)}; all its processes were ended")
            journal.close()
            story.read(path)
            for name in ("workspace", "scratch"):
                shutil.rmtree(run_dir / name, ignore_errors=True)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _kill_survivors(story: Story) -> None:
    """With walls nobody survives the supervisor, unless the kernel is late; without them, everybody may."""
    for process in story.processes:
        process.send(signal.SIGKILL)
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


def _report(attempt_id: str, story: Story) -> AttemptReport:
    if not story.is_started:
        return AttemptReport(attempt_id, known=False)
    seen = tuple(story.seen)
    role, _, index = orders.TASK.rpartition("-")
    task = TaskReport(role, int(index), seen, story.exit_code, story.node, story.peak_memory_mb)
    return AttemptReport(attempt_id, known=True, seen=seen, tasks=(task,))

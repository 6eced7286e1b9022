"""A task of an attempt: its log, and the command that runs in it at this moment."""

import os
import select
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bot.backends import containers, sandbox
from bot.backends.base import Machine
from bot.backends.containers import Contained, Container
from bot.backends.ends import Stop
from bot.backends.limits import Cage
from bot.backends.logfile import LogFile
from bot.backends.running import Running
from bot.backends.sandbox import Places, Sandbox, SandboxError
from bot.clock import Clock

_CHUNK = 1 << 18


@dataclass
class Task:
    """What the supervisor knows of a task. `decides`: the attempt waits for its end. `container`: it runs in that."""

    name: str
    command: str
    machine: Machine
    decides: bool
    log: LogFile
    workdir: str
    variables: dict[str, str] = field(default_factory=dict)
    container: Container | None = None


class TaskRun:
    """A command of a task, from its walls to its burial. `trial` is its number in a search.

    Raises SandboxError when the walls cannot be built; the log then says why.
    """

    def __init__(
        self,
        task: Task,
        walls: Sandbox,
        places: Places,
        command: str,
        clock: Clock,
        cage: Cage,
        trial: int | None = None,
        spared: Callable[[], set[int]] = set,
    ) -> None:
        """See `Running` for `spared`."""
        self.task, self.trial, self._clock = task, trial, clock
        self._walls, self._places, self._cage = walls, places, cage
        self.kill_at: float | None = None
        self.verdict = ""
        """Why it is ended by us, where it is its own fault."""
        self._is_silent = False
        self._pipe, output = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._pipe, False)
        try:
            self.running = self._start(command, output, spared)
        except (SandboxError, Stop):
            self._drain()
            cage.close()
            raise
        finally:
            os.close(output)
        if task.container is None or task.container.engine.is_root:
            cage.hold(self.running.outer_pid)
        else:
            cage.only_watch()

    def _start(self, command: str, output: int, spared: Callable[[], set[int]]) -> Running:
        walls, places, clock, cage = self._walls, self._places, self._clock, self._cage
        if self.task.container is None:
            return Running(walls, places, command, output, clock, cage.wrap, spared)
        container, machine = self.task.container, self.task.machine
        return Contained(container, machine, cage.rlimits, walls, places, command, output, clock)

    def begin(self, variables: Mapping[str, str]) -> None:
        """Let it begin. The variables are those that the config and the backend gave; the sandbox adds its own."""
        complete = sandbox.environment if self.task.container is None else containers.environment
        self.running.release(complete(self._walls, self._places, variables))

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What is readable when there is something to do."""
        # A pipe that nobody writes to any more is readable for ever: waiting for it would be no waiting.
        return (self.running.ended,) if self._is_silent else (self.running.ended, self._pipe)

    @property
    def has_ended(self) -> bool:
        return bool(select.select([self.running.ended], [], [], 0)[0])

    @property
    def is_ending(self) -> bool:
        return self.kill_at is not None

    def copy(self) -> bool:
        """Copy what there is of its output into the log; tell whether there was any."""
        try:
            data = os.read(self._pipe, _CHUNK)
        except BlockingIOError:
            return False
        self.task.log.write(data)
        self._is_silent = not data
        return bool(data)

    def look(self) -> str | None:
        """Look at what it uses; return why it must be ended, None if it need not."""
        return self._cage.look(self.running.pids, self._clock.monotonic())

    @property
    def peak(self) -> int:
        """The most bytes of memory that were seen in use."""
        return self._cage.peak_memory()

    def ask_to_end(self, grace: float) -> None:
        """Ask all its processes to end, and give them `grace` seconds: their last words belong into the log."""
        self.kill_at = self._clock.monotonic() + grace
        self.running.ask_to_end()

    def is_to_be_killed(self) -> bool:
        """Tell whether those that were asked to end have done so, or had their time."""
        return self.kill_at is not None and (self._clock.monotonic() >= self.kill_at or self.running.is_deserted())

    def bury(self) -> int | None:
        """End whatever is left of it and return the command's exit code; None when it was killed from outside.

        Where the kernel killed it because its memory was at an end, `verdict` says so.
        """
        self.running.kill()
        code = self.running.bury()
        self._drain()
        self._cage.kill()
        self._cage.close()
        if code != 0 and not self.is_ending and self._cage.was_out_of_memory():
            self.verdict = self.verdict or self._cage.out_of_memory
        return code

    def _drain(self) -> None:
        while self.copy():
            pass
        os.close(self._pipe)

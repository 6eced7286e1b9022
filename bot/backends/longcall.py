"""A call of a container engine that takes its time, a pull or a build: it can be waited for, heard and ended."""

import contextlib
import os
import subprocess
from collections.abc import Sequence

from bot.backends import processes
from bot.backends.ends import End, Stop
from bot.backends.engine import Engine
from bot.backends.journal import Journal
from bot.backends.logfile import LogFile
from bot.backends.processes import Process
from bot.core.states import State

_CHUNK = 1 << 16
_LAST = 4096
_MOST_ROUNDS = 100


class LongCall:
    """A command of the engine. It may wait for `go_on`; `said` is the end of what it printed, both streams together."""

    def __init__(self, command: Sequence[str], engine: Engine, journal: Journal) -> None:
        self._pipe, output = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._pipe, False)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=dict(engine.environment),
                start_new_session=True,
                preexec_fn=processes.die_with_parent,  # noqa: PLW1509 - safe: one thread
            )
        except OSError as error:
            raise Stop(End(State.ERROR, f"{engine.kind} could not be started: {error}", may_retry=True)) from None
        finally:
            os.close(output)
        self._ended = os.pidfd_open(self._process.pid)
        self.said = ""
        self._is_closed = False
        journal.note(processes=[vars(Process.of(self._process.pid))])

    @property
    def descriptors(self) -> tuple[int, ...]:
        return self._ended, self._pipe

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def code(self) -> int | None:
        return self._process.returncode

    def go_on(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
                pipe.write(b"\n")

    def listen(self, log: LogFile | None) -> None:
        """Take what it printed since the last time, into the log if there is one."""
        try:
            while data := os.read(self._pipe, _CHUNK):
                self.said = (self.said + data.decode(errors="replace"))[-_LAST:]
                if log is not None:
                    log.write(data)
        except BlockingIOError:
            return

    def end(self) -> None:
        """Kill it with everything below it, which it would leave behind if it were killed alone."""
        if self._is_closed:
            return
        self._is_closed = True
        for _ in range(_MOST_ROUNDS if not self.has_ended else 0):
            below = processes.everybody_below(self._process.pid)
            if not below:
                break
            processes.kill_all(below)
        self._process.kill()
        self._process.wait()
        for descriptor in (self._ended, self._pipe):
            os.close(descriptor)

"""A command that runs, with every process below it: to start it, to watch it, to end all of it."""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bot.backends import processes, sandbox
from bot.backends.processes import Process
from bot.backends.sandbox import Places, Sandbox, SandboxError
from bot.clock import Clock

MARKER = "EXPERIMENT_CI_MARKER"
_PATIENCE = 30.0
"""Seconds for the walls to stand, and for killed processes to be gone."""
_SET_CHILD_SUBREAPER = 36


class Running:
    """The command in its sandbox. It executes nothing before `release`, and nothing of it is left after `bury`.

    `output` is the descriptor that it writes to; `ended` is one that can be waited for, readable at the command's end.
    Raises SandboxError when the walls cannot be built; the output then says why.
    """

    def __init__(
        self,
        walls: Sandbox,
        places: Places,
        command: str,
        output: int,
        clock: Clock,
        wrap: Callable[[Sequence[str]], list[str]] = list,
        spared: Callable[[], set[int]] = set,
    ) -> None:
        """`wrap` adds to the command what limits it.

        `spared` are the pids that are below us too, where there are no walls, and none of the run's.
        """
        self._walls, self._clock, self._spared, self._wrap = walls, clock, spared, wrap
        self.marker = None if walls.bwrap else os.urandom(16).hex()
        self._reports: dict[str, Any] = {}
        self._status, status = os.pipe2(os.O_CLOEXEC)
        try:
            self._outer = self._start(places, command, output, status)
        except OSError as error:
            raise SandboxError(f"the command could not be started: {error}") from error
        finally:
            os.close(status)
        self.ended = os.pidfd_open(self._outer.pid)
        self.first = self._find_first()

    @property
    def must_be_gone(self) -> list[Process]:
        """The processes whose end is the end of all; durable in the journal before the run begins."""
        return [self.first, Process.of(self._outer.pid)]

    def release(self, variables: Mapping[str, str]) -> None:
        """Let it begin, with this environment."""
        if self.marker is not None:
            variables = {**variables, MARKER: self.marker}
        if self._outer.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._outer.stdin as pipe:
                pipe.write(sandbox.script(variables))

    @property
    def outer_pid(self) -> int:
        """The process that everything of the run is below of."""
        return self._outer.pid

    def pids(self) -> list[int]:
        """Return all processes of the run at this moment."""
        return [pid for pid in processes.descendants(self._top()) if pid not in self._spared()]

    def ask_to_end(self) -> None:
        """SIGTERM to every process of the run.

        Its first process is stopped instead: it would end at the signal at once, and the walls with it, before the
        others have had the time to save anything.
        """
        everybody = self._everybody()
        first = self._bootstrap(everybody)
        if first is not None:
            _signal(first, signal.SIGSTOP)
        for pid in everybody - {first}:
            _signal(pid, signal.SIGTERM)

    def is_deserted(self) -> bool:
        """Tell whether all that were asked to end have done so."""
        return not self._others()

    def kill(self) -> None:
        """SIGKILL to every process of the run, those in sessions of their own too."""
        if self._outer.poll() is None:
            # bwrap dies with the supervisor's child, and everything in its pid namespace with bwrap's first process.
            self._outer.kill()
        self._kill_rest()

    def bury(self) -> int | None:
        """Wait for the end of all processes; return the command's exit code, None when it was killed from outside."""
        self._outer.wait()
        self._kill_rest()
        code = self._exit_code()
        for descriptor in (self._status, self.ended):
            os.close(descriptor)
        return code

    def _start(self, places: Places, command: str, output: int, status: int) -> "subprocess.Popen[bytes]":
        # Not the environment of anybody: root's bwrap must not meet a variable that a run has chosen.
        environment: dict[str, str] = {}
        cwd = None
        if self.marker is None:
            argv = [*sandbox.command(self._walls, places, status), command]
        else:
            _adopt_orphans()
            argv, environment = ["/bin/sh", "-c", sandbox.BOOTSTRAP, "sh", command], {MARKER: self.marker}
            cwd = f"{places.workspace}/{places.workdir}"
        return subprocess.Popen(
            self._wrap(argv),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=cwd,
            pass_fds=(status,),
            start_new_session=True,
        )

    def _find_first(self) -> Process:
        """Return the first process of the sandbox's own pid namespace, which takes all others with it."""
        if self.marker is not None:
            return Process.of(self._outer.pid)
        reported = self._report("child-pid")
        with contextlib.suppress(ProcessLookupError):
            if reported is not None:
                return Process.of(reported)
        self._outer.kill()
        self._outer.wait()
        raise SandboxError("the sandbox could not be built; the log says why")

    def _report(self, key: str) -> int | None:
        """Return a number that bwrap reports, waiting for it; None when bwrap ends without a word of it."""
        give_up = self._clock.monotonic() + _PATIENCE
        unread = b""
        while key not in self._reports and self._clock.monotonic() < give_up:
            if not select.select([self._status], [], [], 1.0)[0]:
                continue
            chunk = os.read(self._status, 4096)
            *lines, unread = (unread + chunk).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError, TypeError):  # a run may have written into the pipe, as a user
                    self._reports |= json.loads(line)
            if not chunk:
                break
        return self._reports.get(key)

    def _exit_code(self) -> int | None:
        if self.marker is None:
            return self._report("exit-code")
        code = self._outer.returncode
        return code if code >= 0 else None

    def _top(self) -> int:
        """Return the pid that all are below: without walls orphans become the supervisor's, which has no others."""
        return os.getpid() if self.marker is not None else self.first.pid

    def _bootstrap(self, pids: Iterable[int]) -> int | None:
        if self.marker is not None:
            return self._outer.pid
        return next((pid for pid in pids if processes.inner_pid(pid) == 2), None)

    def _everybody(self) -> set[int]:
        return processes.everybody_below(self._top()) - self._spared()

    def _others(self) -> set[int]:
        everybody = self._everybody()
        return everybody - {self._bootstrap(everybody)}

    def _kill_rest(self) -> None:
        """Kill until nobody is left: what is being started while we kill is found by the next look."""
        give_up = self._clock.monotonic() + _PATIENCE
        while self._is_anybody_left():
            if self._clock.monotonic() > give_up:
                raise SandboxError("processes of this run cannot be killed")
            self._clock.sleep(0.005)

    def _is_anybody_left(self) -> bool:
        if self.marker is not None:
            left = self._everybody()
            processes.kill_all(left)
            return bool(left)
        return self.first.is_alive() and (self.first.send(signal.SIGKILL) or True)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _adopt_orphans() -> None:
    """Make this process the parent of every orphan below it, so that nobody escapes by losing its parent."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise SandboxError(f"orphans cannot be adopted: {os.strerror(ctypes.get_errno())}")

"""Programs of ours that work beside a run, as children of its supervisor: they speak JSON, a line at a time."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.backends import processes
from bot.backends.interrupts import Interrupts
from bot.clock import Clock

_PACKAGE = Path(__file__).parents[2]
_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 24
_LOOK_EVERY = 1.0
"""Seconds between looks for a cancel that nobody nudged us about."""
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
"""All that a program gets: nothing of the bot's, nothing that a run has chosen."""


class ProgramDied(Exception):
    """It ended, or fell silent, before it said what was waited for."""


class Program:
    """`python -m <module>` with `run_dir` as its working directory; what it complains of goes where ours does."""

    def __init__(self, module: str, run_dir: Path, pass_fds: Sequence[int] = (), arguments: Sequence[str] = ()) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=run_dir,
            env={**ENVIRONMENT, "PYTHONPATH": str(_PACKAGE)},
            pass_fds=tuple(pass_fds),
            start_new_session=True,
            preexec_fn=processes.die_with_parent,  # noqa: PLW1509 - safe: one thread
        )
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101
        self._input, self._output = self._process.stdin, self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        # A program that does not listen must not hold up its supervisor.
        os.set_blocking(self._input.fileno(), False)
        self._unread = b""
        self.is_silent = False
        """True once it will say nothing more."""

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        """The descriptor that is readable when it has said something."""
        return self._output.fileno()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a line. One that it does not take is lost: its end is noticed elsewhere."""
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError, BlockingIOError):
            while line:
                line = line[os.write(self._input.fileno(), line) :]

    def say_no_more(self) -> None:
        """Close its input: for all of them that is the sign to end."""
        with contextlib.suppress(OSError):
            self._input.close()

    def heard(self) -> Iterator[dict[str, Any]]:
        """Yield what it has said since the last time, without waiting."""
        try:
            while chunk := os.read(self._output.fileno(), _CHUNK):
                self._unread += chunk
            self.is_silent = True
        except BlockingIOError:
            pass
        *lines, self._unread = self._unread[-_LONGEST_LINE:].split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict):
                    yield message

    def first_word(self, interrupts: Interrupts, clock: Clock, patience: float) -> dict[str, Any]:
        """Wait for its first line, `patience` seconds at most. Raises ProgramDied, or Stop when that is asked for."""
        give_up = clock.monotonic() + patience
        while not self.is_silent and (left := give_up - clock.monotonic()) > 0:
            interrupts.check()
            interrupts.sleep(min(left, _LOOK_EVERY), self.fileno())
            for message in self.heard():
                return message
        raise ProgramDied(f"{self._module} did not start; supervisor.log may say why")

    def last_words(self, clock: Clock, patience: float, interrupts: Interrupts | None = None) -> list[dict[str, Any]]:
        """Let it finish, and return all that it says until then, `patience` seconds at most: see `is_silent`.

        Raises Stop when that is asked for, where there is somebody to ask.
        """
        self.say_no_more()
        said: list[dict[str, Any]] = []
        give_up = clock.monotonic() + patience
        while not self.is_silent and (left := give_up - clock.monotonic()) > 0:
            if interrupts is None:
                select.select([self._output], [], [], left)
            else:
                interrupts.check()
                interrupts.sleep(min(left, _LOOK_EVERY), self.fileno())
            said += self.heard()
        return said

    @property
    def status(self) -> int:
        """Its exit status, once it is silent: waits for its end."""
        return self._process.wait()

    def end(self, clock: Clock, patience: float) -> None:
        """Let it finish, `patience` seconds at most; then it is killed."""
        self.last_words(clock, patience)
        self.kill()

    def kill(self) -> None:
        """End it now, with everything it started in its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.say_no_more()
        self._process.wait()
        self._output.close()

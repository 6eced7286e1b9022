"""Somebody at a terminal with a checkout: types the command, looks at what it shows, presses Ctrl-C."""

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from bot.__main__ import main
from bot.backends.powers import Powers
from tests.backends.lab import powers
from tests.run.emulator import Emulator
from tests.run.repository import Repository

PATIENCE = 60.0
COLUMNS = 100


@dataclass
class Person:
    """`state` is where what comes of the checkouts is kept, `environ` what the person has set."""

    repository: Repository
    state: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        allow = "yes" if powers() == Powers() else "no"
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.state),
            "XDG_STATE_HOME": str(self.state),
            "USER": "ada",
            "ALLOW_UNISOLATED_TRUSTED_CODE": allow,
            **self.environ,
        }

    def run(self, *arguments: str) -> "Done":
        """Type `experiment-ci run`, and wait for its end."""
        return typed(["run", *arguments], self.repository.root, self.environment)

    @contextmanager
    def begun(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """Type the command and leave it alone."""
        with subprocess.Popen(
            _command(arguments), cwd=self.repository.root, env=self.environment, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def at_a_terminal(self, *arguments: str) -> Iterator["Terminal"]:
        """Type the command at a terminal."""
        environment = {**self.environment, "TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": "30"}
        pid, descriptor = pty.fork()
        if pid == 0:
            try:
                os.chdir(self.repository.root)
                os.execve(sys.executable, _command(arguments), environment)  # noqa: S606 - a list of arguments
            finally:
                os._exit(127)
        terminal = Terminal(pid, descriptor)
        try:
            yield terminal
        finally:
            terminal.close()

    @property
    def homes(self) -> list[Path]:
        return sorted((self.state / "experiment-ci").iterdir())


@dataclass(frozen=True)
class Done:
    """How the command ended, and what it said."""

    status: int
    said: str
    complained: str


def typed(arguments: Sequence[str], place: Path, environ: Mapping[str, str]) -> Done:
    """Run a command line in a directory. In this very process: a start takes a second or two, each time."""
    said, complained = io.StringIO(), io.StringIO()
    before, here = dict(os.environ), Path.cwd()
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(place)
    try:
        with redirect_stdout(said), redirect_stderr(complained):
            status = main(arguments)
    finally:
        os.environ.clear()
        os.environ.update(before)
        os.chdir(here)
    return Done(status, said.getvalue(), complained.getvalue())


class Terminal:
    """A pseudo-terminal with a program on it."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self._pid, self._descriptor = pid, descriptor
        self._emulator = Emulator(COLUMNS)
        self._status: int | None = None

    @property
    def shown(self) -> list[str]:
        return self._emulator.shown

    def press_ctrl_c(self) -> None:
        os.write(self._descriptor, b"\x03")

    def hang_up(self) -> None:
        """The window is closed."""
        os.close(self._descriptor)
        self._descriptor = -1

    def wait_for(self, condition: Callable[[str], bool]) -> None:
        """Look until what is shown fulfils it."""
        give_up = time.monotonic() + PATIENCE
        while not condition("\n".join(self.shown)):
            assert time.monotonic() < give_up, self.shown
            assert self._look() or condition("\n".join(self.shown)), self.shown

    def end(self) -> int:
        """Look until the program ends; return its exit status."""
        give_up = time.monotonic() + PATIENCE
        while self._look():
            assert time.monotonic() < give_up, self.shown
        _, status = os.waitpid(self._pid, 0)
        self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def close(self) -> None:
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def _look(self) -> bool:
        """Take what was written; tell whether there may be more."""
        ready, _, _ = select.select([self._descriptor], [], [], 0.1)
        if not ready:
            return True
        try:
            data = os.read(self._descriptor, 1 << 16)
        except OSError:  # Linux's way to say that the other side is gone
            return False
        # What the terminal itself shows of a key is none of ours.
        self._emulator.feed(data.decode(errors="replace").replace("^C", ""))
        return bool(data)


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "bot", "run", *arguments]

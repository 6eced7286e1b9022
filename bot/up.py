"""`experiment-ci up`: web and worker side by side, each a process of its own, started again when it dies."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, MutableMapping
from types import FrameType

from bot.clock import Clock

PARTS = ("serve", "work")
_PARENT = "EXPERIMENT_CI_UP"
"""The variable that tells a part who started it."""
_SET_DEATH_SIGNAL = 1
"""prctl(2): PR_SET_PDEATHSIG."""
_RESTART_AFTER = 1.0
_GRACE = 12.0
_log = logging.getLogger(__name__)


class Processes:
    """The two processes. `environ` is theirs alone: settings go by the environment, never by the command line."""

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        self._environ, self._clock = {**environ, _PARENT: str(os.getpid())}, clock
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._started: dict[str, float] = {}
        self._is_stopping = False

    @property
    def pids(self) -> dict[str, int]:
        """The running parts by name."""
        return {part: child.pid for part, child in self._children.items() if child.poll() is None}

    def start(self) -> None:
        """Start both parts."""
        for part in PARTS:
            self._start(part)

    def tend(self) -> None:
        """Start again what has died, at most once a second each. Nothing is lost: the tables are the truth."""
        for part, child in self._children.items():
            status = child.poll()
            if status is None or self._clock.monotonic() - self._started[part] < _RESTART_AFTER:
                continue
            _log.warning("%s ended with status %s; it is started again", part, status)
            self._start(part)

    def stop(self) -> None:
        """Ask both to end, wait, and insist."""
        self._is_stopping = True
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            try:
                child.wait(_GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def run(self) -> None:
        """Keep both running until this process is told to end."""
        when_told_to_end(self._on_signal)
        self.start()
        while not self._is_stopping:
            self._clock.sleep(0.2)
            if not self._is_stopping:
                self.tend()
        self.stop()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True

    def _start(self, part: str) -> None:
        self._started[part] = self._clock.monotonic()
        # A group of its own: Ctrl-C in the terminal reaches this process, which ends its children in order.
        self._children[part] = subprocess.Popen(
            [sys.executable, "-m", "bot", part], env=self._environ, start_new_session=True
        )


def when_told_to_end(handler: Callable[[int, FrameType | None], object]) -> None:
    """Call `handler` at SIGTERM, at Ctrl-C, and when the terminal is closed, unless nohup keeps that away."""
    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handler)


def follow(environ: MutableMapping[str, str]) -> None:
    """Let this part be told to end when the one that started it is gone, however it went.

    A worker that nobody tends would keep the next one away. A part that was started alone has nobody to follow.
    """
    parent = environ.pop(_PARENT, None)
    if parent is None:
        return
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
    if os.getppid() != int(parent):  # it went before it could be followed
        os.kill(os.getpid(), signal.SIGTERM)

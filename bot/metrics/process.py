"""The process that answers questions about untrusted files: started when needed, killed when slow, started anew."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Timer
from typing import Any

import bot

_STARTING = 120.0
"""Seconds that a child has to load what it needs, on a machine that trains: none of it is a question's time."""
LARGEST_ANSWER = 64 << 20
"""Bytes of an answer: what is more is no answer of ours."""


class NoAnswer(Exception):
    """The process gave no answer; the message is a clause for people.

    `is_worth_another_try` where the process was gone or ended by itself, not where it was slow or said no.
    """

    def __init__(self, message: str, *, is_worth_another_try: bool = False) -> None:
        super().__init__(message)
        self.is_worth_another_try = is_worth_another_try


class ChildProcess:
    """One child at a time, asked one question at a time. Not safe for several threads: its owner holds a lock."""

    def __init__(self, timeout: float, user: int | None = None) -> None:
        """`timeout` (seconds) bounds each answer. `user`: the uid of the child, when the bot is root."""
        self._timeout = timeout
        self._user = user
        # matplotlib keeps its list of fonts here; without it each new child would search for them.
        # Whose it is stands in its name: one whose owner was killed is swept away.
        self._scratch = tempfile.TemporaryDirectory(prefix=f"experiment-ci-{os.getpid()}-")
        if user is not None:
            os.chown(self._scratch.name, user, user)
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._is_ready = False

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the child, unless there is one. It takes a second until it answers."""
        if self._socket is None or self._process is None:
            self._socket, self._process = self._started()
            self._is_ready = False

    def ask(self, request: Mapping[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        """Return the answer; `descriptors` are lent for that time. Raises NoAnswer; the next question starts anew."""
        self.start()
        assert self._socket is not None and self._process is not None  # noqa: S101, PT018 - for mypy
        if not self._is_ready:
            self._wait_until_ready(self._socket, self._process)
        with _killed_after(self._timeout, self._process) as is_over:
            try:
                answer = _exchange(self._socket, json.dumps(request).encode() + b"\n", descriptors)
            except (OSError, ValueError) as error:
                end = self._stop()
                if is_over.is_set():
                    raise NoAnswer(f"it took longer than {self._timeout:g} s") from error
                raise NoAnswer(end, is_worth_another_try=True) from error
        if "error" in answer:
            raise NoAnswer(f"the reading process said {answer['error']}")
        return answer

    def _wait_until_ready(self, connection: socket.socket, process: subprocess.Popen[bytes]) -> None:
        with _killed_after(_STARTING, process) as is_over:
            try:
                self._is_ready = bool(connection.recv(1))
            except OSError:
                self._is_ready = False
        if not self._is_ready:
            end = self._stop()
            if is_over.is_set():
                raise NoAnswer(f"the reading process did not start within {_STARTING:g} s")
            raise NoAnswer(end, is_worth_another_try=True)

    def close(self) -> None:
        """End the child and remove what it wrote. Closing twice is allowed; a question afterwards is not."""
        self._stop()
        self._scratch.cleanup()

    def _started(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair()
        user = [] if self._user is None else [str(self._user)]
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "bot.metrics.child", *user],
                cwd=Path(bot.__file__).parent.parent,
                # Nothing of the bot's environment, where secrets may be.
                env={"LANG": "C.UTF-8", "MPLCONFIGDIR": self._scratch.name, "OPENBLAS_NUM_THREADS": "1"},
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return ours, process

    def _stop(self) -> str:
        """End the child, if there is one, and say how it ended."""
        if self._socket is None or self._process is None:
            return "there is no reading process"
        self._socket.close()
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._socket = self._process = None
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return f"the reading process {how}"


_PATIENCE = 0.5
"""Seconds that a child has to see that nobody listens any more."""


@contextmanager
def _killed_after(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[Event]:
    """Kill the process after that time; the event tells whether that was done."""
    is_over = Event()

    def kill() -> None:
        is_over.set()
        process.kill()

    timer = Timer(seconds, kill)
    timer.daemon = True  # a program that is told to end while this begins must not wait for it
    try:
        timer.start()
        yield is_over
    finally:
        timer.cancel()
        # A timer that has just gone off must not kill the next child under this one's name.
        if timer.ident is not None:
            timer.join()


def _exchange(connection: socket.socket, line: bytes, descriptors: Sequence[int]) -> dict[str, Any]:
    """Send the line and return the answer. Raises OSError at a broken connection, ValueError at nonsense."""
    # A first piece carries the descriptors; a longer line follows as ordinary bytes.
    sent = socket.send_fds(connection, [line[: 1 << 15]], list(descriptors))
    connection.sendall(line[sent:])
    answer = bytearray()
    while not answer.endswith(b"\n"):
        received = connection.recv(1 << 18)
        if not received:
            raise ConnectionResetError("the process ended before its answer did")
        answer += received
        if len(answer) > LARGEST_ANSWER:
            raise ValueError("the answer is too long")
    value = json.loads(answer)
    if not isinstance(value, dict):
        raise ValueError("the answer is no object")
    return value

"""What the program says on stdout: JSON lines, progress at most once a second, nothing secret, and one last word."""

import json
import os
import select
import signal
import threading
from collections.abc import Callable, Collection
from typing import Any

MB = 1_000_000
_EVERY = 1.0
"""Seconds between two lines of progress."""


class Output:
    """Lines on a descriptor. Progress is said by a thread, so that whoever works may report as often as they like."""

    def __init__(self, descriptor: int, secrets: Collection[str]) -> None:
        self._descriptor = descriptor
        # The longest first: a secret may contain another.
        self._secrets = sorted(secrets, key=len, reverse=True)
        self._news: str | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)
        self._thread.start()

    def progress(self, text: str) -> None:
        """Say it within a second, unless something newer comes up."""
        self._news = text

    def counter(self, what: str, total: int | None = None) -> Callable[[int], None]:
        """Return a function that reports so many bytes: `mnist: 120 of 512 MB`."""
        of = "" if total is None else f" of {megabytes(total)}"
        return lambda done: self.progress(f"{what}: {megabytes(done)}{of} MB")

    def end(self, message: dict[str, Any]) -> None:
        """Say the last word."""
        self._is_over.set()
        self._thread.join()
        self._write(message)

    def clean(self, text: str) -> str:
        """Return the text without anything secret."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _report(self) -> None:
        while not self._is_over.wait(_EVERY):
            if _nobody_listens(self._descriptor):
                # Killed, our supervisor would have taken us along; so this is for nobody. Git dies with us.
                os.kill(os.getpid(), signal.SIGKILL)
            news, self._news = self._news, None
            if news is not None:
                self._write({"progress": news})

    def _write(self, message: dict[str, Any]) -> None:
        # Before it becomes JSON, which would write some secrets in another way. Paths in `done` must stay as they are.
        cleaned = {key: self.clean(value) if isinstance(value, str) else value for key, value in message.items()}
        line = json.dumps(cleaned).encode() + b"\n"
        while line:
            line = line[os.write(self._descriptor, line) :]


def megabytes(count: int) -> str:
    """Return whole megabytes, and one decimal below ten."""
    return f"{count / MB:.1f}" if 0 < count < 10 * MB else f"{count / MB:.0f}"


def shown(name: str, limit: int = 120) -> str:
    """Return a stranger's text on one line, shortened in its middle."""
    name = "".join(character if character.isprintable() else "?" for character in name)
    return name if len(name) <= limit else f"{name[: limit // 2]}…{name[-(limit // 2 - 1) :]}"


def _nobody_listens(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))

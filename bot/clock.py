"""Time, as everything in this program receives it.

Nothing reads the system's clock but `SystemClock`: a test hands in a clock of its own, and hours of
tokens, limits and deadlines pass in milliseconds.
"""

import threading
import time
from datetime import datetime
from typing import Protocol

SECOND = 1_000_000
"""Microseconds in a second: every stored time is UTC integer microseconds since 1970."""
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def time_of(text: str) -> int:
    """Return a time as GitHub writes it (`2026-07-01T12:00:00Z`) in microseconds. Raises ValueError."""
    return round(datetime.fromisoformat(text).timestamp() * SECOND)


class Clock(Protocol):
    """The two clocks a program needs, and the way to wait."""

    def now(self) -> int:
        """Return the wall clock: UTC, integer microseconds since 1970."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps: durations are differences of it."""

    def sleep(self, seconds: float) -> None:
        """Wait that long, by this clock."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """A clock that stands still until it is moved; `sleep` moves it. For tests and simulations."""

    def __init__(self, now: int = 1_700_000_000 * SECOND) -> None:
        self._now = now
        self._lock = threading.Lock()

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return self._now / SECOND

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`."""
        with self._lock:
            self._now += round(seconds * SECOND)

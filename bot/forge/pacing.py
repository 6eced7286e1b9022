"""When an installation may be written to: GitHub's manners, our own caps below its limits, and obedience.

GitHub asks for a second between writes, allows 80 content-creating requests a minute and 500 an hour per installation,
and may change all of that without notice (docs: "Rate limits for the REST API"). We keep to one a second, 70 a minute,
450 an hour (docs/decisions/0020-forge.md).

The caps are in memory and start afresh with a process. GitHub's own word (`limited`) is kept beyond it, in `Windows`.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bot.clock import Clock

APP = 0
"""The line of what the App asks as itself; installations have GitHub's ids, which are positive."""
CAPS = ((1, 1.0), (70, 60.0), (450, 3600.0))
"""Writes that may lie in so many seconds."""
PER_HOUR = 450
PROGRESS_PER_HOUR = 300
"""Where progress stops, so that final states always find room in the hour."""
_HOUR = 3600.0
_FIRST_BACKOFF = 60.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_LONGEST_WINDOW = 86_400.0
"""A machine whose clock was put back must not keep silent until it has come there again."""


class Windows(Protocol):
    """Where it is kept for how long (seconds) a line must keep silent, so that the next process knows it as well."""

    def left(self, installation: int, /) -> float: ...
    def keep(self, installation: int, seconds: float, /) -> None: ...


class _Unkept:
    """For whoever asks a few things and ends: no window outlives it."""

    def left(self, _installation: int, /) -> float:
        return 0.0

    def keep(self, _installation: int, _seconds: float, /) -> None:
        pass


@dataclass
class _Line:
    """What is remembered of one installation; times are the clock's monotonic seconds."""

    writes: deque[float] = field(default_factory=lambda: deque(maxlen=PER_HOUR))
    closed_until: float = 0.0
    paused_until: float = 0.0
    limits: int = 0
    failures: int = 0


class Pacer:
    """Says when. Never waits itself, and what one installation does never slows another. Any thread may call it."""

    def __init__(self, clock: Clock, caps: Sequence[tuple[int, float]] = CAPS, windows: Windows | None = None) -> None:
        self._clock, self._caps, self._windows = clock, caps, windows or _Unkept()
        self._lines: dict[int, _Line] = {}
        self._lock = threading.Lock()

    def may_write(self, installation: int, *, is_progress: bool = False) -> float:
        """Return 0 when a write may go now, else the seconds to wait. Progress leaves a third of the hour free."""
        with self._lock:
            line, now = self._line(installation), self._clock.monotonic()
            room = max((_room(line, count, seconds) for count, seconds in self._caps), default=0.0)
            if is_progress:
                room = max(room, _room(line, PROGRESS_PER_HOUR, _HOUR))
            return _wait(max(line.closed_until, line.paused_until, room), now)

    def may_read(self, installation: int) -> float:
        """Return 0 when a read may go now, else the seconds to wait."""
        with self._lock:
            line = self._line(installation)
            return _wait(max(line.closed_until, line.paused_until), self._clock.monotonic())

    def closed_for(self, installation: int) -> float:
        """Return for how many seconds GitHub wants to hear nothing at all from us, 0 when it does not mind."""
        with self._lock:
            return _wait(self._line(installation).closed_until, self._clock.monotonic())

    def wrote(self, installation: int) -> None:
        """Remember a write, whatever came of it: GitHub counts those that failed too."""
        with self._lock:
            self._line(installation).writes.append(self._clock.monotonic())

    def answered(self, installation: int) -> None:
        """Remember that GitHub is well: the next trouble starts with a short wait again."""
        with self._lock:
            line = self._line(installation)
            line.limits = line.failures = 0

    def limited(self, installation: int, after: float) -> float:
        """Close the line for `after` seconds; 0 means that GitHub named no time: 60 s, doubled each time, ≤ 1 h.

        Returns the seconds that it is closed for.
        """
        with self._lock:
            line, now = self._line(installation), self._clock.monotonic()
            chosen = after or min(_FIRST_BACKOFF * 2**line.limits, _HOUR)
            line.limits = min(line.limits + 1, 10)
            line.closed_until = max(line.closed_until, now + chosen)
            left = line.closed_until - now
            self._windows.keep(installation, left)
            return left

    def failed(self, installation: int, *, at_least: float = 0.0) -> float:
        """Pause after a failure of GitHub's or of the network: 1 s, doubled each time, ≤ 60 s. Returns the seconds."""
        with self._lock:
            line, now = self._line(installation), self._clock.monotonic()
            chosen = max(at_least, min(_FIRST_PAUSE * 2**line.failures, _LONGEST_PAUSE))
            line.failures = min(line.failures + 1, 10)
            line.paused_until = max(line.paused_until, now + chosen)
            return line.paused_until - now

    def _line(self, installation: int) -> _Line:
        line = self._lines.get(installation)
        if line is None:
            left = min(self._windows.left(installation), _LONGEST_WINDOW)
            line = self._lines[installation] = _Line(closed_until=self._clock.monotonic() + left if left else 0.0)
        return line


def _room(line: _Line, count: int, seconds: float) -> float:
    """Return when fewer than `count` writes will lie in the `seconds` behind us."""
    return line.writes[-count] + seconds if len(line.writes) >= count else 0.0


def _wait(until: float, now: float) -> float:
    """Return the seconds left; less than a microsecond is none (sums of floats do not come out even)."""
    left = until - now
    return left if left > 1e-6 else 0.0

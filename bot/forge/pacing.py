"""When an installation may be written to: GitHub's manners, our own caps below its limits, and obedience.

GitHub allows 80 content-creating requests a minute and 500 an hour per installation, may change both without notice,
and asks for a second between writes where there are many. An experiment's end is not many: it is one check, a few
gates, the roll-up and the comment. So a short burst may go at once and what follows goes at one a second; a burst of
ten and one a second are together never more than seventy in any minute, which is our cap of the minute
(docs/decisions/0020-forge.md).

All is in memory: after a restart the caps start afresh, and GitHub's own word (`limited`) is what protects it then.
"""

import threading
from collections import deque
from dataclasses import dataclass, field

from bot.clock import Clock

BURST = 10
"""Writes that may go at once after a quiet time."""
PER_SECOND = 1.0
"""Writes a second after that."""
PER_HOUR = 450
"""Writes in any hour."""
PROGRESS_PER_HOUR = 300
"""Where progress stops, so that final states always find room in the hour."""
_HOUR = 3600.0
_FIRST_BACKOFF = 60.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


@dataclass
class _Line:
    """What is remembered of one installation; times are the clock's monotonic seconds.

    `next_write` is when the next write would be due if all had kept their distance (the generic cell rate algorithm):
    one number says as much as a bucket of tokens and its last filling.
    """

    next_write: float = 0.0
    writes: deque[float] = field(default_factory=lambda: deque(maxlen=PER_HOUR))
    closed_until: float = 0.0
    paused_until: float = 0.0
    limits: int = 0
    failures: int = 0


class Pacer:
    """Says when. Never waits itself, and what one installation does never slows another. Any thread may call it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[int, _Line] = {}
        self._lock = threading.Lock()

    def may_write(self, installation: int, *, is_progress: bool = False) -> float:
        """Return 0 when a write may go now, else the seconds to wait. Progress leaves a third of the hour free."""
        with self._lock:
            line, now = self._line(installation), self._clock.monotonic()
            burst = line.next_write - (BURST - 1) / PER_SECOND
            room = self._room(line, PROGRESS_PER_HOUR if is_progress else PER_HOUR)
            return _wait(max(line.closed_until, line.paused_until, burst, room), now)

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
            line, now = self._line(installation), self._clock.monotonic()
            line.next_write = max(line.next_write, now) + 1 / PER_SECOND
            line.writes.append(now)

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
            return line.closed_until - now

    def failed(self, installation: int, *, at_least: float = 0.0) -> float:
        """Pause after a failure of GitHub's or of the network: 1 s, doubled each time, ≤ 60 s. Returns the seconds."""
        with self._lock:
            line, now = self._line(installation), self._clock.monotonic()
            chosen = max(at_least, min(_FIRST_PAUSE * 2**line.failures, _LONGEST_PAUSE))
            line.failures = min(line.failures + 1, 10)
            line.paused_until = max(line.paused_until, now + chosen)
            return line.paused_until - now

    def _line(self, installation: int) -> _Line:
        return self._lines.setdefault(installation, _Line())

    @staticmethod
    def _room(line: _Line, cap: int) -> float:
        """Return when fewer than `cap` writes will lie in the hour behind us."""
        return line.writes[-cap] + _HOUR if len(line.writes) >= cap else 0.0


def _wait(until: float, now: float) -> float:
    """Return the seconds left; less than a microsecond is none (sums of floats do not come out even)."""
    left = until - now
    return left if left > 1e-6 else 0.0

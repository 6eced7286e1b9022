"""The sign of life between worker and web: a locked file in DATA_DIR.

The kernel gives the lock back when the worker dies, however it dies, so a dead worker never looks alive; the
file's time moves with the worker's loop, so a stuck one does not either. No row is written for a heartbeat.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bot.clock import MINUTE, Clock

_STUCK_AFTER = 1 * MINUTE
_TRIES, _BETWEEN = 5, 0.1
"""How often, and seconds apart."""


@dataclass(frozen=True)
class Sighting:
    """Whether a worker is alive, and a sentence that says so."""

    is_alive: bool
    sentence: str


class WorkerSign:
    """The file `worker.alive`. The worker holds it, the web process reads it: both need the same DATA_DIR."""

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._path = data_dir / "worker.alive"
        self._clock = clock
        self._file: IO[str] | None = None

    def hold(self) -> bool:
        """Lock the file for as long as this process lives. Return False when another worker has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a")
        if not self._locks(file):
            file.close()
            return False
        self._file = file
        self.beat()
        return True

    def _locks(self, file: IO[str]) -> bool:
        """Try more than once: somebody who just looks whether a worker is alive holds the file for a moment, too."""
        for _ in range(_TRIES):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._clock.sleep(_BETWEEN)
            else:
                return True
        return False

    def beat(self) -> None:
        """Say that the worker's loop went round."""
        seconds = self._clock.now() / 1_000_000
        os.utime(self._path, (seconds, seconds))

    def release(self) -> None:
        """Give the lock back: the worker ends."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self) -> Sighting:
        """Return whether a worker holds the file and its loop goes round."""
        try:
            with self._path.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return Sighting(False, "no worker was ever started on this DATA_DIR")
        except BlockingIOError:
            silent = self._clock.now() - int(self._path.stat().st_mtime * 1_000_000)
            if silent > _STUCK_AFTER:
                return Sighting(False, f"the worker's loop has not gone round for {silent // 1_000_000} s")
            return Sighting(True, "alive")
        return Sighting(False, "no worker runs")

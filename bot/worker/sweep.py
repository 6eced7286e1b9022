"""Station seven: what nobody needs any more is removed from this machine, once an hour.

Only what the database knows to be over is touched, and only under the supervisor's own lock: an attempt that runs, or
could begin to, holds it. Directories that no row explains are left alone and told of: somebody may have put them there.
"""

import contextlib
import fcntl
import logging
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bot.backends import orders
from bot.backends.walls import NOBODY
from bot.clock import DAY, HOUR, SECOND, Clock
from bot.store import experiments, models
from bot.store.database import Database
from bot.store.models import Leftover

_EVERY = HOUR
_DONE_WITH = ("workspace", "scratch", "generated")
"""What a supervisor removes at the end, unless it was killed or the config asked to keep it after a failure."""
_PUBLIC_ID, _NUMBER = re.compile("[A-Za-z0-9_]+"), re.compile("[0-9]+")
_CACHE = re.compile(r"([0-9]+)\.git")
_SCRATCH = re.compile("experiment-ci-([0-9]+)-.+")
_OURS = (os.getuid(), NOBODY[0]) if os.getuid() == 0 else (os.getuid(),)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """A directory of an attempt, and what the row says of it."""

    path: Path
    name: str
    row: Leftover


class Sweep:
    """Removes run directories, kept workspaces and git caches of `data_dir` when their time is over.

    `retention` and `keep_workspaces` are in days; 0 keeps for ever.
    """

    name = "sweep"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        data_dir: Path,
        retention: int,
        keep_workspaces: int,
        scratch: Path | None = None,
    ) -> None:
        """`scratch` is where dead workers leave theirs: the machine's directory for temporary files."""
        self._database, self._clock, self._data_dir = database, clock, data_dir
        self._retention, self._keep_workspaces = retention * DAY, keep_workspaces * DAY
        self._scratch = scratch or Path(tempfile.gettempdir())
        self._next = 0
        self._round: Iterator[Callable[[], None]] | None = None
        self._told: set[str] = set()

    def tick(self) -> bool:
        """Do one thing of a round; True while there may be more. Removing much must not outlast the lease."""
        if self._round is None:
            if self._clock.now() < self._next:
                return False
            self._next, self._round = self._clock.now() + _EVERY, self._things()
        thing = next(self._round, None)
        if thing is None:
            self._round = None
            return False
        thing()
        return True

    def _things(self) -> Iterator[Callable[[], None]]:
        for directory in _names(self._data_dir / "runs", _PUBLIC_ID):
            yield partial(self._look_at, directory)
        for directory in _names(self._data_dir / "git", _CACHE):
            yield partial(self._look_at_cache, directory)
        yield self._clean_scratch

    # Attempts

    def _look_at(self, directory: Path) -> None:
        """Look at all attempts of an experiment."""
        known = {f"{directory.name}-{path.name}": path for path in _names(directory, _NUMBER)}
        with self._database.read() as tx:
            rows = models.leftovers(tx, known)
        for name, path in known.items():
            if name in rows:
                self._sweep(Found(path, name, rows[name]))
            else:
                self._tell(f"{path} belongs to no attempt that the database knows; it is left alone")
        with contextlib.suppress(OSError):
            directory.rmdir()  # which it only is when nothing is left in it

    def _sweep(self, found: Found) -> None:
        ended_at = found.row.ended_at
        if ended_at is None:
            return
        age = self._clock.now() - ended_at
        is_old = bool(self._retention) and age > self._retention and found.row.is_kept
        is_done_with = bool(self._keep_workspaces) and age > self._keep_workspaces
        leftover = [found.path / name for name in _DONE_WITH if is_done_with and (found.path / name).is_dir()]
        if not is_old and not leftover:
            return
        # The supervisor's own lock: none is at work while it is ours, and none can begin.
        with _holding(found.path / orders.LOCK) as is_ours:
            if not is_ours:
                self._tell(f"{found.name} is over, yet its supervisor is not; it is left alone")
            elif is_old:
                self._remove_all(found)
            else:
                _remove(*leftover)

    def _remove_all(self, found: Found) -> None:
        _remove(found.path)
        if found.path.exists():
            self._tell(f"{found.path} could not be removed")
            return
        with self._database.write() as tx:
            experiments.change(tx, found.row.attempt_id, removed_at=self._clock.now())
        _log.info("what %s left was removed: its time was over", found.name)

    # What is not an attempt's

    def _look_at_cache(self, directory: Path) -> None:
        """Remove a repository's git cache that nobody used. The next fetch makes it anew.

        Git writes into it with every new commit, and its lock is the cache's own: whoever fetches now holds it.
        """
        number = int(directory.name.removesuffix(".git"))
        if not self._retention or not self._is_older(directory, self._retention):
            return
        with self._database.read() as tx:
            if number in models.repositories_at_work(tx):
                return
        with _holding(directory.with_suffix(".lock")) as is_ours:
            if is_ours:
                _remove(directory)
                _log.info("the git cache %s was removed: nobody used it", directory.name)

    def _clean_scratch(self) -> None:
        """Remove what the metrics readers of workers that were killed left: its name says whose it was."""
        for path in _names(self._scratch, _SCRATCH):
            pid = int(_SCRATCH.fullmatch(path.name)[1])  # type: ignore[index] # `_names` gives what matches
            with contextlib.suppress(FileNotFoundError):  # its owner may be taking it away just now
                # Whose it is comes first: into those of others we may not even look.
                if path.stat().st_uid in _OURS and not Path(f"/proc/{pid}").exists() and self._is_older(path, DAY):
                    _remove(path)

    def _is_older(self, path: Path, age: int) -> bool:
        """Tell whether nothing was made or removed directly below it for that long."""
        places = [path, *(path / name for name in ("refs/commits", "refs/code", "objects") if (path / name).is_dir())]
        newest = max(place.stat().st_mtime for place in places)
        return self._clock.now() - newest * SECOND > age

    def _tell(self, sentence: str) -> None:
        """Log something once: it will be so in an hour, too."""
        if sentence not in self._told:
            self._told.add(sentence)
            _log.warning(sentence)


def _names(directory: Path, pattern: re.Pattern[str]) -> list[Path]:
    """Return the real directories whose names are of ours."""
    try:
        with os.scandir(directory) as entries:
            found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return [directory / name for name in sorted(found) if pattern.fullmatch(name)]


@contextmanager
def _holding(path: Path) -> Iterator[bool]:
    """Hold a lock file, if it is to be had; tell whether it is."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield _takes(lock)
    finally:
        os.close(lock)


def _takes(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(*paths: Path) -> None:
    """Remove trees that runs wrote, as their supervisor does: links are not followed, other disks not entered."""
    names = [str(path) for path in paths]
    if os.getuid() != 0:
        # A run may have locked its own directories; root need not care.
        subprocess.run(["chmod", "-R", "u+rwX", "--", *names], check=False, stderr=subprocess.DEVNULL)
    done = subprocess.run(["rm", "-rf", "--one-file-system", "--", *names], check=False, capture_output=True)
    if done.returncode != 0:
        _log.warning("rm: %s", done.stderr.decode(errors="replace")[:500])

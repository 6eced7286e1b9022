"""Content kept once for all experiments and processes of this machine, and evicted by size.

    <identity>/data/          the files, whole: the directory is renamed into place
    <identity>/entry.json     {"bytes", "files"}
    <identity>.lock           whoever uses the entry holds it shared, whoever fills or removes it exclusively
    <identity>.new/           being filled; without a holder of its lock it is a dead one's, and swept

A lock that a process held is gone when the process is: no crash leaves anything to repair. Lock files stay (they are
empty): a removed one could be locked by two. Its time is that of the last use, its text the bytes that have come.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.clock import SECOND, Clock
from bot.storage.errors import Unavailable
from bot.storage.output import megabytes

GRACE = 60.0
"""Seconds after its last use in which an entry is not evicted: between our lock and the supervisor's is a gap."""
_LOOK_EVERY = 0.2
_SCRATCH = "scratch-"
_FILE = 4096
"""Bytes that a file takes beyond its own."""


Fill = Callable[[Path, Callable[[int], None]], None]


@dataclass(frozen=True)
class Entry:
    """Content that stays as long as anybody holds `lock` shared. `size` is in bytes."""

    path: Path
    lock: Path
    size: int


class Cache:
    """The cache below `directory`, which keeps `limit` bytes. Entries that it gave are held until `close`."""

    def __init__(self, directory: Path, limit: int, clock: Clock) -> None:
        self._directory, self._limit, self._clock = directory, limit, clock
        self._held: list[int] = []
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def close(self) -> None:
        """Let go of all entries."""
        while self._held:
            os.close(self._held.pop())

    def refresh(self) -> None:
        """Count all entries that it gave as used just now: their `GRACE` begins anew."""
        for lock in self._held:
            os.utime(lock)

    def sweep(self) -> None:
        """Remove what dead processes have left."""
        for leftover in self._directory.glob("*.new"):
            with self._exclusive(leftover.stem) as lock:
                if lock is not None:
                    shutil.rmtree(leftover, ignore_errors=True)
                    if leftover.name.startswith(_SCRATCH):
                        self._lock(leftover.stem).unlink(missing_ok=True)

    def entry(self, identity: str, size: int, fill: Fill, waiting: Callable[[int], None]) -> Entry:
        """Return the entry, filled by `fill` when nobody has it; wait while somebody else is filling it.

        `fill` writes into an empty directory and tells its second argument the bytes so far; `waiting` is told those
        of somebody else. `size` (bytes) is about what is to come. Raises what `fill` does; Unavailable without room.
        """
        while (entry := self._take(identity)) is None:
            with self._exclusive(identity) as lock:
                if lock is None:
                    waiting(self._told(identity))
                    self._clock.sleep(_LOOK_EVERY)
                elif not self._is_whole(identity):
                    self._fill(identity, size, lock, fill)
        return entry

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Lend an empty directory, swept some day should we die."""
        name = f"{_SCRATCH}{os.urandom(8).hex()}"
        with self._exclusive(name):
            directory = self._directory / f"{name}.new"
            directory.mkdir(0o700)
            try:
                yield directory
            finally:
                shutil.rmtree(directory, ignore_errors=True)
                self._lock(name).unlink()

    def trim(self) -> None:
        """Remove what was not used for longest, until the limit is kept. What is in use stays, even beyond it."""
        self._evict_for(0)

    def make_room(self, size: int) -> None:
        """Remove, as `trim` does, until `size` more bytes have room too. Raises Unavailable on a full disk."""
        self._evict_for(size)
        if self._free() <= size:
            left = megabytes(self._free())
            raise Unavailable(f"the disk of the cache has {left} MB left, {megabytes(size)} are needed")

    def _evict_for(self, size: int) -> None:
        entries = sorted(self._entries())
        total = sum(weight for _, weight, _ in entries)
        for _, weight, identity in entries:
            if total + size <= self._limit and self._free() > size:
                return
            if self._evict(identity):
                total -= weight

    def _take(self, identity: str) -> Entry | None:
        """Hold the entry shared and return it; None when it is not there, or is being filled."""
        lock = os.open(self._lock(identity), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            size = self._facts(identity)["bytes"]
            os.utime(lock)
            self._held.append(lock)
            return Entry(self._directory / identity / "data", self._lock(identity), size)
        os.close(lock)
        return None

    def _fill(self, identity: str, size: int, lock: int, fill: Fill) -> None:
        new = self._directory / f"{identity}.new"
        shutil.rmtree(new, ignore_errors=True)
        self.make_room(size)
        new.mkdir(0o700)
        try:
            (new / "data").mkdir(0o755)
            fill(new / "data", lambda count: _publish(lock, count))
            (new / "entry.json").write_text(json.dumps(_measured(new / "data")))
            # After a loss of power, what has its name must have its contents: half a dataset would train, too.
            os.sync()
            os.utime(lock)
            new.rename(self._directory / identity)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _evict(self, identity: str) -> bool:
        """Remove an entry unless somebody holds it; tell whether it was removed."""
        with self._exclusive(identity) as lock:
            if lock is None or not self._is_old(lock):
                return False
            # First another name: half an entry must not look like one.
            removed = self._directory / f"{identity}.new"
            (self._directory / identity).rename(removed)
            shutil.rmtree(removed, ignore_errors=True)
            return True

    @contextlib.contextmanager
    def _exclusive(self, name: str) -> Iterator[int | None]:
        """Hold a lock alone; None when somebody else holds it. It is never waited for."""
        lock = os.open(self._lock(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield lock
        finally:
            os.close(lock)

    def _entries(self) -> Iterator[tuple[float, int, str]]:
        """Yield time of last use, bytes on disk and identity."""
        for facts in self._directory.glob("*/entry.json"):
            identity = facts.parent.name
            if not identity.endswith(".new"):
                with contextlib.suppress(FileNotFoundError):
                    used = self._lock(identity).stat().st_mtime
                    known = self._facts(identity)
                    yield used, known["bytes"] + _FILE * known["files"], identity

    def _facts(self, identity: str) -> dict[str, int]:
        facts: dict[str, int] = json.loads((self._directory / identity / "entry.json").read_bytes())
        return facts

    def _is_whole(self, identity: str) -> bool:
        return (self._directory / identity / "entry.json").is_file()

    def _is_old(self, lock: int) -> bool:
        return self._clock.now() / SECOND - os.fstat(lock).st_mtime > GRACE

    def _told(self, identity: str) -> int:
        text = self._lock(identity).read_bytes().strip()
        return int(text) if text.isdigit() else 0

    def _free(self) -> int:
        return shutil.disk_usage(self._directory).free

    def _lock(self, name: str) -> Path:
        return self._directory / f"{name}.lock"


def _publish(lock: int, count: int) -> None:
    """Tell those who wait for the lock how far we are."""
    os.pwrite(lock, b"%-20d" % count, 0)


def _measured(directory: Path) -> dict[str, int]:
    """Return how many bytes and files a directory has, hard links once."""
    sizes = {}
    for folder, _, files in os.walk(directory):
        for name in files:
            facts = os.lstat(f"{folder}/{name}")
            sizes[facts.st_ino] = facts.st_size
    return {"bytes": sum(sizes.values()), "files": len(sizes)}

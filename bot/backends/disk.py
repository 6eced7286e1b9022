"""What a run has written, found out a little at a time: no look takes long, however many files there are.

The walk goes by open directories, down by names that are no links and up by `..`, so that a run that moves its
directories about while we look leads us nowhere else, and no depth is too deep: one descriptor is open at a time.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from bot.backends import processes

_LEAST = 4096
"""Bytes that any file counts: a million empty ones fill a disk too."""
AT_ONCE = 5_000
"""Files that are looked at in one look: about 30 ms."""
_REST = 3.0
"""Seconds between a whole round and the next."""
_BLOCK = 512
"""What stat counts in."""
_RESERVE = 512 << 20
_HANDLE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Disk:
    """The use of `directories`, and what is left of the disk that the first one lies on.

    Of `shared` directories, which others use too, only what was changed `since` (seconds since 1970) counts, by the one
    time of a file that nobody can set. A look takes in `at_once` files. A disk that was full before the run began is
    not the run's fault.
    """

    def __init__(
        self, directories: Sequence[str], shared: Sequence[str] = (), since: float = 0.0, at_once: int = AT_ONCE
    ) -> None:
        self._directories, self._shared, self._since, self._at_once = directories, shared, since, at_once
        self._round: Iterator[int] | None = None
        self._whole = self._so_far = 0
        self._next_round = 0.0
        self._was_full = self._is_full()

    def used(self, pids: Callable[[], Iterable[int]], now: float) -> int:
        """Return the bytes that are known of: those of the last whole round or, if more, of the one going on.

        `pids` gives the run's processes: a file without a name lives while one of them has it open.
        """
        if self._round is None and now >= self._next_round:
            self._round, self._so_far = self._walk(pids), 0
        if self._round is not None:
            sizes = list(islice(self._round, self._at_once))
            self._so_far += sum(sizes)
            if len(sizes) < self._at_once:
                self._whole, self._round, self._next_round = self._so_far, None, now + _REST
        return max(self._whole, self._so_far)

    def has_become_full(self) -> bool:
        """Tell whether the last that the bot itself needs is being used up."""
        return not self._was_full and self._is_full()

    def _walk(self, pids: Callable[[], Iterable[int]]) -> Iterator[int]:
        seen: set[tuple[int, int]] = set()
        devices = set()
        all_of_them = [(path, 0.0) for path in self._directories] + [(path, self._since) for path in self._shared]
        for directory, since in all_of_them:
            with contextlib.suppress(OSError):
                devices.add(Path(directory).stat().st_dev)
                yield from _tree(directory, seen, since)
        for pid in pids():
            yield from _nameless(pid, devices, seen)

    def _is_full(self) -> bool:
        for directory in self._directories[:1]:
            with contextlib.suppress(OSError):
                found = os.statvfs(directory)
                reserve = min(_RESERVE, found.f_blocks * found.f_frsize // 50)
                return found.f_bavail * found.f_frsize < reserve or found.f_favail < found.f_files // 100
        return False


def _tree(root: str, seen: set[tuple[int, int]], since: float) -> Iterator[int]:
    """Yield the size of each entry below `root`, on its file system, a file with several names once.

    What has not changed `since` is 0: it takes its part of a look.
    """
    current = _open(root)
    device = os.fstat(current).st_dev
    above: list[tuple[tuple[int, int], list[str]]] = []
    """What was left of each directory on the way here, with the identity that `..` must have."""
    try:
        names: list[str] = []
        yield from _files(current, device, seen, names, since)
        while names or above:
            if names:
                try:
                    below = _open(names.pop(), current)
                except OSError:
                    continue  # gone meanwhile, or something else by now
                above.append((_identity(current), names))
                os.close(current)
                current, names = below, []
                yield from _files(current, device, seen, names, since)
                continue
            identity, names = above.pop()
            parent = _open("..", current)
            os.close(current)
            current = parent
            if _identity(current) != identity:
                return  # the run has moved it: the next round sees it where it is then
    finally:
        os.close(current)


def _files(directory: int, device: int, seen: set[tuple[int, int]], below: list[str], since: float) -> Iterator[int]:
    """Yield the sizes of the entries of one directory, and add its directories to `below`."""
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(found.st_mode):
                if found.st_dev == device:
                    below.append(entry.name)
            elif found.st_nlink > 1:
                if (found.st_dev, found.st_ino) in seen:
                    continue
                seen.add((found.st_dev, found.st_ino))
            yield max(_LEAST, found.st_blocks * _BLOCK) if found.st_ctime >= since else 0


def _open(name: str, below: int | None = None) -> int:
    """Open a directory. One that a run of our own uid has locked is unlocked: it could hide anything."""
    handle = os.open(name, _HANDLE, dir_fd=below)
    try:
        found, path = os.fstat(handle), f"/proc/self/fd/{handle}"
        if found.st_uid == os.geteuid() and found.st_mode & 0o500 != 0o500:
            Path(path).chmod(stat.S_IMODE(found.st_mode) | 0o500)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(handle)


def _nameless(pid: int, devices: set[int], seen: set[tuple[int, int]]) -> Iterator[int]:
    """Yield the sizes of files that were removed while this process goes on writing to them."""
    for found in processes.nameless_files(pid):
        identity = (found.st_dev, found.st_ino)
        if found.st_dev in devices and identity not in seen:
            seen.add(identity)
            yield max(_LEAST, found.st_blocks * _BLOCK)


def _identity(directory: int) -> tuple[int, int]:
    found = os.fstat(directory)
    return found.st_dev, found.st_ino

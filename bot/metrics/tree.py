"""Walking a folder that untrusted code wrote: nothing but regular files, and never through a link.

Every component is opened relative to the folder above it, without following links, and looked at again once it
is open: a file that is swapped for a link between looking and opening is still not followed.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

DEPTH = 16
"""How many folders deep a tree is searched."""

ENTRIES = 200_000
"""How many files and folders of one tree are looked at."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO would otherwise wait for its other end.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Refused(Exception):
    """A file that is not read; the message is the end of a sentence that begins with its name."""


@dataclass
class Walk:
    """A search below an open folder. `problems` collects sentences about what was not searched."""

    root: int
    needle: str
    problems: list[str] = field(default_factory=list)
    _left: int = ENTRIES

    def files(self) -> Iterator[str]:
        """Yield the relative paths, in order of names, of all entries but folders whose name contains `needle`."""
        yield from self._below(self.root, PurePosixPath(), DEPTH)

    def _below(self, folder: int, path: PurePosixPath, depth: int) -> Iterator[str]:
        names, folders = self._list(folder)
        for name in names:
            yield str(path / name)
        for name in folders:
            inner = path / name
            if depth == 0:
                self.problems.append(f"{inner} is too deep and was not searched")
                continue
            try:
                with _opened(name, _FOLDER, folder) as opened:
                    yield from self._below(opened, inner, depth - 1)
            except FileNotFoundError:
                continue
            except OSError as error:
                self.problems.append(f"{inner} could not be searched: {error.strerror}")

    def _list(self, folder: int) -> tuple[list[str], list[str]]:
        names, folders = [], []
        with os.scandir(folder) as entries:
            for entry in entries:
                if self._left == 0:
                    self.problems.append(f"only the first {ENTRIES} files and folders were searched")
                    break
                self._left -= 1
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif self.needle in entry.name:
                    names.append(entry.name)
        return sorted(names), sorted(folders)


@contextmanager
def folder(root: int, below: str) -> Iterator[int]:
    """Open the folder `below` (a relative path) the open folder `root`. Raises OSError, ELOOP or ENOTDIR for a link."""
    with _descended(root, [part for part in PurePosixPath(below).parts if part != "."]) as opened:
        yield opened


@contextmanager
def regular_file(root: int, path: str, largest: int) -> Iterator[int]:
    """Open a regular file with no other name. Raises Refused for everything else, FileNotFoundError when it is gone."""
    *folders, name = PurePosixPath(path).parts
    try:
        with _descended(root, folders) as parent, _opened(name, _FILE, parent) as opened:
            found = os.fstat(opened)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                raise Refused("is a link or no regular file, and was not read")
            if found.st_size > largest:
                raise Refused(f"is larger than {largest >> 20} MiB and was not read")
            yield opened
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Refused(f"could not be read: {error.strerror}") from error


@contextmanager
def _descended(root: int, parts: list[str]) -> Iterator[int]:
    if not parts:
        yield root
        return
    with _opened(parts[0], _FOLDER, root) as opened, _descended(opened, parts[1:]) as last:
        yield last


@contextmanager
def _opened(name: str, flags: int, parent: int) -> Iterator[int]:
    if name == ".." or "/" in name:
        raise NotADirectoryError(errno.ENOTDIR, "the path leads out of its folder")
    opened = os.open(name, flags, dir_fd=parent)
    try:
        yield opened
    finally:
        os.close(opened)

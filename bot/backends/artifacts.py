"""What a run left, looked at without trust: it may be changing it at this moment.

Every name is opened below a directory that is open already, and never through a link. A path would be followed anew by
whoever uses it, and lead to the bot's own files by then.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from bot.backends.base import Artifact

MOST_FILES = 10_000
DEEPEST = 32
_LONGEST_PATH = 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def find(root: Path, below: str = "") -> Iterator[Artifact]:
    """Yield the regular files below `root` in the order of their names, at most MOST_FILES and DEEPEST levels down.

    `below` is a relative path of a directory to look in instead; paths are then those below it.

    Left out: links, devices, pipes, what cannot be read, and names that are no UTF-8 or longer than 1,024 bytes, which
    no page could link to.
    """
    try:
        directory = _open_directory(root, PurePosixPath(below).parts)
    except (OSError, ValueError):
        return
    try:
        for count, artifact in enumerate(_walk(directory, PurePosixPath()), start=1):
            yield artifact
            if count == MOST_FILES:
                return
    finally:
        os.close(directory)


def open_one(root: Path, path: str) -> BinaryIO:
    """Open one regular file below `root`. Raises FileNotFoundError for everything else."""
    parts = path.split("/")
    if not _is_listable(path) or any(part in ("", ".", "..") for part in parts) or len(parts) > DEEPEST:
        raise FileNotFoundError(path)
    try:
        return _open_below(root, parts)
    except (OSError, ValueError):
        raise FileNotFoundError(path) from None


def _walk(directory: int, prefix: PurePosixPath) -> Iterator[Artifact]:
    with os.scandir(directory) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        path = prefix / name
        if not _is_listable(str(path)) or len(path.parts) > DEEPEST:
            continue
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode):
                yield Artifact(str(path), found.st_size)
            elif stat.S_ISDIR(found.st_mode):
                yield from _descend(directory, name, path)
        except OSError:
            continue  # gone meanwhile, or made unreadable: either way there is nothing to offer


def _descend(directory: int, name: str, path: PurePosixPath) -> Iterator[Artifact]:
    below = os.open(name, _DIRECTORY, dir_fd=directory)
    try:
        yield from _walk(below, path)
    finally:
        os.close(below)


def _open_below(root: Path, parts: list[str]) -> BinaryIO:
    directory = _open_directory(root, parts[:-1])
    try:
        # Without O_NONBLOCK a pipe in the place of a file would hold us for ever.
        file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    finally:
        os.close(directory)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError(parts[-1])
    return os.fdopen(file, "rb")


def _open_directory(root: Path, parts: Sequence[str]) -> int:
    directory = os.open(root, _DIRECTORY)
    try:
        for part in parts:
            if part == "..":
                raise FileNotFoundError(part)
            below = os.open(part, _DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = below
    except BaseException:
        os.close(directory)
        raise
    return directory


def _is_listable(path: str) -> bool:
    try:
        return len(path.encode()) <= _LONGEST_PATH and "\0" not in path
    except UnicodeEncodeError:  # bytes that are no UTF-8 come as lone surrogates
        return False

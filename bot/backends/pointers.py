"""Files that Git LFS keeps, put where their pointers stand in a workspace that nobody else touches yet."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from bot.core.lfs import LARGEST, SMALLEST, Pointer, read_pointer

_AT_ONCE = 64 << 20


def fill(workspace: Path, objects: Path, look_up: Callable[[], object]) -> None:
    """Replace every pointer by its file out of `objects`, where they lie by their sha256. Links are not followed.

    `look_up` is called now and then, and may raise. Raises FileNotFoundError for a file that is not there.
    """
    for path in _small_files(workspace):
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            pointer = read_pointer(os.read(descriptor, LARGEST + 1))
            if pointer is not None:
                _replace(descriptor, objects, pointer, look_up)
        finally:
            os.close(descriptor)


def _small_files(workspace: Path) -> Iterator[str]:
    for directory, _, names in os.walk(workspace):
        for name in names:
            found = os.lstat(f"{directory}/{name}")
            if stat.S_ISREG(found.st_mode) and SMALLEST <= found.st_size <= LARGEST:
                yield f"{directory}/{name}"


def _replace(descriptor: int, objects: Path, pointer: Pointer, look_up: Callable[[], object]) -> None:
    with (objects / pointer.oid).open("rb") as source:
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        at = 0
        while sent := os.sendfile(descriptor, source.fileno(), at, _AT_ONCE):
            at += sent
            look_up()

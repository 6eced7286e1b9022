"""Many files as one ZIP archive, written while it is sent: neither memory nor disk ever holds it."""

import io
import os
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

_BLOCK = 256 * 1024
_LEVEL = 1
"""Compressed, though lightly: stored entries of a stream have no length in front, which not every program can read."""
_EARLIEST, _LATEST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)
"""What a ZIP archive can say of a time."""

Open = Callable[[str], BinaryIO]


def zipped(paths: Iterable[str], open_one: Open) -> Iterator[bytes]:
    """Yield the archive of the files that `open_one` opens by their paths.

    A file that cannot be opened any more is left out and named in `LEFT-OUT.txt`. One that grows is taken as far as it
    went when it was opened.
    """
    sink, names, left_out = _Sink(), _Names(), []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for path in paths:
            try:
                file = open_one(path)
            except (OSError, ValueError):
                left_out.append(path)
                continue
            with file:
                for _ in _add(archive, names.of(path), file):
                    yield sink.taken()
        if left_out:
            archive.writestr(names.of("LEFT-OUT.txt"), "\n".join(left_out).encode("utf-8", "replace"))
    yield sink.taken()


def _add(archive: zipfile.ZipFile, name: str, file: BinaryIO) -> Iterator[None]:
    """Add a file, block by block."""
    found = os.fstat(file.fileno())
    written = time.gmtime(found.st_mtime)[:6]
    info = zipfile.ZipInfo(name, min(max(written, _EARLIEST), _LATEST))
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    info.file_size = left = found.st_size  # decides whether the entry has room for a size beyond 4 GiB
    with archive.open(info, "w") as entry:
        while left > 0 and (block := file.read(min(left, _BLOCK))):
            left -= len(block)
            entry.write(block)
            yield


class _Names:
    """Names in the archive: as they are, but nothing that another system takes for a way out of the directory."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, path: str) -> str:
        name = "".join("_" if character == "\\" or ord(character) < 32 else character for character in path)
        while name in self._given:
            name += "_"
        self._given.add(name)
        return name


class _Sink(io.RawIOBase):
    """A file that can only be written to, and gives what it got."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(memoryview(data))  # type: ignore[arg-type] # what zipfile writes is bytes
        self._parts.append(part)
        return len(part)

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)

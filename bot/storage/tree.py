"""A new directory filled under names that strangers chose: nothing comes to lie outside, nothing is a device."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from bot.storage.errors import Refused
from bot.storage.output import megabytes, shown

MOST_ENTRIES = 500_000
"""Files, folders and links of one dataset or workspace."""
DEEPEST = 100
"""Folders in each other; Python removes no tree that is ten times deeper."""
_CHUNK = 1 << 20


class Tree:
    """Fills `root`, an empty directory that nobody else writes. Call `finish` at the end.

    Files are 0644 or 0755 (with a umask of 022), folders 0755; owner, time and special bits of the source are lost.
    Symbolic links are made last, when no file can be written through them any more, and looked at when all stand:
    what a chain of links means is not to be read off their texts. Raises Refused for all that is not safe.
    """

    def __init__(
        self,
        root: Path,
        max_bytes: int,
        tick: Callable[[int], None] = lambda _: None,
        most_entries: int = MOST_ENTRIES,
    ) -> None:
        """`tick` is told the number of bytes so far."""
        self._root, self._max_bytes, self._tick, self._most_entries = root, max_bytes, tick, most_entries
        self._entries = self._bytes = 0
        self._folders = {root}
        self._links: dict[Path, str] = {}

    def folder(self, name: str) -> None:
        """Make a folder, and those above it. One that is there already is left."""
        if path := self._path(name):
            self._make(path, name)

    def place(self, name: str, size: int) -> Path:
        """Return where a file of `size` bytes that somebody else writes shall lie. It is there, and empty."""
        path = self._file_path(name)
        os.close(self._new(path, name, 0o644))
        self._count(size)
        return path

    def file(self, name: str, source: IO[bytes], *, is_executable: bool = False) -> None:
        """Write a file, stopped in the middle when all together become too large."""
        path = self._file_path(name)
        with os.fdopen(self._new(path, name, 0o755 if is_executable else 0o644), "wb") as target:
            while chunk := source.read(_CHUNK):
                self._count(len(chunk))
                target.write(chunk)

    def symbolic_link(self, name: str, target: str) -> None:
        """Remember a symbolic link, for `finish` to make."""
        if not target or target.startswith("/") or "\0" in target or len(os.fsencode(target)) > 4095:
            raise Refused(f"the link {shown(name)} leads outside")
        self._links[self._file_path(name)] = target

    def hard_link(self, name: str, target: str) -> None:
        """Give a second name to a file of this tree that was written before."""
        source = self._path(target)
        path = self._file_path(name)
        if source is None or source in self._links or not source.is_file():
            raise Refused(f"the link {shown(name)} leads to no file before it")
        try:
            path.hardlink_to(source)
        except FileExistsError:
            raise Refused(f"{shown(name)} is in it twice") from None

    def finish(self) -> None:
        """Make the symbolic links, and see that none of them leads outside."""
        for path, target in self._links.items():
            try:
                path.symlink_to(target)
            except FileExistsError:
                raise Refused(f"{shown(path.name)} is in it twice") from None
        root = self._root.resolve()
        for path in self._links:
            if not Path(os.path.realpath(path)).is_relative_to(root):
                raise Refused(f"the link {shown(str(path.relative_to(self._root)))} leads outside")

    def _file_path(self, name: str) -> Path:
        path = self._path(name)
        if path is None or name.endswith("/"):
            raise Refused(f"{shown(name)!r} is no file's name")
        self._make(path.parent, name)
        self._count_entry()
        return path

    def _new(self, path: Path, name: str, mode: int) -> int:
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        except FileExistsError:
            raise Refused(f"{shown(name)} is in it twice") from None

    def _path(self, name: str) -> Path | None:
        """Return the path of a name; None for the root itself."""
        parts = [part for part in name.removesuffix("/").split("/") if part != "."]
        if parts == [""] and not name:
            return None
        if any(part in ("", "..") or len(os.fsencode(part)) > 255 for part in parts) or "\0" in name:
            raise Refused(f"{shown(name)!r} is no name for a file here")
        if len(parts) > DEEPEST or len(os.fsencode(name)) > 3000:
            raise Refused(f"{shown(name)} lies too deep")
        return self._root.joinpath(*parts) if parts else None

    def _make(self, folder: Path, name: str) -> None:
        if folder in self._folders:
            return
        self._make(folder.parent, name)
        self._count_entry()
        try:
            folder.mkdir(0o755)
        except (FileExistsError, NotADirectoryError):
            raise Refused(f"a part of {shown(name)} is both a file and a folder") from None
        self._folders.add(folder)

    def _count_entry(self) -> None:
        self._entries += 1
        if self._entries > self._most_entries:
            raise Refused(f"it has more than {self._most_entries} files and folders")

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._max_bytes:
            limit = megabytes(self._max_bytes)
            raise Refused(f"its files have more than {limit} MB together, the most that one fetch may have")
        self._tick(self._bytes)

"""The files of a checkout: which there are, and what is in them. Bounded, and never through a link."""

import os
import re
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bot.backends.checkout import ENVIRONMENT
from bot.metrics.tree import Refused, regular_file

MOST_NAMES = 50_000
"""Files that are listed."""
MOST_ENTRIES = 200_000
"""Files and directories that are looked at without git."""
LARGEST_FILE = 256 << 10
"""Bytes of a file that is read; larger ones are left out."""
_SECONDS = 20.0
_CHUNK = 1 << 16

# A checkout's own configuration can name programs: none of them is to be run by listing its files.
_CONFIG = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never", "submodule.recurse=false")

_SKIPPED = re.compile(
    r"node_modules|site-packages|third_party|vendor|venv|env|virtualenv|build|dist|__pycache__|wandb|mlruns|outputs"
)
"""Directories that hold no code of the repository's own."""


def names(root: Path, most: int = MOST_ENTRIES) -> tuple[list[str], bool]:
    """Return the paths of the files below `root`, nearest first, and whether git named them.

    Where git knows of none (no repository, nothing added yet, somebody else's), the directories are walked, and `most`
    files and directories are looked at.
    """
    tracked = _tracked(root)
    found = tracked or list(_walked(root, most))
    return sorted(found, key=lambda name: (name.count("/"), name)), bool(tracked)


def _tracked(root: Path) -> list[str]:
    settings = [part for one in _CONFIG for part in ("-c", one)]
    command = ["git", *settings, "--no-optional-locks", "ls-files", "-z", "--cached"]
    environment = {**ENVIRONMENT, "PATH": os.environ.get("PATH", ENVIRONMENT["PATH"])}
    try:
        with subprocess.Popen(
            command,
            cwd=root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        ) as git:
            limit = threading.Timer(_SECONDS, git.kill)
            limit.start()
            try:
                return _cut(git.stdout) if git.stdout else []
            finally:
                git.kill()
                limit.cancel()
    except OSError:
        return []


def _cut(output: IO[bytes]) -> list[str]:
    """Return the names that stand there, as many as are taken."""
    found: list[str] = []
    rest = b""
    while chunk := output.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        found += [os.fsdecode(name) for name in whole]
        if len(found) >= MOST_NAMES or len(rest) > _CHUNK:
            break
    return [name for name in found[:MOST_NAMES] if not any(map(_SKIPPED.fullmatch, name.split("/")[:-1]))]


def _walked(root: Path, left: int) -> Iterator[str]:
    """Yield the files of directory after directory, the nearest first; `left` entries are looked at."""
    waiting, found = deque([""]), 0
    while waiting:
        directory = waiting.popleft()
        try:
            with os.scandir(root / directory) as entries:
                for entry in entries:
                    left -= 1
                    if left < 0 or found >= MOST_NAMES:
                        return
                    path = f"{directory}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        is_ours = not _SKIPPED.fullmatch(entry.name) and not entry.name.startswith(".")
                        waiting.extend([f"{path}/"] if is_ours else [])
                    elif entry.is_file(follow_symlinks=False):
                        found += 1
                        yield path
        except OSError:
            continue


@contextmanager
def opened(root: Path) -> Iterator[int]:
    """Open the checkout's directory, which may itself be reached through links. Raises OSError."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)


def content(folder: int, name: str) -> str | None:
    """Return the text of a regular file below the open folder; None for links, for what is too large, and the like."""
    try:
        with regular_file(folder, name, LARGEST_FILE) as file, os.fdopen(os.dup(file), "rb") as data:
            read = data.read(LARGEST_FILE + 1)
    except (OSError, Refused, ValueError):
        return None
    return read.decode("utf-8-sig", "replace") if len(read) <= LARGEST_FILE else None

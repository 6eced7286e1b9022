"""Files that are whole or not there, after any crash and any loss of power."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_once(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON that nobody else may read, unless the file is there: of several writers the first one stands."""
    unfinished = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w") as stream:
            json.dump(value, stream)
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(unfinished)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make new names in a directory survive a loss of power; syncing the file alone does not."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

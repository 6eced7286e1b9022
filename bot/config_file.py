"""A config, and what it names, as files of this machine: read as the bot would read them at a commit."""

from pathlib import Path

from bot.core import config


def read(root: Path, name: Path) -> bytes:
    """Read a file below `root` as the bot would at a commit: no link on the way, nothing but regular files.

    A config can name nothing above `root`: `..` and absolute paths are mistakes in it. Raises LookupError with the
    reason.
    """
    path = root / name
    if any((root / part).is_symlink() for part in (name, *name.parents[:-1])):
        raise LookupError("it is a link, or lies behind one; the bot reads regular files only")
    if path.exists() and not path.is_file():
        raise LookupError("it is no regular file")
    try:
        return start_of(path)
    except OSError as error:
        raise LookupError(error.strerror) from None


def start_of(path: Path) -> bytes:
    """Return a file, or as much of one as shows that it is too large. Raises OSError."""
    with path.open("rb") as file:
        return file.read(config.MAX_BYTES + 1)

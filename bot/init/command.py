"""`experiment-ci init`: look, guess, write; or say why not."""

import os
from dataclasses import dataclass
from pathlib import Path

from bot.core import config
from bot.init.guess import guess
from bot.init.look import look
from bot.init.write import Told, render_config, render_told
from bot.metrics.tree import Refused, regular_file

_FOLDER, _NAME = config.CONFIG_PATHS[0].split("/")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class InitError(Exception):
    """Nothing was written; the message says why, and what to do."""


@dataclass(frozen=True)
class Done:
    """What came of it: the config's text, and what the terminal is told."""

    text: str
    told: str


def run(root: Path, *, force: bool, only_print: bool) -> Done:
    """Propose a config for the checkout at `root`, and write it there unless `only_print`. Raises InitError."""
    if not root.is_dir():
        raise InitError(f"{root} is no directory")
    try:
        if not (force or only_print):
            _refuse(root)
        repository = look(root)
        proposal = guess(repository)
        text = render_config(proposal)
        if not only_print:
            _write(root, text)
    except OSError as error:
        raise InitError(f"{root}: {error.strerror}") from None
    told = Told(str(root.absolute()), "" if only_print else str(root / _FOLDER / _NAME))
    return Done(text, render_told(proposal, repository, text, told))


def _refuse(root: Path) -> None:
    """Raise InitError where a config would be lost, or would be where nobody reads it."""
    ours, in_root = (root / name for name in config.CONFIG_PATHS)
    if os.path.lexists(ours):
        raise InitError(f"{ours} is there already; --force writes over it, --print only shows what would be written")
    if config.is_ours(_start_of(root, in_root.name)):
        raise InitError(
            f"{in_root} is a config of this bot's already; --force writes {ours}, which is then read in its place"
        )
    here = root.resolve()
    above = next((one for one in here.parents if os.path.lexists(one / ".git")), None)
    if above is not None and not os.path.lexists(here / ".git"):
        raise InitError(
            f"{root} lies in the repository {above}, and the bot reads the config in a repository's root:"
            f" experiment-ci init {above} (or --force, to write it here)"
        )


def _start_of(root: Path, name: str) -> bytes:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with regular_file(folder, name, config.MAX_BYTES) as file:
            return os.read(file, config.MAX_BYTES + 1)
    except (FileNotFoundError, Refused):
        return b""
    finally:
        os.close(folder)


def _write(root: Path, text: str) -> None:
    """Write the config; what was there is taken away first, a link itself and not what it leads to."""
    if not os.path.lexists(root / _FOLDER):
        (root / _FOLDER).mkdir()
    try:
        folder = os.open(root / _FOLDER, _DIRECTORY)
    except OSError:
        raise InitError(f"{root / _FOLDER} is a link or no directory; the bot would not read through it") from None
    try:
        if os.path.lexists(root / _FOLDER / _NAME):
            os.unlink(_NAME, dir_fd=folder)
        with os.fdopen(os.open(_NAME, _NEW, 0o666, dir_fd=folder), "w", encoding="utf-8") as file:
            file.write(text)
    finally:
        os.close(folder)

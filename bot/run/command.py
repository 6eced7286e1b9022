"""What stands on the command line, and which of the two roads it takes."""

import argparse
import getpass
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.clock import Clock
from bot.core.commands import Command, run_of
from bot.run import local
from bot.run.choosing import Wish
from bot.run.errors import CannotRun


def run(options: argparse.Namespace, environ: Mapping[str, str], clock: Clock) -> int:
    """Do what the options say. Returns the exit status. Raises CannotRun or SettingsError: nothing was run."""
    path, words = _place(options.what)
    if options.branch and options.pull:
        raise CannotRun("--branch and --pull exclude each other")
    wanted = _understood(words)
    wish = Wish(_whoever(environ), wanted.names, wanted.settings, options.branch, options.pull)
    places = local.Places(path, options.dir, options.environment)
    return local.run(places, wish, environ, clock, only_list=options.only_list)


def _place(what: Sequence[str]) -> tuple[Path, Sequence[str]]:
    """Return the checkout, and what is wanted of it. What is no directory but could be a workflow is told apart."""
    first = what[0] if what else "."
    if not Path(first).is_dir():
        told = f"{first} is no directory"
        raise CannotRun(told if "/" in first else f"{told}; a workflow of this checkout: experiment-ci run . {first}")
    return Path(first), what[1:]


def _understood(words: Sequence[str]) -> Command:
    try:
        return run_of(words)
    except ValueError as error:
        raise CannotRun(str(error)) from None


def _whoever(environ: Mapping[str, str]) -> str:
    """Return the name of whoever sits here."""
    return environ.get("SUDO_USER") or getpass.getuser()

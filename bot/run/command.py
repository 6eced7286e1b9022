"""What stands on the command line, and which of the two roads it takes: a checkout here, or the bot's own tables."""

import argparse
import getpass
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot import settings
from bot.clock import Clock
from bot.core.commands import Command, Verb, is_ref, run_of
from bot.run import local
from bot.run.asking import Asking, Target
from bot.run.choosing import Wish
from bot.run.errors import CannotRun
from bot.run.screen import Screen

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", re.ASCII)
_OF_CHECKOUTS = ("only_list", "branch", "pull", "environment", "dir")


def run(options: argparse.Namespace, environ: Mapping[str, str], clock: Clock) -> int:
    """Run a checkout, or a ref by the bot. Returns the exit status.

    Raises CannotRun or SettingsError: nothing was run.
    """
    if options.repo is not None or options.ref is not None:
        return _by_the_bot(options, environ, clock)
    if not options.waits:
        raise CannotRun("--no-wait is for what the bot runs (--repo, --ref): a checkout's runs end with this command")
    path, words = _place(options.what)
    if options.branch and options.pull:
        raise CannotRun("--branch and --pull exclude each other")
    wanted = _understood(words)
    wish = Wish(_whoever(environ), wanted.names, wanted.settings, options.branch, options.pull)
    places = local.Places(path, options.dir, options.environment)
    return local.run(places, wish, environ, clock, only_list=options.only_list)


def cancel(options: argparse.Namespace, environ: Mapping[str, str], clock: Clock) -> int:
    """Have the bot stop what runs at a ref: all of it, or what has a name. Otherwise as `run`."""
    name = " ".join(options.what)
    return _ask(options, Command(Verb.CANCEL, (name,) if name else ()), environ, clock, waits=False)


def _by_the_bot(options: argparse.Namespace, environ: Mapping[str, str], clock: Clock) -> int:
    for name in _OF_CHECKOUTS:
        if getattr(options, name):
            raise CannotRun(f"--{name.removeprefix('only_')} is for a checkout, not for --repo and --ref")
    return _ask(options, _understood(options.what), environ, clock, waits=options.waits)


def _ask(
    options: argparse.Namespace, command: Command, environ: Mapping[str, str], clock: Clock, *, waits: bool
) -> int:
    if options.repo is None or options.ref is None:
        raise CannotRun("--repo owner/name and --ref (a branch, a tag or a SHA) go together")
    if not _REPOSITORY.fullmatch(options.repo):
        raise CannotRun(f"--repo {options.repo} is not of the form owner/name")
    if not is_ref(options.ref):
        raise CannotRun(f"--ref {options.ref} is no name of a branch, a tag or a commit")
    read = settings.read(environ)
    settings.forget_secrets()
    asking = Asking(read, clock, Screen(environ), _whoever(environ))
    return asking.ask(Target(options.repo, options.ref), command, waits=waits)


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

"""The end of both ways: the App is there and written down. Where it is installed, and what comes next."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bot import envfile
from bot.clock import Clock
from bot.core import config
from bot.forge.credentials import Credentials
from bot.setup import proof
from bot.setup.answers import Answers
from bot.setup.keep import Place
from bot.setup.terminal import Terminal
from bot.setup.words import words

_LOOK_EVERY = 3.0
_LONGEST_WAIT = 15 * 60
"""Seconds that somebody has to install the App while we look."""


@dataclass(frozen=True)
class Made:
    """An App that is written down. `page` is its public page."""

    app_id: int
    page: str
    answers: Answers
    place: Place
    key_file: Path


def tell_secret(credentials: Credentials, made: Made, secret: str, terminal: Terminal) -> None:
    """Let GitHub sign with the secret that we have written down; say how people can, where GitHub does not take it."""
    try:
        proof.set_hook(credentials, made.answers.hook_url, secret)
    except proof.NotProven as error:
        terminal.say(words("secret.txt.j2", error=error, made=made))


def await_installation(
    credentials: Credentials, terminal: Terminal, clock: Clock, seen: Callable[[list[str]], None]
) -> bool:
    """Look until the App is installed somewhere, call `seen` with where, and tell whether it is.

    Ctrl-C: nobody wants to wait.
    """
    found = proof.installed_on(credentials)
    end = clock.monotonic() + _LONGEST_WAIT
    try:
        if not found:
            terminal.say("Waiting until it is installed (Ctrl-C: later)…")
        while not found and clock.monotonic() < end:
            clock.sleep(_LOOK_EVERY)
            found = proof.installed_on(credentials)
    except KeyboardInterrupt:
        pass
    seen(found)
    where = config.printable(", ".join(found))
    terminal.say(f"Installed on {where}." if found else "Not installed yet; do it when you like.")
    return bool(found)


def say_next(made: Made, terminal: Terminal) -> None:
    """Say how the bot is started with these settings."""
    is_here = made.place.env_file == Path(envfile.DEFAULT).absolute()
    terminal.say(words("next.txt.j2", made=made, is_here=is_here))

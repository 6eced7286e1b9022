"""Step by step at the terminal: for browsers that cannot reach a page of this machine, and for an App that is there."""

import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from bot.clock import Clock
from bot.forge.credentials import Credentials, rsa_key
from bot.setup import keep, proof, reasons
from bot.setup.answers import Answers
from bot.setup.finish import Made, await_installation, say_next, tell_secret
from bot.setup.manifest import form_link, ours
from bot.setup.terminal import Terminal
from bot.setup.words import words

_MOST_BYTES = 64 * 1024


def by_hand(first: Answers, place: keep.Place, terminal: Terminal, clock: Clock, *, waits: bool) -> None:
    """Say what to enter in GitHub's form, ask for what it gives, prove it, and write it down.

    Raises GaveUp where nobody answers, CannotKeep where it cannot be written.
    """
    answers = _decide(first, terminal)
    content = ours()
    terminal.say(
        words(
            "by_hand.txt.j2",
            answers=answers,
            link=form_link(answers),
            content=content,
            reasons=reasons.PERMISSIONS,
        )
    )
    proven = _prove(answers, terminal, clock)
    try:
        secret = secrets.token_hex(32)
        key_file = keep.keep(place, answers, proven.credentials.app_id, proven.pem, secret)
        made = Made(proven.credentials.app_id, proven.known.page, answers, place, key_file)
        tell_secret(proven.credentials, made, secret, terminal)
        terminal.say(words("made.txt.j2", made=made))
        terminal.say(words("copied.txt.j2", known=proven.known, path=proven.path, made=made))
        if waits:
            await_installation(proven.credentials, terminal, clock, lambda _found: None)
    finally:
        proven.credentials.close()
    say_next(made, terminal)


def _decide(first: Answers, terminal: Terminal) -> Answers:
    """Return the answers, asked for until they will do."""
    answers = first
    while True:
        public_url = terminal.ask("Where people and GitHub reach the bot", answers.public_url).rstrip("/")
        reach = terminal.ask("Can GitHub reach that, yes or no", "yes" if answers.is_reachable else "no")
        organization = terminal.ask(
            "Organization that owns the App, - for your own account", answers.organization or "-"
        )
        answers = replace(
            answers,
            public_url=public_url,
            is_reachable=not reach.lower().startswith("n"),
            organization=None if organization == "-" else organization,
            name=terminal.ask("What it is called on GitHub", answers.name),
        )
        problems = answers.problems()
        if not problems:
            return answers
        for sentence in problems.values():
            terminal.say(f"✗ {sentence}")


@dataclass(frozen=True)
class _Proven:
    credentials: Credentials
    known: proof.Known
    path: Path
    pem: str


def _prove(answers: Answers, terminal: Terminal, clock: Clock) -> _Proven:
    """Return the App that the id and the key are of, as GitHub says; asked for until they are."""
    number, path = "", ""
    while True:
        number = terminal.ask("App ID", number)
        path = terminal.ask("Path of the .pem file", path)
        try:
            app_id, pem = _number(number), _pem(Path(path).expanduser())
            return _Proven(*_known(app_id, pem, answers, clock), Path(path), pem)
        except (ValueError, proof.NotProven) as error:
            terminal.say(f"✗ {error}")


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**63:
        raise ValueError("The App ID is a number, near the top of the App's page (the client ID will not do).")
    return int(text)


def _pem(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode()
        rsa_key(text)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise ValueError(f"{path} is no private key as GitHub makes them (-----BEGIN RSA PRIVATE KEY-----).") from None
    return text


def _known(app_id: int, pem: str, answers: Answers, clock: Clock) -> tuple[Credentials, proof.Known]:
    credentials = Credentials(app_id, pem, answers.github.api_url, clock)
    try:
        content = ours()
        found = proof.known(credentials, content["default_permissions"], content["default_events"])
    except proof.NotProven:
        credentials.close()
        raise
    return credentials, found

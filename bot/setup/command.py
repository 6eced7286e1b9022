"""`experiment-ci setup`: what the command line and the environment say, and which way it goes."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from bot import envfile
from bot.clock import Clock
from bot.settings import is_plain_url, own_url, web_url_of
from bot.setup import keep
from bot.setup.answers import LONGEST_NAME, Answers, GitHub
from bot.setup.by_hand import by_hand
from bot.setup.by_page import by_page
from bot.setup.terminal import GaveUp, Terminal
from bot.setup.words import words


class SetupError(Exception):
    """Nothing, or not all, was set up; the sentence says why, and what to do."""


def run(options: argparse.Namespace, environ: Mapping[str, str], terminal: Terminal, clock: Clock) -> None:
    """Set the bot up. Raises SetupError."""
    try:
        place = keep.Place(_env_file(options, environ), options.force)
        first = _first_answers(options, {**envfile.parse(keep.prepare(place)), **environ})
        if options.by_hand:
            by_hand(first, place, terminal, clock, waits=not options.no_wait)
        else:
            by_page(first, place, options.port, terminal, clock, waits=not options.no_wait)
    except (keep.CannotKeep, GaveUp) as error:
        raise SetupError(str(error)) from None
    hidden = [name for name, value in envfile.read(place.env_file).items() if environ.get(name, value) != value]
    if hidden:
        terminal.say(words("hidden.txt.j2", names=hidden, place=place))


def _env_file(options: argparse.Namespace, environ: Mapping[str, str]) -> Path:
    named = environ.get(envfile.VARIABLE, "").strip()
    default = envfile.DEFAULT if named in ("", envfile.NONE) else named
    return Path(options.env_file or default).expanduser().absolute()


def _first_answers(options: argparse.Namespace, environ: Mapping[str, str]) -> Answers:
    """Return the answers as far as they are known: options go before the environment, and that before defaults."""

    def known(name: str, default: str) -> str:
        return (environ.get(name, "").strip() or default).rstrip("/")

    api_url = options.api_url.rstrip("/") or known("GITHUB_API_URL", GitHub.api_url)
    own = web_url_of(api_url)
    github = GitHub(api_url, options.web_url.rstrip("/") or (own if options.api_url else known("GITHUB_WEB_URL", own)))
    if not (is_plain_url(github.api_url) and is_plain_url(github.web_url)):
        raise SetupError("GitHub's addresses must be plain URLs such as https://github.example.com/api/v3.")
    if options.api_url and api_url not in (GitHub.api_url, f"{own}/api/v3") and not options.web_url:
        raise SetupError(f"Where are the pages of the GitHub whose API is {api_url}? --web-url says it.")
    port = known("PORT", "8080")
    here = own_url(known("HOST", "127.0.0.1"), int(port) if port.isdecimal() else 8080)
    answers = Answers(
        github=github,
        name=options.name or f"experiment-ci-{options.organization or ''}"[:LONGEST_NAME].rstrip("-"),
        organization=options.organization,
        public_url=options.public_url.rstrip("/") or known("PUBLIC_URL", here),
        is_reachable=not options.poll,
    )
    # Most machines are out of GitHub's reach: what nobody has said otherwise begins with that.
    return answers if options.public_url or "public_url" not in answers.problems() else answers.polling()

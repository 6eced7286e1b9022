"""Through GitHub's manifest flow: pages on this machine, a button that leads to GitHub, and a way back."""

import socket

from bot.clock import Clock
from bot.forge.credentials import Credentials
from bot.setup.answers import Answers
from bot.setup.conversion import NewApp
from bot.setup.finish import Made, await_installation, say_next, tell_secret
from bot.setup.flow import Flow
from bot.setup.keep import CannotKeep, Place
from bot.setup.page import Pages
from bot.setup.serving import listen, serving
from bot.setup.terminal import Terminal
from bot.setup.words import words

_SHOWN_WITHIN = 6.0
"""Seconds that a browser has for showing what has become of it, before the pages are gone."""


def by_page(first: Answers, place: Place, port: int, terminal: Terminal, clock: Clock, *, waits: bool) -> None:
    """Make the App. Ends when it is written down; with `waits`, when it is installed. Raises CannotKeep for no port."""
    listener = _listen(port)
    port = listener.getsockname()[1]
    flow = Flow(first.github, place, clock)
    pages = Pages(flow, first, port, waits=waits)
    with listener, serving(pages.web(), listener):
        terminal.say(words("start.txt.j2", url=pages.url, port=port, host=socket.gethostname(), place=place))
        app, made = _await_app(flow, terminal, clock)
        credentials = Credentials(app.id, app.private_key, flow.github.api_url, clock)
        try:
            if flow.secret_is_ours:
                tell_secret(credentials, made, app.webhook_secret, terminal)
            terminal.say(words("made.txt.j2", made=made))
            has_news = not waits or await_installation(credentials, terminal, clock, pages.installed_on)
        finally:
            credentials.close()
        if has_news:
            pages.was_shown(_SHOWN_WITHIN)
    say_next(made, terminal)


def _listen(port: int) -> socket.socket:
    try:
        return listen(port)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "there is no such port"
        raise CannotKeep(f"Port {port} of 127.0.0.1 cannot be used: {reason}; --port names another.") from None


def _await_app(flow: Flow, terminal: Terminal, clock: Clock) -> tuple[NewApp, Made]:
    """Wait until GitHub has made the App and it is written down. What stands in the way is said here, too."""
    said = ""
    try:
        while flow.app is None or flow.answers is None or flow.key_file is None:
            if flow.trouble not in ("", said):
                said = flow.trouble
                terminal.say(words("trouble.txt.j2", trouble=said))
            clock.sleep(0.1)
    except KeyboardInterrupt:
        if flow.app is not None:
            terminal.say(words("lost.txt.j2", app=flow.app, flow=flow))
        raise
    return flow.app, Made(flow.app.id, flow.app.page, flow.answers, flow.place, flow.key_file)

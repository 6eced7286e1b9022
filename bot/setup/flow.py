"""GitHub's manifest flow from our side: a state goes out, a code comes back, it becomes an App, the App is kept.

Each thing happens once: a state is forgotten when it comes back, and a second App is not taken.
"""

import secrets
import threading
from dataclasses import replace
from pathlib import Path

from bot.clock import Clock
from bot.setup import keep
from bot.setup.answers import Answers, GitHub
from bot.setup.conversion import CODE, ConversionError, NewApp, convert

_MOST_OPEN = 20
"""Pages that may be open at once with a button to GitHub: each has a state."""


class Stranger(Exception):
    """What came back did not go out from here."""


class Flow:
    """One way through it. Any thread may call. `trouble` is a sentence while something stands in the way.

    `app` is there once GitHub has made it, `key_file` once it is written down, with the settings of `answers`.
    `secret_is_ours` tells that GitHub gave no webhook secret, and has to be told the one that was written down.
    """

    def __init__(self, github: GitHub, place: keep.Place, clock: Clock) -> None:
        self.github, self.place, self._clock = github, place, clock
        self.app: NewApp | None = None
        self.answers: Answers | None = None
        self.key_file: Path | None = None
        self.secret_is_ours = False
        self.trouble = ""
        self._open: dict[str, Answers] = {}
        self._code = ""
        self._lock = threading.Lock()

    @property
    def can_go_on(self) -> bool:
        """Tell whether `go_on` may help: a code that is still good, or an App that is not written down."""
        return bool(self._code) or (self.app is not None and self.key_file is None)

    def begin(self, answers: Answers) -> str:
        """Return the state under which these answers come back from GitHub, once."""
        with self._lock:
            while len(self._open) >= _MOST_OPEN:
                del self._open[next(iter(self._open))]
            state = secrets.token_urlsafe(32)
            self._open[state] = answers
            return state

    def come_back(self, state: str, code: str) -> None:
        """Take what GitHub's redirect says, and go on with it. Raises Stranger."""
        with self._lock:
            # Every state is looked at, each in constant time.
            found = [one for one in self._open if secrets.compare_digest(one.encode(), state.encode())]
            if not found or not CODE.fullmatch(code) or self.app is not None:
                raise Stranger
            self.answers, self._code = self._open.pop(found[0]), code
            self._advance(self.answers)

    def settle(self) -> None:
        """Wait while GitHub is being asked, so that what is looked at next is no half of it."""
        with self._lock:
            return

    def go_on(self) -> None:
        """Try what did not work once more."""
        with self._lock:
            if self.can_go_on and self.answers is not None:
                self._advance(self.answers)

    def _advance(self, answers: Answers) -> None:
        self.trouble = ""
        try:
            app = self.app or self._fetched()
            self.key_file = keep.keep(self.place, answers, app.id, app.private_key, app.webhook_secret)
        except ConversionError as error:
            self.trouble = str(error)
            if error.is_over:
                self._code = ""
        except keep.CannotKeep as error:
            self.trouble = str(error)

    def _fetched(self) -> NewApp:
        app = convert(self.github, self._code, self._clock.now())
        self._code = ""
        self.secret_is_ours = not app.webhook_secret
        self.app = replace(app, webhook_secret=app.webhook_secret or secrets.token_hex(32))
        return self.app

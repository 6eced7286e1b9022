"""`experiment-ci replay`: the worker looks at a delivery again, on the same road; what is missing is brought first."""

from collections.abc import Sequence

from bot.clock import Clock
from bot.run.desk import INTERRUPTED, Desk
from bot.run.errors import CannotRun
from bot.run.ink import Style, line
from bot.run.screen import Screen
from bot.settings import Settings
from bot.store import deliveries, missing
from bot.store.database import Transaction
from bot.store.schema import Delivery
from bot.worker.recover import TRIES_BEFORE_FETCHING

_BAD = ("failed", "unreadable")
_LOST = "lost"


class Replay:
    """Has deliveries looked at again, and tells what became of each."""

    def __init__(self, settings: Settings, clock: Clock, screen: Screen) -> None:
        self._clock, self._screen = clock, screen
        self._desk = Desk(settings, clock, screen)

    def run(self, names: Sequence[str]) -> int:
        """Replay deliveries, each by its GUID or its row's number. Returns 0 when all went well, else 1.

        Raises CannotRun, before anything is done, where one of them is unknown.
        """
        with self._desk.opened():
            with self._desk.database.read() as tx:
                guids = list(dict.fromkeys(_guid_of(tx, name) for name in names))
            self._desk.refuse_without_worker()
            with self._desk.database.write() as tx:
                for guid in guids:
                    self._ask(tx, guid)
            try:
                return max([self._tell(guid) for guid in guids], default=0)
            except KeyboardInterrupt:
                self._screen.say([line("The worker looks at them all the same.")])
                return INTERRUPTED

    def _ask(self, tx: Transaction, guid: str) -> None:
        stored = deliveries.find(tx, guid)
        if stored is None:
            # Nobody who waits here wants to wait for GitHub to send it once more: its payload is taken from the log.
            missing.bring(tx, guid, self._clock.now(), tries=TRIES_BEFORE_FETCHING)
        else:
            deliveries.look_again(tx, stored.id)

    def _tell(self, guid: str) -> int:
        event, state, reason = self._desk.wait(lambda: self._look(guid))
        is_bad = state in (*_BAD, _LOST)
        kind = f" {event}" if event else ""
        self._screen.say([line(f"{'✗' if is_bad else '✓'} {guid}{kind}: {state}: {reason}", _style(is_bad))])
        return 1 if is_bad else 0

    def _look(self, guid: str) -> tuple[tuple[str, str, str] | None, str]:
        """Return its event and what became of it, or what it waits for."""
        with self._desk.database.read() as tx:
            stored, absent = deliveries.find(tx, guid), missing.find(tx, guid)
        if stored is not None:
            told = (stored.event, stored.state, stored.reason)
            return (None, stored.reason) if stored.state == "received" else (told, "")
        if absent is None:
            return ("", _LOST, "GitHub keeps deliveries for three days, and this one is older"), ""
        return (None, "GitHub's log of deliveries") if absent.lost is None else (("", _LOST, absent.lost), "")


def _style(is_bad: bool) -> Style:
    return Style.BAD if is_bad else Style.PLAIN


def _guid_of(tx: Transaction, name: str) -> str:
    """Return the GUID of a delivery that is here, or known to be missing. Raises CannotRun for all others."""
    found: Delivery | None = deliveries.find(tx, name)
    if found is None and name.isascii() and name.isdigit() and len(name) < 19:
        found = deliveries.by_number(tx, int(name))
    if found is not None:
        return found.guid
    if missing.find(tx, name) is not None:
        return name
    raise CannotRun(
        f"there is no delivery {name}: it was never stored, or it was dealt with more than thirty days ago. What GitHub"
        " sent in the past three days and is not here, the worker finds and brings by itself"
    )

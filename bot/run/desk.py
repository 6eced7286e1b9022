"""The bot that works on this machine, as a command meets it: its tables, and its worker, which may be waited for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from bot.clock import SECOND, Clock
from bot.core.report.figures import duration
from bot.run.errors import CannotRun
from bot.run.ink import Style, line
from bot.run.screen import Screen
from bot.settings import Settings
from bot.store.database import Database
from bot.troubles import DATABASE_TROUBLES, database_sentence, disk_sentence
from bot.worker_sign import WorkerSign

EVERY = 0.5
"""Seconds between two looks at the tables."""
_SILENCE = 15 * SECOND
"""How long a worker may be away (`experiment-ci up` starts a new one in a second) before nobody waits any longer."""
INTERRUPTED = 130

Found = TypeVar("Found")


class Desk:
    """Opens the bot's tables, and looks what its worker makes of what is written there."""

    def __init__(self, settings: Settings, clock: Clock, screen: Screen) -> None:
        self._settings, self._clock, self._screen = settings, clock, screen
        self._sign = WorkerSign(settings.data_dir, clock)
        self.database = Database(settings.database_url)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Tell what is wrong with the database as a sentence (CannotRun); close it in the end."""
        try:
            self.database.migrate(self._settings.data_dir / "migrate.lock")
            yield
        except OSError as error:
            raise CannotRun(f"DATA_DIR cannot be used: {disk_sentence(error)}") from None
        except DATABASE_TROUBLES as error:
            raise CannotRun(f"the database cannot be used: {database_sentence(error)}") from None
        finally:
            self.database.close()

    def refuse_without_worker(self) -> None:
        """Raise CannotRun where nobody would look at what is asked."""
        sighting = self._sign.read()
        if not sighting.is_alive:
            raise CannotRun(f"{sighting.sentence} ({self._settings.data_dir}): experiment-ci up, or work, starts one")

    def wait(self, look: Callable[[], tuple[Found | None, str]]) -> Found:
        """Look until something is found. `look` returns it, or None with what is waited for ("" while it is not known).

        Raises CannotRun when the worker has gone.
        """
        since = seen = self._clock.now()
        try:
            while True:
                found, reason = look()
                if found is not None:
                    return found
                now, is_alive = self._clock.now(), self._sign.read().is_alive
                seen = now if is_alive else seen
                if now - seen > _SILENCE:
                    raise CannotRun("the worker has gone; what was asked for is done when there is one again")
                told = f": {reason}" if reason else ""
                self._screen.say((), [line(f"  asking the worker · {duration(now - since)}{told}", Style.DIM)])
                self._clock.sleep(EVERY)
        finally:
            self._screen.say(())

"""Until when GitHub wants to hear nothing, beyond the life of whoever was told so."""

import logging

from bot.clock import Clock
from bot.store.database import Busy, Database
from bot.store.schema import Mark

_log = logging.getLogger(__name__)


class Windows:
    """A mark for each line of calls: an installation (GitHub's id), or 0 for the App itself."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def left(self, installation: int) -> float:
        """Return the seconds that a line has to keep silent still, 0 when it may speak."""
        with self._database.read() as tx:
            mark = tx.get(Mark, _name(installation))
        return 0.0 if mark is None else max(0.0, (int(mark.value["until"]) - self._clock.now()) / 1e6)

    def keep(self, installation: int, seconds: float) -> None:
        """Remember for how many seconds from now a line has to keep silent."""
        value = {"until": self._clock.now() + round(seconds * 1e6)}
        try:
            with self._database.write() as tx:
                tx.merge(Mark(name=_name(installation), value=value))
        except Busy as busy:
            # Whoever was told so knows it as long as it lives; only the next life would ask once too early.
            _log.warning("the window of line %s could not be kept: %s", installation, busy.orig)


def _name(installation: int) -> str:
    return f"window/{installation}"

"""One bad row never stops the others."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from bot.clock import SECOND, Clock
from bot.forge.errors import ForgeError
from bot.forge.git import GitError

T = TypeVar("T")
_REST = 30 * SECOND
_log = logging.getLogger(__name__)


class Each:
    """Does something for each of many. One that raises is logged, left alone for half a minute, and tried again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._resting: dict[object, int] = {}

    def do(self, items: Iterable[T], key: Callable[[T], object], action: Callable[[T], object]) -> None:
        """Call `action` with each item that does not rest; `key` tells items apart from one tick to the next."""
        now = self._clock.now()
        self._resting = {name: until for name, until in self._resting.items() if until > now}
        for item in items:
            if key(item) in self._resting:
                continue
            try:
                action(item)
            except (ForgeError, GitError) as trouble:
                _log.warning("%s is left alone for a while: %s", key(item), trouble)
                self._resting[key(item)] = now + _REST
            except Exception:
                _log.exception("%s stumbled and is left alone for a while", key(item))
                self._resting[key(item)] = now + _REST

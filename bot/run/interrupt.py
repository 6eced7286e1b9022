"""Ctrl-C, as somebody means it who looks at what runs: once to end it in order, twice to leave."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bot.up import when_told_to_end


class Interrupt:
    """What Ctrl-C, SIGTERM and the end of the terminal mean. At the first `stop` is called, in the course of `hint`."""

    def __init__(self, stop: Callable[[], object], before: str, after: str) -> None:
        self._stop, self._before, self._after = stop, before, after
        self._heard, self._is_stopping = 0, False

    @property
    def was_heard(self) -> bool:
        return self._heard > 0

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear them, for as long as it is looked on."""
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.getsignal(number) for number in numbers}
        when_told_to_end(self._hear)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def hint(self) -> str:
        """Return what the next Ctrl-C does. Raises KeyboardInterrupt at the second one."""
        if self._heard and not self._is_stopping:
            self._is_stopping = True
            self._stop()
        if self._heard > 1:
            raise KeyboardInterrupt
        return self._after if self._is_stopping else self._before

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._heard += 1

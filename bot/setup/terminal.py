"""The terminal that it is said on and asked at."""

from collections.abc import Callable
from dataclasses import dataclass


class GaveUp(Exception):
    """Nobody answers any more."""


@dataclass(frozen=True)
class Terminal:
    """`say` shows lines; `read` shows a question and returns the answer, or raises EOFError where there is none."""

    say: Callable[[str], None]
    read: Callable[[str], str]

    def ask(self, question: str, default: str = "") -> str:
        """Return the answer; the default where it is empty. Raises GaveUp."""
        try:
            return self.read(f"{question} [{default}]: " if default else f"{question}: ").strip() or default
        except EOFError:
            raise GaveUp("There is no answer, so nothing more was done.") from None

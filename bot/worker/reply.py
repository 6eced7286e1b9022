"""What comes back to whoever asked for something."""

from collections.abc import Callable
from dataclasses import dataclass

from bot.store.database import Transaction


class Declined(Exception):
    """It is not done; the message says why, for whoever asked. `sha` is the commit that it is about."""

    def __init__(self, reason: str, sha: str = "") -> None:
        super().__init__(reason)
        self.sha = sha


@dataclass(frozen=True)
class Reply:
    """The answer, and the commit that it is about. `do` writes down what was decided, and returns the final answer."""

    text: str
    sha: str = ""
    do: Callable[[Transaction], str] | None = None

"""The delivery that a simulation is about: a payload as GitHub sends it, from a file or standard input."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.core import payloads
from bot.core.kinds import kind_of
from bot.run.errors import CannotRun

_MOST = 25 * 1024 * 1024
"""GitHub sends no larger ones."""


@dataclass(frozen=True)
class Payload:
    """An event's name, and its body as it is sent: JSON, or a form that holds it."""

    event: str
    body: bytes

    @property
    def message(self) -> str:
        """The message of the commit that was pushed, where the payload says it."""
        head = payloads.read(self.body).get("head_commit")
        return str(head["message"]) if isinstance(head, dict) and isinstance(head.get("message"), str) else ""


def take(place: str, event: str | None) -> Payload:
    """Return the payload of a file (`-`: standard input); `event` is guessed where that is None. Raises CannotRun."""
    body = _read(place)
    if not body.strip():
        raise CannotRun(f"{_name(place)} is empty")
    if len(body) > _MOST:
        raise CannotRun(f"{_name(place)} is larger than the 25 MB that GitHub sends")
    if event is None:
        event = kind_of(_value(place, body))
    if event is None:
        known = ", ".join(sorted(payloads.KINDS))
        raise CannotRun(f"{_name(place)} does not show which event it is of; say --event, such as {known}")
    return Payload(event, body)


def _read(place: str) -> bytes:
    try:
        if place == "-":
            return sys.stdin.buffer.read(_MOST + 1)
        with Path(place).open("rb") as file:
            return file.read(_MOST + 1)
    except OSError as error:
        raise CannotRun(f"{_name(place)} cannot be read: {error.strerror}") from None


def _value(place: str, body: bytes) -> Any:
    try:
        return payloads.read(body)
    except (ValueError, KeyError, RecursionError):
        raise CannotRun(f"{_name(place)} holds no JSON, nor a form with a payload of JSON") from None


def _name(place: str) -> str:
    return "standard input" if place == "-" else place

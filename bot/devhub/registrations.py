"""Apps that somebody has named and not yet fetched: the hour between the button and `conversions`.

GitHub: "Registering a GitHub App from a manifest". A code is good once, and for an hour.
"""

import secrets
from dataclasses import dataclass

from bot.clock import HOUR, Clock
from bot.devhub.manifest import Manifest
from bot.devhub.model import Account


@dataclass(frozen=True)
class Registration:
    """An App to be: what its manifest says, whose it will be, and until when."""

    manifest: Manifest
    owner: Account
    expires_at: int


class Registrations:
    """All that are open, by code."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, Registration] = {}

    def open(self, manifest: Manifest, owner: Account) -> str:
        """Return the code by which the App can be fetched."""
        code = secrets.token_hex(20)
        self._open[code] = Registration(manifest, owner, self._clock.now() + HOUR)
        return code

    def take(self, code: str) -> Registration | None:
        """Return what the code stands for, and forget it; None for one that is unknown, used or too old."""
        found = self._open.pop(code, None)
        return found if found is not None and self._clock.now() < found.expires_at else None

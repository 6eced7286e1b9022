"""The names of checks: an API, since people require them by name in branch protection.

Never a commit, an attempt, a value or a pull request's number in them.
"""

import hashlib
from collections.abc import Iterable

from bot.core.report.views import NAME_BYTES
from bot.core.text import name

ROLL_UP = "experiments"
"""The roll-up, one a commit: the one name that users are told to require."""


class Names:
    """Gives each thing its name, once: the same things in the same order get the same names at every commit."""

    def __init__(self) -> None:
        self._taken = {ROLL_UP}
        self._kept: dict[tuple[str, ...], str] = {}

    def keep(self, key: tuple[str, ...], *parts: str) -> None:
        """Keep the name of `parts` for what takes it by the same key, whoever asks for one before."""
        if key not in self._kept:
            self._kept[key] = self._new(parts)

    def take(self, key: tuple[str, ...], *parts: str) -> str:
        """Return `parts` joined by ` / `, in at most 255 bytes.

        What had to be cut, or reads like a name already given, ends in a few digits made of the whole of it.
        """
        return self._kept.pop(key, None) or self._new(parts)

    def _new(self, parts: tuple[str, ...]) -> str:
        shown = " / ".join(name(part) for part in parts)
        if len(shown.encode()) > NAME_BYTES or shown in self._taken:
            shown = next(one for one in _marked(shown, parts) if one not in self._taken)
        self._taken.add(shown)
        return shown


def _marked(shown: str, parts: tuple[str, ...]) -> Iterable[str]:
    # surrogatepass: a lone surrogate is a difference between two names too.
    seed = "\0".join(parts).encode(errors="surrogatepass")
    while True:
        seed = hashlib.sha256(seed).digest()
        mark = f" ~{seed.hex()[:6]}"
        yield shown.encode()[: NAME_BYTES - len(mark)].decode(errors="ignore") + mark

"""What may be stored as a secret, under which names, and whose it is."""

import re

from bot.core.spelling import SHORTEST

LARGEST = 49_152
"""Bytes of the largest value: GitHub's own limit for its secrets, and less than what Linux lets a variable hold."""
TOO_LARGE = f"a secret can have {LARGEST} bytes at most; keep larger things in a private bucket"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,99}", re.ASCII)
"""A secret's name, in a config's `secret:<name>` and at the command line."""
_OWNER = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,37}[A-Za-z0-9])?(?:_[A-Za-z0-9]+)?"
"""Managed users' names end in an underscore and their company's short code."""
_SCOPE = re.compile(rf"{_OWNER}(/[A-Za-z0-9._-]{{1,100}})?", re.ASCII)


def scope_of(owner: str, name: str | None = None) -> str:
    """Return whose a secret is, as rows have it: `owner`, or `owner/name`. GitHub's names ignore upper and lower case.

    Raises ValueError for what cannot be a name of GitHub's.
    """
    scope = owner if name is None else f"{owner}/{name}"
    if not _SCOPE.fullmatch(scope) or ("/" in owner):
        raise ValueError(f"{scope[:140]!r} is no owner or repository of GitHub's")
    return scope.lower()


def refusal(value: str) -> str:
    """Return why a value cannot be stored, empty when it can. Nothing of the value is in it."""
    if len(value.strip()) < SHORTEST:
        return (
            f"a secret needs at least {SHORTEST} characters: a shorter one stands everywhere, and masking it would"
            " make logs unreadable. What is no secret can stand in the config itself"
        )
    if "\0" in value:
        return "a secret cannot hold a NUL character: environment variables cannot"
    return TOO_LARGE if len(value.encode("utf-8", "surrogatepass")) > LARGEST else ""

"""Who may read: whoever logged in with the token printed at start, or holds an experiment's own view token.

Both are secrets of URLs: compared in constant time, never logged, and a wrong one looks like nothing there.
"""

import hashlib
import hmac
import secrets

from flask import request

from bot.clock import DAY, HOUR, Clock

COOKIE = "experiment_ci_login"
LASTS = 30 * DAY
"""How long a login is good for, in microseconds. It ends with the process too: the next start prints a new token."""

PASS_LASTS = 12 * HOUR
"""How long a pass is good for, in microseconds: a working day of looking at a TensorBoard."""

_NOBODY = secrets.token_urlsafe(24)
"""Compared with where there is nothing to compare with, so that a missing experiment takes as long as a closed one."""


def is_same(given: str, expected: str | None) -> bool:
    """Tell whether `given` is the secret. Total; None and the empty secret fit nothing."""
    matches = hmac.compare_digest(given.encode("utf-8", "replace"), (expected or _NOBODY).encode("utf-8", "replace"))
    return matches and bool(expected)


class Logins:
    """Logins as signed cookies, and passes for single things: nothing is stored, and a new token ends them all."""

    def __init__(self, token: str, clock: Clock) -> None:
        if len(token) < 20:
            raise ValueError("the login token is too short to keep strangers out")
        self._token, self._clock = token, clock

    def is_token(self, given: str) -> bool:
        """Tell whether `given` is the login token."""
        return is_same(given, self._token)

    def issue(self) -> str:
        """Return a new cookie's value."""
        return self._sign(str(self._clock.now()))

    def is_valid(self, cookie: str) -> bool:
        """Tell whether `cookie` was issued by us, for this token, not too long ago. Total."""
        issued = cookie.partition(".")[0]
        if not is_same(cookie, self._sign(issued)):
            return False
        return int(issued) <= self._clock.now() < int(issued) + LASTS

    def issue_pass(self, thing: str) -> str:
        """Return a word for an address that opens `thing` alone, for a while. Whoever reads it has it."""
        return self._sign(str(self._clock.now()), f"pass {thing}")

    def is_pass(self, given: str, thing: str) -> bool:
        """Tell whether `given` was issued for `thing`, for this token, not too long ago. Total."""
        issued = given.partition(".")[0]
        if not is_same(given, self._sign(issued, f"pass {thing}")):
            return False
        return int(issued) <= self._clock.now() < int(issued) + PASS_LASTS

    def _sign(self, issued: str, purpose: str = "login") -> str:
        text = f"{purpose} {issued}".encode("utf-8", "replace")
        return f"{issued}.{hmac.new(self._token.encode(), text, hashlib.sha256).hexdigest()}"


def is_logged_in(logins: Logins) -> bool:
    """Tell whether the request at hand comes from somebody who logged in."""
    return logins.is_valid(request.cookies.get(COOKIE, ""))

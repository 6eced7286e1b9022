"""Whether the platform tries again, by itself, what it broke by itself.

Who sees an end says whether it `may_retry`: only ends of the platform's own doing, which may not come the next time,
and of which nothing is left running. What the user's command did, what the config asks for and what a person stopped
is never repeated (docs/decisions/0070-failures-that-explain-themselves.md lists who says what).
"""

from bot.core.states import MINUTE, SECOND, State, Transition

WAITS = (30 * SECOND, 2 * MINUTE)
"""How long to wait before each repetition, in microseconds."""

TRIES = 1 + len(WAITS)
"""How often an experiment is tried at most for one request."""


def due(end: Transition, retry: int) -> int | None:
    """Return when (microseconds) the next attempt is due after this end; None when it stands.

    `retry` counts the repetitions so far: 0 for an attempt that somebody asked for.
    """
    if end.target is not State.ERROR or not end.may_retry or retry >= len(WAITS):
        return None
    return end.at + WAITS[retry]

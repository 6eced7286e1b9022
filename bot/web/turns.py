"""Turns: how many requests of a slow kind are at work at a time, so that the door always finds a free thread."""

from threading import BoundedSemaphore

from flask import abort
from werkzeug.exceptions import ServiceUnavailable


class Turns:
    """At most `most` at a time. Nobody waits: a request that waited would hold the very thread that is scarce."""

    def __init__(self, most: int) -> None:
        self._left = BoundedSemaphore(most)

    def take(self) -> None:
        """Take a turn, to be given back by `give_back`; or answer 503, to be asked again in a second."""
        if not self._left.acquire(blocking=False):
            abort(ServiceUnavailable("too many at a time", retry_after=1).get_response())

    def give_back(self) -> None:
        self._left.release()

"""What is known of attempts that nothing will change any more: nobody reads a million points again and again."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

MOST = 1_000
"""As many as one commit may start."""


class Settled(Generic[T]):
    """The newest `most` answers, by all that they depend on. For one thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, find: Callable[[], T]) -> T:
        """Return what is known for `key`, or find it out now."""
        if key not in self._known:
            self._known[key] = find()
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return self._known[key]

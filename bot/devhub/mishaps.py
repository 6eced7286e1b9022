"""What happens to a webhook on a bad day, on order: the next one, or any with some probability.

By chance it repeats itself for a seed, as long as events come in the same order.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Kind = Literal["duplicate", "drop", "delay", "shuffle"]
_MOST_FOLLOWERS = 3


@dataclass(frozen=True)
class Mishap:
    """What goes wrong with a delivery of `event` (None: of any).

    A `delay` is in real `seconds`, or in `clock_seconds` of devhub's clock; a `shuffle` lets so many `followers` pass,
    a `duplicate` comes in so many `copies`.
    """

    kind: Kind
    event: str | None = None
    seconds: float = 0.0
    clock_seconds: float | None = None
    new_guid: bool = False
    followers: int = 1
    copies: int = 2


class Mishaps:
    """The orders of one courier, oldest first, then chance."""

    def __init__(self) -> None:
        self._orders: list[Mishap] = []
        self._chance: _Chance | None = None

    def order(self, mishap: Mishap) -> None:
        self._orders.append(mishap)

    def at_random(
        self, rate: float, seed: int, kinds: Collection[Kind], clock_seconds: float | None, copies: int
    ) -> None:
        """Let each event meet one of `kinds` with probability `rate`; 0 ends it."""
        # Not for secrets: a soak test must be able to repeat itself.
        dice = random.Random(seed)  # noqa: S311
        self._chance = _Chance(rate, dice, tuple(kinds), clock_seconds, copies) if rate else None

    def choose(self, event: str) -> Mishap | None:
        """Return what is to happen to this event, and count it as done."""
        for mishap in self._orders:
            if mishap.event in {None, event}:
                self._orders.remove(mishap)
                return mishap
        return None if self._chance is None else self._chance.throw()


@dataclass(frozen=True)
class _Chance:
    rate: float
    dice: random.Random
    kinds: tuple[Kind, ...]
    clock_seconds: float | None
    copies: int

    def throw(self) -> Mishap | None:
        dice = self.dice
        if dice.random() >= self.rate:
            return None
        kind, new_guid = dice.choice(self.kinds), dice.random() < 0.5
        followers = dice.randint(1, _MOST_FOLLOWERS) if kind == "shuffle" else 1
        late = None if self.clock_seconds is None else dice.uniform(0, self.clock_seconds)
        return Mishap(kind, None, 0.3, late, new_guid, followers, self.copies)

"""Many things counted by how they stand: what a long table says of the rows that it leaves out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from bot.core.report.standing import Standing
from bot.core.report.views import Conclusion, Status
from bot.core.text import Safe

T = TypeVar("T")

_WORDS = {
    Conclusion.SUCCESS: "ok",
    Conclusion.FAILURE: "failed",
    Conclusion.TIMED_OUT: "out of time",
    Conclusion.CANCELLED: "cancelled",
    Conclusion.SKIPPED: "skipped",
    Status.IN_PROGRESS: "running",
    Status.QUEUED: "waiting",
}


def tally(standings: Iterable[Standing]) -> Safe:
    """Return `210 ok, 6 failed`: how many stand how, in the same order each time."""
    counts: Counter[str] = Counter(standing.conclusion or standing.status for standing in standings)
    return Safe(", ".join(f"{counts[kind]} {word}" for kind, word in _WORDS.items() if counts[kind]))


@dataclass(frozen=True)
class Row(Generic[T]):
    """A row that may be left out: how it counts, and how much it has to say (the least goes first)."""

    shown: T
    standing: Standing
    weight: int = 0


def cut(rows: Sequence[Row[T]], limit: int) -> tuple[tuple[T, ...], Safe]:
    """Return at most `limit` rows in their order, and what to say of the others: `216 more: 210 ok, 6 failed`.

    What went wrong is not left out as long as there is room for it.
    """
    by_weight = sorted(range(len(rows)), key=lambda place: (not rows[place].standing.is_bad, -rows[place].weight))
    kept = sorted(by_weight[:limit])
    left = [rows[place].standing for place in by_weight[limit:]]
    said = f"{len(left)} more: {tally(left)}" if left else ""
    return tuple(rows[place].shown for place in kept), Safe(said)

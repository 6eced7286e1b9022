"""Who may start now, on a backend that does not queue by itself: first come first served, fair between repositories."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """What an attempt takes while it runs: `cpus` (may be a fraction), `memory_mb`, `gpus`, over all its tasks.

    `most` are how many attempts may run at a time of its repository, and `most_of_author` of its `author` there; None
    is no limit. The default branch's config says.
    """

    attempt_id: int
    repository_id: int
    cpus: float
    memory_mb: int
    gpus: int
    author: str = ""
    most: int | None = None
    most_of_author: int | None = None


@dataclass(frozen=True)
class Room:
    """What there is, or what is left."""

    cpus: float
    memory_mb: int
    gpus: int

    def fits(self, need: Need) -> bool:
        """Tell whether `need` is no more than this room."""
        return need.cpus <= self.cpus and need.memory_mb <= self.memory_mb and need.gpus <= self.gpus

    def without(self, need: Need) -> "Room":
        """Return the room that `need` leaves; negative members if it took more than there was."""
        return Room(self.cpus - need.cpus, self.memory_mb - need.memory_mb, self.gpus - need.gpus)


def choose(waiting: Sequence[Need], running: Sequence[Need], room: Room | None) -> list[int]:
    """Return the ids of the attempts to start now, in order. `waiting` is oldest first, `room` None has no end.

    The next place goes to the repository that has the fewest running, the oldest of its attempts first. When that
    one does not fit, nothing younger overtakes it: a large experiment would otherwise wait for ever behind small ones.
    Who has as many running as he may is passed over: nobody waits behind him.
    """
    busy = Counter(need.repository_id for need in running)
    authors = Counter((need.repository_id, need.author) for need in running)
    for need in running:
        room = None if room is None else room.without(need)
    queue, chosen = list(waiting), []
    while queue := [need for need in queue if _may_run(need, busy, authors)]:
        need = min(queue, key=lambda candidate: busy[candidate.repository_id])
        if room is not None and not room.fits(need):
            break
        queue.remove(need)
        chosen.append(need.attempt_id)
        busy[need.repository_id] += 1
        authors[need.repository_id, need.author] += 1
        room = None if room is None else room.without(need)
    return chosen


def _may_run(need: Need, busy: Counter[int], authors: Counter[tuple[int, str]]) -> bool:
    """Tell whether its repository and its author have fewer running than they may."""
    is_within = need.most is None or busy[need.repository_id] < need.most
    return is_within and (need.most_of_author is None or authors[need.repository_id, need.author] < need.most_of_author)

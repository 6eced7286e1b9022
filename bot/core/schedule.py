"""Who may start now, on a backend that does not queue by itself: first come first served, fair between repositories."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """What an attempt takes while it runs: `cpus` (may be a fraction), `memory_mb`, `gpus`, over all its tasks."""

    attempt_id: int
    repository_id: int
    cpus: float
    memory_mb: int
    gpus: int


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


def choose(waiting: Sequence[Need], running: Sequence[Need], room: Room) -> list[int]:
    """Return the ids of the attempts to start now, in order. `waiting` is oldest first.

    The next place goes to the repository that has the fewest running, the oldest of its attempts first. When that
    one does not fit, nothing younger overtakes it: a large experiment would otherwise wait for ever behind small ones.
    """
    busy = Counter(need.repository_id for need in running)
    for need in running:
        room = room.without(need)
    queue, chosen = list(waiting), []
    while queue:
        need = min(queue, key=lambda candidate: busy[candidate.repository_id])
        if not room.fits(need):
            break
        queue.remove(need)
        chosen.append(need.attempt_id)
        busy[need.repository_id] += 1
        room = room.without(need)
    return chosen

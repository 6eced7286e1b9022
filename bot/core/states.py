"""The eleven states of an experiment's attempt, the one table of ways between them, and the one function that advances.

Names and numeric codes are those of the ancestor's API, so that its users find their words again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class State(StrEnum):
    """A state, in the ancestor's spelling without its `EXPERIMENT_STATE_` prefix."""

    CREATED = "created"
    PENDING = "pending"
    PROVISIONING = "provisioning"
    PROVISIONED = "provisioned"
    NETWORK_SETUP = "network_setup"
    RUNNING = "running"
    NETWORK_TEARDOWN = "network_teardown"
    STOPPED = "stopped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ERROR = "error"

    @property
    def label(self) -> str:
        """What people read."""
        return _LABELS[self]

    @property
    def is_final(self) -> bool:
        return self in FINAL


_LABELS = {
    State.CREATED: "Created",
    State.PENDING: "Pending",
    State.PROVISIONING: "Provisioning",
    State.PROVISIONED: "Provisioned",
    State.NETWORK_SETUP: "Network Setup",
    State.RUNNING: "Running",
    State.NETWORK_TEARDOWN: "Network Teardown",
    State.STOPPED: "Stopped (success)",
    State.FAILED: "Failed",
    State.CANCELLED: "Cancelled",
    State.ERROR: "Error",
}

ANCESTOR_CODES = {
    State.PENDING: 1,
    State.PROVISIONED: 2,
    State.NETWORK_SETUP: 3,
    State.RUNNING: 4,
    State.STOPPED: 5,
    State.ERROR: 6,
    State.FAILED: 7,
    State.CANCELLED: 8,
    State.NETWORK_TEARDOWN: 9,
    State.CREATED: 10,
    State.PROVISIONING: 11,
}

FINAL = frozenset({State.STOPPED, State.FAILED, State.CANCELLED, State.ERROR})

WAY = (
    State.CREATED,
    State.PENDING,
    State.PROVISIONING,
    State.PROVISIONED,
    State.NETWORK_SETUP,
    State.RUNNING,
    State.NETWORK_TEARDOWN,
    State.STOPPED,
)
"""The eight states a successful attempt passes, in order."""

_BEFORE_RUN = frozenset({State.FAILED, State.CANCELLED, State.ERROR})
"""Provisioning may fail by the user's doing (a missing dataset, a wrong path): FAILED stays possible."""

TRANSITIONS: dict[State, frozenset[State]] = {
    State.CREATED: frozenset({State.PENDING}) | _BEFORE_RUN,
    State.PENDING: frozenset({State.PROVISIONING}) | _BEFORE_RUN,
    State.PROVISIONING: frozenset({State.PROVISIONED}) | _BEFORE_RUN,
    State.PROVISIONED: frozenset({State.NETWORK_SETUP}) | _BEFORE_RUN,
    State.NETWORK_SETUP: frozenset({State.RUNNING}) | _BEFORE_RUN,
    State.RUNNING: frozenset({State.NETWORK_TEARDOWN, State.CANCELLED, State.ERROR}),
    State.NETWORK_TEARDOWN: FINAL,
    State.STOPPED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
    State.ERROR: frozenset(),
}
"""The transition table. What is not in it does not happen."""

LIMITS: dict[State, int] = {
    # A created attempt waits for the step before it, whose own limits end it.
    State.CREATED: 13 * DAY,
    State.PENDING: 7 * DAY,
    State.PROVISIONING: 1 * HOUR,
    State.PROVISIONED: 10 * MINUTE,
    State.NETWORK_SETUP: 10 * MINUTE,
    State.NETWORK_TEARDOWN: 10 * MINUTE,
}
"""How long an attempt may stay in a state, in microseconds. GitHub calls a check stale after 14 days."""

GRACE = 10 * MINUTE
"""How far over its own timeout a running attempt may be before the platform is declared broken."""


@dataclass(frozen=True)
class Observation:
    """That somebody (a backend's journal, a person, a watchdog) saw an attempt enter `state`.

    `at` is in microseconds; `reason` is a sentence for people, empty where the state says it all. `may_retry`: the
    platform failed, nothing of the attempt is left running, and it may go well the next time (see `bot.core.retries`).
    """

    state: State
    at: int
    reason: str = ""
    may_retry: bool = False


@dataclass(frozen=True)
class Transition:
    """One step along the table, to be written as a row."""

    source: State
    target: State
    at: int
    reason: str
    may_retry: bool = False


def advance(current: State, observed: Iterable[Observation]) -> list[Transition]:
    """Return the transitions that take `current` through what was observed, oldest first.

    Seeing again what is already past changes nothing (a journal is read again after a restart). A state
    whose way was not seen is reached through every state between, at the time of the sighting, so that the
    rows always tell a whole story. What comes after a final state is ignored: the first end stands.
    """
    steps: list[Transition] = []
    for sighting in observed:
        for target in _path(current, sighting.state):
            is_seen = target is sighting.state
            reason, may_retry = (sighting.reason, sighting.may_retry) if is_seen else ("", False)
            steps.append(Transition(current, target, sighting.at, reason, may_retry))
            current = target
    return steps


def _path(current: State, target: State) -> tuple[State, ...]:
    """Return the states to enter, `target` last; empty when `target` lies behind or cannot be reached."""
    if current.is_final:
        return ()
    if target in TRANSITIONS[current]:
        return (target,)
    if target.is_final:
        # Only a running attempt has ends that lie further on: through its network teardown.
        start = WAY.index(current) + 1
        for count in range(start, len(WAY) - 1):
            if target in TRANSITIONS[WAY[count]]:
                return (*WAY[start : count + 1], target)
        return ()
    return WAY[WAY.index(current) + 1 : WAY.index(target) + 1]


def deadline(state: State, entered_at: int, timeout: int) -> int | None:
    """Return when (microseconds) an attempt that entered `state` at `entered_at` has been there too long.

    `timeout` is the attempt's own, in microseconds; a final state has no deadline (None).
    """
    if state.is_final:
        return None
    if state is State.RUNNING:
        return entered_at + timeout + GRACE
    return entered_at + LIMITS[state]

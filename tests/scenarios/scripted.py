"""A backend that runs what the play says: the protocol's wire, without processes."""

import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from bot.backends.base import (
    Artifact,
    AttemptReport,
    AttemptSpec,
    Capabilities,
    Capacity,
    LogChunk,
    TaskReport,
)
from bot.clock import Clock
from bot.core.states import WAY, Observation, State


class ScriptedBackend:
    """Every attempt does what the play tells it to, by its backend id or by `default`."""

    def __init__(self, clock: Clock, capacity: Capacity | None = None) -> None:
        self._clock = clock
        self.capabilities = Capabilities("scripted", "scripted: nothing really runs", True, capacity)
        self.specs: dict[str, AttemptSpec] = {}
        self.submissions: list[str] = []
        self.polls = 0
        self.cancelled: dict[str, str] = {}
        self._seen: dict[str, tuple[Observation, ...]] = {}
        self._exit: dict[str, int | None] = {}
        self._trials: dict[str, tuple[Mapping[str, Any], ...]] = {}
        self._progress: dict[str, str] = {}
        self._facts: dict[str, Mapping[str, Any]] = {}
        self._interrupted: set[str] = set()
        self.secrets: dict[str, Mapping[str, str]] = {}
        self.log = b""

    def submit(self, spec: AttemptSpec, secrets: Mapping[str, str] | None = None) -> str:
        self.submissions.append(spec.id)
        self.secrets[spec.id] = secrets or {}
        self._interrupted.discard(spec.id)
        if spec.id not in self.specs:
            self.specs[spec.id] = spec
            self._seen[spec.id] = ()
        return spec.id

    def poll(self, ids: Sequence[str]) -> Mapping[str, AttemptReport]:
        self.polls += 1
        return {one: self._report(one) for one in ids}

    def cancel(self, attempt_id: str, reason: str) -> None:
        if attempt_id in self.specs and attempt_id not in self.cancelled:
            self.cancelled[attempt_id] = reason
            self._see(attempt_id, State.CANCELLED, reason)

    def logs(self, attempt_id: str, task: str, from_byte: int, limit: int = 65_536) -> LogChunk:
        return LogChunk(0, len(self.log), self.log[-limit:], True)

    def artifacts(self, attempt_id: str) -> Iterator[Artifact]:
        yield from ()

    def open_artifact(self, attempt_id: str, path: str) -> BinaryIO:
        raise FileNotFoundError(path)

    def open_port(self, attempt_id: str, port: int) -> socket.socket:
        raise ConnectionRefusedError(port)

    # What the play says

    def wait_for(self, attempt_id: str, what: str) -> None:
        """The attempt is provisioning, and says what it waits for."""
        self._see(attempt_id, State.PROVISIONING)
        self._progress[attempt_id] = what

    def try_out(self, attempt_id: str, *trials: Mapping[str, Any]) -> None:
        """The search's tuner writes down these trials."""
        self._trials[attempt_id] = trials

    def find_out(self, attempt_id: str, facts: Mapping[str, Any]) -> None:
        """The attempt's guardian finds something out."""
        self._facts[attempt_id] = facts

    def interrupt(self, attempt_id: str) -> None:
        """The attempt's guardian dies; it could go on."""
        self._interrupted.add(attempt_id)

    def begin(self, attempt_id: str) -> None:
        """The attempt reaches RUNNING."""
        for state in WAY[2:6]:
            self._see(attempt_id, state)

    def succeed(self, attempt_id: str) -> None:
        """The attempt ends well."""
        self.begin(attempt_id)
        self._exit[attempt_id] = 0
        self._see(attempt_id, State.NETWORK_TEARDOWN)
        self._see(attempt_id, State.STOPPED)

    def fail(self, attempt_id: str, exit_code: int = 1) -> None:
        """The attempt's own command fails."""
        self.begin(attempt_id)
        self._exit[attempt_id] = exit_code
        self._see(attempt_id, State.NETWORK_TEARDOWN)
        self._see(attempt_id, State.FAILED, f"exit code {exit_code}")

    def break_down(self, attempt_id: str) -> None:
        """The platform fails under the attempt; it may go well the next time."""
        self.begin(attempt_id)
        self._seen[attempt_id] += (Observation(State.ERROR, self._clock.now(), "the machine broke down", True),)

    def lose(self, attempt_id: str) -> None:
        """The backend forgets the attempt."""
        del self.specs[attempt_id], self._seen[attempt_id]

    def _see(self, attempt_id: str, state: State, reason: str = "") -> None:
        if state not in [seen.state for seen in self._seen[attempt_id]]:
            self._seen[attempt_id] += (Observation(state, self._clock.now(), reason),)

    def _report(self, attempt_id: str) -> AttemptReport:
        if attempt_id not in self._seen:
            return AttemptReport(attempt_id, known=False)
        seen = self._seen[attempt_id]
        groups = self.specs[attempt_id].groups
        tasks = [(group.role, index) for group in groups for index in range(group.count)]
        return AttemptReport(
            attempt_id,
            True,
            seen,
            tuple(TaskReport(role, index, seen, self._exit.get(attempt_id)) for role, index in tasks),
            is_interrupted=attempt_id in self._interrupted,
            progress=self._progress.get(attempt_id, ""),
            facts=self._facts.get(attempt_id, {}),
            trials=self._trials.get(attempt_id, ()),
        )

"""What every backend is: five verbs over attempts, each made of groups of tasks.

An attempt is named by *our* id (`<public id>-<attempt number>`), chosen before the backend hears of it. Whatever
the bot forgets in a crash can therefore be asked for again by that id. `tests/backends/contract.py` holds every
backend to the sentences below.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from bot.core.states import Observation


class BackendError(Exception):
    """The platform could not do what was asked; the message is for the person who runs the bot."""


class BackendUnavailable(BackendError):
    """The backend cannot be used at all as the machine stands; the message says the cure."""


@dataclass(frozen=True)
class Machine:
    """What one task may use. `environment` is the path of a virtual environment or prefix, None for the system's."""

    name: str
    cpus: float
    memory_mb: int
    gpus: int = 0
    environment: str | None = None


@dataclass(frozen=True)
class TaskGroup:
    """`count` tasks that do the same: a single node is one group `worker` of one task."""

    role: str
    count: int
    command: str
    machine: Machine


@dataclass(frozen=True)
class Code:
    """The exact commit to check out: a bare repository on this machine that holds it whole, and its SHA."""

    git_dir: str
    sha: str


@dataclass(frozen=True)
class AttemptSpec:
    """All that a backend needs, frozen when the attempt was made. JSON-able: see `to_json`.

    `run_dir` is `runs/<public id>/<attempt>` below DATA_DIR; `storage_dir` is the project's `/storage`.
    `env` is complete: a backend adds only what it alone knows (PS_HOSTNAME, task index).
    `timeout` is in seconds and counts from RUNNING. `workdir` is relative to the workspace (default itself).
    """

    id: str
    groups: tuple[TaskGroup, ...]
    code: Code | None
    env: Mapping[str, str]
    timeout: float
    run_dir: str
    storage_dir: str
    workdir: str = "."
    artifacts: str = "/artifacts"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskReport:
    """What a backend knows of one task: everything it saw so far, oldest first, each with its own time.

    `exit_code` is the command's own (128+n for a signal n); `peak_memory_mb` and `node` are None where not known.
    """

    role: str
    index: int
    seen: tuple[Observation, ...]
    exit_code: int | None = None
    node: str | None = None
    peak_memory_mb: int | None = None


@dataclass(frozen=True)
class AttemptReport:
    """The answer of `poll` for one attempt. `seen` is the attempt's own way, its tasks' ways beside it.

    `known` is False when the backend never heard of the id (never submitted, or lost): the caller decides.
    """

    id: str
    known: bool
    seen: tuple[Observation, ...] = ()
    tasks: tuple[TaskReport, ...] = ()


@dataclass(frozen=True)
class LogChunk:
    """Bytes of a task's log from `start`; `end` is where to go on. `is_complete` when no more will come."""

    start: int
    end: int
    data: bytes
    is_complete: bool


@dataclass(frozen=True)
class Artifact:
    """A regular file that an attempt left in its artifacts: relative POSIX path and size in bytes."""

    path: str
    size: int


@dataclass(frozen=True)
class Capacity:
    """What a backend that does not queue by itself has to give, over all its machines."""

    cpus: float
    memory_mb: int
    gpus: int


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do. `capacity` None means that it queues by itself and takes everything at once."""

    name: str
    isolation: str
    is_isolated: bool
    capacity: Capacity | None
    roles: frozenset[str] = frozenset({"worker"})
    limits: tuple[str, ...] = ()


class Backend(Protocol):
    """The protocol. Every method may be called again after a crash with the same arguments."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what this backend can do on this machine, as it found out when it was made."""

    def submit(self, spec: AttemptSpec) -> str:
        """Start the attempt and return the backend's own handle for it.

        Idempotent by `spec.id`: submitting twice, at the same time or after a crash, gives one run and the same handle.
        Raises BackendError when it could not be started; nothing runs then.
        """

    def poll(self, ids: Sequence[str]) -> Mapping[str, AttemptReport]:
        """Return a report for each id, in one call. Cheap when nothing changed; never raises for a single bad id."""

    def cancel(self, attempt_id: str, reason: str) -> None:
        """Ask for the end of the attempt and of every process of it. Returns at once; `poll` tells when it is done.

        Cancelling what is finished or unknown does nothing.
        """

    def logs(self, attempt_id: str, task: str, from_byte: int, limit: int = 65_536) -> LogChunk:
        """Return at most `limit` bytes of the log of `task` (`worker-0`); a negative `from_byte` counts from the end.

        What is not there (yet) gives an empty chunk that is not complete.
        """

    def artifacts(self, attempt_id: str) -> Iterator[Artifact]:
        """Yield the regular files below the artifacts directory; links and devices are never followed nor listed."""

    def open_artifact(self, attempt_id: str, path: str) -> BinaryIO:
        """Open one artifact for reading; the caller closes it.

        An open file, not a path: a running experiment could put a link in the place of a path before it is used.
        Raises FileNotFoundError for anything that `artifacts` does not list.
        """


def to_json(spec: AttemptSpec) -> dict[str, Any]:
    """Return the spec as JSON-able values, to be frozen in a row or handed to a supervisor."""
    return {
        "id": spec.id,
        "groups": [
            {"role": g.role, "count": g.count, "command": g.command, "machine": vars(g.machine)} for g in spec.groups
        ],
        "code": None if spec.code is None else vars(spec.code),
        "env": dict(spec.env),
        "timeout": spec.timeout,
        "run_dir": spec.run_dir,
        "storage_dir": spec.storage_dir,
        "workdir": spec.workdir,
        "artifacts": spec.artifacts,
        "labels": dict(spec.labels),
    }


def from_json(value: Mapping[str, Any]) -> AttemptSpec:
    """Return the spec that `to_json` wrote."""
    groups = tuple(TaskGroup(g["role"], g["count"], g["command"], Machine(**g["machine"])) for g in value["groups"])
    code = None if value["code"] is None else Code(**value["code"])
    return AttemptSpec(**{**value, "groups": groups, "code": code})

"""What every backend is: five verbs over attempts, each made of groups of tasks.

An attempt is named by *our* id (`<public id>-<attempt number>`), chosen before the backend hears of it. Whatever
the bot forgets in a crash can therefore be asked for again by that id. `tests/backends/contract.py` holds every
backend to the sentences below.
"""

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO, Protocol

from bot.core.states import Observation


class BackendError(Exception):
    """The platform could not do what was asked; the message is for the person who runs the bot."""


class BackendUnavailable(BackendError):
    """The backend cannot be used at all as the machine stands; the message says the cure."""


class Mode(StrEnum):
    """How the tasks of an attempt work together.

    `search` is the declared one, whose trials the tuner chooses; `study` is the ancestor's form, where a tuning
    command and workers share a study.
    """

    SINGLE = "single"
    GRPC = "grpc"
    MPI = "mpi"
    SEARCH = "search"
    STUDY = "study"


@dataclass(frozen=True)
class Machine:
    """What one task may use. `environment` is the path of a virtual environment or prefix, None for the system's."""

    name: str
    cpus: float
    memory_mb: int
    gpus: int = 0
    environment: str | None = None
    disk_mb: int = 20_480
    processes: int = 4_096


@dataclass(frozen=True)
class Image:
    """A container image to run in. `dockerfile` is a path in the repository when it is to be built from there.

    `password` may be `secret:<name>`.
    """

    name: str
    user: str | None = None
    registry_url: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    dockerfile: str | None = None


@dataclass(frozen=True)
class TaskGroup:
    """`count` tasks that do the same: a single node is one group `worker` of one task.

    `command` is empty where the group only lends its machines (the workers of MPI). The attempt is over when all tasks
    of groups that decide (`decides`) have ended; the others are then stopped. A task that fails fails the attempt.
    """

    role: str
    count: int
    command: str
    machine: Machine
    decides: bool = True
    image: Image | None = None
    workdir: str | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of its tasks: `worker-0`, `worker-1`, …"""
        return tuple(f"{self.role}-{index}" for index in range(self.count))


@dataclass(frozen=True)
class Module:
    """A submodule: where in the workspace it is checked out, and its own commit as in `Code`."""

    path: str
    git_dir: str
    sha: str


@dataclass(frozen=True)
class Code:
    """The exact commit to check out: a bare repository on this machine that holds it whole, and its SHA.

    `submodules` and `lfs` tell whether these are wanted. They are there when the code is fetched: `modules`, parents
    before children, and `objects`, the directory that has the files of Git LFS by their sha256.
    """

    git_dir: str
    sha: str
    submodules: bool = False
    lfs: bool = False
    modules: tuple[Module, ...] = ()
    objects: str | None = None


@dataclass(frozen=True)
class Fetch:
    """Something from elsewhere: a dataset, to be seen read-only at `/data/<name>`, or (`name` empty) the workspace.

    `uri` is `s3://…`, for a workspace a git URL too, with its `ref`. Credentials may be `secret:<name>`.
    """

    uri: str
    name: str = ""
    ref: str | None = None
    version_id: str | None = None
    etag: str | None = None
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Opening:
    """A port of the machine (`host`), or a free one when that is taken, and the run's port behind it."""

    host: int
    container: int


@dataclass(frozen=True)
class AttemptSpec:
    """All that a backend needs, frozen when the attempt was made. JSON-able: see `to_json`. It holds no secret.

    `run_dir` is `runs/<public id>/<attempt>` below DATA_DIR; `storage_dir` is the project's `/storage`, `cache_dir` its
    `/cache`. `env` is complete but for what a backend alone knows (PS_HOSTNAME, TF_CONFIG, …); a value
    `secret:<name>` is replaced by the secret, and `secrets` are the names of all that the attempt may have.
    `timeout` is in seconds and counts from RUNNING. `workdir` is relative to the workspace (default itself).
    `is_trusted` False: no network. `keeps_storage` False: what is written to `/storage` is gone after the run.
    `search` is a declared search as `bot.core.search.to_json` gives it. `fetches` come before the run.
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
    mode: Mode = Mode.SINGLE
    cache_dir: str | None = None
    is_trusted: bool = True
    keeps_storage: bool = True
    keeps_workspace: bool = False
    fetches: tuple[Fetch, ...] = ()
    ports: tuple[Opening, ...] = ()
    search: Mapping[str, Any] | None = None
    secrets: tuple[str, ...] = ()
    gpus: tuple[int, ...] = ()


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

    @property
    def name(self) -> str:
        return f"{self.role}-{self.index}"


@dataclass(frozen=True)
class AttemptReport:
    """The answer of `poll` for one attempt. `seen` is the attempt's own way, its tasks' ways beside it.

    `known` is False when the backend never heard of the id (never submitted, or lost): the caller decides.
    `is_interrupted`: its guardian died, but it can go on where it was: `submit` it again.
    `progress` says what a provisioning attempt is waiting for, as a sentence. `facts` are what was found out about
    the run and its surroundings, by name. `trials` are those of a search, in the shape that docs/design.md tells.
    """

    id: str
    known: bool
    seen: tuple[Observation, ...] = ()
    tasks: tuple[TaskReport, ...] = ()
    is_interrupted: bool = False
    progress: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[Mapping[str, Any], ...] = ()


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
    """What a backend can do. `capacity` None means that it queues by itself and takes everything at once.

    `images` says what runs container images, as a sentence; empty where nothing does and they are not used.
    """

    name: str
    isolation: str
    is_isolated: bool
    capacity: Capacity | None
    limits: tuple[str, ...] = ()
    modes: frozenset[Mode] = frozenset(Mode)
    images: str = ""


class Backend(Protocol):
    """The protocol. Every method may be called again after a crash with the same arguments."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what this backend can do on this machine, as it found out when it was made."""

    def submit(self, spec: AttemptSpec, secrets: Mapping[str, str] | None = None) -> str:
        """Start the attempt and return the backend's own handle for it.

        Idempotent by `spec.id`: submitting twice, at the same time or after a crash, gives one run and the same handle.
        `secrets` are the values of `spec.secrets`; they are kept in memory only and masked in all that the run prints.
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

    def open_port(self, attempt_id: str, port: int) -> socket.socket:
        """Return a connection to the port of a running attempt that its config opened.

        Raises ConnectionError when nothing listens there (yet), or the port is none of the attempt's.
        """


def to_json(spec: AttemptSpec) -> dict[str, Any]:
    """Return the spec as JSON-able values, to be frozen in a row or handed to a supervisor."""
    value: dict[str, Any] = json.loads(json.dumps(asdict(spec)))
    return value


def from_json(value: Mapping[str, Any]) -> AttemptSpec:
    """Return the spec that `to_json` wrote, or an earlier version without what is new."""
    made: dict[str, Any] = {"groups": tuple(_group(group) for group in value["groups"])}
    if value.get("code") is not None:
        modules = tuple(Module(**module) for module in value["code"].get("modules", ()))
        made["code"] = Code(**{**value["code"], "modules": modules})
    made["fetches"] = tuple(Fetch(**fetch) for fetch in value.get("fetches", ()))
    made["ports"] = tuple(Opening(**port) for port in value.get("ports", ()))
    made["mode"] = Mode(value.get("mode", Mode.SINGLE))
    for name in ("secrets", "gpus"):
        made[name] = tuple(value.get(name, ()))
    return AttemptSpec(**{**value, **made})


def _group(value: Mapping[str, Any]) -> TaskGroup:
    image = value.get("image")
    return TaskGroup(
        **{**value, "machine": Machine(**value["machine"]), "image": None if image is None else Image(**image)}
    )

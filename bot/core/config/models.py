"""What a config says, whatever version it was written in. All that the rest of the program knows of configs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.core.gates import Gate
from bot.core.patterns import Filter

ARTIFACTS = "/artifacts"
"""Where an experiment leaves what is to be kept, unless it says otherwise."""


class EventKind(StrEnum):
    """What may start a workflow."""

    PUSHES = "pushes"
    PULL_REQUESTS = "pull-requests"
    MERGE_QUEUE = "merge-queue"
    COMMAND = "command"


class StepKind(StrEnum):
    """The commands of a step, by the ancestor's names; `hyperparameters.run` is ours."""

    SINGLE_NODE = "experiment.run_single_node"
    GRPC = "experiment.run_multi_node"
    MPI = "experiment.run_mpi_multi_node"
    SEARCH = "hyperparameters.run"

    @property
    def label(self) -> str:
        """What people read."""
        return _LABELS[self]


_LABELS = {
    StepKind.SINGLE_NODE: "single node",
    StepKind.GRPC: "multi node, gRPC",
    StepKind.MPI: "multi node, MPI",
    StepKind.SEARCH: "hyperparameter search",
}


class ModelType(StrEnum):
    """What kind of model an experiment leaves."""

    TENSORFLOW = "Tensorflow"
    ONNX = "ONNX"
    CUSTOM = "Custom"


@dataclass(frozen=True)
class Port:
    """A port of the machine and the experiment's port behind it."""

    host: int
    container: int


@dataclass(frozen=True)
class Registry:
    """Where a container image comes from, when not from the public registry."""

    url: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Workspace:
    """The code of an experiment. `source` None is this repository at this commit, `none` is no code at all."""

    source: str | None = None
    ref: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def is_this_commit(self) -> bool:
        return self.source is None

    @property
    def is_empty(self) -> bool:
        return self.source == "none"


@dataclass(frozen=True)
class Dataset:
    """Data that appear at `/data/<name>`, read-only. Credentials may be `secret:<name>`."""

    uri: str
    name: str
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    version_id: str | None = None
    etag: str | None = None


@dataclass(frozen=True)
class Role:
    """What one group of tasks does: the workers, the parameter servers, the master.

    `command` is None where the group runs none of its own (the workers of MPI). `dockerfile` is a path in the
    repository when the image is to be built.
    """

    command: str | None = None
    container: str | None = None
    machine_type: str | None = None
    count: int = 1
    user: str | None = None
    registry: Registry = Registry()
    dockerfile: str | None = None
    workdir: str | None = None
    artifacts: str | None = None


@dataclass(frozen=True, kw_only=True)
class Params:
    """What all kinds of experiments have.

    `env` values may be `secret:<name>`. `model_path` None means the kind's default: `/artifacts` for a single node,
    `/storage/models/<experiment id>/` for several. `timeout_seconds` None means the bot's own limit.
    """

    name: str | None = None
    ports: tuple[Port, ...] = ()
    workspace: Workspace = Workspace()
    workdir: str | None = None
    artifacts: str = ARTIFACTS
    env: Mapping[str, str] = field(default_factory=dict)
    model_type: ModelType | None = None
    model_path: str | None = None
    datasets: tuple[Dataset, ...] = ()
    project_id: str | None = None
    cluster_id: str | None = None
    is_preemptible: bool = False
    tensorboard: bool = False
    timeout_seconds: float | None = None

    def unsupported(self) -> str:
        """Return why this version cannot run it, empty when it can. Nothing is quietly left out of a run."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class SingleNodeParams(Params):
    """One command on one machine."""

    command: str
    container: str | None = None
    machine_type: str | None = None
    user: str | None = None
    registry: Registry = Registry()
    dockerfile: str | None = None

    def unsupported(self) -> str:
        if not (self.workspace.is_this_commit or self.workspace.is_empty):
            return "a `workspace` other than this repository is not fetched yet"
        if self.datasets:
            return "datasets are not fetched yet"
        if any(value.startswith("secret:") for value in self.env.values()):
            return "stored secrets (`secret:<name>`) are not filled in yet"
        if self.dockerfile is not None:
            return "images are not built from a Dockerfile yet"
        return ""


class _SeveralMachines(Params):
    def unsupported(self) -> str:
        return "experiments on several machines are read and checked, but not launched yet"


@dataclass(frozen=True, kw_only=True)
class GrpcParams(_SeveralMachines):
    """Workers and parameter servers that find each other by TF_CONFIG."""

    worker: Role
    parameter_server: Role | None = None


@dataclass(frozen=True, kw_only=True)
class MpiParams(_SeveralMachines):
    """A master that runs `mpirun` over the workers of `/generated/hostfile`."""

    worker: Role
    master: Role


@dataclass(frozen=True, kw_only=True)
class SearchParams(Params):
    """A tuning command that tries hyperparameters on workers. `server` keeps the trials."""

    tuning_command: str
    worker: Role
    server: Role | None = None

    def unsupported(self) -> str:
        return "hyperparameter searches are read and checked, but not launched yet"


AnyParams = SingleNodeParams | GrpcParams | MpiParams | SearchParams


@dataclass(frozen=True)
class Step:
    """One experiment of a workflow. `line` is where it begins in the config."""

    name: str
    kind: StepKind
    params: AnyParams
    gates: tuple[Gate, ...]
    line: int


@dataclass(frozen=True)
class Triggers:
    """What starts a workflow. A filter that is None leaves the default: the default branch, no tags, all paths.

    `branches` is matched with the branch that was pushed, or with the *base* branch of a pull request.
    """

    branches: Filter | None = None
    tags: Filter | None = None
    paths: Filter | None = None
    events: frozenset[EventKind] = frozenset(EventKind)


@dataclass(frozen=True)
class Workflow:
    """Steps that run one after the other, each when the one before it succeeded."""

    name: str
    triggers: Triggers
    steps: tuple[Step, ...]
    line: int


@dataclass(frozen=True)
class Config:
    """A whole config. `path` is the file's, `project` the handle that version 1 may name."""

    version: int
    path: str
    project: str | None
    workflows: tuple[Workflow, ...]

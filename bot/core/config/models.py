"""What a config says, whatever version it was written in. All that the rest of the program knows of configs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.core.gates import Gate
from bot.core.limits import Limits
from bot.core.matrix import Cell
from bot.core.patterns import Filter
from bot.core.permission import Permission
from bot.core.search import Search

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


SECRET = "secret:"  # noqa: S105 - the mark of one, no secret
"""What a value begins with that names a stored secret instead of being one."""


def secret_name(value: str | None) -> str | None:
    """Return the name of the stored secret that `value` asks for, None when it is an ordinary value."""
    return value.removeprefix(SECRET) if value is not None and value.startswith(SECRET) else None


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

    @property
    def credentials(self) -> tuple[str | None, ...]:
        return self.username, self.password


@dataclass(frozen=True)
class Workspace:
    """The code of an experiment. `source` None is this repository at this commit, `none` is no code at all.

    `submodules` and `lfs` tell whether they are fetched, too.
    """

    source: str | None = None
    ref: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    submodules: bool = False
    lfs: bool = False

    @property
    def credentials(self) -> tuple[str | None, ...]:
        return self.username, self.password

    @property
    def is_this_commit(self) -> bool:
        return self.source is None

    @property
    def is_empty(self) -> bool:
        return self.source == "none"


@dataclass(frozen=True)
class Dataset:
    """Data of an `s3://` URI that appear at `/data/<name>`, read-only. Credentials may be `secret:<name>`."""

    uri: str
    name: str
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    version_id: str | None = None
    etag: str | None = None

    @property
    def credentials(self) -> tuple[str | None, ...]:
        return self.access_key_id, self.secret_access_key


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
    `keep_workspace` asks to keep the workspace of a run that failed, for a while.
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
    keep_workspace: bool = False

    def roles(self) -> tuple[Role, ...]:
        """Return the groups of machines, the one that decides the result first."""
        raise NotImplementedError

    def secret_names(self) -> frozenset[str]:
        """Return the names of all stored secrets that this experiment asks for."""
        return frozenset(name for value in self._values() if (name := secret_name(value)) is not None)

    def _values(self) -> Iterator[str | None]:
        yield from self.env.values()
        holders: list[Workspace | Dataset | Registry] = [self.workspace, *self.datasets]
        for holder in (*holders, *(role.registry for role in self.roles())):
            yield from holder.credentials

    def unsupported(self) -> str:
        """Return why this version cannot run it, empty when it can. Nothing is quietly left out of a run."""
        return ""


@dataclass(frozen=True, kw_only=True)
class SingleNodeParams(Params):
    """One command on one machine."""

    command: str
    container: str | None = None
    machine_type: str | None = None
    user: str | None = None
    registry: Registry = Registry()
    dockerfile: str | None = None

    def roles(self) -> tuple[Role, ...]:
        return (
            Role(
                self.command,
                self.container,
                self.machine_type,
                user=self.user,
                registry=self.registry,
                dockerfile=self.dockerfile,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class GrpcParams(Params):
    """Workers and parameter servers that find each other by TF_CONFIG."""

    worker: Role
    parameter_server: Role | None = None

    def roles(self) -> tuple[Role, ...]:
        return (self.worker,) if self.parameter_server is None else (self.worker, self.parameter_server)


@dataclass(frozen=True, kw_only=True)
class MpiParams(Params):
    """A master that runs `mpirun` over the workers of `/generated/hostfile`."""

    worker: Role
    master: Role

    def roles(self) -> tuple[Role, ...]:
        return self.master, self.worker


@dataclass(frozen=True, kw_only=True)
class SearchParams(Params):
    """A search for hyperparameters, in exactly one of two forms.

    The ancestor's: `tuning_command` tries hyperparameters on the workers' own command; `server` keeps the trials.
    Declared: `search` says what is tried and `command` is the template of a trial's command (see
    `bot.core.search.command`); `worker` has no command then, and as many machines as trials run at a time.
    """

    worker: Role
    tuning_command: str | None = None
    server: Role | None = None
    search: Search | None = None
    command: str | None = None

    def roles(self) -> tuple[Role, ...]:
        return (self.worker,) if self.server is None else (self.worker, self.server)


AnyParams = SingleNodeParams | GrpcParams | MpiParams | SearchParams


class Reporting(StrEnum):
    """What has a check of its own: the step with the table of its cells, or each cell."""

    STEP = "step"
    EACH = "each"


@dataclass(frozen=True)
class Step:
    """One experiment of a workflow, or one for each cell of `matrix`. `line` is where it begins in the config."""

    name: str
    kind: StepKind
    params: AnyParams
    gates: tuple[Gate, ...]
    line: int
    matrix: tuple[Cell, ...] = ()
    report: Reporting = Reporting.STEP


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
class Concurrency:
    """Whose turns a workflow's runs wait for: a group's name with `{workflow}`, `{branch}`, `{pull}` to be filled in.

    `cancels`: a newer run of the same branch or pull request stops an older one.
    """

    group: str
    cancels: bool


@dataclass(frozen=True)
class Workflow:
    """Steps that run one after the other, each when the one before it succeeded."""

    name: str
    triggers: Triggers
    steps: tuple[Step, ...]
    line: int
    concurrency: Concurrency | None = None


@dataclass(frozen=True)
class Config:
    """A whole config. `path` is the file's, `project` the handle that version 1 may name.

    `pulls_write_storage` lets runs of pull requests write to the project's `/storage`, `command_role` is who may give
    commands (None: as the bot's settings say), `trusted_bots` are logins whose pull requests run at once. These and
    `limits` count in the default branch's config only: a branch must not give itself a right.
    """

    version: int
    path: str
    project: str | None
    workflows: tuple[Workflow, ...]
    pulls_write_storage: bool = False
    command_role: Permission | None = None
    trusted_bots: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def secret_names(self) -> frozenset[str]:
        """Return the names of all stored secrets that any experiment asks for."""
        steps = [step for workflow in self.workflows for step in workflow.steps]
        return frozenset(name for step in steps for name in step.params.secret_names())

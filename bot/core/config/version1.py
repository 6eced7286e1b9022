"""Version 1 of the file: one experiment."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, WithJsonSchema

from bot.core.config.checks import ChecksSection, read_checks
from bot.core.config.concurrency import ConcurrencySection, read_concurrency
from bot.core.config.datasets import Version1Datasets, read_list
from bot.core.config.limits import LimitsSection
from bot.core.config.matrix import MatrixKeys, read_matrix
from bot.core.config.models import (
    ARTIFACTS,
    AnyParams,
    Config,
    GrpcParams,
    ModelType,
    MpiParams,
    Role,
    SingleNodeParams,
    Step,
    StepKind,
    Workflow,
    Workspace,
)
from bot.core.config.params import MODEL_TYPES, warn_without_parameter_servers
from bot.core.config.permissions import PermissionsSection
from bot.core.config.rights import read_rights
from bot.core.config.roles import dockerfile
from bot.core.config.section import Reading, Section, kebab
from bot.core.config.triggers import TriggersSection, read_triggers
from bot.core.config.values import (
    Count,
    Directory,
    Duration,
    File,
    KeepWorkspace,
    Line,
    Path,
    Ports,
    Text,
    Truth,
    choice,
)

WORKFLOW = "experiment"
"""The one workflow's name; its step is named by the type, so that checks are `experiment / single`."""


class ExperimentType(StrEnum):
    """The types of version 1."""

    SINGLE = "single"
    GRPC = "multi-grpc"
    MPI = "multi-mpi"


_KINDS = {
    ExperimentType.SINGLE: StepKind.SINGLE_NODE,
    ExperimentType.GRPC: StepKind.GRPC,
    ExperimentType.MPI: StepKind.MPI,
}
_OTHER_ROLE = {ExperimentType.GRPC: "parameter-server", ExperimentType.MPI: "master"}


class DockerfileSection(Section):
    """An image to be built."""

    use: Truth | None = None
    path: File | None = Field(None, description="Default: ./Dockerfile")


class RoleSection(Section):
    """A group of machines that do the same."""

    model_config = ConfigDict(alias_generator=kebab)

    container: Line | None = None
    command: Text | None = Field(None, examples=["python train.py"])
    machine_type: Line | None = None
    count: Count | None = Field(None, description="Required for several machines")
    dockerfile: DockerfileSection | None = None


class PathsSection(Section):
    """Directories of the experiment."""

    workdir: Path | None = None
    artifacts: Directory | None = Field(None, description=f"Default: {ARTIFACTS}")


class ModelSection(Section):
    """The model that the experiment leaves."""

    respelt: ClassVar = {"type": MODEL_TYPES}

    type: Annotated[ModelType, choice(ModelType)] | None = None
    path: Path | None = None


class Version1(MatrixKeys):
    """The whole file, version 1."""

    model_config = ConfigDict(alias_generator=kebab, title="Version 1")
    spellings: ClassVar = {"parameter_server": "parameter-server"}
    respelt: ClassVar = {
        "type": {
            "singlenode": "single",
            "multinode": "multi-grpc",
            "grpc": "multi-grpc",
            "mpi": "multi-mpi",
        }
    }
    advice: ClassVar = {
        "workflows": "That is a key of version 2: write `version: 2`.",
        "triggers": "In version 1 it is called `filters`.",
        **dict.fromkeys(("command", "container", "machine-type", "count", "dockerfile"), "Put it into `worker`."),
        **dict.fromkeys(("workdir", "artifacts"), "Put it into `paths`."),
    }

    version: Annotated[Any, WithJsonSchema({"enum": [1, "1"]})]
    type: Annotated[ExperimentType, choice(ExperimentType)] = Field(examples=["single"])
    worker: RoleSection
    project: Line | None = None
    experiment: Line | None = Field(None, description="The experiment's name; default: the repository's")
    ports: Ports | None = None
    paths: PathsSection | None = None
    model: ModelSection | None = None
    parameter_server: RoleSection | None = None
    master: RoleSection | None = None
    filters: TriggersSection | None = None
    checks: ChecksSection | None = None
    timeout: Duration | None = None
    datasets: Version1Datasets | None = None
    submodules: Truth | None = Field(None, description="Fetch git's submodules, too; default false")
    lfs: Truth | None = Field(None, description="Fetch the files that Git LFS keeps, too; default false")
    keep_workspace: Annotated[KeepWorkspace, choice(KeepWorkspace)] | None = Field(
        None, description="on-failure: keep the workspace of a run that failed for a while; default: never"
    )
    permissions: PermissionsSection | None = None
    limits: LimitsSection | None = None
    concurrency: ConcurrencySection | None = None


def read_version1(reading: Reading) -> Config | None:
    """Return the config that a file of version 1 is."""
    section = reading.validate(Version1, reading.document.root)
    if section is None:
        return None
    gates = read_checks(section.checks, reading, ("checks",))
    triggers = read_triggers(section.filters, reading, ("filters",))
    params = _params(section, reading)
    if params is None:
        return None
    matrix, report = read_matrix(section, params, reading, ())
    step = Step(section.type, _KINDS[section.type], params, gates, reading.key_at("type").line, matrix, report)
    workflow = Workflow(WORKFLOW, triggers, (step,), 1, read_concurrency(section.concurrency))
    rights = read_rights(section.permissions, section.limits)
    return Config(1, reading.document.path, section.project, (workflow,), **rights)


def _params(section: Version1, reading: Reading) -> AnyParams | None:
    _refuse_other_roles(section, reading)
    common = _common(section, reading)
    kind = section.type
    if kind is ExperimentType.SINGLE:
        return _single(section, common, reading)
    worker = _role("worker", section.worker, reading, needs_command=kind is ExperimentType.GRPC)
    other = section.parameter_server if kind is ExperimentType.GRPC else section.master
    if other is None:
        if kind is ExperimentType.MPI:
            reading.error("`master` is missing", "Add `master:`; it alone runs its command.", reading.key_at("type"))
            return None
        warn_without_parameter_servers(reading, ("type",))
        return GrpcParams(**common, worker=worker) if worker else None
    server = _role(_OTHER_ROLE[kind], other, reading, needs_command=True)
    if worker is None or server is None:
        return None
    if kind is ExperimentType.GRPC:
        return GrpcParams(**common, worker=worker, parameter_server=server)
    return MpiParams(**common, worker=worker, master=server)


def _refuse_other_roles(section: Version1, reading: Reading) -> None:
    for kind, key in _OTHER_ROLE.items():
        if getattr(section, key.replace("-", "_")) is not None and section.type is not kind:
            reading.error(
                f"`{key}` has no meaning for the type `{section.type}`",
                f"Delete it, or write `type: {kind}`.",
                reading.key_at(key),
            )


def _common(section: Version1, reading: Reading) -> dict[str, Any]:
    paths = section.paths or PathsSection.model_construct(workdir=None, artifacts=None)
    model = section.model or ModelSection.model_construct(type=None, path=None)
    return {
        "name": section.experiment,
        "ports": section.ports or (),
        "workdir": paths.workdir,
        "artifacts": paths.artifacts or ARTIFACTS,
        "model_type": model.type,
        "model_path": model.path,
        "project_id": section.project,
        "timeout_seconds": section.timeout,
        "workspace": Workspace(submodules=bool(section.submodules), lfs=bool(section.lfs)),
        "datasets": read_list(section.datasets or (), reading, ("datasets",)),
        "keep_workspace": section.keep_workspace is KeepWorkspace.ON_FAILURE,
    }


def _single(section: Version1, common: dict[str, Any], reading: Reading) -> SingleNodeParams | None:
    worker = _role("worker", section.worker, reading, needs_command=True, is_counted=False)
    if worker is None or worker.command is None:
        return None
    if worker.count != 1:
        hint = "Write `count: 1`, or a type of several machines."
        reading.error("A single node is one machine", hint, reading.value_at("worker", "count"))
    return SingleNodeParams(
        **{**common, "model_path": common["model_path"] or ARTIFACTS},
        command=worker.command,
        container=worker.container,
        machine_type=worker.machine_type,
        dockerfile=worker.dockerfile,
    )


def _role(
    key: str, section: RoleSection, reading: Reading, *, needs_command: bool, is_counted: bool = True
) -> Role | None:
    """Return the group of machines under `key`; a missing command or count is an error."""
    missing = {
        "command: python train.py": needs_command and section.command is None,
        "count: 2": is_counted and section.count is None,
    }
    for example in (example for example, is_missing in missing.items() if is_missing):
        name = example.partition(":")[0]
        reading.error(f"`{name}` of `{key}` is missing", f"Add `{example}`.", reading.key_at(key))
    if any(missing.values()):
        return None
    built = dockerfile(section.dockerfile.use, section.dockerfile.path) if section.dockerfile else None
    return Role(section.command, section.container, section.machine_type, section.count or 1, dockerfile=built)

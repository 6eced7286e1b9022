"""`params` of version 2: the options of the ancestor's command line, under the same names.

An options file that the command line wrote (`--createOptionsFile`) can be used as it is: what it leaves `null` is
absent, and what has no meaning here is ignored with a warning.
"""

from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, create_model
from pydantic.alias_generators import to_camel

from bot.core.config.datasets import DatasetLists, read_datasets
from bot.core.config.document import Mapping
from bot.core.config.environment import Environment
from bot.core.config.models import (
    ARTIFACTS,
    AnyParams,
    GrpcParams,
    ModelType,
    MpiParams,
    Role,
    SearchParams,
    SingleNodeParams,
    StepKind,
)
from bot.core.config.roles import MachineKeys, given_keys, read_given_role, read_role, role_fields
from bot.core.config.search import SearchBlock, check_command, read_search
from bot.core.config.section import Loc, Reading
from bot.core.config.values import Directory, KeepWorkspace, Line, Path, Ports, Text, Truth, choice
from bot.core.config.workspace import WorkspaceKeys, read_workspace

MODEL_TYPES = {kind.casefold(): str(kind) for kind in ModelType}
"""Written in any case, in the ancestor's practice."""

_NOT_OURS = "It has no meaning here."


class CommonParams(WorkspaceKeys, DatasetLists):
    """What all kinds of experiments take."""

    model_config = ConfigDict(alias_generator=to_camel)
    spellings: ClassVar = {"workspaceUrl": "workspace"}
    respelt: ClassVar = {"modelType": MODEL_TYPES}
    unused: ClassVar = {
        "apiKey": "It is not needed; a key in a repository is known to all its readers: delete and revoke it.",
        "experimentType": "The step's `command` says it.",
        "ignoreFiles": "The code is the commit itself.",
        **dict.fromkeys(("tag", "tags", "tensorboardSet", "tensorboard_set", "noLogs", "vpc"), _NOT_OURS),
    }
    advice: ClassVar = {
        "workspaceArchive": "The code is this commit, or what `workspace` names.",
        **{
            key: f"Put `{key}` one level up, beside the step's `command`."
            for key in ("timeout", "checks", "matrix", "report")
        },
        "triggers": "Put `triggers` into the workflow, beside its `steps`.",
    }

    @classmethod
    def _key(cls, written: str, data: Mapping, reading: Reading) -> str:
        # See Section: an options file names the other kinds' options too, as null.
        if data[written] is None and (written in _all_keys() or written in cls.advice):
            return written if written in cls.known_keys() else ""
        return super()._key(written, data, reading)

    name: Line | None = Field(None, description="The experiment's name; default: the step's")
    ports: Ports | None = None
    working_directory: Path | None = Field(None, description="Where the command runs; default: the workspace")
    artifact_directory: Directory | None = Field(None, description=f"What is kept; default: {ARTIFACTS}")
    keep_workspace: Annotated[KeepWorkspace, choice(KeepWorkspace)] | None = Field(
        None, description="on-failure: keep the workspace of a run that failed for a while; default: never"
    )
    cluster_id: Line | None = None
    experiment_env: Environment | None = None
    project_id: Line | None = None
    model_type: Annotated[ModelType, choice(ModelType)] | None = None
    model_path: Path | None = Field(None, description=f"Where the model is; single node: {ARTIFACTS}")
    is_preemptible: Truth | None = None
    tensorboard: Truth | None = None


class SingleNodeSection(CommonParams, MachineKeys):
    """`experiment.run_single_node`."""

    command: Text = Field(examples=["python train.py"], description="The shell command that trains")


GrpcSection = create_model(
    "GrpcSection",
    __base__=CommonParams,
    __doc__="`experiment.run_multi_node`.",
    **role_fields("worker", "parameter_server"),
)
MpiSection = create_model(
    "MpiSection",
    __base__=CommonParams,
    __doc__="`experiment.run_mpi_multi_node`. Only the master runs its command.",
    **role_fields("worker", "master"),
)


class SearchForms(CommonParams, MachineKeys):
    """Both forms of a search: `search` with `command`, or `tuningCommand` with workers of their own."""

    search: SearchBlock | None = Field(None, description="What is tried and measured; beside `command`")
    command: Text | None = Field(
        None,
        examples=["python train.py --lr {lr}"],
        description="Trains once; no shell reads it, `{lr}` is the value of the parameter `lr`",
    )
    tuning_command: Text | None = Field(
        None, examples=["python tune.py"], description="The command that chooses the trials; instead of `search`"
    )


SearchSection = create_model(
    "SearchSection",
    __base__=SearchForms,
    __doc__="`hyperparameters.run`.",
    **role_fields("worker", "hyperparameter_server"),
)

SECTIONS: dict[StepKind, type[CommonParams]] = {
    StepKind.SINGLE_NODE: SingleNodeSection,
    StepKind.GRPC: GrpcSection,
    StepKind.MPI: MpiSection,
    StepKind.SEARCH: SearchSection,
}


@cache
def _all_keys() -> frozenset[str]:
    return frozenset(key for section in SECTIONS.values() for key in section.known_keys())


def read_params(
    kind: StepKind, section: CommonParams, timeout: float | None, reading: Reading, loc: Loc
) -> AnyParams | None:
    """Return what the section at `loc` says, None when it does not make an experiment."""
    common = {**_common(section, reading, loc), "timeout_seconds": timeout}
    if isinstance(section, SingleNodeSection):
        return _single(section, common)
    if isinstance(section, SearchForms):
        return _declared(section, common, reading, loc) if section.search else _tuned(section, common, reading, loc)
    worker = read_role("worker", section, reading, loc, needs_command=kind is StepKind.GRPC)
    if worker is None:
        return None
    if kind is StepKind.MPI:
        master = read_role("master", section, reading, loc, needs_command=True)
        return MpiParams(**common, worker=worker, master=master) if master else None
    if not given_keys("parameter_server", section):
        warn_without_parameter_servers(reading, loc)
        return GrpcParams(**common, worker=worker)
    server = read_role("parameter_server", section, reading, loc, needs_command=True)
    return GrpcParams(**common, worker=worker, parameter_server=server) if server else None


def warn_without_parameter_servers(reading: Reading, loc: Loc) -> None:
    """The manual calls them required, and leaves them out in its own example."""
    reading.warn(
        "No parameter servers: the workers train among themselves",
        "That suits collective strategies; otherwise describe the parameter servers.",
        reading.key_at(*loc),
    )


def _common(section: CommonParams, reading: Reading, loc: Loc) -> dict[str, Any]:
    return {
        "name": section.name,
        "ports": section.ports or (),
        "workspace": read_workspace(section, reading, loc),
        "workdir": section.working_directory,
        "artifacts": section.artifact_directory or ARTIFACTS,
        "env": dict(section.experiment_env or {}),
        "model_type": section.model_type,
        "model_path": section.model_path,
        "datasets": read_datasets(section, reading, loc),
        "project_id": section.project_id,
        "cluster_id": section.cluster_id,
        "is_preemptible": bool(section.is_preemptible),
        "tensorboard": bool(section.tensorboard),
        "keep_workspace": section.keep_workspace is KeepWorkspace.ON_FAILURE,
    }


def _single(section: SingleNodeSection, common: dict[str, Any]) -> SingleNodeParams:
    return SingleNodeParams(
        **{**common, "model_path": common["model_path"] or ARTIFACTS},
        command=section.command,
        container=section.container,
        machine_type=section.machine_type,
        user=section.container_user,
        registry=section.registry,
        dockerfile=section.dockerfile,
    )


_WITHOUT_PREFIX = ("command", *MachineKeys.model_fields)


def _tuned(section: SearchForms, common: dict[str, Any], reading: Reading, loc: Loc) -> SearchParams | None:
    """Return a search in the ancestor's form."""
    if section.tuning_command is None:
        hint = "Declare what is tried by `search:`, or name the command that chooses the trials by `tuningCommand`."
        reading.error("`search` is missing", hint, reading.key_at(*loc))
        return None
    for name in _WITHOUT_PREFIX:
        if getattr(section, name) is not None:
            key = to_camel(name)
            hint = f"Beside `tuningCommand` write `{to_camel(f'worker_{name}')}`."
            reading.error(f"`{key}` has no meaning without `search`", hint, reading.key_at(*loc, key))
    worker = read_role("worker", section, reading, loc, needs_command=True)
    server = read_given_role("hyperparameter_server", section)
    if worker is None:
        return None
    return SearchParams(**common, tuning_command=section.tuning_command, worker=worker, server=server)


def _declared(section: SearchForms, common: dict[str, Any], reading: Reading, loc: Loc) -> SearchParams | None:
    """Return a search that is declared: its workers do what `command` says."""
    _refuse_other_form(section, reading, loc)
    assert section.search is not None  # noqa: S101 - for the type checker
    search = read_search(section.search, reading, (*loc, "search"))
    if section.command is None:
        hint = "Add `command: python train.py --lr {lr}`."
        reading.error("`command` is missing", hint, reading.key_at(*loc))
    if search is None or section.command is None:
        return None
    check_command(section.command, search, reading, (*loc, "command"))
    for name in search.space:
        if name in common["env"]:
            hint = "Delete it from one of them: which of two values counts would be a guess."
            message = f"`{name}` stands in `space` and in `experimentEnv`"
            reading.error(message, hint, reading.key_at(*loc, "search", "space", name))
    worker = Role(
        None,
        section.container,
        section.machine_type,
        search.parallel,
        section.container_user,
        section.registry,
        section.dockerfile,
    )
    return SearchParams(**common, worker=worker, search=search, command=section.command)


def _refuse_other_form(section: SearchForms, reading: Reading, loc: Loc) -> None:
    if section.tuning_command is not None:
        mark = reading.key_at(*loc, "tuningCommand")
        reading.error("`search` and `tuningCommand` exclude each other", "Keep one of them.", mark)
    for name in (*given_keys("worker", section), *given_keys("hyperparameter_server", section)):
        key = to_camel(name)
        hint = "The workers of a declared search take `command`, `machineType`, … without a prefix."
        if name == "worker_count":
            hint = "Write `parallel` in `search`."
        reading.error(f"`{key}` has no meaning beside `search`", hint, reading.key_at(*loc, key))

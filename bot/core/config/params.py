"""`params` of version 2: the options of the ancestor's command line, under the same names.

An options file that the command line wrote (`--createOptionsFile`) can be used as it is: what it leaves `null` is
absent, and what has no meaning here is ignored with a warning.
"""

import re
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, create_model
from pydantic.alias_generators import to_camel

from bot.core.config.document import Mapping
from bot.core.config.models import (
    ARTIFACTS,
    AnyParams,
    Dataset,
    GrpcParams,
    ModelType,
    MpiParams,
    Registry,
    Role,
    SearchParams,
    SingleNodeParams,
    StepKind,
    Workspace,
)
from bot.core.config.problems import quote
from bot.core.config.section import Loc, Reading, Section, listed
from bot.core.config.values import Count, Directory, Environment, File, Line, Path, Ports, Text, Truth, choice

MAX_DATASETS = 20
MODEL_TYPES = {kind.casefold(): str(kind) for kind in ModelType}
"""Written in any case, in the ancestor's practice."""

_DatasetList = Annotated[list[Line | None], listed(MAX_DATASETS, "datasets", Line | list[Line | None])]
_NOT_OURS = "It has no meaning here."


class CommonParams(Section):
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
        "timeout": "Put `timeout` one level up, beside the step's `command`.",
        "checks": "Put `checks` one level up, beside the step's `command`.",
        "triggers": "Put `triggers` into the workflow, beside its `steps`.",
    }

    @classmethod
    def _key(cls, written: str, data: Mapping, reading: Reading) -> str:
        # See Section: an options file names the other kinds' options too, as null.
        if data[written] is None and (written in _all_keys() or written in cls.advice):
            return written if written in cls.known_keys() else ""
        return super()._key(written, data, reading)

    @classmethod
    def _value(cls, key: str, written: str, data: Mapping, reading: Reading) -> Any:
        value = super()._value(key, written, data, reading)
        parts = value if isinstance(value, list) else [value]
        is_open = any(isinstance(part, str) and not part.startswith("secret:") for part in parts)
        if is_open and key.endswith(("Password", "SecretAccessKey")):
            hint = "Everyone who can read the repository can read it: revoke it, and write `secret:<name>`."
            reading.warn(f"`{key}` stands here in plain text", hint, data.keys_at[written])
        return value

    name: Line | None = Field(None, description="The experiment's name; default: the step's")
    ports: Ports | None = None
    workspace: Line | None = Field(None, description="`none`, a git URL or `s3://…`; default: this commit")
    workspace_ref: Line | None = None
    workspace_username: Line | None = None
    workspace_password: Line | None = Field(None, description="Write `secret:<name>`")
    working_directory: Path | None = Field(None, description="Where the command runs; default: the workspace")
    artifact_directory: Directory | None = Field(None, description=f"What is kept; default: {ARTIFACTS}")
    cluster_id: Line | None = None
    experiment_env: Environment | None = None
    project_id: Line | None = None
    model_type: Annotated[ModelType, choice(ModelType)] | None = None
    model_path: Path | None = Field(None, description=f"Where the model is; single node: {ARTIFACTS}")
    is_preemptible: Truth | None = None
    dataset_uri: _DatasetList | None = Field(None, description="s3://bucket/path, one or a list")
    dataset_name: _DatasetList | None = None
    dataset_aws_access_key_id: _DatasetList | None = Field(None, description="Write `secret:<name>`")
    dataset_aws_secret_access_key: _DatasetList | None = Field(None, description="Write `secret:<name>`")
    dataset_version_id: _DatasetList | None = None
    dataset_etag: _DatasetList | None = None
    tensorboard: Truth | None = None


class SingleNodeSection(CommonParams):
    """`experiment.run_single_node`."""

    command: Text = Field(examples=["python train.py"], description="The shell command that trains")
    container: Line | None = Field(None, description="The image, where the backend uses images")
    machine_type: Line | None = Field(None, description="One of the bot's machine types; default: its default")
    container_user: Line | None = None
    registry_username: Line | None = None
    registry_password: Line | None = Field(None, description="Write `secret:<name>`")
    registry_url: Line | None = None
    use_dockerfile: Truth | None = None
    dockerfile_path: File | None = None


_ROLE_FIELDS: dict[str, Any] = {
    "container": (Line | None, None),
    "machine_type": (Line | None, None),
    "command": (Text | None, None),
    "count": (Count | None, None),
    "container_user": (Line | None, None),
    "registry_username": (Line | None, None),
    "registry_password": (Line | None, None),
    "registry_url": (Line | None, None),
    "working_directory": (Path | None, None),
    "artifact_directory": (Directory | None, None),
    "use_dockerfile": (Truth | None, None),
    "dockerfile_path": (File | None, None),
}
"""What each group of machines takes, behind the group's own prefix: `workerCommand`, `masterCommand`, …"""


def _roles(*prefixes: str) -> dict[str, Any]:
    return {f"{prefix}_{name}": field for prefix in prefixes for name, field in _ROLE_FIELDS.items()}


GrpcSection = create_model(
    "GrpcSection",
    __base__=CommonParams,
    __doc__="`experiment.run_multi_node`.",
    **_roles("worker", "parameter_server"),
)
MpiSection = create_model(
    "MpiSection",
    __base__=CommonParams,
    __doc__="`experiment.run_mpi_multi_node`. Only the master runs its command.",
    **_roles("worker", "master"),
)
SearchSection = create_model(
    "SearchSection",
    __base__=CommonParams,
    __doc__="`hyperparameters.run`.",
    tuning_command=(Text, Field(examples=["python tune.py"], description="The command that chooses the trials")),
    **_roles("worker", "hyperparameter_server"),
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
    common = _common(section, reading, loc)
    common["timeout_seconds"] = timeout
    if kind is StepKind.SINGLE_NODE:
        assert isinstance(section, SingleNodeSection)  # noqa: S101 - for the type checker: SECTIONS says so
        return _single(section, common)
    worker = _role("worker", section, reading, loc, needs_command=kind is not StepKind.MPI)
    if worker is None:
        return None
    if kind is StepKind.SEARCH:
        server = _given_role("hyperparameter_server", section)
        tuning: str = section.tuning_command  # type: ignore[attr-defined] # made by create_model
        return SearchParams(**common, tuning_command=tuning, worker=worker, server=server)
    if kind is StepKind.MPI:
        master = _role("master", section, reading, loc, needs_command=True)
        return MpiParams(**common, worker=worker, master=master) if master else None
    if not _is_given("parameter_server", section):
        warn_without_parameter_servers(reading, loc)
        return GrpcParams(**common, worker=worker)
    server = _role("parameter_server", section, reading, loc, needs_command=True)
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
        "workspace": _workspace(section, reading, loc),
        "workdir": section.working_directory,
        "artifacts": section.artifact_directory or ARTIFACTS,
        "env": dict(section.experiment_env or {}),
        "model_type": section.model_type,
        "model_path": section.model_path,
        "datasets": _datasets(section, reading, loc),
        "project_id": section.project_id,
        "cluster_id": section.cluster_id,
        "is_preemptible": bool(section.is_preemptible),
        "tensorboard": bool(section.tensorboard),
    }


def _single(section: SingleNodeSection, common: dict[str, Any]) -> SingleNodeParams:
    return SingleNodeParams(
        **{**common, "model_path": common["model_path"] or ARTIFACTS},
        command=section.command,
        container=section.container,
        machine_type=section.machine_type,
        user=section.container_user,
        registry=Registry(section.registry_url, section.registry_username, section.registry_password),
        dockerfile=_dockerfile(section.use_dockerfile, section.dockerfile_path),
    )


def _dockerfile(use: bool | None, path: str | None) -> str | None:
    return (path or "Dockerfile") if use else None


def _is_given(prefix: str, section: CommonParams) -> bool:
    return any(getattr(section, f"{prefix}_{name}") is not None for name in _ROLE_FIELDS)


def _given_role(prefix: str, section: CommonParams) -> Role | None:
    return _make_role(prefix, section) if _is_given(prefix, section) else None


def _role(prefix: str, section: CommonParams, reading: Reading, loc: Loc, *, needs_command: bool) -> Role | None:
    """Return the group of machines with this prefix; a missing command or count is an error."""
    needed = {"command": "python train.py"} if needs_command else {}
    needed["count"] = "2" if prefix == "worker" else "1"
    missing = [name for name in needed if getattr(section, f"{prefix}_{name}") is None]
    for name in missing:
        key = to_camel(f"{prefix}_{name}")
        reading.error(f"`{key}` is missing", f"Add `{key}: {needed[name]}`.", reading.key_at(*loc))
    return None if missing else _make_role(prefix, section)


def _make_role(prefix: str, section: CommonParams) -> Role:
    given = {name: getattr(section, f"{prefix}_{name}") for name in _ROLE_FIELDS}
    return Role(
        command=given["command"],
        container=given["container"],
        machine_type=given["machine_type"],
        count=given["count"] or 1,
        user=given["container_user"],
        registry=Registry(given["registry_url"], given["registry_username"], given["registry_password"]),
        dockerfile=_dockerfile(given["use_dockerfile"], given["dockerfile_path"]),
        workdir=given["working_directory"],
        artifacts=given["artifact_directory"],
    )


_GIT_URL = re.compile(r"(https?|ssh|git\+ssh|git\+https)://\S+|git@[\w.-]+:\S+")


def _workspace(section: CommonParams, reading: Reading, loc: Loc) -> Workspace:
    source = section.workspace
    if source and source != "none" and not source.startswith("s3://") and not _GIT_URL.fullmatch(source):
        reading.error(
            f"{quote(source)} is not a workspace",
            "Write `none`, a git URL or `s3://…`; without the key it is this repository at this commit.",
            reading.value_at(*loc, "workspace"),
        )
    if source is None and section.workspace_ref is not None:
        hint = "Name the repository by `workspace`, or delete the key: the code is this commit."
        reading.error("`workspaceRef` without `workspace`", hint, reading.key_at(*loc, "workspaceRef"))
    return Workspace(source, section.workspace_ref, section.workspace_username, section.workspace_password)


_DATASET_LISTS = (
    "dataset_name",
    "dataset_aws_access_key_id",
    "dataset_aws_secret_access_key",
    "dataset_version_id",
    "dataset_etag",
)
_DATASET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def _datasets(section: CommonParams, reading: Reading, loc: Loc) -> tuple[Dataset, ...]:
    """Read the parallel lists. Entries may be null, the lists may be shorter than that of the URIs."""
    uris = section.dataset_uri or []
    for field in _DATASET_LISTS:
        if len(getattr(section, field) or ()) > len(uris):
            key = to_camel(field)
            reading.error(f"`{key}` has more entries than `datasetUri`", "One for each URI.", reading.key_at(*loc, key))
    datasets: list[Dataset] = []
    for position, uri in enumerate(uris):
        at = (*loc, "datasetUri", position)
        dataset = _dataset(uri, [_entry(section, field, position) for field in _DATASET_LISTS], reading, at)
        if dataset and any(dataset.name == other.name for other in datasets):
            hint = "Give each a name of its own by `datasetName`."
            reading.error(f"Two datasets are named {quote(dataset.name)}", hint, reading.value_at(*at))
        elif dataset:
            datasets.append(dataset)
    return tuple(datasets)


def _entry(section: CommonParams, field: str, position: int) -> str | None:
    entries: list[str | None] = getattr(section, field) or []
    return entries[position] if position < len(entries) else None


def _dataset(uri: str | None, entries: list[str | None], reading: Reading, at: Loc) -> Dataset | None:
    name, access_key, secret_key, version, etag = entries
    if uri is None or not re.fullmatch(r"(s3|https)://[^\s/]+(/\S*)?", uri):
        reading.error("A dataset's URI is expected here", "Write `s3://bucket/path`.", reading.value_at(*at))
        return None
    name = name or _default_name(uri)
    if not _DATASET_NAME.fullmatch(name):
        hint = "Give one by `datasetName`: letters, digits, `.`, `_` and `-`."
        reading.error(f"{quote(name)} cannot be a dataset's name", hint, reading.value_at(*at))
        return None
    return Dataset(uri, name, access_key, secret_key, version, etag)


def _default_name(uri: str) -> str:
    """The last item of the path (or the bucket) without its extension."""
    last = uri.rstrip("/").rsplit("/", 1)[-1]
    return last.removesuffix(".gz").rsplit(".", 1)[0] if "." in last[1:] else last

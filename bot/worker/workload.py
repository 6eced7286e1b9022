"""From a step of a config to rows: what an experiment is, and the frozen spec of an attempt at it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from bot.backends.base import (
    AttemptSpec,
    Capabilities,
    Code,
    Fetch,
    Image,
    Machine,
    Mode,
    Opening,
    TaskGroup,
    from_json,
    to_json,
)
from bot.backends.machines import Machines, UnknownMachine
from bot.backends.references import Reference, ReferenceMalformed
from bot.backends.sandbox import PathRefused, artifacts_path
from bot.core.config import (
    AnyParams,
    GrpcParams,
    MpiParams,
    Reporting,
    Role,
    SearchParams,
    SingleNodeParams,
    Step,
    Workspace,
)
from bot.core.limits import Limits
from bot.core.matrix import Cell
from bot.core.plan import Grants, caveats
from bot.core.roles import MASTER, PARAMETER_SERVER, TUNER, WORKER
from bot.forge.git import GitCache, RepositoryId
from bot.metrics.reader import Root
from bot.store.experiments import new_public_id
from bot.store.schema import Attempt, Commit, Experiment, Repository

_STORAGE = "/storage"
_WORKSPACE = "/workspace"


class Refused(Exception):
    """The experiment cannot be run by this bot; the message says why, for whoever wrote the config."""


@dataclass(frozen=True)
class Estimate:
    """What a step asks for at most: so many experiments of so many tasks on such a machine, each for `timeout` seconds.

    `cpus`, `memory_mb` and `gpus` are those of all tasks of one experiment. `refusal` says why it would not be run.
    """

    runs: int
    tasks: int
    machine: str
    cpus: float
    memory_mb: int
    gpus: int
    timeout: float
    refusal: str = ""


class Workload:
    """Knows the machines, the directories and the addresses that a spec names."""

    def __init__(
        self,
        data_dir: Path,
        web_url: str,
        git: GitCache,
        machines: Machines,
        capabilities: Capabilities,
        *,
        refuses_unused_images: bool = False,
        builds_images: bool = False,
    ) -> None:
        """`refuses_unused_images`: what names an image does not run where none can be used (UNUSED_IMAGES).

        `builds_images`: those of a Dockerfile are built (IMAGE_BUILDS).
        """
        self._builds_images = builds_images
        self._data_dir, self._web_url = data_dir, web_url
        self._git, self._machines, self._capabilities = git, machines, capabilities
        self._refuses_unused_images = refuses_unused_images

    def experiment(
        self, run_id: int, position: int, step: Step, cell: Cell | None, grants: Grants, now: int
    ) -> Experiment:
        """Return a new row for a step, or for a cell of its matrix, with all that its config says of it."""
        row = Experiment(public_id=new_public_id(now), run_id=run_id, step=step.name, position=position)
        row.variant = "" if cell is None else cell.label
        row.kind, row.created_at = step.kind, now
        row.reports_each = step.report is Reporting.EACH
        row.params = _shown(asdict(step.params)) | ({} if cell is None else {"matrix": dict(cell.values)})
        row.gates = [asdict(gate) for gate in step.gates]
        row.notes, row.refusal = list(caveats(step.params)), self.refusal(step, grants)
        if not row.refusal:
            row.notes += self._check(step.params, grants)
        return row

    def estimate(self, step: Step, limits: Limits) -> Estimate:
        """Return what a step asks for at most, under these limits."""
        runs, timeout = max(1, len(step.matrix)), limits.timeout_of(step.params)
        refusal, machines = limits.refusal(step.params), list[tuple[int, Machine]]()
        try:
            machines = [(role.count, self._machines.find(role.machine_type)[0]) for role in step.params.roles()]
        except UnknownMachine as error:
            refusal = refusal or str(error)
        return Estimate(
            runs,
            tasks=sum(role.count for role in step.params.roles()),
            machine=", ".join(dict.fromkeys(machine.name for _, machine in machines)),
            cpus=sum(count * machine.cpus for count, machine in machines),
            memory_mb=sum(count * machine.memory_mb for count, machine in machines),
            gpus=sum(count * machine.gpus for count, machine in machines),
            timeout=timeout,
            refusal=refusal,
        )

    def refusal(self, step: Step, grants: Grants) -> str:
        """Return why this bot does not run a step, empty when it does. Asked for each attempt: rights may be gone."""
        try:
            self._check(step.params, grants)
        except Refused as error:
            return str(error)
        return ""

    def attempt(
        self,
        repository: Repository,
        commit: Commit,
        experiment: Experiment,
        step: Step,
        cell: Cell | None,
        grants: Grants,
        number: int,
        ref: str,
        now: int,
        settings: Mapping[str, str],
    ) -> Attempt:
        """Return a new row for attempt `number` (from 1) at an experiment. `ref` is what a run sees as its git ref.

        `settings` are variables that somebody gave in a command: they go before the config's own, not before ours.
        """
        row = Attempt(experiment_id=experiment.id, number=number, created_at=now)
        row.backend_id = f"{experiment.public_id}-{number}"
        row.spec = {"groups": [], "timeout": 0.0}
        if not experiment.refusal:
            given = {**step.params.env, **({} if cell is None else cell.environment()), **settings}
            environment = {**given, **self._environment(repository, commit, experiment, step.params, grants, ref)}
            row.spec = to_json(self._spec(row, repository, commit, experiment, step.params, grants, environment))
        return row

    def _check(self, params: AnyParams, grants: Grants) -> list[str]:
        """Raise Refused for what this bot cannot give, and return what a reader of the results should know."""
        mode = _mode(params)
        if mode not in self._capabilities.modes:
            raise Refused(f"this needs isolation, and there is none here: {self._capabilities.isolation}")
        workspace = params.workspace
        if (workspace.submodules or workspace.lfs) and not workspace.is_this_commit:
            raise Refused("`submodules` and `lfs` are for this repository: another `workspace` comes without them")
        if refusal := grants.limits.refusal(params):
            raise Refused(f"{refusal}: {_whose_limits(grants)}")
        missing = sorted(params.secret_names() - grants.secrets)
        if missing:
            raise Refused(
                f"the secret `{missing[0]}` is not given to this code: only what the default branch's config names"
                " may be used elsewhere"
            )
        for role in params.roles():
            self._check_image(role)
        try:
            artifacts_path(params.artifacts)
            notes = [self._machines.find(role.machine_type)[1] for role in params.roles()]
        except (UnknownMachine, PathRefused) as error:
            raise Refused(str(error)) from None
        return list(dict.fromkeys(note for note in notes if note))

    def _check_image(self, role: Role) -> None:
        image = _image(role)
        if image is None:
            return
        if not self._capabilities.images:
            if self._refuses_unused_images:
                name = image.name or image.dockerfile
                raise Refused(
                    f"the config names the image `{name}`, and this bot has nothing to run it with (CONTAINERS)"
                )
        elif image.dockerfile is not None and not self._builds_images:
            raise Refused(
                f"this bot builds no images (IMAGE_BUILDS): build {image.dockerfile} elsewhere, and name the image by"
                " `container`"
            )
        elif image.dockerfile is None:
            try:
                Reference.of(image.name, image.registry_url)
            except ReferenceMalformed as error:
                raise Refused(str(error)) from None

    def _spec(
        self,
        attempt: Attempt,
        repository: Repository,
        commit: Commit,
        experiment: Experiment,
        params: AnyParams,
        grants: Grants,
        environment: Mapping[str, str],
    ) -> AttemptSpec:
        where = RepositoryId(repository.github_id, repository.owner, repository.name)
        trust = "default-branch" if grants.is_default_branch else "other-branches"
        is_search = isinstance(params, SearchParams) and params.search is not None
        return AttemptSpec(
            id=attempt.backend_id,
            groups=tuple(self._groups(params)),
            code=self._code(where, commit, params.workspace),
            env={**environment, "PS_JOB_ID": attempt.backend_id},
            timeout=grants.limits.timeout_of(params),
            run_dir=str(self._data_dir / "runs" / experiment.public_id / str(attempt.number)),
            storage_dir=str(self._data_dir / "storage" / str(repository.github_id)),
            workdir=_in_workspace(params.workdir or "."),
            artifacts=artifacts_path(params.artifacts),
            labels={"repository": f"{repository.owner}/{repository.name}", "sha": commit.sha},
            mode=_mode(params),
            # What comes from outside shares no cache with anybody.
            cache_dir=str(self._data_dir / "cache" / trust / str(repository.github_id)) if grants.is_trusted else None,
            is_trusted=grants.is_trusted,
            keeps_storage=grants.keeps_storage,
            keeps_workspace=params.keep_workspace,
            fetches=tuple(_fetches(params)),
            ports=tuple(Opening(port.host, port.container) for port in params.ports),
            search=params.search.to_json() if is_search else None,  # type: ignore[union-attr] # is_search says so
            secrets=tuple(sorted(params.secret_names())),
        )

    def _code(self, where: RepositoryId, commit: Commit, workspace: Workspace) -> Code | None:
        if not workspace.is_this_commit:
            return None
        directory = str(self._git.directory(where))
        return Code(directory, commit.sha, submodules=workspace.submodules, lfs=workspace.lfs)

    def _groups(self, params: AnyParams) -> Iterator[TaskGroup]:
        """Yield the groups of tasks; the first is what people mean by "the experiment"."""
        match params:
            case SingleNodeParams():
                (role,) = params.roles()
                yield self._group(WORKER, role)
            case GrpcParams():
                yield self._group(WORKER, params.worker)
                if params.parameter_server is not None:
                    # Parameter servers never end by themselves: the workers decide.
                    yield self._group(PARAMETER_SERVER, params.parameter_server, decides=False)
            case MpiParams():
                yield self._group(MASTER, params.master)
                yield self._group(WORKER, params.worker, decides=False)
            case SearchParams() if params.tuning_command is None:
                yield self._group(WORKER, params.worker, command=params.command)
            case SearchParams():
                tuner = params.server or params.worker
                yield self._group(TUNER, tuner, command=params.tuning_command, count=1)
                yield self._group(WORKER, params.worker)

    def _group(
        self, role: str, given: Role, *, decides: bool = True, command: str | None = None, count: int | None = None
    ) -> TaskGroup:
        machine, _ = self._machines.find(given.machine_type)
        return TaskGroup(
            role,
            count or given.count,
            command or given.command or "",
            machine,
            decides,
            _image(given),
            None if given.workdir is None else _in_workspace(given.workdir),
        )

    def _environment(
        self,
        repository: Repository,
        commit: Commit,
        experiment: Experiment,
        params: AnyParams,
        grants: Grants,
        ref: str,
    ) -> dict[str, str]:
        """Return what every run sees: the ancestor's variables, under its names."""
        return {
            "PS_GRADIENT_CI_GIT_REF": ref,
            "PS_GRADIENT_CI_GIT_SHA": commit.sha,
            "PS_GRADIENT_CI_GIT_REPO_URL": f"{self._web_url}/{repository.owner}/{repository.name}",
            "PS_MODEL_PATH": params.model_path or _default_model_path(experiment, params, grants),
            "PS_JOBSPACE": _STORAGE,
            "EXPERIMENT_NAME": params.name or experiment.step,
            "PAPERSPACE_EXPERIMENT_ID": experiment.public_id,
        }


def _whose_limits(grants: Grants) -> str:
    if grants.is_trusted:
        return "the default branch's config sets `limits`"
    return "code from outside may use what the default branch's config uses itself"


def repetition(attempt: Attempt, now: int) -> Attempt:
    """Return a new row for another attempt with the same spec, where the platform broke this one.

    An end that was asked for meanwhile is asked for of this one, too.
    """
    number, spec = attempt.number + 1, from_json(attempt.spec)
    run_dir = Path(spec.run_dir).with_name(str(number))
    backend_id = f"{spec.id.rpartition('-')[0]}-{number}"
    row = Attempt(experiment_id=attempt.experiment_id, number=number, backend_id=backend_id, created_at=now)
    env = {**spec.env, "PS_JOB_ID": backend_id}
    row.spec = to_json(replace(spec, id=backend_id, run_dir=str(run_dir), env=env, gpus=()))
    row.retry, row.cancel_reason, row.cancelled_by = attempt.retry + 1, attempt.cancel_reason, attempt.cancelled_by
    row.cause, row.author, row.settings = attempt.cause, attempt.author, attempt.settings
    return row


def _mode(params: AnyParams) -> Mode:
    match params:
        case GrpcParams():
            return Mode.GRPC
        case MpiParams():
            return Mode.MPI
        case SearchParams():
            return Mode.SEARCH if params.search is not None else Mode.STUDY
    return Mode.SINGLE


def _default_model_path(experiment: Experiment, params: AnyParams, grants: Grants) -> str:
    """The ancestor's, for whom several machines could only meet in the storage.

    What is written to a storage that keeps nothing would be lost: the model lies among the artifacts then.
    """
    if not isinstance(params, GrpcParams | MpiParams):
        return artifacts_path(params.artifacts)
    if grants.keeps_storage:
        return f"{_STORAGE}/models/{experiment.public_id}/"
    return f"{artifacts_path(params.artifacts)}/model"


_NO_IMAGE = frozenset({"", "none", "null", "~"})
"""What people write for no image, in either case."""


def _image(role: Role) -> Image | None:
    name = "" if role.container is None or role.container.strip().lower() in _NO_IMAGE else role.container.strip()
    if not name and role.dockerfile is None:
        return None
    registry = role.registry
    return Image(name, role.user, registry.url, registry.username, registry.password, role.dockerfile)


def _fetches(params: AnyParams) -> Iterator[Fetch]:
    """Yield what comes from elsewhere: the workspace where it is another's, then the datasets."""
    if not (params.workspace.is_this_commit or params.workspace.is_empty):
        yield _workspace(params.workspace)
    for dataset in params.datasets:
        yield Fetch(
            dataset.uri,
            dataset.name,
            version_id=dataset.version_id,
            etag=dataset.etag,
            access_key_id=dataset.access_key_id,
            secret_access_key=dataset.secret_access_key,
        )


def _workspace(workspace: Workspace) -> Fetch:
    """The ancestor has one pair of credentials for both: of a bucket they are the access key and its secret."""
    uri = workspace.source or ""
    if uri.startswith("s3://"):
        return Fetch(uri, access_key_id=workspace.username, secret_access_key=workspace.password)
    return Fetch(uri, ref=workspace.ref, username=workspace.username, password=workspace.password)


def _in_workspace(workdir: str) -> str:
    """Return a working directory relative to the workspace; one that lies elsewhere is left for the run to refuse."""
    path = PurePosixPath(workdir)
    return str(path.relative_to(_WORKSPACE)) if path.is_relative_to(_WORKSPACE) else workdir


_HIDDEN = frozenset({"password", "access_key_id", "secret_access_key"})


def _shown(value: Any) -> Any:
    """Return a config's values without its credentials: rows are shown on pages."""
    if isinstance(value, Mapping):
        return {str(key): _shown(item) for key, item in value.items() if key not in _HIDDEN}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return value


def metric_roots(spec: AttemptSpec) -> list[Root]:
    """Return the directories of this machine that a run's metrics are read from: its artifacts, then its model path.

    A model path outside `/artifacts` and `/storage` lies in the workspace, which is gone after the run: it has none.
    Of a search the artifacts hold those of all its trials.
    """
    artifacts = Path(spec.run_dir) / "artifacts"
    roots, model = [Root(artifacts)], PurePosixPath(spec.env["PS_MODEL_PATH"])
    if spec.mode is Mode.SEARCH:
        return roots
    for mount, directory in ((spec.artifacts, artifacts), (_STORAGE, Path(spec.storage_dir))):
        if model.is_relative_to(mount) and model != PurePosixPath(mount):
            return [*roots, Root(directory, str(model.relative_to(mount)), "model")]
    return roots

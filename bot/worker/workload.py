"""From a step of a config to rows: what an experiment is, and the frozen spec of an attempt at it."""

from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from bot.backends.base import AttemptSpec, Code, TaskGroup, to_json
from bot.backends.machines import Machines, UnknownMachine
from bot.backends.sandbox import PathRefused, artifacts_path
from bot.core.config import SingleNodeParams, Step
from bot.core.plan import caveats
from bot.forge.git import GitCache, RepositoryId
from bot.metrics.reader import Root
from bot.store.experiments import new_public_id
from bot.store.schema import Attempt, Commit, Experiment, Repository

_DEFAULT_TIMEOUT = 24 * 3600.0
"""Seconds a run may take when its config sets no `timeout`."""
_STORAGE = "/storage"
_WORKSPACE = "/workspace"


class Workload:
    """Knows the machines, the directories and the addresses that a spec names."""

    def __init__(self, data_dir: Path, web_url: str, git: GitCache, machines: Machines) -> None:
        self._data_dir, self._web_url = data_dir, web_url
        self._git, self._machines = git, machines

    def experiment(self, run_id: int, position: int, step: Step, now: int) -> Experiment:
        """Return a new row for a step, with all that its config says of it."""
        row = Experiment(public_id=new_public_id(now), run_id=run_id, step=step.name, variant="", position=position)
        row.kind, row.created_at = step.kind, now
        row.params = _shown(asdict(step.params))
        row.gates = [asdict(gate) for gate in step.gates]
        row.notes, row.refusal = list(caveats(step.params)), step.params.unsupported()
        if not row.refusal and isinstance(step.params, SingleNodeParams):
            self._see_machine(row, step.params)
        return row

    def attempt(
        self,
        repository: Repository,
        commit: Commit,
        experiment: Experiment,
        step: Step,
        number: int,
        ref: str,
        now: int,
    ) -> Attempt:
        """Return a new row for attempt `number` (from 1) at an experiment. `ref` is what a run sees as its git ref."""
        row = Attempt(experiment_id=experiment.id, number=number, created_at=now)
        row.backend_id = f"{experiment.public_id}-{number}"
        row.spec = {"groups": [], "timeout": 0.0}
        if not experiment.refusal and isinstance(step.params, SingleNodeParams):
            row.spec = to_json(self._spec(row, repository, commit, experiment, step.params, ref))
        return row

    def _see_machine(self, row: Experiment, params: SingleNodeParams) -> None:
        """Refuse what no machine of ours can give, and note what its reader should know."""
        try:
            artifacts_path(params.artifacts)
            _, note = self._machines.find(params.machine_type)
        except (UnknownMachine, PathRefused) as error:
            row.refusal = str(error)
        else:
            row.notes = [*row.notes, note] if note else row.notes

    def _spec(
        self,
        attempt: Attempt,
        repository: Repository,
        commit: Commit,
        experiment: Experiment,
        params: SingleNodeParams,
        ref: str,
    ) -> AttemptSpec:
        machine, _ = self._machines.find(params.machine_type)
        where = RepositoryId(repository.github_id, repository.owner, repository.name)
        environment = self._environment(repository, commit, experiment, params, ref)
        return AttemptSpec(
            id=attempt.backend_id,
            groups=(TaskGroup("worker", 1, params.command, machine),),
            code=None if params.workspace.is_empty else Code(str(self._git.directory(where)), commit.sha),
            env={**environment, "PS_JOB_ID": attempt.backend_id},
            timeout=params.timeout_seconds or _DEFAULT_TIMEOUT,
            run_dir=str(self._data_dir / "runs" / experiment.public_id / str(attempt.number)),
            storage_dir=str(self._data_dir / "storage" / str(repository.github_id)),
            workdir=_in_workspace(params.workdir or "."),
            artifacts=artifacts_path(params.artifacts),
            labels={"repository": f"{repository.owner}/{repository.name}", "sha": commit.sha},
        )

    def _environment(
        self, repository: Repository, commit: Commit, experiment: Experiment, params: SingleNodeParams, ref: str
    ) -> dict[str, str]:
        """Return what a run sees: the config's own variables, and the ancestor's under its names."""
        return {
            **params.env,
            "PS_GRADIENT_CI_GIT_REF": ref,
            "PS_GRADIENT_CI_GIT_SHA": commit.sha,
            "PS_GRADIENT_CI_GIT_REPO_URL": f"{self._web_url}/{repository.owner}/{repository.name}",
            "PS_MODEL_PATH": params.model_path or artifacts_path(params.artifacts),
            "PS_JOBSPACE": _STORAGE,
            "EXPERIMENT_NAME": params.name or experiment.step,
            "PAPERSPACE_EXPERIMENT_ID": experiment.public_id,
        }


def _in_workspace(workdir: str) -> str:
    """Return a working directory relative to the workspace; one that lies elsewhere is left for the run to refuse."""
    path = PurePosixPath(workdir)
    return str(path.relative_to(_WORKSPACE)) if path.is_relative_to(_WORKSPACE) else workdir


_HIDDEN = frozenset({"password", "access_key_id", "secret_access_key"})


def _shown(value: Any) -> Any:
    """Return a config's values without its credentials: rows are shown on pages."""
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items() if key not in _HIDDEN}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return value


def metric_roots(spec: AttemptSpec) -> list[Root]:
    """Return the directories of this machine that a run's metrics are read from: its artifacts, then its model path.

    A model path outside `/artifacts` and `/storage` lies in the workspace, which is gone after the run: it has none.
    """
    artifacts = Path(spec.run_dir) / "worker-0" / "artifacts"
    roots, model = [Root(artifacts)], PurePosixPath(spec.env["PS_MODEL_PATH"])
    for mount, directory in ((spec.artifacts, artifacts), (_STORAGE, Path(spec.storage_dir))):
        if model.is_relative_to(mount) and model != PurePosixPath(mount):
            return [*roots, Root(directory, str(model.relative_to(mount)))]
    return roots

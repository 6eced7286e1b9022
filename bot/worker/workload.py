"""From a step of a config to rows: what an experiment is, and the frozen spec of an attempt at it."""

from dataclasses import asdict
from pathlib import Path, PurePosixPath

from bot.backends.base import AttemptSpec, Code, Machine, TaskGroup, to_json
from bot.backends.machines import Machines, UnknownMachine
from bot.core.config import SingleNode, Step
from bot.core.gates import Gate, IfNotFound, Range, Rounding, Source
from bot.core.launchable import notes, refusal
from bot.forge.git import GitCache, RepositoryId
from bot.store.experiments import new_public_id
from bot.store.schema import Attempt, Commit, Experiment, Repository

_DEFAULT_TIMEOUT = 24 * 3600.0
"""Seconds a run may take when its config sets no `timeout`."""
_ARTIFACTS = "/artifacts"
_STORAGE = "/storage"


class Workload:
    """Knows the machines, the directories and the addresses that a spec names."""

    def __init__(self, data_dir: Path, web_url: str, git: GitCache, machines: Machines) -> None:
        self._data_dir, self._web_url = data_dir, web_url
        self._git, self._machines = git, machines

    def experiment(self, run_id: int, position: int, step: Step, now: int) -> Experiment:
        """Return a new row for a step, with all that its config says of it."""
        row = Experiment(public_id=new_public_id(now), run_id=run_id, step=step.name, variant="", position=position)
        row.kind, row.created_at = step.kind, now
        row.params = step.params.model_dump(mode="json")
        row.gates = [gate_to_json(gate) for gate in step.gates]
        row.notes, row.refusal = list(notes(step.params)), refusal(step)
        if not row.refusal and isinstance(step.params, SingleNode):
            self._see_machine(row, step.params.machine_type)
        return row

    def attempt(self, repository: Repository, commit: Commit, experiment: Experiment, ref: str, now: int) -> Attempt:
        """Return a new row for the first attempt at an experiment. `ref` is what a run sees as its git ref."""
        number = 1
        backend_id = f"{experiment.public_id}-{number}"
        spec = None if experiment.refusal else self._spec(backend_id, repository, commit, experiment, ref)
        row = Attempt(experiment_id=experiment.id, number=number, backend_id=backend_id, created_at=now)
        row.spec = {"groups": [], "timeout": 0.0} if spec is None else to_json(spec)
        return row

    def _see_machine(self, row: Experiment, name: str | None) -> None:
        try:
            _, note = self._machines.find(name)
        except UnknownMachine as error:
            row.refusal = str(error)
        else:
            row.notes = [*row.notes, note] if note else row.notes

    def _spec(
        self, backend_id: str, repository: Repository, commit: Commit, experiment: Experiment, ref: str
    ) -> AttemptSpec:
        params = SingleNode.model_validate(experiment.params)
        machine, _ = self._machines.find(params.machine_type)
        where = RepositoryId(repository.github_id, repository.owner, repository.name)
        public_id, _, number = backend_id.partition("-")
        artifacts = params.artifacts or _ARTIFACTS
        return AttemptSpec(
            id=backend_id,
            groups=(TaskGroup("worker", 1, params.command, machine),),
            code=Code(str(self._git.directory(where)), commit.sha),
            env=self._environment(repository, commit, experiment, params, ref) | {"PS_JOB_ID": backend_id},
            timeout=params.timeout_seconds or _DEFAULT_TIMEOUT,
            run_dir=str(self._data_dir / "runs" / public_id / number),
            storage_dir=str(self._data_dir / "storage" / str(repository.github_id)),
            workdir=params.workdir or ".",
            artifacts=artifacts,
            labels={"repository": f"{repository.owner}/{repository.name}", "sha": commit.sha},
        )

    def _environment(
        self, repository: Repository, commit: Commit, experiment: Experiment, params: SingleNode, ref: str
    ) -> dict[str, str]:
        """Return what a run sees: the config's own variables, and the ancestor's under its names."""
        return {
            **params.env,
            "PS_GRADIENT_CI_GIT_REF": ref,
            "PS_GRADIENT_CI_GIT_SHA": commit.sha,
            "PS_GRADIENT_CI_GIT_REPO_URL": f"{self._web_url}/{repository.owner}/{repository.name}",
            "PS_MODEL_PATH": params.model_path or params.artifacts or _ARTIFACTS,
            "PS_JOBSPACE": _STORAGE,
            "EXPERIMENT_NAME": params.name or experiment.step,
            "PAPERSPACE_EXPERIMENT_ID": experiment.public_id,
        }


def metric_roots(spec: AttemptSpec) -> list[Path]:
    """Return the directories of this machine that a run's metrics are read from: its model path and its artifacts.

    A model path outside `/artifacts` and `/storage` lies in the workspace, which is gone after the run: it has none.
    """
    artifacts = Path(spec.run_dir) / "worker-0" / "artifacts"
    model = PurePosixPath(spec.env["PS_MODEL_PATH"])
    for mount, directory in ((spec.artifacts, artifacts), (_STORAGE, Path(spec.storage_dir))):
        if model.is_relative_to(mount) and ".." not in model.parts:
            found = directory / model.relative_to(mount)
            return [artifacts] if found.is_relative_to(artifacts) else [artifacts, found]
    return [artifacts]


def gate_to_json(gate: Gate) -> dict[str, object]:
    """Return a gate as it is kept with its experiment."""
    return asdict(gate)


def gate_from_json(value: dict[str, object]) -> Gate:
    """Return the gate that `gate_to_json` wrote."""
    target = value["target"]
    assert isinstance(target, dict)
    fields = {
        **value,
        "source": Source(str(value["source"])),
        "target": Range(target["low"], target["high"]),
        "round": Rounding(str(value["round"])),
        "if_not_found": IfNotFound(str(value["if_not_found"])),
    }
    return Gate(**fields)  # type: ignore[arg-type]

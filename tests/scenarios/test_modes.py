"""Experiments of several tasks, matrices and searches on the whole road; and what code of a branch may not have."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.backends.base import Capacity, Machine, Mode
from bot.backends.machines import Machines
from bot.clock import ManualClock
from bot.devhub import DevHub, Repository
from bot.store import secrets
from bot.vault import Vault
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service


def workflow(step: str, *, more: str = "") -> dict[str, str]:
    """A config with one workflow `w` of one step."""
    lines = "\n".join(f"        {line}" for line in step.strip().splitlines())
    return {".ps_project/config.yaml": f"version: 2\n{more}workflows:\n  w:\n    steps:\n      -\n{lines}\n"}


GRPC = """
name: train
command: experiment.run_multi_node
params:
  workerCommand: python train.py
  workerCount: 2
  parameterServerCommand: python serve.py
  parameterServerCount: 1
"""
MATRIX = """
name: fit
command: experiment.run_single_node
params: {command: python train.py}
matrix: {lr: [0.1, 0.01]}
"""
SEARCH = """
name: tune
command: hyperparameters.run
params:
  command: "python train.py --lr {lr}"
  search:
    space: {lr: "loguniform(1e-4, 1e-1)"}
    metric: custom:/loss
    goal: minimize
    trials: 10
    parallel: 2
"""
SECRET = """
name: fit
command: experiment.run_single_node
params:
  command: python train.py
  experimentEnv: {TOKEN: "secret:hub"}
"""


def trial(number: int, state: str, value: float | None) -> dict[str, object]:
    return {"number": number, "state": state, "params": {"lr": 0.01 * (number + 1)}, "value": value, "task": "worker-0"}


def test_an_experiment_of_several_tasks_is_one_attempt(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository(workflow(GRPC))
    road.settle()

    [attempt] = backend.submissions
    spec = backend.specs[attempt]
    assert spec.mode is Mode.GRPC
    assert [(group.role, group.count, group.decides) for group in spec.groups] == [
        ("worker", 2, True),
        ("parameter-server", 1, False),
    ]
    backend.succeed(attempt)
    road.wait(1)
    check = road.hub.check(repository, sha, "w / train")
    assert check.conclusion == "success"
    told = check.output.summary + check.output.text
    assert all(name in told for name in ("worker-0", "worker-1", "parameter-server-0"))


def test_a_matrix_has_one_check_and_fails_with_its_worst_cell(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository(workflow(MATRIX))
    road.settle()

    first, second = backend.submissions
    assert [backend.specs[one].env["lr"] for one in (first, second)] == ["0.1", "0.01"]
    backend.succeed(first)
    road.wait(1)
    assert road.shown(repository, sha)["w / fit"] == ("in_progress", None)
    backend.fail(second)
    road.wait(1)
    assert road.shown(repository, sha) == {"experiments": ("completed", "failure"), "w / fit": ("completed", "failure")}
    assert "lr=0.01" in road.hub.check(repository, sha, "w / fit").output.summary


def test_a_search_tells_its_best_trial(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository(workflow(SEARCH))
    road.settle()

    [attempt] = backend.submissions
    spec = backend.specs[attempt]
    assert (spec.mode, spec.groups[0].count, spec.groups[0].command) == (Mode.SEARCH, 2, "python train.py --lr {lr}")
    backend.begin(attempt)
    backend.try_out(attempt, trial(0, "complete", 0.4), trial(1, "complete", 0.2), trial(2, "running", None))
    road.wait(61)
    assert "2 of 10" in road.hub.check(repository, sha, "w / tune").output.title

    backend.try_out(attempt, trial(0, "complete", 0.4), trial(1, "complete", 0.2), trial(2, "failed", None))
    backend.succeed(attempt)
    road.wait(1)
    check = road.hub.check(repository, sha, "w / tune")
    assert check.conclusion == "success"
    assert "0.2" in check.output.title
    assert "lr=0.02" in check.output.title


def test_an_interrupted_search_is_handed_over_again(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository(workflow(SEARCH))
    road.settle()
    [attempt] = backend.submissions
    backend.begin(attempt)
    road.wait(1)

    backend.interrupt(attempt)
    road.wait(1)

    assert backend.submissions == [attempt, attempt]
    backend.succeed(attempt)
    road.wait(1)
    assert road.shown(repository, sha)["w / tune"] == ("completed", "success")


def test_what_is_being_provisioned_is_told(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    [attempt] = backend.submissions

    backend.wait_for(attempt, "mnist: 120 of 512 MB")
    road.wait(61)

    check = road.hub.check(repository, sha, "train / fit")
    assert "mnist: 120 of 512 MB" in check.output.summary + check.output.text


# What a branch may have


def pull(road: Road, repository: Repository, files: dict[str, str]) -> str:
    """Open a pull request with these files; return its head."""
    sha = road.hub.commit_files(repository, files, branch="topic", message="Topic")
    road.hub.open_pull(repository, head="topic", base="main", title="Topic")
    return sha


def store(road: Road, name: str, value: str) -> None:
    locked = Vault(road.settings.secrets_keys).lock("acme", name, value)
    with road.database.write() as tx:
        secrets.put(tx, "acme", name, locked, road.clock.now())


def test_a_branch_writes_to_a_layer_of_storage_unless_the_default_branch_lets_it(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, _ = road.repository()
    pull(road, repository, {"train.py": "print('changed')\n"})
    road.settle()
    assert [backend.specs[one].keeps_storage for one in backend.submissions] == [True, False]


def test_a_branch_does_not_give_itself_the_right_to_write(road: Road, backend: ScriptedBackend) -> None:
    more = "permissions: {pull-requests: {storage: write}}\n"
    plain = "name: fit\ncommand: experiment.run_single_node\nparams: {command: python train.py}\n"
    repository, _ = road.repository(workflow(plain))
    pull(road, repository, workflow(plain, more=more))
    road.settle()
    assert [backend.specs[one].keeps_storage for one in backend.submissions] == [True, False]

    other, _ = road.repository(workflow(plain, more=more), name="open")
    pull(road, other, {"train.py": "print('changed')\n"})
    road.settle()
    assert [backend.specs[one].keeps_storage for one in backend.submissions[2:]] == [True, True]


def test_a_branch_does_not_give_itself_a_secret(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    sha = pull(road, repository, workflow(SECRET))
    road.settle()

    assert road.shown(repository, sha)["w / fit"] == ("completed", "failure")
    assert "`hub` is not given to this code" in road.hub.check(repository, sha, "w / fit").output.summary
    assert len(backend.submissions) == 1


def test_a_branch_has_the_secrets_that_the_default_branch_gives(road: Road, backend: ScriptedBackend) -> None:
    store(road, "hub", "correct horse")
    repository, _ = road.repository(workflow(SECRET))
    pull(road, repository, {"train.py": "print('changed')\n"})
    road.settle()

    assert [backend.secrets[one] for one in backend.submissions] == [{"hub": "correct horse"}] * 2
    assert all("correct" not in str(attempt.spec) for attempt in road.attempts())


def test_a_secret_that_the_default_branch_took_back_is_gone_when_a_branch_runs_again(
    road: Road, backend: ScriptedBackend
) -> None:
    store(road, "hub", "correct horse")
    repository, _ = road.repository(workflow(SECRET))
    sha = road.hub.commit_files(repository, {"train.py": "print('changed')\n"}, branch="topic", message="Topic")
    topic = road.hub.open_pull(repository, head="topic", base="main", title="Topic")
    road.wait(10)
    road.hub.close_pull(topic)
    road.wait(10)
    plain = "name: fit\ncommand: experiment.run_single_node\nparams: {command: python train.py}\n"
    road.hub.commit_files(repository, workflow(plain), branch="main", message="Take it back")
    road.wait(10)
    road.hub.reopen_pull(topic)
    road.wait(10)

    assert [backend.secrets[one] for one in backend.submissions] == [{"hub": "correct horse"}] * 2 + [{}]
    assert "`hub` is not given to this code" in road.hub.check(repository, sha, "w / fit").output.summary


def test_a_secret_that_is_not_stored_is_asked_for(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository(workflow(SECRET))
    road.settle()
    assert road.shown(repository, sha)["w / fit"] == ("completed", "failure")
    assert (
        "experiment-ci secret set hub --repo acme/digits" in road.hub.check(repository, sha, "w / fit").output.summary
    )
    assert backend.submissions == []


# GPUs


def test_two_experiments_never_share_a_gpu(tmp_path: Path, clock: ManualClock) -> None:
    capacity = Capacity(cpus=8, memory_mb=8000, gpus=2)
    backend = ScriptedBackend(clock, capacity)
    machines = Machines({"gpu": Machine("gpu", cpus=1, memory_mb=1000, gpus=1)}, "gpu", capacity)
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, backend, machines=machines)
        road.repository(workflow(MATRIX.replace("[0.1, 0.01]", "[0.1, 0.01, 0.001]")))
        road.settle()
        assert [backend.specs[one].gpus for one in backend.submissions] == [(0,), (1,)]
        backend.succeed(backend.submissions[0])
        road.wait(1)
        assert [backend.specs[one].gpus for one in backend.submissions] == [(0,), (1,), (0,)]
        road.close()


# Places


def test_an_overdue_experiment_keeps_its_place_until_it_is_gone(tmp_path: Path, clock: ManualClock) -> None:
    capacity = Capacity(cpus=8, memory_mb=8000, gpus=1)
    backend = Stubborn(clock, capacity)
    machines = Machines({"gpu": Machine("gpu", cpus=1, memory_mb=1000, gpus=1)}, "gpu", capacity)
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, backend, machines=machines)
        road.repository(workflow(MATRIX))
        road.settle()
        [first] = backend.submissions
        backend.wait_for(first, "for ever")
        road.wait(1)

        road.wait(3601)
        assert backend.cancelled
        assert backend.submissions == [first], "the one GPU is still in use"

        backend.let_go(first)
        road.wait(1)
        assert len(backend.submissions) == 2
        reasons = [attempt.reason for attempt in road.attempts() if attempt.backend_id == first]
        assert reasons == ["stayed in “Provisioning” longer than it may"]
        assert next(attempt.state for attempt in road.attempts() if attempt.backend_id == first) == "error"
        road.close()


class Stubborn(ScriptedBackend):
    """What it is told to end takes its time."""

    def cancel(self, attempt_id: str, reason: str) -> None:
        self.cancelled.setdefault(attempt_id, reason)

    def let_go(self, attempt_id: str) -> None:
        reason = self.cancelled.pop(attempt_id)
        super().cancel(attempt_id, reason)


def test_an_image_is_not_built_where_nobody_said_so(tmp_path: Path, clock: ManualClock) -> None:
    backend = ScriptedBackend(clock)
    backend.capabilities = replace(backend.capabilities, images="podman 5")
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, backend)
        step = "name: fit\ncommand: experiment.run_single_node\nparams: {command: python t.py, useDockerfile: true}\n"
        repository, sha = road.repository(workflow(step))
        road.settle()
        assert "builds no images (IMAGE_BUILDS)" in hub.check(repository, sha, "w / fit").output.title
        assert backend.submissions == []
        road.close()

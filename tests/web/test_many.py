"""The page of an experiment that is more than one process: tasks with logs of their own, trials, what was in force."""

import io
import re
import zipfile
from typing import Any

import pytest

from bot.backends.base import Machine, TaskGroup
from bot.core.states import WAY, State
from bot.core.trials import Trial, TrialState
from bot.store import experiments
from bot.store.schema import Attempt, Experiment
from bot.web import shelf
from tests.web.stage import Stage, address

pytestmark = pytest.mark.service  # each play has a database of its own


@pytest.fixture
def experiment(stage: Stage) -> Experiment:
    return stage.experiment()


def attempt_of(stage: Stage, experiment: Experiment, *groups: TaskGroup, **changes: Any) -> Attempt:
    attempt = stage.attempt(experiment, groups=groups)
    if changes:
        with stage.database.write() as tx:
            experiments.change(tx, attempt.id, **changes)
    stage.reach(attempt, *WAY[1:6])
    stage.backend.log[attempt.backend_id] = b"the first worker\n"
    stage.backend.files[attempt.backend_id] = {}
    return attempt


@pytest.fixture
def several(stage: Stage, experiment: Experiment) -> Attempt:
    """Two workers and a parameter server, running."""
    machine = Machine("small", 1, 512)
    workers = TaskGroup("worker", 2, "python3 worker.py", machine)
    attempt = attempt_of(stage, experiment, workers, TaskGroup("parameter-server", 1, "python3 ps.py", machine, False))
    stage.backend.log[f"{attempt.backend_id}/worker-1"] = b"the second worker\n"
    stage.backend.log[f"{attempt.backend_id}/parameter-server-0"] = b"the server\n"
    return attempt


def test_every_task_has_a_state_an_end_and_a_log(stage: Stage, experiment: Experiment, several: Attempt) -> None:
    with stage.database.write() as tx:
        ended = {"state": State.FAILED, "exit_code": 3, "peak_memory_mb": 77, "reason": "it ran into the wall"}
        experiments.see_task(tx, several.id, "worker", 1, **ended)

    page = stage.get(address(experiment)).text

    for told in ("2 × worker", "1 × parameter-server", "python3 ps.py", "77 MB", "it ran into the wall"):
        assert told in page
    for task in ("worker-0", "worker-1", "parameter-server-0"):
        assert f"&amp;task={task}#logs" in page
    assert "the second worker" in page  # that of the one that failed comes first


def test_the_log_that_is_asked_for_is_shown(stage: Stage, experiment: Experiment, several: Attempt) -> None:
    page = stage.get(address(experiment, task="parameter-server-0")).text

    assert "the server" in page
    assert "the first worker" not in page
    assert stage.get(address(experiment, "/log", task="worker-1")).json["lines"] == "the second worker\n"
    assert stage.get(address(experiment, "/log.txt", task="parameter-server-0")).data == b"the server\n"
    assert stage.get(address(experiment, "/log.txt")).data == b"the first worker\n"


def test_a_task_that_there_is_not_has_no_log(stage: Stage, experiment: Experiment, several: Attempt) -> None:
    for below in ("", "/log", "/log.txt"):
        for task in ("worker-2", "../worker-0", ""):
            assert stage.get(address(experiment, below, task=task)).status_code == 404


def test_logs_that_are_gone_are_told_from_their_rows(stage: Stage, experiment: Experiment, several: Attempt) -> None:
    stage.finish(several)
    with stage.database.write() as tx:
        experiments.see_task(tx, several.id, "worker", 1, log_tail="the last words\n")
        experiments.change(tx, several.id, removed_at=stage.clock.now())

    assert "the last words" in stage.get(address(experiment, task="worker-1")).text
    assert "There is none." in stage.get(address(experiment, task="worker-0")).text


SEARCH = {"goal": "maximize", "metric": "tensorflow:accuracy", "trials": 30}


@pytest.fixture
def search(stage: Stage, experiment: Experiment) -> Attempt:
    worker = TaskGroup("worker", 2, "python3 train.py --lr {lr}", Machine("small", 1, 512))
    attempt = attempt_of(stage, experiment, worker)
    with stage.database.write() as tx:
        spec = {**attempt.spec, "mode": "search", "search": SEARCH}
        experiments.change(tx, attempt.id, spec=spec)
        trials = [
            Trial(0, {"lr": 0.1234567, "kind": "<b>"}, TrialState.COMPLETE, 0.5, "worker-0", 0, 61_000_000),
            Trial(1, {"lr": 0.01, "kind": "a"}, TrialState.COMPLETE, 0.75, "worker-1"),
            Trial(2, {"lr": 1.0, "kind": "a"}, TrialState.PRUNED, 0.1, "worker-0", steps=3, reason="worse than others"),
            Trial(3, {"lr": 0.3, "kind": "c"}, TrialState.RUNNING),
        ]
        experiments.see_trials(tx, attempt.id, trials)
    return attempt


def test_trials_are_told_the_best_first(stage: Stage, experiment: Experiment, search: Attempt) -> None:
    page = stage.get(address(experiment)).text
    table = page[page.index('data-part="trials"') :]

    assert "Best: <b>0.75</b> by trial 1." in table
    assert "3 of 30 done" in table
    assert re.findall(r'<td class="number">(\d)<td><span', table) == ["1", "0", "2", "3"]
    for told in ("0.12346", "&lt;b&gt;", "1 min 1 s", "worse than others", "maximize tensorflow:accuracy"):
        assert told in table


def test_a_search_that_has_no_trial_yet_says_so(stage: Stage, experiment: Experiment) -> None:
    attempt = attempt_of(stage, experiment)
    with stage.database.write() as tx:
        experiments.change(tx, attempt.id, spec={**attempt.spec, "search": SEARCH})
    assert "None yet." in stage.get(address(experiment)).text


def test_what_was_in_force_is_told(stage: Stage, experiment: Experiment) -> None:
    facts = {
        "walls": ["memory 512 MB (cgroup v1)", "network: none"],
        "ports": {"6006": 6007},
        "datasets": [{"name": "mnist", "uri": "s3://data/mnist.zip", "etag": "abc", "version_id": None, "bytes": 2048}],
        "image": {"digest": "", "reason": "no podman here"},
        "gpu": "A <big> one",
    }
    attempt_of(stage, experiment, facts=facts)

    page = stage.get(address(experiment)).text

    for told in ("memory 512 MB (cgroup v1)", "network: none", "6006 at port 6007 of the machine", "no podman here"):
        assert told in page
    for told in ("/data/mnist", "s3://data/mnist.zip", "2.0 KiB", "A &lt;big&gt; one"):
        assert told in page


def test_what_provisioning_waits_for_is_told(stage: Stage, experiment: Experiment) -> None:
    attempt = stage.attempt(experiment)
    stage.reach(attempt, *WAY[1:3])
    with stage.database.write() as tx:
        experiments.change(tx, attempt.id, progress="mnist: 120 of 512 MB")
    assert "mnist: 120 of 512 MB" in stage.get(address(experiment)).text
    stage.reach(attempt, *WAY[3:6])
    assert "mnist: 120 of 512 MB" not in stage.get(address(experiment)).text


def test_a_cell_of_a_matrix_tells_its_values(stage: Stage, experiment: Experiment) -> None:
    with stage.database.write() as tx:
        tx.get_one(Experiment, experiment.id).params = {"matrix": {"units": 64, "optimiser": "<sgd>"}}
    page = stage.get(address(experiment)).text
    assert '<span class="cell">units <b>64</b></span>' in page
    assert "&lt;sgd&gt;" in page


# Artifacts as an archive


def test_all_artifacts_can_be_had_as_one_archive(stage: Stage, experiment: Experiment) -> None:
    attempt = attempt_of(stage, experiment)
    files = {"a/weights": b"1" * 1000, "log.txt": b"2"}
    stage.backend.files[attempt.backend_id] = files

    answer = stage.get(address(experiment, "/artifacts.zip"))

    assert answer.headers["Content-Disposition"] == f"attachment; filename={attempt.backend_id}-artifacts.zip"
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.data)) as unpacked:
        assert {name: unpacked.read(name) for name in unpacked.namelist()} == files
    assert stage.get(f"/experiments/{experiment.public_id}/artifacts.zip").status_code == 404


def test_nothing_makes_no_archive(stage: Stage, experiment: Experiment) -> None:
    attempt = attempt_of(stage, experiment)
    assert stage.get(address(experiment, "/artifacts.zip")).status_code == 404
    del stage.backend.files[attempt.backend_id]
    assert stage.get(address(experiment, "/artifacts.zip")).status_code == 404


def test_only_so_many_archives_are_made_at_a_time(stage: Stage, experiment: Experiment) -> None:
    attempt = attempt_of(stage, experiment)
    stage.backend.files[attempt.backend_id] = {"weights": b"1"}
    half_read = [stage.client.get(address(experiment, "/artifacts.zip")) for _ in range(shelf.TURNS)]
    assert stage.get(address(experiment, "/artifacts.zip")).status_code == 503
    for answer in half_read:
        answer.close()
    assert stage.get(address(experiment, "/artifacts.zip")).status_code == 200

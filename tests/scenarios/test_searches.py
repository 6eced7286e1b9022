"""Whose numbers a verdict is about: the best trial's, of its last try; and what may not be left out of sight."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from bot.metrics import measurements
from bot.store import commits
from tests.metrics.writing import simple, write
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service

SEARCH = """\
version: 2
workflows:
  w:
    steps:
      - name: tune
        command: hyperparameters.run
        params:
          command: python train.py --lr {lr}
          search: {space: {lr: "loguniform(1e-4, 1e-1)"}, metric: "tensorflow:loss", goal: minimize, trials: 300}
        checks:
          defaults: {aggregate: max}
          tensorflow:loss: {target: ..0.5}
          logged:error: {target: ..0.5}
"""
STUDY = """\
version: 2
workflows:
  w:
    steps:
      - name: tune
        command: hyperparameters.run
        params: {tuningCommand: python tune.py, workerCommand: python trial.py, workerCount: 1}
        checks:
          tensorflow:loss: {target: ..0.5, aggregate: max, if-not-found: success}
"""
LOGGED = CONFIG.replace("tensorflow:loss", "logged:loss")


def trial(number: int, value: float, began_at: int = 0, state: str = "complete") -> dict[str, Any]:
    return {
        "number": number,
        "state": state,
        "params": {"lr": 0.01},
        "value": value,
        "task": "worker-0",
        "began_at": began_at,
        "ended_at": began_at + 1,
    }


def below(backend: ScriptedBackend, attempt: str, *parts: str) -> Path:
    """A directory in what the attempt left."""
    path = Path(backend.specs[attempt].run_dir, *parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def measure(backend: ScriptedBackend, attempt: str, *lines: Mapping[str, Any]) -> None:
    """The sidecar writes lines down."""
    with (below(backend, attempt, "measurements") / "points").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def sent(name: str, value: float, at: int = 1, trial: int | None = None, source: str = "logged") -> dict[str, Any]:
    who = {"task": "worker-0", "trial": trial}
    return {"at": at, "source": source, **who, "name": name, "step": 0, "value": value}


def begun(road: Road, backend: ScriptedBackend, config: str) -> tuple[str, str, Any]:
    repository, sha = road.repository({".ps_project/config.yaml": config})
    road.settle()
    [attempt] = backend.submissions
    backend.begin(attempt)
    road.wait(1)
    return attempt, sha, repository


def test_a_single_run_may_call_a_directory_trials(road: Road, backend: ScriptedBackend) -> None:
    attempt, sha, repository = begun(road, backend, CONFIG)
    write(below(backend, attempt, "artifacts", "trials", "1"), simple("loss", 0, 0.4))
    backend.succeed(attempt)
    road.wait(10)
    assert road.shown(repository, sha)["train / fit / tensorflow:loss"] == ("completed", "success")


def test_a_study_is_judged_by_what_its_tasks_logged(road: Road, backend: ScriptedBackend) -> None:
    attempt, sha, repository = begun(road, backend, STUDY)
    write(below(backend, attempt, "artifacts"), simple("loss", 0, 0.9))
    backend.try_out(attempt, trial(0, 0.1))
    backend.find_out(attempt, {"study": {"goal": "minimize", "metric": "objective"}})
    backend.succeed(attempt)
    road.wait(10)
    assert road.shown(repository, sha)["w / tune / tensorflow:loss"] == ("completed", "failure")


def test_what_was_refused_while_it_ran_is_known_at_the_end(road: Road, backend: ScriptedBackend) -> None:
    attempt, sha, repository = begun(road, backend, LOGGED)
    measure(backend, attempt, sent("loss", 0.4), {"at": 2, "problem": "no more are kept"})
    road.wait(10)
    measure(backend, attempt, sent("loss", 0.4))
    backend.succeed(attempt)
    road.wait(10)
    gate = road.hub.check(repository, sha, "train / fit / logged:loss")
    assert gate.conclusion == "failure"
    assert "no more are kept" in gate.output.title + gate.output.summary


def test_a_search_of_many_trials_is_judged_by_its_best(road: Road, backend: ScriptedBackend) -> None:
    attempt, sha, repository = begun(road, backend, SEARCH)
    for number in range(250):
        write(below(backend, attempt, "artifacts", "trials", str(number)), simple("loss", 0, 0.9))
    write(below(backend, attempt, "artifacts", "trials", "99"), simple("loss", 0, 0.2))
    measure(backend, attempt, sent("error", 0.1, trial=99), sent("error", 0.9, trial=98))
    backend.try_out(attempt, trial(98, 0.9), trial(99, 0.2))
    backend.succeed(attempt)
    road.wait(10)
    shown = road.shown(repository, sha)
    assert shown["w / tune / tensorflow:loss"] == ("completed", "success")
    assert shown["w / tune / logged:error"] == ("completed", "success")


def test_the_try_of_a_trial_that_was_interrupted_does_not_count(road: Road, backend: ScriptedBackend) -> None:
    attempt, sha, repository = begun(road, backend, SEARCH)
    folder = below(backend, attempt, "artifacts", "trials", "0")
    first = write(folder, simple("loss", 0, 0.9), name="events.out.tfevents.1.a")
    measure(backend, attempt, sent("error", 0.9, at=10, trial=0))
    backend.try_out(attempt, trial(0, 0.9, state="running"))
    road.wait(10)  # the first try was read
    first.unlink()
    write(folder, simple("loss", 0, 0.2), name="events.out.tfevents.2.a")
    measure(backend, attempt, sent("error", 0.1, at=30, trial=0))
    backend.try_out(attempt, trial(0, 0.2, began_at=20))
    backend.succeed(attempt)
    road.wait(10)
    shown = road.shown(repository, sha)
    assert shown["w / tune / tensorflow:loss"] == ("completed", "success")
    assert shown["w / tune / logged:error"] == ("completed", "success")


def test_the_peaks_of_a_search_are_those_of_all_its_trials(road: Road, backend: ScriptedBackend) -> None:
    attempt, sha, repository = begun(road, backend, SEARCH)
    for number, used in ((0, 300.0), (1, 100.0)):
        measure(backend, attempt, sent("cpuPercentage", used, trial=number, source="system"))
    backend.try_out(attempt, trial(0, 0.9), trial(1, 0.2))
    backend.succeed(attempt)
    road.wait(10)
    check = road.hub.check(repository, sha, "w / tune")
    assert "300 %" in check.output.summary + (check.output.text or "")


def test_the_points_of_a_cell_that_is_over_are_not_read_again(road: Road, backend: ScriptedBackend) -> None:
    attempt, sha, repository = begun(road, backend, CONFIG)
    write(below(backend, attempt, "artifacts"), simple("loss", 0, 0.4))
    backend.succeed(attempt)
    road.wait(10)
    said: list[str] = []
    event.listen(road.database.engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    with road.database.write() as tx:
        commits.touch(tx, 1)
    road.tick("report")
    assert any("FROM attempts" in sql for sql in said)
    assert not any("FROM points" in sql for sql in said)
    assert road.shown(repository, sha)["train / fit / tensorflow:loss"] == ("completed", "success")


def test_what_was_never_launched_is_done_with_all_the_same(road: Road, backend: ScriptedBackend) -> None:
    refused = CONFIG.replace("command: python3 train.py", "{command: python3 train.py, artifactDirectory: /usr/x}")
    repository, sha = road.repository({".ps_project/config.yaml": refused})
    road.settle()
    [attempt] = road.attempts()
    assert attempt.kept_at is not None
    assert road.shown(repository, sha)["train / fit"] == ("completed", "failure")


def test_who_comes_late_to_the_end_of_a_run_still_reads_all_of_it(road: Road, backend: ScriptedBackend) -> None:
    """The worker was away for an hour, and there is more than one reading takes."""
    attempt, sha, repository = begun(road, backend, LOGGED.replace("aggregate: min", "aggregate: max"))
    measure(backend, attempt, *(sent("loss", 0.4) for _ in range(measurements.POINTS_PER_READ)), sent("loss", 0.9))
    backend.succeed(attempt)
    road.clock.advance(3600)
    road.settle(4)
    gate = road.hub.check(repository, sha, "train / fit / logged:loss")
    assert (gate.conclusion, "0.9" in gate.output.title) == ("failure", True)

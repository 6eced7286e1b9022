"""The ancestor's form of a search: a tuning command and workers that share a study of Optuna."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.backends.base import Mode, TaskGroup
from bot.core.roles import TUNER, WORKER
from bot.core.states import State
from tests.backends.lab import Lab, eventually, processes_with
from tests.backends.modes import laboratory, left_over, run_dir, story, with_our_environment

pytestmark = [pytest.mark.service, pytest.mark.slow]

TUNE = """
import os, time
import optuna

study = optuna.create_study(
    storage=os.environ["OPTUNA_STORAGE"], study_name=os.environ["EXPERIMENT_NAME"], load_if_exists=True,
    direction="maximize",
)
while sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)) < 4:
    time.sleep(0.05)
print("tuned")
"""
WORK = """
import os, time
import optuna

while True:
    try:
        study = optuna.load_study(storage=os.environ["OPTUNA_STORAGE"], study_name=os.environ["EXPERIMENT_NAME"])
        break
    except KeyError:
        time.sleep(0.05)
study.optimize(lambda trial: 1 - trial.suggest_float("x", -1, 1) ** 2, n_trials=2)
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with laboratory(tmp_path, {"tune.py": TUNE, "work.py": WORK}) as lab:
        yield lab


def sharing(lab: Lab, tune: str, work: str) -> dict[str, Any]:
    groups = (TaskGroup(TUNER, 1, tune, lab.machine), TaskGroup(WORKER, 2, work, lab.machine))
    return {"mode": Mode.STUDY, "env": {"EXPERIMENT_NAME": "learning-rate"}, "groups": groups}


def test_a_tuner_and_two_workers_share_a_study(lab: Lab) -> None:
    report = lab.run("", **sharing(with_our_environment(lab), "python tune.py", "python work.py"))
    logs = {task.name: lab.log(report.id, task.name) for task in report.tasks}
    assert report.seen[-1].state is State.STOPPED, logs
    assert "tuned" in logs["tuner-0"]
    assert report.facts["study"] == {"goal": "maximize", "metric": "objective"}
    assert [trial["number"] for trial in report.trials] == [0, 1, 2, 3]
    for trial in report.trials:
        assert trial["state"] == "complete"
        assert trial["value"] == pytest.approx(1 - trial["params"]["x"] ** 2)
    assert not (run_dir(lab, report.id) / "generated").exists()


def test_a_secret_among_the_parameters_is_masked(lab: Lab) -> None:
    suggest = "study.optimize(lambda trial: len(trial.suggest_categorical('token', [os.environ['TOKEN']])), n_trials=1)"
    tell = f"""python -c "import os, optuna
study = optuna.create_study(storage=os.environ['OPTUNA_STORAGE'], study_name='mine')
{suggest}" """
    spec = lab.spec("", **sharing(with_our_environment(lab), tell, "true"))
    spec = replace(spec, env={**spec.env, "TOKEN": "secret:hub"}, secrets=("hub",))
    lab.submitted.append(spec.id)
    lab.backend.submit(spec, {"hub": "correct horse battery"})

    report = lab.end_of(spec.id)
    assert [trial["params"] for trial in report.trials] == [{"token": "***"}], lab.log(spec.id, "tuner-0")
    assert "correct" not in (run_dir(lab, spec.id) / "trials").read_text()


def test_a_study_that_nobody_used_is_told_in_the_tuners_log(lab: Lab) -> None:
    report = lab.run("", **sharing(lab, "echo $OPTUNA_STORAGE", "test -w /generated/study/study.db"))
    assert report.seen[-1].state is State.STOPPED
    log = lab.log(report.id, "tuner-0")
    assert log == "sqlite:////generated/study/study.db\n── the study has no trials\n"
    assert (report.trials, report.facts.get("study")) == ((), None)


def test_a_study_that_was_spoilt_costs_no_result(lab: Lab) -> None:
    report = lab.run("", **sharing(lab, "true", "echo spoilt > /generated/study/study.db"))
    assert report.seen[-1].state is State.STOPPED
    assert "── the study cannot be read: " in lab.log(report.id, "tuner-0")


def test_cancelling_while_the_study_is_made(lab: Lab) -> None:
    attempt_id = lab.submit("", **sharing(lab, "true", "true"))
    eventually(lambda: bool(processes_with(f"bot.search.study\0{run_dir(lab, attempt_id)}\0prepare")))
    lab.backend.cancel(attempt_id, "never mind")
    report = lab.end_of(attempt_id)
    assert [seen.state for seen in report.seen][-2:] == [State.NETWORK_SETUP, State.CANCELLED]
    eventually(lambda: left_over(lab, attempt_id, "bot.search.study-of-nobody") == [])


def test_a_supervisor_killed_while_the_study_is_made_leaves_nothing(lab: Lab) -> None:
    attempt_id = lab.submit("", **sharing(lab, "true", "true"))
    preparing = f"bot.search.study\0{run_dir(lab, attempt_id)}\0prepare"
    eventually(lambda: bool(processes_with(preparing)))
    (program,) = processes_with(preparing)
    os.kill(program, signal.SIGSTOP)
    supervisor = story(lab, attempt_id).supervisor
    assert supervisor is not None
    assert supervisor.send(signal.SIGKILL)
    assert lab.end_of(attempt_id).seen[-1].state is State.ERROR
    eventually(lambda: left_over(lab, attempt_id, "bot.search.study-of-nobody") == [])

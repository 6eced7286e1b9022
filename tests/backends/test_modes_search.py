"""A declared search with its real tuner: trials in sandboxes, good, bad, failing, interrupted."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.backends.base import AttemptReport
from bot.core.search import Choice, Goal, Pruner, Sampler, Search
from bot.core.series import Source
from bot.core.states import State
from tests.backends.lab import Lab, eventually, processes_with
from tests.backends.modes import laboratory, left_over, searching, story, with_our_environment

# On one worker: they look for their processes by name among all of the machine.
pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.xdist_group("test_modes_search")]

TRIAL = """
import json, os, sys, time

x, nap = float(sys.argv[1]), float(os.environ.get("NAP", "0"))
assert json.loads(os.environ["PARAMS"]) == {"x": x}
with open("/storage/begun", "a") as file:
    file.write(sys.argv[1] + "\\n")
print("begins with", sorted(os.listdir(".")), os.listdir("/artifacts"), flush=True)
open("mine", "w").close()
time.sleep(nap)
if x == 3:
    sys.exit("three is no good")
with open("/artifacts/gradient-model-metadata.json", "w") as file:
    json.dump({"loss": (x - 4) ** 2}, file)
with open("/storage/done", "a") as file:
    file.write(sys.argv[1] + "\\n")
"""

LOGGED = """
import sys, time
from tensorboardX import SummaryWriter

x = float(sys.argv[1])
with SummaryWriter("/artifacts/events") as writer:
    for step in range(3):
        writer.add_scalar("loss", x, step)
        writer.flush()
    if x == 100:
        time.sleep(7701)
"""


def search(*values: float, **changes: Any) -> Search:
    """Return a search that tries these values, two at a time."""
    space = {"x": Choice(values)}
    made = Search(space, Source.CUSTOM, "/loss", Goal.MINIMIZE, len(values), 2, Sampler.GRID)
    return replace(made, **changes)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with laboratory(tmp_path, {"trial7700.py": TRIAL, "logged.py": LOGGED}) as lab:
        yield lab


COMMAND = "/usr/bin/python3 trial7700.py {x}"


def states(report: AttemptReport) -> dict[float, str]:
    return {trial["params"]["x"]: trial["state"] for trial in report.trials}


def counted(lab: Lab, name: str) -> Counter[float]:
    """Return how often each value was written to a file of the storage."""
    file = lab.data_dir / "storage" / "7" / name
    return Counter(map(float, file.read_text().split())) if file.exists() else Counter()


def test_six_trials_two_at_a_time(lab: Lab) -> None:
    """One of them fails, which the search survives; each has a workspace and artifacts of its own."""
    report = lab.run("", **searching(lab, COMMAND, search(1, 2, 3, 4, 5, 6)))
    assert report.seen[-1].state is State.STOPPED, report.seen[-1]
    assert states(report) == {1: "complete", 2: "complete", 3: "failed", 4: "complete", 5: "complete", 6: "complete"}
    by_value = {trial["params"]["x"]: trial for trial in report.trials}
    assert (by_value[4]["value"], by_value[3]["value"], by_value[3]["reason"]) == (0.0, None, "exit code 1")
    assert {trial["task"] for trial in report.trials} == {"worker-0", "worker-1"}
    logs = lab.log(report.id, "worker-0") + lab.log(report.id, "worker-1")
    assert logs.count("begins with ['logged.py', 'trial7700.py'] []") == 6
    assert sorted(line.partition(":")[0] for line in logs.splitlines() if line.startswith("──")) == [
        f"── trial {number}" for number in range(6)
    ]
    kept = {artifact.path for artifact in lab.backend.artifacts(report.id)}
    complete = {trial["number"] for trial in report.trials if trial["state"] == "complete"}
    assert kept == {f"trials/{number}/gradient-model-metadata.json" for number in complete}
    eventually(lambda: left_over(lab, report.id, "trial7700.py") == [])


def test_what_all_trials_leave_is_held_to_one_disk(lab: Lab) -> None:
    """Each stays below it, and there may be thousands of them."""
    lab.machine = replace(lab.machine, disk_mb=64)
    leave = "sh -c 'head -c 30000000 /dev/zero >/artifacts/left; sleep 2; exit 1' {x}"
    report = lab.run("", **searching(lab, leave, search(*range(4), parallel=1)))
    reasons = {trial["number"]: trial["reason"] for trial in report.trials}
    assert "MB written, more than the 64 MB of `small`" in reasons[3], (reasons, report.seen[-1])


def test_a_hopeless_trial_is_stopped_early(lab: Lab) -> None:
    definition = search(1, 2, 3, 4, 5, 100, metric_source=Source.TENSORFLOW, metric="loss", pruner=Pruner.MEDIAN)
    report = lab.run("", **searching(with_our_environment(lab), "python logged.py {x}", definition))
    assert report.seen[-1].state is State.STOPPED, report.seen[-1]
    assert states(report) == {1: "complete", 2: "complete", 3: "complete", 4: "complete", 5: "complete", 100: "pruned"}
    assert report.trials[-1]["reason"].startswith("pruned at step")
    assert processes_with("logged.py") == []


def test_a_search_in_which_all_fails_has_failed(lab: Lab) -> None:
    report = lab.run("", **searching(lab, COMMAND, search(3, trials=1, parallel=1)))
    assert report.seen[-1].state is State.FAILED
    assert report.seen[-1].reason == "no trial was completed: trial 0: exit code 1"


def test_a_search_has_the_time_of_its_step(lab: Lab) -> None:
    env = {"NAP": "60"}
    report = lab.run("", timeout=3.0, env=env, **searching(lab, COMMAND, search(1, 2)))
    assert (report.seen[-1].state, report.seen[-1].reason) == (State.FAILED, "timed out after 3s")
    eventually(lambda: left_over(lab, report.id, "trial7700.py") == [])


def test_a_killed_tuner_is_begun_again(lab: Lab) -> None:
    """Trials that it had seen through stay; those that ran begin again; nothing is done twice."""
    attempt_id = lab.submit("", env={"NAP": "1"}, **searching(lab, COMMAND, search(1, 2, 4, 5)))
    eventually(lambda: is_half_done(lab, attempt_id))
    tuner = next(pid for pid in processes_with("bot.search") if pid in ours(lab, attempt_id))
    os.kill(tuner, signal.SIGKILL)
    the_whole_search_is_done_once(lab, lab.end_of(attempt_id))


def test_a_killed_supervisor_is_followed_by_another(lab: Lab) -> None:
    """Killed twice: while the search runs, and while its successor prepares to go on."""
    spec = lab.spec("", env={"NAP": "1"}, **searching(lab, COMMAND, search(1, 2, 4, 5)))
    lab.submitted.append(spec.id)
    lab.backend.submit(spec)
    eventually(lambda: is_half_done(lab, spec.id))
    for _ in range(2):
        supervisor = story(lab, spec.id).supervisor
        assert supervisor is not None
        assert supervisor.send(signal.SIGKILL)
        eventually(lambda: lab.report(spec.id).is_interrupted)
        # What was not yet written down has not begun either: the kernel ends it with its parent, in its own time.
        eventually(lambda: processes_with("trial7700.py") == [])
        lab.backend.submit(spec)
    assert not lab.report(spec.id).is_interrupted
    the_whole_search_is_done_once(lab, lab.end_of(spec.id))


def is_half_done(lab: Lab, attempt_id: str) -> bool:
    """Tell whether two trials are complete, and a third has begun."""
    complete = sum(state == "complete" for state in states(lab.report(attempt_id)).values())
    return complete >= 2 and sum(counted(lab, "begun").values()) >= 3


def the_whole_search_is_done_once(lab: Lab, report: AttemptReport) -> None:
    assert report.seen[-1].state is State.STOPPED, report.seen[-1]
    assert states(report) == dict.fromkeys((1, 2, 4, 5), "complete")
    assert counted(lab, "done") == Counter((1, 2, 4, 5))
    assert sum(counted(lab, "begun").values()) > 4, "some were interrupted"
    eventually(lambda: left_over(lab, report.id, "trial7700.py") == [])


def test_a_tuner_that_is_stuck_does_not_outlive_its_search(lab: Lab) -> None:
    attempt_id = lab.submit("", env={"NAP": "60"}, **searching(lab, COMMAND, search(1, 2)))
    eventually(lambda: len(states(lab.report(attempt_id))) == 2)
    tuner = next(pid for pid in processes_with("bot.search") if pid in ours(lab, attempt_id))
    os.kill(tuner, signal.SIGSTOP)
    lab.backend.cancel(attempt_id, "enough")
    assert lab.end_of(attempt_id).seen[-1].state is State.CANCELLED
    eventually(lambda: left_over(lab, attempt_id, "trial7700.py") == [])


def ours(lab: Lab, attempt_id: str) -> set[int]:
    return {process.pid for process in story(lab, attempt_id).processes}

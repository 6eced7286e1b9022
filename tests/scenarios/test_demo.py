"""The demo as a user runs it, and what it must show."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.core.states import WAY
from bot.demo import machine
from tests.scenarios.processes import running_on

# On one worker: all of these look at one demo, in one directory.
pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.xdist_group("demo")]

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".demo" / "for-tests"
"""Keeps the environment with scikit-learn from one run of the tests to the next; the first installs it from PyPI."""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the demo is started in."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def demo(elsewhere: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("experiment-ci")), "demo", "--once", "--dir", str(KEPT)]
    return subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def report(elsewhere: Path, demo: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    value: dict[str, Any] = json.loads((elsewhere / "demo-report.json").read_text())
    return value


def conclusions(report: dict[str, Any], label: str) -> dict[str, str]:
    return {check["name"]: check["conclusion"] for check in report["checks"] if check["label"] == label}


def experiments(report: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [experiment for experiment in report["experiments"] if experiment["name"] == name]


def last(experiment: dict[str, Any], scalar: str) -> float:
    """The last value of what the run logged under this name, below whatever directory."""
    [value] = [value for name, value in experiment["metrics"].items() if name.rpartition("/")[2] == scalar]
    return float(value)


def is_isolated() -> bool:
    return not machine.trouble_with_isolation()


def needs(report: dict[str, Any], workflow: str) -> None:
    if workflow in report["left_out"]:
        pytest.skip(report["left_out"][workflow])


# The first play of this file makes the environment and waits for everything.
@pytest.mark.timeout(600)
def test_the_demo_ends_well_and_leaves_nothing_behind(demo: "subprocess.CompletedProcess[str]") -> None:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "✓ every check concluded as it must" in demo.stdout
    assert "Traceback" not in demo.stderr
    assert running_on(KEPT) == []


def test_the_better_change_passes_and_so_do_the_default_branches(report: dict[str, Any]) -> None:
    for label in ("digits main", "digits better", "distributed main"):
        found = conclusions(report, label)
        assert found["experiments"] == "success"
        assert set(found.values()) == {"success"}


def test_the_worse_change_fails_by_its_gate_and_in_the_roll_up(report: dict[str, Any]) -> None:
    found = conclusions(report, "digits worse")
    assert found["experiments"] == "failure"
    assert found["train / fit"] == "success", "the training itself went well"
    assert "failure" in [conclusion for name, conclusion in found.items() if name.startswith("train / fit / ")]


def test_workers_meet_at_a_parameter_server_over_grpc(report: dict[str, Any]) -> None:
    needs(report, "grpc")
    main, faster = experiments(report, "grpc / parameter-server")
    assert last(main, "accuracy") > 0.9
    assert last(faster, "accuracy") < 0.5, "with steps too large nobody learns"
    found = conclusions(report, "distributed faster")
    failed = {name for name, conclusion in found.items() if conclusion == "failure"}
    assert failed == {"experiments", "grpc / parameter-server / tensorflow:accuracy"}
    assert found["grpc / parameter-server / custom:workers"] == "success", "both sent what they computed"


def test_two_ranks_of_mpi_keep_the_same_parameters(report: dict[str, Any]) -> None:
    needs(report, "mpi")
    assert conclusions(report, "distributed main")["mpi / allreduce / custom:ranks"] == "success"
    accuracies = {last(experiment, "accuracy") for experiment in experiments(report, "mpi / allreduce")}
    assert len(accuracies) == 1, "synchronous training comes to the same result on both commits"


def test_a_search_is_told_by_its_best_trial_and_a_matrix_by_its_worst_cell(report: dict[str, Any]) -> None:
    titles = {check["name"]: check["title"] for check in report["checks"] if check["label"] == "distributed main"}
    assert titles["seeds / luck"].startswith("3 of 3 cells ok · worst accuracy 0.9")
    needs(report, "search")
    assert titles["search / step-size"].startswith("Best accuracy 0.9")
    assert titles["search / step-size"].endswith("of 12 trials")


def test_every_experiment_passed_all_states_in_order(report: dict[str, Any]) -> None:
    # Two workflows on four commits, one of them run again; three on two, beside the three cells of a matrix.
    left_out = len(report["left_out"])
    of_digits = 9 if is_isolated() else 7
    assert len(report["experiments"]) == of_digits + (2 * (3 + 3 - left_out) if left_out < 3 else 3)
    for experiment in report["experiments"]:
        assert [step["state"] for step in experiment["transitions"]] == list(WAY)
        times = [step["at"] for step in experiment["transitions"]]
        assert times == sorted(times)
    for experiment in experiments(report, "train / fit"):
        assert last(experiment, "loss") > 0


def test_what_ada_asked_for_was_done(report: dict[str, Any], demo: "subprocess.CompletedProcess[str]") -> None:
    asked = {(request["verb"], request["source"]): request["answer"] for request in report["requests"]}
    assert asked["compare", "comment"] == "the figures stand beside those of `better`"
    assert asked["rerun", "click"].endswith("`smoke / two-epochs`")
    assert [one["cause"] for one in experiments(report, "smoke / two-epochs")].count("rerun") == 1
    assert "ada, on “Give it more units”: presses “Re-run” beside smoke / two-epochs" in demo.stdout


def test_what_comes_from_outside_is_held_until_it_is_approved(
    report: dict[str, Any], demo: "subprocess.CompletedProcess[str]"
) -> None:
    if not is_isolated():
        pytest.skip("nothing from outside is run without isolation")
    assert "digits wider       ✋ experiments" in demo.stdout
    assert set(conclusions(report, "digits wider").values()) == {"success"}
    assert "runs without secrets and without network" in {r["verb"]: r["answer"] for r in report["requests"]}["approve"]
    [sha] = {check["commit"] for check in report["checks"] if check["label"] == "digits wider"}
    assert {one["cause"] for one in report["experiments"] if one["commit"] == sha} == {"approval"}


def test_every_delivery_was_stored_once_and_answered_for(report: dict[str, Any]) -> None:
    guids = [delivery["guid"] for delivery in report["deliveries"]]
    assert len(guids) == len(set(guids)) > 0
    assert {delivery["state"] for delivery in report["deliveries"]} <= {"done", "ignored"}


def test_each_pull_request_has_one_comment_with_its_verdict(report: dict[str, Any]) -> None:
    comments = [comment for comment in report["comments"] if comment["author"].endswith("[bot]")]
    said = {comment["pull"]: comment["body"] for comment in comments}
    assert len(said) == len(comments)
    assert "❌" in said["acme/digits#1"].splitlines()[0] + said["acme/digits#1"].splitlines()[2]
    assert "❌" not in said["acme/digits#2"]
    if "grpc" not in report["left_out"]:
        assert "❌" in said["acme/distributed#1"].splitlines()[0]

"""The demo as a user runs it, and what it must show."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.core.states import WAY
from tests.scenarios.processes import running_on

pytestmark = [pytest.mark.service, pytest.mark.slow]

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


# The first play of this file makes the environment and waits for everything.
@pytest.mark.timeout(600)
def test_the_demo_ends_well_and_leaves_nothing_behind(demo: "subprocess.CompletedProcess[str]") -> None:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "✓ every check concluded as it must" in demo.stdout
    assert "Traceback" not in demo.stderr
    assert running_on(KEPT) == []


def test_the_better_change_passes_and_so_does_the_default_branch(report: dict[str, Any]) -> None:
    for label in ("main", "better"):
        found = conclusions(report, label)
        assert found["experiments"] == "success"
        assert set(found.values()) == {"success"}


def test_the_worse_change_fails_by_its_gate_and_in_the_roll_up(report: dict[str, Any]) -> None:
    found = conclusions(report, "worse")
    assert found["experiments"] == "failure"
    assert found["train / fit"] == "success", "the training itself went well"
    assert "failure" in [conclusion for name, conclusion in found.items() if name.startswith("train / fit / ")]


def test_every_experiment_passed_all_states_in_order(report: dict[str, Any]) -> None:
    assert len(report["experiments"]) == 6  # two workflows on three commits
    for experiment in report["experiments"]:
        assert [step["state"] for step in experiment["transitions"]] == list(WAY)
        times = [step["at"] for step in experiment["transitions"]]
        assert times == sorted(times)
    [losses] = {len(e["metrics"]) for e in report["experiments"] if e["name"] == "train / fit"}
    assert losses >= 2  # loss and accuracy


def test_every_delivery_was_stored_once_and_answered_for(report: dict[str, Any]) -> None:
    guids = [delivery["guid"] for delivery in report["deliveries"]]
    assert len(guids) == len(set(guids)) > 0
    assert {delivery["state"] for delivery in report["deliveries"]} <= {"done", "ignored"}


def test_each_pull_request_has_one_comment_with_its_verdict(report: dict[str, Any]) -> None:
    worse, better = report["comments"]
    assert [worse["pull"], better["pull"]] == [1, 2]
    assert "❌" in worse["body"].splitlines()[0] + worse["body"].splitlines()[2]
    assert "❌" not in better["body"]

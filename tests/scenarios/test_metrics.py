"""From the files that a run writes to verdicts that people read."""

import json
from pathlib import Path

import pytest
from tensorboardX import SummaryWriter

from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service

GATE = "train / fit / tensorflow:loss"
CUSTOM = """
          custom:wrong:
            target: 0..10
            aggregate: /errors/wrong
            precision: 0
"""


def artifacts(backend: ScriptedBackend, attempt: str) -> Path:
    """The directory that the run sees as /artifacts."""
    path = Path(backend.specs[attempt].run_dir) / "artifacts"
    path.mkdir(parents=True, exist_ok=True)
    return path


def log_losses(folder: Path, losses: list[float], first_step: int = 0) -> None:
    with SummaryWriter(str(folder)) as writer:
        for step, loss in enumerate(losses, start=first_step):
            writer.add_scalar("loss", loss, step)


def test_a_good_run_passes_its_gates_with_the_values_that_it_logged(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository({".ps_project/config.yaml": CONFIG.rstrip("\n") + CUSTOM})
    road.settle()
    [attempt] = backend.submissions
    log_losses(artifacts(backend, attempt), [0.9, 0.4567, 0.41])
    (artifacts(backend, attempt) / "gradient-model-metadata.json").write_text(json.dumps({"errors": {"wrong": 3}}))
    backend.succeed(attempt)
    road.wait(10)

    assert road.shown(repository, sha) == {
        "experiments": ("completed", "success"),
        "train / fit": ("completed", "success"),
        GATE: ("completed", "success"),
        "train / fit / custom:wrong": ("completed", "success"),
    }
    assert road.hub.check(repository, sha, GATE).output.title == "0.41, wanted < 0.5"


def test_a_value_that_is_not_a_number_never_passes(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    [attempt] = backend.submissions
    log_losses(artifacts(backend, attempt), [0.1, float("nan")])
    backend.succeed(attempt)
    road.wait(10)

    assert road.shown(repository, sha)[GATE] == ("completed", "failure")


def test_progress_is_told_at_most_once_a_minute_and_the_end_at_once(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    [attempt] = backend.submissions
    backend.begin(attempt)
    road.wait(1)
    for number in range(30):  # five minutes, a point every ten seconds
        log_losses(artifacts(backend, attempt) / "run", [1.0 - number / 100], first_step=number)
        road.wait(10)

    check = road.hub.check(repository, sha, "train / fit")
    progress = [moment for moment in check.history if moment.status == "in_progress"]
    assert 3 <= len(progress) <= 7
    assert "loss" in progress[-1].title

    backend.succeed(attempt)
    road.wait(1)
    assert road.shown(repository, sha)["train / fit"] == ("completed", "success")


def test_a_failed_run_fails_its_gates_whatever_it_logged(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    [attempt] = backend.submissions
    log_losses(artifacts(backend, attempt), [0.1])
    backend.log = b'Traceback (most recent call last):\n  File "train.py", line 88\nValueError: no data\n'
    backend.fail(attempt)
    road.wait(10)

    shown = road.shown(repository, sha)
    assert shown[GATE] == ("completed", "failure")
    assert "not evaluated" in (road.hub.check(repository, sha, GATE).output.title or "").lower()
    summary = road.hub.check(repository, sha, "train / fit").output
    assert "ValueError: no data" in f"{summary.title}{summary.summary}{summary.text}"


def test_a_link_in_the_artifacts_leads_nowhere(road: Road, backend: ScriptedBackend, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    log_losses(elsewhere, [0.1])
    repository, sha = road.repository()
    road.settle()
    [attempt] = backend.submissions
    (artifacts(backend, attempt) / "logs").symlink_to(elsewhere)
    backend.succeed(attempt)
    road.wait(10)

    assert road.shown(repository, sha)[GATE] == ("completed", "failure")

"""What happens on push: from the signed delivery to the checks."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.backends.base import Mode
from bot.clock import ManualClock
from bot.core.states import WAY
from bot.devhub import DevHub, Link
from bot.store.database import Database
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service

GATE = "train / fit / tensorflow:loss"


def test_a_push_to_the_default_branch_is_seen_run_and_concluded(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()

    road.settle()
    assert road.shown(repository, sha) == {
        "experiments": ("in_progress", None),
        "train / fit": ("queued", None),
        GATE: ("queued", None),
    }

    [attempt] = backend.submissions
    backend.begin(attempt)
    road.wait(1)
    assert road.shown(repository, sha)["train / fit"] == ("in_progress", None)

    backend.succeed(attempt)
    road.wait(1)
    assert road.shown(repository, sha) == {
        "experiments": ("completed", "failure"),
        "train / fit": ("completed", "success"),
        GATE: ("completed", "failure"),  # it logged no loss at all
    }
    assert road.transitions(road.attempts()[0]) == list(WAY)


def test_the_delivery_is_answered_for_and_a_repeated_one_changes_nothing(road: Road, backend: ScriptedBackend) -> None:
    road.hub.courier.duplicate_next()
    road.repository()
    road.settle()

    assert [(d.event, d.state) for d in road.deliveries() if d.event == "push"] == [("push", "done")]
    assert road.answers("push") == ["1 of 1 workflows run"]
    assert len(backend.submissions) == 1


def test_a_commit_without_a_config_posts_nothing(road: Road) -> None:
    repository = road.hub.create_repository("acme", "plain", private=False)
    sha = road.hub.commit_files(repository, {"config.yaml": "name: somebody else's\n"}, message="First")
    road.settle()

    assert road.shown(repository, sha) == {}
    assert road.answers("push") == ["this commit has no config"]


def test_a_branch_that_nobody_selected_is_not_built(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="feature", message="Try")
    road.settle()

    assert road.shown(repository, sha) == {}
    assert len(backend.submissions) == 1  # the default branch's


def test_a_tag_is_built_when_a_filter_selects_it(road: Road, backend: ScriptedBackend) -> None:
    config = CONFIG + '    triggers: {tags: {only: "v\\\\d+"}, branches: {only: none}}\n'
    repository, sha = road.repository({".ps_project/config.yaml": config})
    road.settle()
    assert backend.submissions == []

    road.hub.tag(repository, "v1", sha)
    road.settle()

    assert len(backend.submissions) == 1
    [spec] = backend.specs.values()
    assert spec.env["PS_GRADIENT_CI_GIT_REF"] == "refs/tags/v1"
    assert spec.env["PS_GRADIENT_CI_GIT_SHA"] == sha


def test_a_config_with_errors_fails_the_roll_up_on_the_very_line(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository({".ps_project/config.yaml": CONFIG.replace("aggregate: min", "agregate: min")})
    road.settle()

    assert road.shown(repository, sha) == {"experiments": ("completed", "failure")}
    annotations = road.hub.check(repository, sha, "experiments").annotations
    assert {(a["path"], a["start_line"]) for a in annotations} == {
        (".ps_project/config.yaml", 10),  # `aggregate` is missing
        (".ps_project/config.yaml", 12),  # because it is misspelt
    }
    assert backend.submissions == []


def test_a_config_behind_a_symbolic_link_is_never_read(road: Road, backend: ScriptedBackend) -> None:
    repository = road.hub.create_repository("acme", "linked", private=False)
    files = {"real.yaml": CONFIG, ".ps_project/config.yaml": Link("../real.yaml")}
    sha = road.hub.commit_files(repository, files, message="First")
    road.settle()

    assert road.shown(repository, sha) == {"experiments": ("completed", "failure")}
    assert "link" in road.hub.check(repository, sha, "experiments").output.summary
    assert backend.submissions == []


def test_steps_run_in_order_and_the_next_only_after_success(road: Road, backend: ScriptedBackend) -> None:
    second = """\
      - name: evaluate
        command: experiment.run_single_node
        params: {command: python3 evaluate.py}
"""
    repository, sha = road.repository({".ps_project/config.yaml": CONFIG + second})
    road.settle()
    [first] = backend.submissions

    backend.fail(first)
    road.wait(1)

    assert backend.submissions == [first]
    assert road.shown(repository, sha)["train / evaluate"] == ("completed", "cancelled")
    assert "the step fit" in road.hub.check(repository, sha, "train / evaluate").output.title


def test_what_this_bot_cannot_launch_says_so(road: Road, backend: ScriptedBackend) -> None:
    backend.capabilities = replace(backend.capabilities, modes=frozenset({Mode.SINGLE}))
    config = """\
version: 1
type: multi-mpi
worker: {command: sleep 1, container: none, machine-type: C1, count: 2}
master: {command: mpirun train, container: none, machine-type: C1, count: 1}
"""
    road.restart_worker(Database(road.settings.database_url))
    repository, sha = road.repository({".ps_project/config.yaml": config})
    road.settle()

    assert road.shown(repository, sha) == {
        "experiments": ("completed", "failure"),
        "experiment / multi-mpi": ("completed", "failure"),
    }
    assert "needs isolation" in road.hub.check(repository, sha, "experiment / multi-mpi").output.summary
    assert backend.submissions == []


def test_artifacts_cannot_lie_where_the_system_is(road: Road, backend: ScriptedBackend) -> None:
    config = CONFIG.replace("command: python3 train.py", "command: python3 train.py\n          artifactDirectory: /usr")
    repository, sha = road.repository({".ps_project/config.yaml": config})
    road.settle()

    assert road.shown(repository, sha)["train / fit"] == ("completed", "failure")
    assert "artifacts cannot lie at" in road.hub.check(repository, sha, "train / fit").output.summary
    assert backend.submissions == []


def test_parameters_behind_a_symbolic_link_are_the_configs_problem(road: Road, backend: ScriptedBackend) -> None:
    config = """\
version: 2
workflows:
  train:
    steps:
      - {name: fit, command: experiment.run_single_node, paramsFile: params.yaml}
"""
    repository = road.hub.create_repository("acme", "linked", private=False)
    files = {".ps_project/config.yaml": config, "params.yaml": Link("/etc/hostname")}
    sha = road.hub.commit_files(repository, files, message="First")
    road.settle()

    assert road.shown(repository, sha) == {"experiments": ("completed", "failure")}
    assert {a["start_line"] for a in road.hub.check(repository, sha, "experiments").annotations} == {5}
    assert backend.submissions == []


def test_deliveries_are_remembered_for_thirty_days(road: Road) -> None:
    road.repository()
    road.settle()
    road.wait(29 * 24 * 3600)
    assert road.answers("push") == ["1 of 1 workflows run"]

    road.wait(2 * 24 * 3600)
    assert road.answers("push") == []


def test_a_backend_without_walls_says_so_in_every_check(tmp_path: Path, clock: ManualClock) -> None:
    bare = ScriptedBackend(clock)
    bare.capabilities = replace(bare.capabilities, is_isolated=False, isolation="none: bubblewrap is missing")
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, bare)
        repository, sha = road.repository()
        road.settle()
        summary = hub.check(repository, sha, "train / fit").output.summary
        road.close()

    assert "without isolation" in summary
    assert "bubblewrap is missing" in summary

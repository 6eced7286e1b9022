"""What people press on GitHub's own pages: "Re-run", "Re-run all checks", and our own buttons."""

import pytest

from bot.devhub import Repository
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service

FIT, GATE = "train / fit", "train / fit / tensorflow:loss"
MATRIX = CONFIG.replace("        params:", "        matrix: {seed: [1, 2, 3]}\n        params:")


def ended(road: Road, backend: ScriptedBackend, config: str = CONFIG) -> tuple[Repository, str]:
    """A push whose run went well; its gate failed, for nothing was logged."""
    repository, sha = road.repository({".ps_project/config.yaml": config})
    road.settle()
    for attempt in backend.submissions:
        backend.succeed(attempt)
    road.wait(5)
    return repository, sha


@pytest.mark.parametrize("name", [FIT, GATE, "experiments"])
def test_whichever_check_is_run_again_its_experiment_is(road: Road, backend: ScriptedBackend, name: str) -> None:
    repository, sha = ended(road, backend)
    road.hub.rerequest_check_run(repository, road.hub.check(repository, sha, name))
    road.wait(5)

    assert [attempt.rpartition("-")[2] for attempt in backend.submissions] == ["1", "2"]
    assert road.shown(repository, sha) == {
        "experiments": ("in_progress", None),
        FIT: ("queued", None),
        GATE: ("queued", None),
    }


def test_clicks_on_two_checks_of_one_experiment_are_one_attempt(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = ended(road, backend)
    for name in (GATE, FIT, GATE, "experiments"):
        road.hub.rerequest_check_run(repository, road.hub.check(repository, sha, name))
    road.wait(9)
    backend.fail(backend.submissions[-1])
    road.wait(5)
    assert len(backend.submissions) == 2


def test_a_click_that_arrives_when_it_has_been_run_again_changes_nothing(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = ended(road, backend)
    first = road.hub.check(repository, sha, FIT)
    road.hub.rerequest_check_run(repository, first)
    road.wait(5)
    backend.fail(backend.submissions[-1])
    road.wait(20)
    road.hub.rerequest_check_run(repository, first)
    road.wait(20)
    assert len(backend.submissions) == 2
    assert "has been run again already" in (road.hub.check(repository, sha, "experiments").output.summary or "")


def test_of_everything_everything_is_run_again(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = ended(road, backend)
    road.hub.rerequest_check_suite(repository, repository.suites[sha])
    road.hub.rerequest_check_suite(repository, repository.suites[sha])
    road.wait(5)
    assert len(backend.submissions) == 2


def test_of_a_matrix_only_the_cells_that_failed(road: Road, backend: ScriptedBackend) -> None:
    config = MATRIX[: MATRIX.index("        checks:")]
    repository, sha = road.repository({".ps_project/config.yaml": config})
    road.settle()
    backend.succeed(backend.submissions[0])
    backend.fail(backend.submissions[1])
    backend.succeed(backend.submissions[2])
    road.wait(5)
    road.hub.rerequest_check_run(repository, road.hub.check(repository, sha, FIT))
    road.wait(5)
    assert [attempt.rpartition("-")[2] for attempt in backend.submissions] == ["1", "1", "1", "2"]
    assert backend.submissions[3].rpartition("-")[0] == backend.submissions[1].rpartition("-")[0]


def test_the_button_for_what_failed_runs_what_failed(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = ended(road, backend)
    check = road.hub.check(repository, sha, "experiments")
    assert {action["identifier"] for action in check.actions} == {"rerun-failed", "compare"}
    road.hub.request_action(repository, check, "rerun-failed")
    road.wait(5)
    assert len(backend.submissions) == 2


def test_where_nothing_failed_there_is_no_such_button(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = ended(road, backend, CONFIG + "            if-not-found: success\n")
    check = road.hub.check(repository, sha, "experiments")
    assert check.conclusion == "success"
    assert {action["identifier"] for action in check.actions} == {"compare"}


def test_a_stranger_presses_in_vain(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = ended(road, backend)
    mallory = road.hub.add_user("mallory")
    road.hub.rerequest_check_run(repository, road.hub.check(repository, sha, FIT), by=mallory)
    road.wait(5)
    assert len(backend.submissions) == 1
    assert "`mallory` has read" in (road.hub.check(repository, sha, "experiments").output.summary or "")


def test_a_superseded_commit_is_answered(road: Road, backend: ScriptedBackend) -> None:
    repository, older, _ = opened(road)
    backend.fail(backend.submissions[-1])
    road.wait(5)
    newer = road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Again")
    road.wait(5)
    count = len(backend.submissions)
    road.hub.rerequest_check_run(repository, road.hub.check(repository, older, FIT))
    road.wait(5)
    assert len(backend.submissions) == count
    summary = road.hub.check(repository, older, "experiments").output.summary or ""
    assert f"superseded by `{newer[:7]}`" in summary


def test_a_commit_that_came_while_nobody_listened_is_built(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    road.hub.courier.drop_next("push")
    sha = road.hub.commit_files(repository, {"train.py": "print(3)"}, message="Unheard")
    road.settle()
    assert road.shown(repository, sha) == {}

    road.hub.rerequest_check_suite(repository, repository.suites[sha])
    road.wait(5)
    assert road.shown(repository, sha)[FIT] == ("queued", None)


def test_a_commit_without_a_config_says_so_instead_of_waiting_for_ever(road: Road, backend: ScriptedBackend) -> None:
    repository = road.hub.create_repository("acme", "plain", private=False)
    sha = road.hub.commit_files(repository, {"README.md": "x"}, message="First")
    road.settle()
    road.hub.rerequest_check_suite(repository, repository.suites[sha])
    road.wait(5)
    check = road.hub.check(repository, sha, "experiments")
    assert (check.conclusion, check.output.title) == ("skipped", "There is no config at this commit")
    assert repository.suites[sha].status == "completed"

"""Events that are told late, or of which some were never told: what is newer by GitHub's own time stands."""

import pytest

from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_commands import says
from tests.scenarios.test_own_gate import GATE, LOOSE, trained
from tests.scenarios.test_recover import DAY, origins, settle_down
from tests.scenarios.test_turns import REPLACING

pytestmark = pytest.mark.service

FIT = "train / fit"
ALL_BRANCHES = CONFIG + "    triggers: {branches: {only: '.*'}}\n"


def test_the_base_of_before_is_not_the_one_that_asks(road: Road, backend: ScriptedBackend) -> None:
    """Opened onto a lenient branch, turned to `main`: the opening is told last."""
    repository, _ = road.repository()
    road.settle()
    road.hub.commit_files(repository, {".ps_project/config.yaml": LOOSE}, branch="lenient", message="Loosen")
    sha = road.hub.commit_files(
        repository, {".ps_project/config.yaml": LOOSE, "train.py": "2"}, branch="change", message="Change"
    )
    road.hub.courier.delay_next("pull_request", clock_seconds=30)
    pull = road.hub.open_pull(repository, head="change", base="lenient")
    road.clock.advance(5)
    road.hub.edit_base(pull, "main")
    road.settle()
    road.wait(40)
    assert len(road.answers("pull_request")) == 2
    trained(road, backend, loss=0.9)

    assert road.shown(repository, sha)[GATE] == ("completed", "failure")
    assert road.hub.check(repository, sha, GATE).output.title == "0.90, wanted < 0.5 by main"


def test_a_push_that_is_told_late_replaces_nothing_newer(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository({".ps_project/config.yaml": REPLACING})
    road.settle()
    road.clock.advance(5)
    road.hub.courier.delay_next("push", clock_seconds=30)
    road.hub.commit_files(repository, {"train.py": "2"}, message="Older")
    road.clock.advance(5)
    newer = road.hub.commit_files(repository, {"train.py": "3"}, message="Newer")
    road.settle()
    road.wait(40)

    assert len(road.answers("push")) == 3
    assert road.shown(repository, newer)[FIT] == ("queued", None)


def test_branches_from_before_the_app_are_nobodys_wish(road: Road, backend: ScriptedBackend) -> None:
    """The first look comes with the first push, and too early for the branches."""
    road.hub.courier.outage()
    repository, _ = road.repository({".ps_project/config.yaml": ALL_BRANCHES})
    road.hub.commit_files(repository, {"old.txt": "1"}, branch="old", message="Old")
    road.hub.wait_delivered()
    road.clock.advance(4 * DAY)
    road.hub.courier.restore()
    road.hub.commit_files(repository, {"train.py": "2"}, message="Second")
    road.settle()
    settle_down(road, 1_800)
    assert origins(road)["scan"] == 0
    assert len(backend.submissions) == 1

    road.hub.courier.outage()
    road.hub.commit_files(repository, {"new.txt": "1"}, branch="new", message="New")
    road.hub.wait_delivered()
    road.clock.advance(4 * DAY)
    settle_down(road, 1_200)
    assert len(backend.submissions) == 2


def test_a_head_that_only_a_command_has_seen_is_built_all_the_same(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    road.hub.commit_files(repository, {"p.txt": "1"}, branch="change", message="Change")
    pull = road.hub.open_pull(repository, head="change", base="main", title="Change", body="")
    road.settle()
    settle_down(road, 660)
    road.hub.courier.outage()
    sha = road.hub.commit_files(repository, {"p.txt": "2"}, branch="change", message="Again")
    road.hub.wait_delivered()
    road.clock.advance(4 * DAY)
    road.hub.courier.restore()
    says(road, pull, "/experiment status")
    settle_down(road, 1_200)
    assert road.shown(repository, sha)[FIT] == ("queued", None)


def test_the_end_of_an_earlier_installation_shuts_nothing_of_the_next(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    road.hub.courier.delay_next("installation", clock_seconds=60)
    road.hub.uninstall("acme")
    road.clock.advance(5)
    road.hub.install("acme")
    road.settle()
    road.wait(90)
    assert len(road.answers("installation")) == 2
    backend.succeed(backend.submissions[-1])
    road.wait(5)
    assert road.shown(repository, sha)[FIT] == ("completed", "success")


def test_a_rename_that_is_told_before_a_push_to_the_old_name_stands(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    settle_down(road, 660)
    road.hub.courier.delay_next("push", clock_seconds=60)
    road.hub.commit_files(repository, {"n.txt": "2"}, message="On its way")
    road.clock.advance(5)
    road.hub.rename_repository(repository, "numbers")
    road.settle()
    road.wait(90)
    assert "run" in road.answers("push")[-1]
    settle_down(road, 1_200)
    road.hub.requests.clear()
    backend.succeed(backend.submissions[0])
    settle_down(road, 300)
    assert road.shown(repository, sha)[FIT] == ("completed", "success")
    assert {request.status for request in road.hub.requests} <= {200, 201, 304}, "nobody is sent on to the new name"


def test_a_config_with_errors_that_was_only_asked_about_fails_its_pull_request(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, _ = road.repository()
    road.settle()
    sha = road.hub.commit_files(
        repository,
        {".ps_project/config.yaml": CONFIG.replace("version: 2", "version: 9")},
        branch="change",
        message="!",
    )
    road.settle()
    road.hub.rerequest_check_suite(repository, repository.suites[sha])
    road.settle()
    road.hub.open_pull(repository, head="change", base="main")
    road.settle()
    assert road.shown(repository, sha)["experiments"] == ("completed", "failure")


def test_an_archiving_that_is_told_after_its_end_shuts_nothing_for_long(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    settle_down(road, 660)
    road.hub.courier.delay_next("repository", clock_seconds=60)
    road.hub.archive_repository(repository)
    road.clock.advance(5)
    road.hub.unarchive_repository(repository)
    road.settle()
    road.wait(90)
    assert "archived" in road.answers("repository")[-1]
    backend.succeed(backend.submissions[0])
    settle_down(road, 1_200)
    assert road.shown(repository, sha)[FIT][0] == "completed"
    assert road.shown(repository, sha)["experiments"][0] == "completed"

"""What was called off and is wanted again: a required check must never stay cancelled or skipped for ever."""

import pytest

from bot.devhub import Pull, Repository
from bot.devhub.pushes import after_push, emit_pull
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service

ALL = ("experiments", "train / fit", "train / fit / tensorflow:loss")


def move(road: Road, repository: Repository, branch: str, sha: str) -> None:
    """Push a commit that is there already, by force if need be."""
    git = road.hub.site.git(repository)
    before = git.refs()
    git.run("update-ref", f"refs/heads/{branch}", sha)
    after_push(road.hub.site, repository, repository.owner, before)


def running(road: Road, backend: ScriptedBackend) -> tuple[Repository, str, Pull]:
    """A pull request whose head runs."""
    repository, sha, pull = opened(road)
    backend.begin(backend.submissions[-1])
    road.wait(1)
    return repository, sha, pull


def test_a_pull_request_that_is_opened_again_runs_again(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = running(road, backend)
    road.hub.close_pull(pull)
    road.wait(10)
    assert {road.shown(repository, sha)[name] for name in ALL} == {("completed", "cancelled")}

    road.hub.reopen_pull(pull)
    road.wait(10)

    shown = road.shown(repository, sha)
    assert (shown["train / fit"], shown["train / fit / tensorflow:loss"]) == (("queued", None), ("queued", None))
    assert shown["experiments"] == ("in_progress", None)
    assert [row.generation for row in road.check_rows() if row.name == "train / fit"][-2:] == [1, 2]
    assert backend.submissions[-1].endswith("-2")

    backend.fail(backend.submissions[-1])
    road.wait(1)
    assert {road.shown(repository, sha)[name] for name in ALL} == {("completed", "failure")}


def test_closed_and_opened_again_before_the_run_has_ended(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = running(road, backend)
    first = backend.submissions[-1]
    road.hub.close_pull(pull)
    road.tick("intake")
    road.clock.advance(1)
    road.hub.reopen_pull(pull)
    road.wait(10)

    assert list(backend.cancelled) == [first]
    assert backend.submissions[-1] != first
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)


def test_a_branch_that_is_forced_back_to_a_superseded_commit_runs_it_again(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, older, pull = running(road, backend)
    newer = road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Again")
    road.wait(10)
    assert road.shown(repository, older)["experiments"] == ("completed", "cancelled")

    move(road, repository, "change", older)
    road.wait(10)

    assert road.shown(repository, older)["experiments"] == ("in_progress", None)
    assert road.shown(repository, newer)["experiments"] == ("completed", "cancelled")
    backend.fail(backend.submissions[-1], exit_code=4)
    road.wait(61)
    assert "exit code 4" in pull.comments[0].body  # the comment is about the head of today


def test_what_had_ended_by_itself_is_not_run_again(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = opened(road)
    backend.fail(backend.submissions[-1])
    road.wait(10)
    road.hub.close_pull(pull)
    road.wait(10)
    road.hub.reopen_pull(pull)
    road.wait(10)

    assert len(backend.submissions) == 2  # the default branch's and the pull request's


def test_a_closed_head_that_is_then_pushed_to_the_default_branch_runs(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = running(road, backend)
    road.hub.close_pull(pull)
    road.wait(10)

    move(road, repository, "main", sha)
    road.wait(10)

    assert road.shown(repository, sha)["experiments"] == ("in_progress", None)


def test_a_closing_that_arrives_after_the_reopening_stops_nothing(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = running(road, backend)
    closed_at = road.clock.now()
    road.clock.advance(5)
    road.hub.reopen_pull(pull)
    road.settle()
    pull.closed_at = pull.updated_at = closed_at
    emit_pull(road.hub.site, pull, pull.author, "closed")
    road.wait(10)

    assert backend.cancelled == {}
    assert "again" in road.answers("pull_request")[-1]


def test_a_push_that_is_told_after_the_closing_stays_called_off(road: Road, backend: ScriptedBackend) -> None:
    repository, _, pull = running(road, backend)
    pushed_at = road.clock.now()
    road.clock.advance(5)
    road.hub.close_pull(pull)
    road.wait(5)
    pull.updated_at = pushed_at
    emit_pull(road.hub.site, pull, pull.author, "synchronize")
    road.wait(10)

    assert len(backend.submissions) == 2
    assert road.shown(repository, pull.head_sha)["experiments"] == ("completed", "cancelled")


def test_one_head_of_two_pull_requests_runs_until_both_are_closed(road: Road, backend: ScriptedBackend) -> None:
    repository, _, pull = running(road, backend)
    road.hub.commit_files(repository, {"notes": "1"}, branch="other", message="Another base")
    other = road.hub.open_pull(repository, head="change", base="other")
    road.wait(1)

    road.hub.close_pull(pull)
    road.wait(5)
    assert backend.cancelled == {}

    road.hub.close_pull(other)
    road.wait(5)
    assert list(backend.cancelled) == [backend.submissions[-1]]


def test_a_pull_request_turned_to_another_base_is_looked_at_anew(road: Road, backend: ScriptedBackend) -> None:
    """Checks skipped for a base that no filter selects would else let the same commit into the one that is guarded."""
    config = CONFIG + "    triggers: {branches: {only: main}}\n"
    repository, _ = road.repository({".ps_project/config.yaml": config})
    road.hub.commit_files(repository, {"notes": "1"}, branch="other", message="Another base")
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change", message="Change it")
    pull = road.hub.open_pull(repository, head="change", base="other")
    road.wait(5)
    assert {road.shown(repository, sha)[name] for name in ALL} == {("completed", "skipped")}

    pull.base_ref = "main"
    emit_pull(road.hub.site, pull, pull.author, "edited", changes={"base": {"ref": {"from": "other"}}})
    road.wait(5)

    assert road.shown(repository, sha)["experiments"] == ("in_progress", None)
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)


def test_a_repository_that_is_renamed_is_followed(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    road.hub.rename_repository(repository, "numbers")
    road.settle()

    assert road.answers("repository")[-1] == "this repository is acme/numbers"
    backend.succeed(backend.submissions[0])
    road.wait(1)
    assert road.shown(repository, sha)["train / fit"] == ("completed", "success")


def test_a_late_event_that_has_the_old_name_does_not_bring_it_back(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    road.hub.courier.delay_next("push", clock_seconds=60)
    road.hub.commit_files(repository, {"notes": "1"}, message="Notes")
    road.hub.rename_repository(repository, "numbers")
    road.settle()
    road.wait(70)
    backend.succeed(backend.submissions[0])
    for _ in range(6):
        road.wait(150)
    assert road.shown(repository, sha)["train / fit"] == ("completed", "success")

"""What happens on a pull request: checks on its head, one comment, and a newer commit that supersedes an older."""

import pytest

from bot.devhub import Pull, Repository
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service

CUSTOM = CONFIG.replace("tensorflow:loss", "custom:loss").replace("aggregate: min", "aggregate: /loss")


def opened(road: Road, config: str = CONFIG) -> tuple[Repository, str, Pull]:
    """A pull request on a repository whose default branch has been built; returns its head and itself."""
    repository, _ = road.repository({".ps_project/config.yaml": config})
    road.settle()
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change", message="Change it")
    pull = road.hub.open_pull(repository, head="change", base="main", title="Change", body="")
    road.settle()
    return repository, sha, pull


def test_a_pull_request_is_built_and_gets_one_comment_when_its_verdict_stands(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, sha, pull = opened(road)
    assert pull.comments == []

    backend.fail(backend.submissions[-1], exit_code=3)
    road.wait(1)

    assert road.shown(repository, sha)["experiments"] == ("completed", "failure")
    [comment] = pull.comments
    assert "exit code 3" in comment.body
    road.wait(120)
    assert len(pull.comments) == 1


def test_a_newer_commit_supersedes_what_runs_for_the_older_one(road: Road, backend: ScriptedBackend) -> None:
    repository, older, _ = opened(road)
    running = backend.submissions[-1]
    backend.begin(running)
    road.wait(1)

    newer = road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Again")
    road.wait(10)

    assert list(backend.cancelled) == [running]
    assert newer[:7] in backend.cancelled[running]
    assert road.shown(repository, older)["experiments"] == ("completed", "cancelled")
    assert road.shown(repository, older)["train / fit / tensorflow:loss"] == ("completed", "cancelled")
    assert road.shown(repository, newer)["train / fit"] == ("queued", None)


def test_the_default_branch_is_never_superseded(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    backend.begin(backend.submissions[0])
    road.hub.commit_files(repository, {"train.py": "print(9)"}, message="Next on main")
    road.settle()

    assert backend.cancelled == {}
    assert len(backend.submissions) == 2


def test_closing_a_pull_request_stops_what_runs_for_it_alone(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = opened(road)
    backend.begin(backend.submissions[-1])
    road.wait(1)

    road.hub.close_pull(pull)
    road.settle()

    assert list(backend.cancelled) == [backend.submissions[-1]]


def test_filtered_out_workflows_conclude_as_skipped_so_that_nothing_blocks_for_ever(
    road: Road, backend: ScriptedBackend
) -> None:
    config = CONFIG + "    triggers: {paths: {only: 'data/.*'}}\n"
    repository, sha, _ = opened(road, config)

    shown = road.shown(repository, sha)
    assert shown["train / fit"] == ("completed", "skipped")
    assert shown["train / fit / tensorflow:loss"] == ("completed", "skipped")
    assert shown["experiments"][0] == "completed"
    assert len(backend.submissions) == 1  # the default branch's own, at its first push


def test_a_pull_request_opened_on_a_commit_already_run_needs_no_new_run(road: Road, backend: ScriptedBackend) -> None:
    config = (CONFIG + "            only-pulls: true\n    triggers: {branches: {only: [main, change]}}\n").replace(
        "            aggregate: min\n", "            aggregate: min\n            if-not-found: success\n"
    )
    repository, _ = road.repository({".ps_project/config.yaml": config})
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change", message="Change it")
    road.settle()
    for attempt in backend.submissions:
        backend.succeed(attempt)
    road.wait(1)
    gate = "train / fit / tensorflow:loss"
    assert road.shown(repository, sha)[gate] == ("completed", "skipped")

    road.hub.open_pull(repository, head="change", base="main", title="Change", body="")
    road.wait(10)

    assert road.shown(repository, sha)[gate] == ("completed", "success")
    assert len(backend.submissions) == 2


def test_a_merge_group_gets_every_required_name_on_its_own_head(road: Road, backend: ScriptedBackend) -> None:
    repository, _, pull = opened(road)
    group = road.hub.request_merge_group(pull)
    road.settle()

    shown = road.shown(repository, group)
    assert set(shown) == {"experiments", "train / fit", "train / fit / tensorflow:loss"}
    assert any("merge queue" in answer for answer in road.answers("push"))

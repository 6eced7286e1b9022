"""Who may run now: turns in a group, limits of a repository and of a person, and commits that ask for no build."""

import pytest

from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_commands import says
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service

FIT = "train / fit"
TURNS = CONFIG + "    concurrency: {group: gpu}\n"
REPLACING = CONFIG + "    concurrency: {group: 'main-{branch}', cancel: true}\n"


def pushed(road: Road, config: str, count: int = 3) -> list[str]:
    """Commits on the default branch, one after the other."""
    repository, first = road.repository({".ps_project/config.yaml": config})
    road.settle()
    shas = [first]
    for number in range(1, count):
        shas.append(road.hub.commit_files(repository, {"train.py": f"print({number})"}, message=f"Step {number}"))
        road.settle()
    return shas


def test_runs_of_a_group_take_turns_oldest_first(road: Road, backend: ScriptedBackend) -> None:
    shas = pushed(road, TURNS)
    repository = road.hub.repository("acme/digits")
    ran = []
    for _ in shas:
        ran.append(backend.specs[backend.submissions[-1]].labels["sha"])
        waiting = [sha for sha in shas if sha not in ran]
        for sha in waiting:
            summary = road.hub.check(repository, sha, FIT).output.summary or ""
            assert "waiting for its turn in the group `gpu`" in summary
        backend.succeed(backend.submissions[-1])
        road.wait(61)
    assert ran == shas
    assert len(backend.submissions) == 3


def test_a_newer_run_replaces_an_older_one_of_the_same_branch_where_the_config_says_so(
    road: Road, backend: ScriptedBackend
) -> None:
    first, second = pushed(road, REPLACING, count=2)
    repository = road.hub.repository("acme/digits")
    road.wait(61)
    assert road.shown(repository, first)[FIT] == ("completed", "cancelled")
    assert "replaced by" in (road.hub.check(repository, first, FIT).output.title or "")
    assert road.shown(repository, second)[FIT] == ("queued", None)


def test_nobody_replaces_the_runs_of_somebody_else(road: Road, backend: ScriptedBackend) -> None:
    """A pull request names the group of the default branch: it waits for its turn, and stops nothing."""
    shared = CONFIG + "    concurrency: {group: gpu, cancel: true}\n"
    _, sha, _ = opened(road, shared)
    road.wait(10)
    assert backend.cancelled == {}
    assert len(backend.submissions) == 1
    repository = road.hub.repository("acme/digits")
    assert "its turn in the group" in (road.hub.check(repository, sha, FIT).output.summary or "")


def test_a_repository_has_as_many_running_as_its_default_branch_says(road: Road, backend: ScriptedBackend) -> None:
    limited = CONFIG + "limits: {running: 1}\n"
    _, sha, _ = opened(road, limited)
    assert len(backend.submissions) == 1
    repository = road.hub.repository("acme/digits")
    assert "of this repository 1 run at a time" in (road.hub.check(repository, sha, FIT).output.title or "")

    backend.succeed(backend.submissions[0])
    road.wait(5)
    assert len(backend.submissions) == 2


def test_a_pull_request_cannot_lift_the_limit(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository({".ps_project/config.yaml": CONFIG + "limits: {running: 1}\n"})
    road.settle()
    config = {".ps_project/config.yaml": CONFIG + "limits: {running: 100}\n"}
    road.hub.commit_files(repository, config, branch="change", message="More")
    road.hub.open_pull(repository, head="change", base="main")
    road.settle()
    assert len(backend.submissions) == 1


def test_of_one_person_no_more_run_than_the_default_branch_says(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository({".ps_project/config.yaml": CONFIG + "limits: {running-per-author: 1}\n"})
    road.settle()
    zoe = road.hub.add_collaborator(repository, "zoe", "write")
    for name, who in (("one", zoe), ("two", zoe), ("three", None)):
        road.hub.commit_files(repository, {f"{name}.py": "1"}, branch=name, message=name)
        road.hub.open_pull(repository, head=name, base="main", title=name, by=who)
    road.settle()
    # acme's own push runs; of zoe one; acme's pull request waits.
    assert len(backend.submissions) == 2


# No build


def test_a_push_that_asks_for_no_build_is_skipped(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    sha = road.hub.commit_files(repository, {"notes": "1"}, message="Notes [skip ci]")
    road.settle()
    assert set(road.shown(repository, sha).values()) == {("completed", "skipped")}
    assert len(backend.submissions) == 1
    assert "[skip ci]" in (road.hub.check(repository, sha, FIT).output.title or "")


def test_a_pull_request_that_asks_for_no_build_waits_for_somebody_to_say_so(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, _ = road.repository()
    road.settle()
    message = "Notes\n\n\nskip-checks: true"
    sha = road.hub.commit_files(repository, {"notes": "1"}, branch="change", message=message)
    pull = road.hub.open_pull(repository, head="change", base="main")
    road.settle()
    assert set(road.shown(repository, sha).values()) == {("completed", "action_required")}
    assert pull.comments == [], "its own author asked for it: nobody is mailed"
    assert len(backend.submissions) == 1

    says(road, pull, "/experiment run")
    assert road.shown(repository, sha)[FIT] == ("queued", None)
    assert len(backend.submissions) == 2


def test_the_button_runs_it_all_the_same(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    sha = road.hub.commit_files(repository, {"notes": "1"}, branch="change", message="Notes [ci skip]")
    road.hub.open_pull(repository, head="change", base="main")
    road.settle()
    road.hub.request_action(repository, road.hub.check(repository, sha, FIT), "run")
    road.wait(5)
    assert road.shown(repository, sha)[FIT] == ("queued", None)


def test_the_merge_queue_never_waits_for_words(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    road.hub.commit_files(repository, {"notes": "1"}, branch="change", message="Notes [skip ci]")
    pull = road.hub.open_pull(repository, head="change", base="main")
    road.settle()
    group = road.hub.request_merge_group(pull)
    road.settle()
    assert road.shown(repository, group)[FIT] == ("queued", None)


def test_a_deleted_branch_stops_what_runs_for_it_alone(road: Road, backend: ScriptedBackend) -> None:
    config = CONFIG + "    triggers: {branches: {only: ['main', 'try.*']}}\n"
    repository, _ = road.repository({".ps_project/config.yaml": config})
    road.settle()
    road.hub.commit_files(repository, {"train.py": "2"}, branch="try1", message="Try")
    road.settle()
    main, branch = backend.submissions
    road.clock.advance(2)
    road.hub.delete_branch(repository, "try1")
    road.settle()
    assert list(backend.cancelled) == [branch]
    assert "try1 was deleted" in backend.cancelled[branch]
    assert main not in backend.cancelled


def test_a_push_that_is_told_after_its_branch_was_deleted_stops(road: Road, backend: ScriptedBackend) -> None:
    """GitHub promises no order."""
    config = CONFIG + "    triggers: {branches: {only: ['main', 'try.*']}}\n"
    repository, _ = road.repository({".ps_project/config.yaml": config})
    road.settle()
    road.hub.courier.delay_next("push", clock_seconds=60)
    sha = road.hub.commit_files(repository, {"train.py": "2"}, branch="try1", message="Try")
    road.clock.advance(2)
    road.hub.delete_branch(repository, "try1")
    road.wait(61)
    assert [attempt for attempt in backend.submissions[1:] if attempt not in backend.cancelled] == []
    assert set(road.shown(repository, sha).values()) == {("completed", "cancelled")}

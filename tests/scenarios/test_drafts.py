"""Drafts: by default they run like all others; with DRAFTS=wait they wait until they are ready for review."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub, Pull, Repository
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_commands import says
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service

FIT = "train / fit"
NAMES = {"experiments", FIT, "train / fit / tensorflow:loss"}
HELD = ("completed", "action_required")


@pytest.fixture
def waiting(tmp_path: Path, clock: ManualClock, backend: ScriptedBackend) -> Iterator[Road]:
    """A bot that lets drafts wait."""
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, backend, DRAFTS="wait")
        yield road
        road.close()


def drafted(road: Road) -> tuple[Repository, str, Pull]:
    """A draft on a repository whose default branch has been built."""
    repository, _ = road.repository()
    road.settle()
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change", message="Change it")
    pull = road.hub.open_pull(repository, head="change", base="main", draft=True)
    road.settle()
    return repository, sha, pull


def test_a_draft_runs_and_to_make_it_ready_changes_nothing(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = drafted(road)
    assert road.shown(repository, sha)[FIT] == ("queued", None)
    backend.succeed(backend.submissions[-1])
    road.wait(2)
    road.hub.mark_ready(pull)
    road.wait(2)
    road.hub.convert_to_draft(pull)
    road.wait(2)
    assert len(backend.submissions) == 2
    assert road.shown(repository, sha)[FIT] == ("completed", "success")
    assert [row.generation for row in road.check_rows() if row.name == FIT] == [1, 1]


def test_a_draft_that_waits_lets_nobody_merge_and_mails_nobody(waiting: Road, backend: ScriptedBackend) -> None:
    """With skipped checks it could be merged in the moment in which it is made ready."""
    repository, sha, pull = drafted(waiting)
    assert waiting.shown(repository, sha) == dict.fromkeys(NAMES, HELD)
    check = waiting.hub.check(repository, sha, "experiments")
    assert check.output.title == "Not run: it is a draft"
    assert [action["identifier"] for action in check.actions] == ["run"]
    assert len(backend.submissions) == 1
    assert pull.comments == []
    assert "draft" in waiting.answers("pull_request")[-1]


def test_ready_for_review_it_runs(waiting: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = drafted(waiting)
    waiting.clock.advance(2)
    waiting.hub.mark_ready(pull)
    waiting.settle()
    assert waiting.shown(repository, sha)[FIT] == ("queued", None)
    assert waiting.shown(repository, sha)["experiments"] == ("in_progress", None)

    backend.succeed(backend.submissions[-1])
    waiting.wait(2)
    assert waiting.shown(repository, sha)[FIT] == ("completed", "success")
    assert len(backend.submissions) == 2


def test_asked_for_a_draft_runs_all_the_same(waiting: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = drafted(waiting)
    says(waiting, pull, "/experiment run")
    assert waiting.shown(repository, sha)[FIT] == ("queued", None)

    waiting.hub.mark_ready(pull)
    waiting.wait(2)
    assert len(backend.submissions) == 2, "it runs already"


def test_made_a_draft_again_what_runs_runs_on_and_what_comes_waits(waiting: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = opened(waiting)
    backend.begin(backend.submissions[-1])
    waiting.wait(2)
    waiting.hub.convert_to_draft(pull)
    waiting.wait(2)
    assert backend.cancelled == {}
    assert waiting.shown(repository, sha)[FIT] == ("in_progress", None)

    newer = waiting.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Again")
    waiting.wait(2)
    assert waiting.shown(repository, newer) == dict.fromkeys(NAMES, HELD)
    assert list(backend.cancelled) == [backend.submissions[-1]], "it was superseded"
    assert waiting.shown(repository, sha)[FIT] == ("completed", "cancelled")


def test_a_draft_that_was_told_to_be_ready_first_runs(waiting: Road, backend: ScriptedBackend) -> None:
    """GitHub promises no order: that it was opened as a draft arrives last."""
    repository, _ = waiting.repository()
    waiting.settle()
    sha = waiting.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change", message="Change it")
    waiting.hub.courier.delay_next("pull_request", clock_seconds=30)
    pull = waiting.hub.open_pull(repository, head="change", base="main", draft=True)
    waiting.clock.advance(2)
    waiting.hub.mark_ready(pull)
    waiting.wait(31)
    assert waiting.shown(repository, sha)[FIT] == ("queued", None)
    assert len(backend.submissions) == 2

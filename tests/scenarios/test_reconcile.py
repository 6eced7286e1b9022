"""What GitHub shows and what it was told are held against each other: what differs is put right, once."""

import pytest
from sqlalchemy import update

from bot.core.text import MARKER
from bot.devhub import Comment, Pull
from bot.store.schema import Check
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_commands import failed, sticky
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service

FIT = "train / fit"


def mine(pull: Pull) -> list[Comment]:
    """The comments of the bot."""
    return [comment for comment in pull.comments if comment.author.kind == "Bot"]


def time_passes(road: Road) -> None:
    """Until every commit has been looked at: one at a time."""
    for seconds in (900, 5, 5):
        road.wait(seconds)


def writes(road: Road) -> int:
    return sum(request.method != "GET" for request in road.hub.requests if request.route.startswith("/repos/"))


def test_a_check_that_stayed_yellow_is_told_again(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = failed(road, backend)
    check = road.hub.check(repository, sha, FIT)
    check.status, check.conclusion = "in_progress", None
    time_passes(road)
    assert road.shown(repository, sha)[FIT] == ("completed", "failure")


def test_it_is_told_again_once(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = failed(road, backend)
    for _ in range(3):
        check = road.hub.check(repository, sha, FIT)
        check.status, check.conclusion = "in_progress", None
        time_passes(road)
    assert road.shown(repository, sha)[FIT] == ("in_progress", None)


def test_a_database_that_forgot_is_caught_up_with(road: Road, backend: ScriptedBackend) -> None:
    """Restored from a copy, it holds a check for another run of the same name: GitHub's newest is taken up."""
    repository, sha, _ = failed(road, backend)
    right = road.hub.check(repository, sha, FIT)
    with road.database.write() as tx:
        tx.execute(update(Check).where(Check.name == FIT).values(github_id=4_711, told_hash="x", desired_hash="x"))
    time_passes(road)
    assert [row for row in road.check_rows() if row.name == FIT][-1].github_id == right.id


def test_a_deleted_comment_is_made_again(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = failed(road, backend)
    road.hub.delete_comment(pull, mine(pull)[0])
    road.wait(100)
    road.wait(100)
    assert "train / fit" in sticky(pull)


def test_whoever_deletes_it_twice_means_it(road: Road, backend: ScriptedBackend) -> None:
    test_a_deleted_comment_is_made_again(road, backend)
    pull = road.hub.repository("acme/digits").pulls[1]
    road.hub.delete_comment(pull, mine(pull)[0])
    for _ in range(4):
        road.wait(3_700)
    assert mine(pull) == []


def test_of_two_comments_the_older_stays(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = failed(road, backend)
    first = mine(pull)[0]
    road.hub.comment(pull, f"the same once more {MARKER}", by=first.author)
    road.wait(3_700)
    assert mine(pull) == [first]


@pytest.mark.parametrize("text", ["Nothing to see here", f"All gates passed! {MARKER}"])
def test_what_somebody_wrote_into_our_comment_does_not_stay(road: Road, backend: ScriptedBackend, text: str) -> None:
    _, _, pull = failed(road, backend)
    before = sticky(pull)
    road.hub.edit_comment(pull, mine(pull)[0], text)
    road.wait(100)
    road.wait(100)
    assert sticky(pull) == before

    road.hub.edit_comment(pull, mine(pull)[0], text)
    road.wait(100)
    road.wait(3_700)
    assert sticky(pull) == text, "once is enough: nobody fights"


def test_what_others_write_with_our_marker_is_left_alone(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = failed(road, backend)
    road.hub.comment(pull, f"All gates passed! {MARKER}")
    road.wait(3_700)
    assert len(pull.comments) == 2
    assert len(mine(pull)) == 1


def test_as_long_as_all_is_right_nothing_is_written_and_nothing_is_spent(road: Road, backend: ScriptedBackend) -> None:
    failed(road, backend)
    road.wait(700)
    road.wait(3_700)
    before = writes(road)
    road.hub.requests.clear()
    for _ in range(8):
        road.wait(3_700)
    reads = [request for request in road.hub.requests if request.route.startswith("/repos/")]
    assert writes(road) == 0 != before
    assert reads
    # That the App still reaches a public repository is asked as the App, once an hour.
    spent = {request.status for request in reads if not request.route.endswith("/installation")}
    assert spent == {304}


def test_an_unfinished_check_is_looked_at_too(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = opened(road)
    backend.begin(backend.submissions[-1])
    road.wait(100)
    check = road.hub.check(repository, sha, FIT)
    check.status = "queued"
    time_passes(road)
    assert road.shown(repository, sha)[FIT] == ("in_progress", None)

"""What GitHub does not take, and what is broken: nobody else waits for it, and nothing waits for ever."""

import pytest
from sqlalchemy import update

from bot.store.schema import Check
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service

UPDATE = r"/check-runs/\d+$"


def test_a_bot_that_is_shut_out_for_a_while_tells_everything_afterwards(road: Road, backend: ScriptedBackend) -> None:
    """As when the App was taken off the repository and put back, or a new permission was not granted yet."""
    repository, sha = road.repository()
    road.settle()
    road.hub.faults.fail_next("PATCH", UPDATE, status=404, times=4)
    backend.succeed(backend.submissions[0])
    road.wait(1)
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)

    for _ in range(3):
        road.wait(3600)

    assert road.shown(repository, sha)["experiments"] == ("completed", "failure")
    assert road.shown(repository, sha)["train / fit"] == ("completed", "success")


def test_a_bot_that_is_shut_out_for_good_asks_less_and_less_and_then_no_more(
    road: Road, backend: ScriptedBackend
) -> None:
    road.repository()
    road.settle()
    road.hub.faults.fail_next("PATCH", UPDATE, status=403, times=1000)
    backend.succeed(backend.submissions[0])
    before = road.hub.requests.count("PATCH")
    for _ in range(24 * 5):
        road.clock.advance(3600)
        road.tick("watch", "collect", "report")
    asked = road.hub.requests.count("PATCH") - before

    assert 3 * 10 < asked < 3 * 25  # three checks, in five days
    assert not any(row.is_pending for row in road.check_rows())


def test_a_verdict_whose_words_github_does_not_take_is_told_without_them(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    road.hub.faults.fail_next("PATCH", UPDATE, status=422, times=3)
    backend.succeed(backend.submissions[0])
    road.wait(1)
    road.wait(10)

    assert road.shown(repository, sha)["train / fit"] == ("completed", "success")
    assert road.shown(repository, sha)["experiments"] == ("completed", "failure")
    assert "422" in road.hub.check(repository, sha, "train / fit").output.summary


def test_a_view_that_was_refused_does_not_silence_the_next_one(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    road.hub.faults.fail_next("PATCH", UPDATE, status=422, times=2)  # with its words and without
    backend.begin(backend.submissions[0])
    road.wait(10)

    backend.succeed(backend.submissions[0])
    road.wait(10)
    assert road.shown(repository, sha)["train / fit"] == ("completed", "success")
    assert road.hub.check(repository, sha, "train / fit").output.text


def test_a_row_that_cannot_be_understood_keeps_no_other_from_being_told(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    with road.database.write() as tx:
        broken = road.check_rows()[0].id
        values = {"is_pending": True, "is_final": True, "desired": {"of": "another version"}, "desired_hash": "x"}
        tx.execute(update(Check).where(Check.id == broken).values(values))
    sha = road.hub.commit_files(repository, {"train.py": "print(5)"}, message="Next")
    road.settle()

    assert road.shown(repository, sha)["train / fit"] == ("queued", None)


def test_a_token_that_was_revoked_before_its_hour_loses_no_push(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    road.hub.site.tokens.revoke_all(road.hub.installation("acme"))
    sha = road.hub.commit_files(repository, {"train.py": "print(5)"}, message="Next")
    road.settle()

    assert road.shown(repository, sha)["train / fit"] == ("queued", None)
    assert len(backend.submissions) == 2


def test_a_token_that_was_revoked_between_intake_and_launch_is_replaced(road: Road, backend: ScriptedBackend) -> None:
    road.repository()
    road.tick("intake")
    road.hub.site.tokens.revoke_all(road.hub.installation("acme"))
    road.settle()

    assert len(backend.submissions) == 1


def test_an_end_that_may_have_been_told_is_never_opened_again(road: Road, backend: ScriptedBackend) -> None:
    """GitHub took the end, its answer was lost, and the pull request was opened again meanwhile."""
    repository, sha, pull = opened(road)
    backend.begin(backend.submissions[-1])
    road.wait(1)
    road.hub.faults.fail_next("PATCH", UPDATE, status=502, after_write=True)
    road.hub.close_pull(pull)
    road.settle()
    road.clock.advance(1)
    road.hub.reopen_pull(pull)
    for _ in range(4):
        road.wait(30)

    assert road.shown(repository, sha)["experiments"] == ("in_progress", None)
    rows = [row for row in road.check_rows() if row.name == "experiments"][-2:]
    assert [(row.generation, row.told_final) for row in rows] == [(1, True), (2, False)]
    assert rows[0].github_id != rows[1].github_id

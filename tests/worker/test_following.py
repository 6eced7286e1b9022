"""What is followed, told twice, late and in another order: the rows alone, without a GitHub."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from bot.clock import ManualClock
from bot.core import events
from bot.store import checks, commits, installations
from bot.store.database import Database
from bot.store.schema import Comment, Installation, Pull, Repository
from bot.worker.following import Follower

HERE = events.Repository(7, "acme", "digits", False, "main", 1)
SHA = "0123456789abcdef0123456789abcdef01234567"
BRANCH = "refs/heads/try"


@pytest.fixture
def follower(database: Database, clock: ManualClock) -> Follower:
    """A follower that knows one repository."""
    with database.write() as tx:
        commits.see_repository(tx, HERE, clock.now())
    return Follower(database, clock)


def repository(database: Database) -> Repository:
    with database.read() as tx:
        return tx.scalars(select(Repository)).one()


def installation(action: str, number: int = 1, **ids: tuple[int, ...]) -> events.InstallationChanged:
    return events.InstallationChanged(number, "acme", action, **ids)


def test_what_nobody_ever_ran_for_is_none_of_our_business(follower: Follower) -> None:
    other = replace(HERE, github_id=8)
    for event in (
        events.RepositoryChanged(other),
        events.RefDeleted(other, BRANCH),
        events.CommentTouched(other, 1, 2),
    ):
        assert follower.follow(event).state == "ignored"


def test_a_repository_is_called_what_the_event_calls_it(follower: Follower, database: Database) -> None:
    moved = replace(HERE, owner="umbrella", name="numbers", installation_id=2, is_private=True)
    assert follower.follow(events.RepositoryChanged(moved)).reason == "this repository is umbrella/numbers"
    row = repository(database)
    assert (row.owner, row.name, row.installation_id, row.is_private) == ("umbrella", "numbers", 2, True)


@pytest.mark.parametrize("action", ["deleted", "archived"])
def test_a_closed_repository_is_told_nothing_until_it_is_back(
    follower: Follower, database: Database, action: str
) -> None:
    for _ in range(2):
        assert f"was {action}" in follower.follow(events.RepositoryClosed(HERE, action)).reason
    assert repository(database).closed == action
    follower.follow(events.RepositoryChanged(HERE))
    assert repository(database).closed is None


def test_of_two_words_about_a_branch_the_newer_counts(follower: Follower, database: Database) -> None:
    push = events.PushReceived(HERE, BRANCH, None, SHA, pushed_at=20)
    with database.write() as tx:
        follower.see_push(tx, push)
    assert "made again" in follower.follow(events.RefDeleted(HERE, BRANCH, pushed_at=10)).reason
    assert follower.follow(events.RefDeleted(HERE, BRANCH, pushed_at=30)).state == "done"
    with database.write() as tx:
        follower.see_push(tx, push)
        assert commits.head_of(tx, repository(database).id, BRANCH) is None


def test_a_group_whose_end_was_told_first_is_known_to_be_gone(follower: Follower) -> None:
    asked = events.MergeGroupRequested(HERE, SHA, "refs/heads/gh-readonly-queue/main/pr-1", "main", "f" * 40)
    assert not follower.is_gone(asked)
    follower.follow(events.MergeGroupDestroyed(HERE, SHA, "merged"))
    assert not follower.is_gone(asked), "it is its branch's commit now"
    follower.follow(events.MergeGroupDestroyed(HERE, SHA, "dequeued"))
    assert follower.is_gone(asked)
    assert not follower.is_gone(replace(asked, sha="a" * 40))
    assert not follower.is_gone(replace(asked, repository=replace(HERE, github_id=8)))


def test_only_our_own_comment_is_looked_at_again(follower: Follower, database: Database) -> None:
    here = repository(database)
    with database.write() as tx:
        checks.desire_comment(tx, here.id, 3, "words", "digest", is_final=True)
        tx.scalars(select(Comment)).one().github_id = 44
        tx.scalars(select(Comment)).one().looked_at = 99
    assert follower.follow(events.CommentTouched(HERE, 3, 45)).state == "ignored"
    assert follower.follow(events.CommentTouched(HERE, 3, 44)).state == "done"
    with database.read() as tx:
        assert tx.scalars(select(Comment)).one().looked_at == 0


def test_an_older_closing_closes_nothing(follower: Follower, database: Database) -> None:
    here = repository(database)
    with database.write() as tx:
        commits.see_pull(tx, here.id, 5, SHA, True, "2026-01-01T00:00:20Z", {"base_branch": "main"})
    closing = events.PullRequestChanged(
        HERE, "closed", 5, SHA, "try", "main", "f" * 40, "2026-01-01T00:00:10Z", is_fork=False, is_open=False
    )
    assert "opened again" in follower.close(closing).reason
    assert "was closed" in follower.close(replace(closing, updated_at="2026-01-01T00:00:30Z")).reason
    with database.read() as tx:
        assert not tx.scalars(select(Pull)).one().is_open


# Installations


def silent(database: Database) -> set[int]:
    with database.read() as tx:
        return installations.silent(tx)


def test_a_suspended_installation_is_silent_until_it_is_back(follower: Follower, database: Database) -> None:
    follower.follow(installation("suspend"))
    assert silent(database) == {1}
    assert repository(database).closed is None
    follower.follow(installation("unsuspend"))
    assert silent(database) == set()


def test_an_installation_that_is_removed_takes_its_repositories_along(follower: Follower, database: Database) -> None:
    follower.follow(installation("deleted"))
    assert (silent(database), repository(database).closed) == ({1}, installations.UNINSTALLED)
    follower.follow(installation("created", 2, added=(7, 8)))
    row = repository(database)
    assert (row.closed, row.installation_id) == (None, 2)
    assert silent(database) == {1}, "an installation that comes back has another id"


def test_repositories_come_and_go(follower: Follower, database: Database) -> None:
    follower.follow(installation("repositories removed", removed=(7, 9)))
    assert repository(database).closed == installations.UNINSTALLED
    follower.follow(installation("repositories added", added=(7, 9)))
    assert repository(database).closed is None


def test_what_another_installation_loses_is_not_lost_here(follower: Follower, database: Database) -> None:
    follower.follow(installation("repositories removed", number=2, removed=(7,)))
    assert repository(database).closed is None


def test_whom_nobody_knows_is_written_down(follower: Follower, database: Database) -> None:
    follower.follow(installation("created", 5, added=(70,)))
    with database.read() as tx:
        row = tx.scalars(select(Installation)).one()
    assert (row.github_id, row.account, row.suspended_at, row.removed_at) == (5, "acme", None, None)


def test_what_is_heard_of_is_open(follower: Follower, database: Database) -> None:
    follower.follow(installation("repositories removed", removed=(7,)))
    with database.write() as tx:
        follower.let_in(tx, HERE)
        follower.let_in(tx, replace(HERE, github_id=8))
    assert repository(database).closed is None

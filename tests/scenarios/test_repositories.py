"""Repositories that move, close and come back; an App that is let in and shut out: nobody knocks at a closed door."""

from collections.abc import Callable

import pytest

from bot.devhub import Pull, Repository
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_commands import sticky
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service

FIT = "train / fit"
HOUR = 3_600


def running(road: Road, backend: ScriptedBackend) -> tuple[Repository, str, Pull]:
    """A pull request whose head runs."""
    repository, sha, pull = opened(road)
    backend.begin(backend.submissions[-1])
    road.wait(2)
    return repository, sha, pull


def knocks(road: Road, since: int) -> list[str]:
    """The requests about repositories since then."""
    return [f"{r.method} {r.path} {r.status}" for r in list(road.hub.requests)[since:] if r.route.startswith("/repos/")]


def is_quiet(road: Road, hours: int = 6) -> list[str]:
    """What is asked of repositories in hours in which there is nothing to ask."""
    since = len(road.hub.requests)
    for _ in range(hours):
        road.wait(HOUR)
    return knocks(road, since)


# Names


def test_renamed_in_the_middle_of_a_run_it_is_told_at_its_new_name(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = running(road, backend)
    road.hub.rename_repository(repository, "numbers")
    backend.fail(backend.submissions[-1])
    road.wait(35)
    assert road.shown(repository, sha)[FIT] == ("completed", "failure")
    assert "exit code 1" in sticky(pull)

    newer = road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Again")
    road.wait(5)
    assert road.shown(repository, newer)[FIT] == ("queued", None)


def test_a_rename_of_which_nobody_told_costs_a_few_requests(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = running(road, backend)
    road.hub.courier.outage()
    road.hub.rename_repository(repository, "numbers")
    backend.fail(backend.submissions[-1])
    since = len(road.hub.requests)
    road.wait(600)
    assert len(knocks(road, since)) <= 60
    road.hub.courier.restore()
    for _ in range(3):
        road.wait(300)
    assert road.shown(repository, sha)[FIT] == ("completed", "failure")


def test_of_a_rename_that_nobody_told_no_branch_is_lost(road: Road, backend: ScriptedBackend) -> None:
    """PyGithub follows GitHub to the new name, and forgets on the way that a hundred were to be on a page."""
    repository, _ = road.repository({".ps_project/config.yaml": CONFIG + "    triggers: {branches: {only: '.*'}}\n"})
    for number in range(40):
        road.hub.commit_files(repository, {"n": str(number)}, branch=f"b{number:02}", message="One of many [skip ci]")
    last = road.hub.commit_files(repository, {"n": "last"}, branch="z", message="The last of them")
    for _ in range(8):
        road.wait(300)
    begun = set(backend.submissions)
    assert road.shown(repository, last)[FIT] == ("queued", None)
    road.hub.courier.outage()
    road.hub.rename_repository(repository, "numbers")
    road.hub.commit_files(repository, {"n": "new"}, branch="b00", message="Something is pushed [skip ci]")
    for _ in range(8):
        road.wait(300)
    assert backend.cancelled == {}
    assert set(backend.submissions) == begun


def test_transferred_to_an_account_with_the_app_it_goes_on_there(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = running(road, backend)
    road.hub.create_repository("umbrella", "other")
    road.hub.transfer_repository(repository, "umbrella")
    road.wait(5)
    newer = road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Again")
    road.wait(5)
    assert road.shown(repository, newer)[FIT] == ("queued", None)
    backend.succeed(backend.submissions[-1])
    road.wait(35)
    assert road.shown(repository, newer)[FIT] == ("completed", "success")
    assert road.shown(repository, sha)[FIT] == ("completed", "cancelled")
    assert {one.state for one in road.deliveries()} <= {"done", "ignored"}


def test_transferred_to_an_account_without_the_app_it_ends(road: Road, backend: ScriptedBackend) -> None:
    repository, _, _ = running(road, backend)
    road.hub.transfer_repository(repository, "umbrella", installed=False)
    road.wait(5)
    assert "taken off" in backend.cancelled[backend.submissions[-1]]
    assert is_quiet(road) == []


# Ends


def test_an_archived_repository_is_written_to_no_more_and_its_runs_end(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = running(road, backend)
    road.hub.archive_repository(repository)
    road.wait(5)
    assert backend.cancelled[backend.submissions[-1]] == "the repository was archived"
    assert road.shown(repository, sha)[FIT] == ("in_progress", None), "GitHub takes nothing"
    asked = is_quiet(road)
    assert len(asked) <= 6, "whether it is still archived, at most once for each look"
    assert set(asked) <= {"GET /repos/acme/digits 200", "GET /repos/acme/digits 304"}

    road.hub.unarchive_repository(repository)
    road.wait(60)
    assert road.shown(repository, sha)[FIT] == ("completed", "cancelled")
    newer = road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Again")
    road.wait(5)
    assert road.shown(repository, newer)[FIT] == ("queued", None)


@pytest.mark.parametrize("told", [True, False], ids=["told", "told by the installation only"])
def test_a_deleted_repository_is_asked_nothing_more(road: Road, backend: ScriptedBackend, told: bool) -> None:
    repository, _, pull = running(road, backend)
    road.hub.comment(pull, "/experiment rerun")
    road.hub.delete_repository(repository, told=told)
    road.wait(5)
    assert list(backend.cancelled) == backend.submissions
    assert is_quiet(road) == []
    assert {one.state for one in road.deliveries()} <= {"done", "ignored", "failed"}


# The installation


def removed(road: Road, repository: Repository) -> None:
    road.hub.remove_repositories("acme", [repository])


def uninstalled(road: Road, _repository: Repository) -> None:
    road.hub.uninstall("acme")


def added(road: Road, repository: Repository) -> None:
    road.hub.add_repositories("acme", [repository])


def installed(road: Road, repository: Repository) -> None:
    road.hub.install("acme", [repository])


@pytest.mark.parametrize(
    ("shut", "let_in"), [(removed, added), (uninstalled, installed)], ids=["repositories", "the whole App"]
)
def test_shut_out_nobody_knocks_and_let_in_again_all_is_told(
    road: Road,
    backend: ScriptedBackend,
    shut: Callable[[Road, Repository], None],
    let_in: Callable[[Road, Repository], None],
) -> None:
    repository, sha, pull = running(road, backend)
    shut(road, repository)
    road.wait(5)
    assert set(backend.cancelled) == set(backend.submissions)
    newer = road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Unheard")
    assert is_quiet(road) == []
    assert road.shown(repository, newer) == {}

    let_in(road, repository)
    for _ in range(3):
        road.wait(60)
    assert road.shown(repository, sha)[FIT] == ("completed", "cancelled")
    assert road.shown(repository, newer)[FIT] == ("queued", None), "what was pushed meanwhile is looked at"
    assert pull.head_sha == newer


def test_of_two_repositories_the_other_is_left_alone(road: Road, backend: ScriptedBackend) -> None:
    repository, _, _ = running(road, backend)
    other, sha = road.repository(name="letters")
    road.settle()
    road.hub.remove_repositories("acme", [repository])
    road.wait(5)
    assert backend.submissions[-1] not in backend.cancelled
    backend.succeed(backend.submissions[-1])
    road.wait(5)
    assert road.shown(other, sha)[FIT] == ("completed", "success")


def test_an_installation_without_a_config_anywhere_is_answered(road: Road) -> None:
    road.hub.create_repository("umbrella", "empty", installed=False)
    road.hub.install("umbrella")
    road.hub.suspend("umbrella")
    road.hub.unsuspend("umbrella")
    road.hub.uninstall("umbrella")
    road.wait(5)
    assert [answer.partition(";")[0] for answer in road.answers("installation")] == [
        "umbrella: created",
        "umbrella: suspend",
        "umbrella: unsuspend",
        "umbrella: deleted",
    ]


# GitHub promises no order, and forgets what nobody took


def test_shut_out_as_a_late_word_says_it_is_let_in_by_the_next_event(road: Road, backend: ScriptedBackend) -> None:
    repository, _, _ = running(road, backend)
    road.hub.courier.delay_next("installation_repositories", clock_seconds=60)
    road.hub.remove_repositories("acme", [repository])
    road.hub.add_repositories("acme", [repository])
    road.wait(61)
    newer = road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Again")
    road.wait(35)
    assert road.shown(repository, newer)[FIT] == ("queued", None)
    backend.succeed(backend.submissions[-1])
    road.wait(5)
    assert road.shown(repository, newer)[FIT] == ("completed", "success")


def test_what_was_given_back_before_its_loss_is_told_goes_on(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = running(road, backend)
    road.hub.courier.delay_next("installation_repositories", clock_seconds=60)
    road.hub.remove_repositories("acme", [repository])
    road.hub.add_repositories("acme", [repository])
    road.wait(61)
    assert backend.cancelled == {}
    backend.succeed(backend.submissions[-1])
    road.wait(5)
    assert road.shown(repository, sha)[FIT] == ("completed", "success")


def test_a_push_that_is_told_after_the_loss_of_a_public_repository_runs_nothing(
    road: Road, backend: ScriptedBackend
) -> None:
    """Everybody may read its code, and see what happens there."""
    repository, _, _ = running(road, backend)
    begun = len(backend.submissions)
    road.hub.courier.delay_next("push", clock_seconds=60)
    road.hub.courier.delay_next("pull_request", clock_seconds=60)
    road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="On its way")
    road.hub.remove_repositories("acme", [repository])
    for _ in range(10):
        road.wait(600)
    assert len(backend.submissions) == begun
    assert {one.state for one in road.deliveries()} == {"done", "ignored"}


def test_a_public_repository_that_was_lost_without_a_word_is_run_for_no_longer_than_an_hour(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, _, _ = running(road, backend)
    for _ in range(3):
        road.wait(300)
    road.hub.courier.outage()
    road.hub.site.world.installation_on(repository).selected = set()  # type: ignore[union-attr]
    for _ in range(12):
        road.wait(300)
    begun = len(backend.submissions)
    road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Not for us")
    for _ in range(12):
        road.wait(300)
    assert len(backend.submissions) == begun
    assert is_quiet(road) == []


def test_what_its_old_owner_lost_the_new_one_has(road: Road, backend: ScriptedBackend) -> None:
    repository, _, _ = running(road, backend)
    road.hub.create_repository("umbrella", "other")
    road.hub.courier.delay_next("installation_repositories", clock_seconds=60)
    road.hub.transfer_repository(repository, "umbrella")
    road.wait(61)
    assert backend.cancelled == {}
    backend.fail(backend.submissions[-1])
    road.wait(35)
    assert road.shown(repository, road.hub.site.git(repository).tip("change") or "")[FIT] == ("completed", "failure")


def test_taken_off_without_a_word_it_is_looked_at_twice_and_no_more(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = running(road, backend)
    road.hub.courier.outage()
    road.hub.site.world.installation_on(repository).selected = set()  # type: ignore[union-attr]
    repository.is_private = True
    for _ in range(2):
        road.wait(600)
    assert is_quiet(road) == []
    assert backend.cancelled == {}, "it may be GitHub's mistake"

    road.hub.add_repositories("acme", [repository])
    road.hub.courier.restore()
    backend.succeed(backend.submissions[-1])
    for _ in range(4):
        road.wait(300)
    assert road.shown(repository, sha)[FIT] == ("completed", "success")

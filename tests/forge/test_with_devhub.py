"""The forge against devhub, a GitHub that enforces GitHub's rules: the same verbs, answered by somebody who objects."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.clock import HOUR, SECOND, ManualClock, SystemClock
from bot.devhub import DevHub, Repository
from bot.forge.checks import Action, Annotation, CheckWrite, Conclusion, Status
from bot.forge.client import Forge, Repo
from bot.forge.credentials import Credentials
from bot.forge.diagnosis import diagnose
from bot.forge.errors import Limited, Moved, Refused, Retry, Unauthorized
from bot.forge.pacing import Pacer

pytestmark = pytest.mark.service

NAME = "digits / train"
QUEUED = CheckWrite(NAME, Status.QUEUED, "Pending", "It waits for a machine.")
RUNNING = CheckWrite(NAME, Status.IN_PROGRESS, "Running", "loss 0.3")
PASSED = CheckWrite(
    NAME,
    Status.COMPLETED,
    "Passed",
    "loss 0.1",
    Conclusion.SUCCESS,
    text="…",
    actions=(Action("Run again", "Run this experiment again", "rerun"),),
)
MARKER = "<!-- experiment-ci:comment -->"
CREATE = ("POST", "/repos/{owner}/{repo}/check-runs")
UPDATE = ("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}")
COMMENT = ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments")


@pytest.fixture
def hub(tmp_path: Path, clock: ManualClock) -> Iterator[DevHub]:
    with DevHub(tmp_path, clock) as hub:
        yield hub


@pytest.fixture
def project(hub: DevHub) -> Repository:
    return hub.create_repository("acme", "digits", private=True)


@pytest.fixture
def sha(hub: DevHub, project: Repository) -> str:
    return hub.commit_files(project, {"train.py": "print(1)"}, message="First")


@pytest.fixture
def repo(hub: DevHub, project: Repository) -> Repo:
    return Repo(hub.installation("acme").id, "acme", "digits")


@pytest.fixture
def app(hub: DevHub, clock: ManualClock) -> Iterator[Forge]:
    """The forge as the App that devhub knows, without our own caps: GitHub's are enforced."""
    forge = Forge(Credentials(hub.app.id, hub.app.private_key, hub.url, clock), Pacer(clock, caps=()), clock)
    yield forge
    forge.close()


def test_a_check_lives_its_life_for_three_requests_and_one_token(
    hub: DevHub, project: Repository, sha: str, repo: Repo, app: Forge
) -> None:
    before = len(hub.requests)

    check_id = app.create_check(repo, sha, QUEUED, "42")
    app.update_check(repo, check_id, RUNNING)
    app.update_check(repo, check_id, PASSED)

    check = hub.check(project, sha, NAME)
    assert (check.id, check.external_id, check.status, check.conclusion) == (check_id, "42", "completed", "success")
    assert [(m.status, m.title) for m in check.history] == [
        ("queued", "Pending"),
        ("in_progress", "Running"),
        ("completed", "Passed"),
    ]
    assert check.actions == [PASSED.actions[0].to_wire()]
    assert (hub.requests.count(*CREATE), hub.requests.count(*UPDATE)) == (1, 2)
    assert len(hub.requests) - before == 4, "the fourth is the token"


def test_an_answer_lost_after_the_write_leaves_one_check(
    hub: DevHub, project: Repository, sha: str, repo: Repo, app: Forge, clock: ManualClock
) -> None:
    hub.faults.fail_next("POST", r"/check-runs$", status=502, after_write=True)

    with pytest.raises(Retry) as caught:
        app.create_check(repo, sha, QUEUED, "42")
    clock.advance(caught.value.after)

    assert caught.value.maybe_written
    assert app.find_check(repo, sha, NAME, "42") == hub.check(project, sha, NAME).id
    assert hub.requests.count(*CREATE) == 1
    assert len(hub.checks(project, sha)) == 1


def test_an_answer_lost_before_the_write_is_found_to_have_left_nothing(
    hub: DevHub, sha: str, repo: Repo, app: Forge, clock: ManualClock
) -> None:
    hub.faults.cut_next("POST", r"/check-runs$")

    with pytest.raises(Retry) as caught:
        app.create_check(repo, sha, QUEUED, "42")
    clock.advance(caught.value.after)

    assert caught.value.maybe_written
    assert app.find_check(repo, sha, NAME, "42") is None


def test_a_re_run_is_a_new_check_and_each_is_found_by_its_own_id(hub: DevHub, sha: str, repo: Repo, app: Forge) -> None:
    first = app.create_check(repo, sha, PASSED, "1")
    second = app.create_check(repo, sha, QUEUED, "2")

    assert first != second
    assert app.find_check(repo, sha, NAME, "1") == first
    assert app.find_check(repo, sha, NAME, "2") == second
    assert app.find_check(repo, sha, NAME, "3") is None
    assert app.find_check(repo, sha, "another / name", "1") is None


def test_seventy_annotations_arrive_once_each(
    hub: DevHub, project: Repository, sha: str, repo: Repo, app: Forge
) -> None:
    remarks = tuple(Annotation("train.py", 1, 1, f"problem {n}", start_column=1) for n in range(70))
    check = CheckWrite("experiments", Status.COMPLETED, "70 problems", "…", Conclusion.FAILURE, annotations=remarks)

    check_id = app.create_check(repo, sha, check, "7")
    app.update_check(repo, check_id, check, annotations_from=50)
    app.update_check(repo, check_id, check)

    told = hub.check(project, sha, "experiments").annotations
    assert [annotation["message"] for annotation in told] == [f"problem {n}" for n in range(70)]


def test_annotations_whose_answer_was_lost_can_be_counted(
    hub: DevHub, sha: str, repo: Repo, app: Forge, clock: ManualClock
) -> None:
    """Sent again they would be there twice."""
    failed = replace(PASSED, conclusion=Conclusion.FAILURE, annotations=(Annotation("train.py", 1, 1, "here"),))
    check_id = app.create_check(repo, sha, QUEUED, "7")
    assert app.count_annotations(repo, check_id) == 0
    hub.faults.fail_next("PATCH", r"/check-runs/\d+$", status=502, after_write=True)

    with pytest.raises(Retry) as caught:
        app.update_check(repo, check_id, failed, annotations_from=0)
    clock.advance(caught.value.after)

    assert caught.value.maybe_written
    assert app.count_annotations(repo, check_id) == 1


def test_what_github_refuses_is_refused_with_its_words(hub: DevHub, sha: str, repo: Repo, app: Forge) -> None:
    too_long = CheckWrite(NAME, Status.QUEUED, "Pending", "🧪" * 20_000)

    with pytest.raises(Refused, match="65535") as caught:
        app.create_check(repo, sha, too_long, "42")
    assert caught.value.status == 422

    with pytest.raises(Refused, match="No commit found for SHA"):
        app.create_check(repo, "d" * 40, QUEUED, "42")
    with pytest.raises(Refused) as caught:
        app.update_check(repo, 999_999, QUEUED)
    assert caught.value.status == 404


def test_a_comment_is_made_edited_and_found_among_those_who_pasted_its_marker(
    hub: DevHub, project: Repository, sha: str, repo: Repo, app: Forge
) -> None:
    hub.commit_files(project, {"train.py": "print(2)"}, branch="worse")
    pull = hub.open_pull(project, head="worse", base="main", title="Worse", body="")
    hub.comment(pull, f"{MARKER} I am the bot, honestly", by=hub.world.account("mallory"))
    assert app.find_comment(repo, pull.number, MARKER) is None

    comment_id = app.create_comment(repo, pull.number, f"{MARKER}\nloss 0.3")
    app.update_comment(repo, pull.number, comment_id, f"{MARKER}\nloss 0.1")

    assert app.find_comment(repo, pull.number, MARKER) == comment_id
    assert pull.comments[-1].body == f"{MARKER}\nloss 0.1"
    assert hub.requests.count(*COMMENT) == 1


def test_a_comment_whose_answer_was_lost_is_there_once(
    hub: DevHub, project: Repository, sha: str, repo: Repo, app: Forge, clock: ManualClock
) -> None:
    hub.commit_files(project, {"train.py": "print(2)"}, branch="worse")
    pull = hub.open_pull(project, head="worse", base="main", title="Worse", body="")
    hub.faults.fail_next("POST", r"/comments$", status=500, after_write=True)

    with pytest.raises(Retry) as caught:
        app.create_comment(repo, pull.number, MARKER)
    clock.advance(caught.value.after)

    assert app.find_comment(repo, pull.number, MARKER) == pull.comments[0].id
    assert len(pull.comments) == 1


def test_a_pull_request_as_it_is_now(hub: DevHub, project: Repository, sha: str, repo: Repo, app: Forge) -> None:
    head = hub.commit_files(project, {"train.py": "print(2)"}, branch="worse")
    opened = hub.open_pull(project, head="worse", base="main", title="Worse", body="")

    pull = app.get_pull(repo, opened.number)

    assert (pull.head_sha, pull.base_sha, pull.head_branch, pull.base_branch) == (head, sha, "worse", "main")
    assert pull.is_open
    assert not pull.is_fork
    assert not pull.is_draft


def test_a_token_is_replaced_before_its_hour_is_over(
    hub: DevHub, sha: str, repo: Repo, app: Forge, clock: ManualClock
) -> None:
    app.create_check(repo, sha, QUEUED, "1")
    clock.advance(3 * HOUR / SECOND)

    app.create_check(repo, sha, QUEUED, "2")

    assert hub.requests.count("POST", "/app/installations/{installation_id}/access_tokens") == 2


def test_a_revoked_token_costs_one_more_request_and_nothing_else(
    hub: DevHub, project: Repository, sha: str, repo: Repo, app: Forge
) -> None:
    check_id = app.create_check(repo, sha, QUEUED, "1")
    hub.site.tokens.revoke_all(hub.installation("acme"))

    app.update_check(repo, check_id, PASSED)

    assert hub.check(project, sha, NAME).conclusion == "success"
    assert hub.requests.count("PATCH", status=401) == 1


def test_a_write_to_a_repository_under_its_old_name_is_never_claimed_without_being_done(
    hub: DevHub, project: Repository, sha: str, repo: Repo, app: Forge
) -> None:
    """GitHub redirects writes with 307, which we do not follow."""
    check_id = app.create_check(repo, sha, QUEUED, "1")
    hub.rename_repository(project, "numbers")

    with pytest.raises(Moved):
        app.update_check(repo, check_id, PASSED)

    assert hub.check(project, sha, NAME).status == "queued"
    assert app.find_check(Repo(repo.installation, "acme", "numbers"), sha, NAME, "1") == check_id


def test_a_list_that_was_read_under_an_old_name_is_not_taken_for_the_whole(
    hub: DevHub, project: Repository, repo: Repo, app: Forge
) -> None:
    """On the way to the new name PyGithub forgets how many were to be on a page."""
    for number in range(40):
        hub.commit_files(project, {"n": str(number)}, branch=f"b{number}", message="One of many")
    assert len(app.branches(repo).items) == 40
    hub.rename_repository(project, "numbers")

    with pytest.raises(Moved):
        app.branches(repo)
    assert len(app.branches(Repo(repo.installation, "acme", "numbers")).items) == 40


def test_the_app_finds_out_where_it_is_installed(hub: DevHub, repo: Repo, app: Forge) -> None:
    assert app.installation_of("acme", "digits") == repo.installation
    assert app.installation_of("acme", "nothing") is None


@pytest.mark.parametrize("seconds", [-3600, -90, 90, 3600])
def test_a_clock_that_is_off_is_corrected_by_githubs(tmp_path: Path, clock: ManualClock, seconds: int) -> None:
    with DevHub(tmp_path, clock) as hub:
        number = hub.installation("acme").id
        ours = ManualClock(clock.now() + seconds * SECOND)
        credentials = Credentials(hub.app.id, hub.app.private_key, hub.url, ours)

        assert credentials.token(number).startswith("ghs_")
        assert hub.requests.count("POST", status=401) <= 1
        credentials.close()


def test_a_key_that_was_replaced_is_read_again(tmp_path: Path, clock: ManualClock) -> None:
    """What is rotated is the file: the bot need not be started again."""
    strange = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with DevHub(tmp_path, clock) as hub:
        number = hub.installation("acme").id
        kept = [None, hub.app.private_key]
        credentials = Credentials(hub.app.id, strange, hub.url, clock, read_again=lambda: kept.pop(0))

        with pytest.raises(Unauthorized, match="does not belong to App"):
            credentials.token(number)
        assert credentials.token(number).startswith("ghs_")
        credentials.close()


@pytest.mark.slow
def test_five_hundred_checks_at_once_never_meet_githubs_own_limits(
    hub: DevHub, sha: str, repo: Repo, clock: ManualClock
) -> None:
    """Our caps lie below GitHub's, so that it never has to remind us."""
    app = Forge(Credentials(hub.app.id, hub.app.private_key, hub.url, clock), Pacer(clock), clock)
    for number in range(500):
        while wait := app.pacer.may_write(repo.installation):
            clock.advance(wait)
        app.create_check(repo, sha, CheckWrite(f"w / {number}", Status.QUEUED, "Pending", "…"), str(number))

    assert hub.requests.count(*CREATE) == 500
    app.close()


def test_a_limit_of_githubs_is_obeyed_and_then_it_goes_on(
    hub: DevHub, sha: str, repo: Repo, app: Forge, clock: ManualClock
) -> None:
    hub.faults.fail_next("POST", r"/check-runs$", status=429, retry_after=90)
    with pytest.raises(Limited) as caught:
        app.create_check(repo, sha, QUEUED, "42")
    assert caught.value.after == 90
    asked = len(hub.requests)

    clock.advance(89)
    with pytest.raises(Limited):
        app.find_check(repo, sha, NAME, "42")
    assert len(hub.requests) == asked

    clock.advance(1)
    assert app.find_check(repo, sha, NAME, "42") is None


def test_gits_token_opens_only_its_repository(hub: DevHub, project: Repository, repo: Repo, clock: ManualClock) -> None:
    credentials = Credentials(hub.app.id, hub.app.private_key, hub.url, clock)

    token = credentials.token(repo.installation, repository_id=project.id)
    credentials.close()

    held = hub.site.tokens.find(token)
    assert held is not None
    assert held.repositories == frozenset({project.id})
    assert held.permissions.get("contents") == "read"
    assert "checks" not in held.permissions


def test_the_doctor_is_content_with_devhub(tmp_path: Path) -> None:
    with DevHub(tmp_path, SystemClock()) as hub:
        hub.create_repository("acme", "digits", private=True)
        credentials = Credentials(hub.app.id, hub.app.private_key, hub.url, SystemClock())

        findings = diagnose(credentials, hub.app.permissions, hub.app.events)
        credentials.close()

    assert [finding for finding in findings if not finding.ok] == []
    assert findings[-1].name == "installation acme"

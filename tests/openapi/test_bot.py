"""What the bot asks of GitHub, held to GitHub's own description: its requests on a road with everything on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.app import make_credentials
from bot.clock import ManualClock
from bot.core.text import MARKER
from bot.devhub import DevHub, Pull, Repository
from bot.doctor.github import GitHub
from bot.forge.checks import Action, Annotation, CheckWrite, Conclusion, Level, Status
from bot.forge.client import Forge, Repo
from bot.forge.deliveries import DeliveryLog
from bot.forge.pacing import Pacer
from tests.openapi import description
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service


@pytest.fixture
def backend(clock: ManualClock) -> ScriptedBackend:
    return ScriptedBackend(clock)


@pytest.fixture
def road(tmp_path: Path, clock: ManualClock, backend: ScriptedBackend) -> Iterator[Road]:
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, backend)
        yield road
        road.close()


def test_every_request_of_a_pull_request_that_fails(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change")
    pull = road.hub.open_pull(repository, head="change")
    road.settle()
    backend.begin(backend.submissions[-1])
    road.wait(61)
    backend.fail(backend.submissions[-1], exit_code=3)
    road.wait(61)
    road.hub.commit_files(repository, {".ps_project/config.yaml": CONFIG + "nonsense: 1\n"}, branch="change")
    road.wait(61)

    assert len(pull.comments) == 1
    assert any(run.annotations for run in repository.runs()), "a config error points at its line"
    methods = {(request.method, request.route) for request in road.hub.requests}
    assert len(methods) >= 4
    assert _errors(road) == []


def test_every_request_of_a_conversation(road: Road, backend: ScriptedBackend) -> None:
    """Commands, buttons, what did not arrive, and what somebody deleted."""
    repository, _, pull = _failed(road, backend)
    road.hub.request_action(repository, road.hub.check(repository, pull.head_sha, "train / fit"), "compare")
    road.hub.comment(pull, "/experiment compare main", by=road.hub.add_user("mallory"))
    road.wait(35)
    road.hub.comment(pull, "/experiment rerun failed")
    road.wait(35)
    road.hub.courier.drop_next("push")
    road.hub.commit_files(repository, {"train.py": "print(3)"}, message="Unheard")
    mine = next(comment for comment in pull.comments if comment.author.kind == "Bot")
    road.hub.comment(pull, f"the same once more {MARKER}", by=mine.author)
    for _ in range(3):
        road.wait(1_800)

    made = {(request.method, request.route) for request in road.hub.requests}
    of_repository, of_log = "/repos/{owner}/{repo}", "/app/hook/deliveries"
    assert made >= {
        ("GET", f"{of_repository}/collaborators/{{username}}/permission"),
        ("POST", f"{of_repository}/issues/comments/{{comment_id}}/reactions"),
        ("DELETE", f"{of_repository}/issues/comments/{{comment_id}}"),
        ("GET", f"{of_repository}/issues/{{issue_number}}/comments"),
        ("GET", f"{of_repository}/pulls/{{pull_number}}"),
        ("GET", f"{of_repository}/commits/{{ref}}/check-runs"),
        ("GET", f"{of_repository}/branches"),
        ("GET", of_log),
        ("POST", f"{of_log}/{{delivery_id}}/attempts"),
        ("GET", "/app/installations"),
    }
    assert _errors(road) == []


def test_every_verb_there_is(road: Road, backend: ScriptedBackend) -> None:
    """Those of a bad day, of the terminal and of the doctor are seldom sent; all of them are, here."""
    repository, sha, pull = _failed(road, backend)
    comment = road.hub.comment(pull, "Hello")
    road.hub.require_check(repository, "experiments", road.hub.app.id)
    road.hub.wait_delivered()
    road.hub.requests.clear()
    pacer = Pacer(road.clock, caps=())
    credentials = make_credentials(road.settings, road.clock, pacer)
    forge, log = Forge(credentials, pacer, road.clock), DeliveryLog(credentials)
    repo = Repo(road.hub.installation("acme").id, "acme", "digits")
    check = CheckWrite(
        name="train / fit",
        status=Status.COMPLETED,
        conclusion=Conclusion.FAILURE,
        title="Failed",
        summary="s",
        text="t",
        details_url="https://ci.example/1",
        started_at=road.clock.now(),
        completed_at=road.clock.now(),
        annotations=tuple(Annotation("train.py", 1, 1, "m", Level.FAILURE, title="t") for _ in range(60)),
        actions=(Action("Re-run failed", "Try again", "rerun-failed"),),
    )
    run = forge.create_check(repo, sha, check, "x1")
    forge.update_check(repo, run, check, annotations_from=50)
    assert forge.count_annotations(repo, run) == 60
    assert forge.find_check(repo, sha, "train / fit", "x1") == run
    made = forge.create_comment(repo, pull.number, MARKER)
    forge.update_comment(repo, pull.number, made, f"again {MARKER}")
    assert made in {one.id for one in forge.comments_on(repo, pull.number)}
    assert forge.find_comment(repo, pull.number, MARKER) is not None
    forge.react(repo, pull.number, comment.id, "eyes")
    forge.delete_comment(repo, pull.number, made)
    assert forge.permission_of(repo, "nobody-here").value == "none"
    assert forge.branch_head(repo, "no/such") is None
    assert forge.branch_head(repo, "change") == forge.resolve(repo, "change") == sha
    assert forge.merge_base(repo, sha, sha) == sha
    assert forge.get_pull(repo, pull.number).head_sha == sha
    assert forge.standing(repo).github_id == repository.id
    assert len(forge.open_pulls(repo).items) == 1
    assert len(forge.branches(repo).items) == 2
    assert forge.installation_of("acme", "digits") == repo.installation == forge.installations()[0].id
    assert forge.checks_on(repo, sha)
    attempts = [one for page in log.pages(5) for one in page]
    assert log.fetch(attempts[0].id)[0] == attempts[0].event
    log.redeliver(attempts[0].id)
    with GitHub(road.settings, road.clock, polls=False) as doctor:
        found = [*doctor.what_it_knows(), *doctor.what_it_sent(has_database=True), *doctor.what_it_requires()]
    assert len(found) >= 6
    forge.close()

    made_of = {(request.method, request.route) for request in road.hub.requests}
    assert len(made_of) >= 25
    assert made_of >= {
        ("GET", "/repos/{owner}/{repo}/compare/{basehead}"),
        ("GET", "/repos/{owner}/{repo}/branches/{branch}"),
        ("GET", "/repos/{owner}/{repo}/installation"),
        ("GET", "/installation/repositories"),
        ("GET", "/app/hook/deliveries/{delivery_id}"),
    }
    assert _errors(road) == []


def _failed(road: Road, backend: ScriptedBackend) -> tuple[Repository, str, Pull]:
    """A pull request whose run has failed, beside a base whose run went well."""
    repository, _ = road.repository()
    road.settle()
    backend.succeed(backend.submissions[-1])
    road.wait(2)
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change")
    pull = road.hub.open_pull(repository, head="change")
    road.settle()
    backend.fail(backend.submissions[-1])
    road.wait(35)
    return repository, sha, pull


def _errors(road: Road) -> list[str]:
    return [error for request in road.hub.requests for error in description.errors_in_exchange(request)]

"""GitHub Enterprise Server: the API lies below `/api/v3`, pages and git beside it. The whole road knows that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service


@pytest.fixture
def road(tmp_path: Path, clock: ManualClock, backend: ScriptedBackend) -> Iterator[Road]:
    """A bot that was told of the API alone: where the pages are follows from it."""
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, backend, GITHUB_API_URL=f"{hub.url}/api/v3/", GITHUB_WEB_URL="")
        yield road
        road.close()


def everything_was_asked_below_the_prefix(road: Road) -> None:
    assert {request.prefix for request in road.hub.requests} == {"/api/v3"}


def test_a_pull_request_with_its_commands_buttons_and_comment(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = opened(road)
    assert road.settings.web_url == road.hub.url
    backend.succeed(backend.submissions[0])
    backend.fail(backend.submissions[1])
    road.wait(70)
    assert road.shown(repository, sha)["experiments"] == ("completed", "failure")
    [comment] = pull.comments
    assert f"{road.hub.url}/acme/digits/" in comment.body
    assert "/api/v3" not in comment.body
    summary = road.hub.check(repository, sha, "experiments").output.summary or ""
    assert f"({road.hub.url}/acme/digits/blob/{sha}/.ps_project/config.yaml)" in summary

    road.hub.comment(pull, "/experiment rerun failed")
    road.wait(10)
    backend.fail(backend.submissions[2])
    road.wait(10)
    road.hub.request_action(repository, road.hub.check(repository, sha, "train / fit"), "rerun-failed")
    road.wait(10)
    assert len(backend.submissions) == 4
    everything_was_asked_below_the_prefix(road)


def test_what_nobody_took_is_found_on_the_second_page_of_the_log(road: Road, backend: ScriptedBackend) -> None:
    repository, _, pull = opened(road)
    road.hub.courier.outage()
    sha = road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Missed")
    for number in range(101):
        road.hub.comment(pull, f"Remark {number}")
    road.hub.wait_delivered()
    road.hub.courier.restore()
    for _ in range(4):
        road.wait(150)

    assert road.shown(repository, sha)["train / fit"] == ("queued", None)
    assert {one.guid for one in road.hub.deliveries} >= {one.guid for one in road.deliveries() if one.origin != "scan"}
    assert road.answers("issue_comment").count("a comment without a command") == 101
    everything_was_asked_below_the_prefix(road)

"""Check runs, and GitHub's limits on them."""

from typing import Any

import pytest
import requests

from bot.clock import ManualClock
from bot.devhub import DevHub, Pull, Repository
from tests.devhub.client import Client

pytestmark = pytest.mark.service
RUNS = "/repos/acme/digits/check-runs"
NOTE = {"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"status": "completed"}, "conclusion"),
    ({"completed_at": "2023-11-14T22:13:30Z"}, "conclusion"),
    ({"conclusion": "stale"}, "not a member"),
    ({"conclusion": None}, "nil is not a string"),
    ({"status": "done"}, "not a member"),
    ({"started_at": "yesterday"}, "date-time"),
    ({"details_url": "ftp://example.org"}, "http or https"),
    ({"output": {"title": "t"}}, '"summary" wasn\'t supplied'),
    ({"output": {"title": "t", "summary": "é" * 32_768}}, "summary exceeds a maximum bytesize of 65535"),
    ({"output": {"title": "t", "summary": "s", "text": "x" * 65_536}}, "text exceeds a maximum bytesize"),
    ({"output": {"title": "t", "summary": "s", "annotations": [NOTE] * 51}}, "no more than 50 items"),
    ({"actions": [{"label": "l", "description": "d", "identifier": "i"}] * 4}, "no more than 3 items"),
    ({"actions": [{"label": "l" * 21, "description": "d", "identifier": "i"}]}, "only 20 characters"),
    ({"actions": [{"label": "l", "description": "d" * 41, "identifier": "i"}]}, "only 40 characters"),
    ({"actions": [{"label": "l", "description": "d", "identifier": "i" * 21}]}, "only 20 characters"),
    ({"actions": [{"label": "l"}]}, '"description" wasn\'t supplied'),
]
REFUSED_ANNOTATIONS: list[tuple[dict[str, Any], str]] = [
    ({"end_line": 2, "start_column": 1, "end_column": 2}, "columns are only for annotations of one line"),
    ({"start_column": None}, "nil is not an integer"),
    ({"annotation_level": "error"}, "not a member"),
    ({"message": "x" * (64 * 1024 + 1)}, "message exceeds"),
    ({"title": "x" * 256}, "only 255 characters"),
    ({"start_line": 0}, "lines start at 1"),
    ({"start_line": 3, "end_line": 2}, "does not lie before"),
    ({"start_line": "1"}, "not an integer"),
]


def words(answer: requests.Response) -> str:
    body = answer.json()
    return str(body["message"]) + " ".join(error["message"] for error in body.get("errors", ()))


@pytest.fixture
def made(client: Client, sha: str) -> dict[str, Any]:
    answer = client.post(RUNS, {"name": "experiments", "head_sha": sha, "external_id": "7"})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_the_life_of_a_check(
    hub: DevHub, client: Client, repository: Repository, made: dict[str, Any], clock: ManualClock, sha: str
) -> None:
    assert (made["status"], made["conclusion"], made["external_id"]) == ("queued", None, "7")
    clock.advance(5)
    output = {"title": "Running", "summary": "**go**"}
    client.patch(made["url"], {"status": "in_progress", "output": output})
    clock.advance(5)
    done = client.patch(made["url"], {"conclusion": "success"}).json()
    assert (done["status"], done["completed_at"]) == ("completed", "2023-11-14T22:13:30Z")
    assert done["output"]["summary"] == "**go**", "what is not given stays"
    check = hub.check(repository, sha, "experiments")
    assert [(m.status, m.conclusion, m.title) for m in check.history] == [
        ("queued", None, None),
        ("in_progress", None, "Running"),
        ("completed", "success", "Running"),
    ]
    assert client.get(f"{RUNS}/{made['id']}").json() == done


def test_what_github_refuses(
    hub: DevHub, client: Client, repository: Repository, made: dict[str, Any], sha: str
) -> None:
    for change, says in REFUSED:
        body: dict[str, Any] = {"name": "another", "head_sha": sha}
        for answer in (client.patch(made["url"], change), client.post(RUNS, body | change)):
            assert answer.status_code == 422, (change, answer.text)
            assert says in words(answer)
    assert len(hub.checks(repository, sha)) == 1, "a refused request leaves nothing behind"
    assert client.get(made["url"]).json()["status"] == "queued"


def test_what_github_refuses_of_an_annotation(client: Client, made: dict[str, Any]) -> None:
    for change, says in REFUSED_ANNOTATIONS:
        answer = client.patch(made["url"], {"output": {"summary": "s", "annotations": [NOTE | change]}})
        assert answer.status_code == 422, (change, answer.text)
        assert says in words(answer)
    assert client.get(made["url"]).json()["output"]["annotations_count"] == 0


def test_what_just_fits_is_taken(client: Client, made: dict[str, Any]) -> None:
    output = {"title": "t", "summary": "é" * 32_767 + "x", "text": "x" * 65_535, "annotations": [NOTE] * 50}
    action = {"label": "l" * 20, "description": "d" * 40, "identifier": "i" * 20}
    answer = client.patch(made["url"], {"output": output, "actions": [action] * 3})
    assert answer.status_code == 200, answer.text


def test_annotations_are_added_by_each_request(client: Client, made: dict[str, Any]) -> None:
    for count in (50, 50, 1):
        client.patch(made["url"], {"output": {"summary": "s", "annotations": [NOTE] * count}})
    assert client.get(made["url"]).json()["output"]["annotations_count"] == 101
    page = client.get(f"{made['url']}/annotations?per_page=100&page=2")
    assert [note["path"] for note in page.json()] == ["a"]


def test_a_completed_check_is_not_reopened_but_may_change_its_mind(client: Client, made: dict[str, Any]) -> None:
    client.patch(made["url"], {"conclusion": "failure"})
    refused = client.patch(made["url"], {"status": "in_progress"})
    assert refused.status_code == 422
    assert "stays completed" in refused.text
    assert client.patch(made["url"], {"conclusion": "success"}).json()["conclusion"] == "success"


def test_a_new_run_of_the_same_name_governs(client: Client, made: dict[str, Any], sha: str) -> None:
    client.patch(made["url"], {"conclusion": "failure"})
    again = client.post(RUNS, {"name": "experiments", "head_sha": sha, "status": "in_progress"}).json()
    client.post(RUNS, {"name": "another", "head_sha": sha, "conclusion": "success"})
    listing = f"/repos/acme/digits/commits/{sha}/check-runs"

    def ids(query: str) -> list[int]:
        answer = client.get(f"{listing}?{query}").json()
        assert answer["total_count"] == len(answer["check_runs"])
        return [run["id"] for run in answer["check_runs"]]

    assert ids("check_name=experiments") == [again["id"]]
    assert ids("check_name=experiments&filter=all") == [again["id"], made["id"]]
    assert len(ids("status=completed")) == 1
    assert ids("app_id=1") == []
    suite = client.get(f"/repos/acme/digits/check-suites/{made['check_suite']['id']}").json()
    assert (suite["status"], suite["latest_check_runs_count"]) == ("in_progress", 2)


def test_a_commit_must_exist_and_a_name_must_be_one(client: Client, sha: str) -> None:
    unknown = client.post(RUNS, {"name": "x", "head_sha": "f" * 40})
    assert (unknown.status_code, unknown.json()["message"]) == (422, f"No commit found for SHA: {'f' * 40}")
    assert client.post(RUNS, {"name": "x", "head_sha": sha[:10]}).status_code == 422
    assert client.post(RUNS, {"name": " ", "head_sha": sha}).status_code == 422
    assert client.post(RUNS, {"name": "ü" * 128, "head_sha": sha}).status_code == 422
    assert client.post(RUNS, {"head_sha": sha}).status_code == 422
    assert client.get(f"{RUNS}/1").status_code == 404


def test_a_check_lists_the_pulls_of_its_commit_but_none_from_forks(
    hub: DevHub, client: Client, repository: Repository, pull: Pull
) -> None:
    own = client.post(RUNS, {"name": "x", "head_sha": pull.head_sha}).json()
    assert [each["number"] for each in own["pull_requests"]] == [1]
    fork = hub.fork(repository, "zoe")
    foreign = hub.commit_files(fork, {"evil.py": ""}, branch="evil")
    hub.open_pull(repository, head="evil", head_repository=fork)
    assert client.post(RUNS, {"name": "x", "head_sha": foreign}).json()["pull_requests"] == []


def test_pressing_buttons_tells_the_app(
    hub: DevHub, client: Client, repository: Repository, made: dict[str, Any], sha: str
) -> None:
    action = {"label": "Stop", "description": "Stop it", "identifier": "stop"}
    client.patch(made["url"], {"actions": [action], "conclusion": "success"})
    run = hub.check(repository, sha, "experiments")
    hub.rerequest_check_run(repository, run)
    hub.request_action(repository, run, "stop")
    hub.rerequest_check_suite(repository, repository.suites[sha])
    told = [(d.event, d.action) for d in hub.deliveries[-3:]]
    assert told == [("check_run", "rerequested"), ("check_run", "requested_action"), ("check_suite", "rerequested")]
    assert hub.deliveries[-2].payload["requested_action"] == {"identifier": "stop"}
    with pytest.raises(ValueError, match="no action 'start'"):
        hub.request_action(repository, run, "start")
    # Not subscribed to: our own checks come back to nobody.
    assert not [d for d in hub.deliveries if d.action in {"created", "completed"} and d.event == "check_run"]

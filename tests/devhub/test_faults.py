"""The API on a bad day: what is lost before, and what after it was done."""

import pytest
import requests

from bot.devhub import DevHub, Pull
from tests.devhub.client import Client

pytestmark = pytest.mark.service
COMMENTS = "/repos/acme/digits/issues/1/comments"


def test_a_lost_answer_hides_a_write_that_was_taken(hub: DevHub, client: Client, pull: Pull) -> None:
    hub.faults.fail_next("POST", r"/comments$", status=502, after_write=True)
    assert client.post(COMMENTS, {"body": "once"}).status_code == 502
    assert [comment.body for comment in pull.comments] == ["once"]
    assert client.post(COMMENTS, {"body": "twice"}).status_code == 201, "only the next one was ordered"
    logged = hub.requests.find("POST", status=502)
    assert [request.fault for request in logged] == ["fail after the write"]


def test_a_failure_before_the_write_leaves_nothing(hub: DevHub, client: Client, pull: Pull) -> None:
    hub.faults.fail_next("POST|PATCH", r"/comments", status=503, retry_after=7, times=2)
    answers = [client.post(COMMENTS, {"body": "x"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].headers["Retry-After"] == "7"
    assert pull.comments == []


@pytest.mark.parametrize(("after_write", "written"), [(False, 0), (True, 1)])
def test_a_cut_connection(hub: DevHub, client: Client, pull: Pull, after_write: bool, written: int) -> None:
    hub.faults.cut_next("POST", r"/comments$", after_write=after_write)
    with pytest.raises(requests.ConnectionError):
        client.post(COMMENTS, {"body": "x"})
    assert len(pull.comments) == written
    assert hub.requests.count("POST", status=0) == 1


def test_a_slow_answer(hub: DevHub, client: Client, pull: Pull) -> None:
    hub.faults.delay_next("GET", r"/pulls/1$", seconds=2.0)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{hub.url}/repos/acme/digits/pulls/1", timeout=0.3)
    assert client.get("/repos/acme/digits/pulls/1").elapsed.total_seconds() < 2.0


def test_an_outage_lasts_until_it_is_over(hub: DevHub, client: Client, pull: Pull) -> None:
    hub.faults.outage()
    assert {client.get(COMMENTS).status_code for _ in range(3)} == {503}
    hub.faults.clear()
    assert client.get(COMMENTS).status_code == 200


def test_random_faults_repeat_themselves_for_a_seed(hub: DevHub, client: Client, pull: Pull) -> None:
    def soak(seed: int) -> list[int]:
        hub.faults.at_random(0.5, seed)
        statuses = []
        for _ in range(30):
            try:
                statuses.append(client.get(COMMENTS).status_code)
            except requests.ConnectionError:
                statuses.append(0)
        hub.faults.clear()
        return statuses

    first = soak(1)
    assert first == soak(1)
    assert first != soak(2)
    assert {0, 200, 502, 503} == set(first)


def test_git_can_fail_too(hub: DevHub, client: Client, pull: Pull) -> None:
    hub.faults.fail_next("GET", r"/info/refs$", status=500)
    url = f"{hub.url}/acme/digits.git/info/refs?service=git-upload-pack"
    assert requests.get(url, auth=("x-access-token", client.token), timeout=5).status_code == 500
    assert requests.get(url, auth=("x-access-token", client.token), timeout=5).status_code == 200
    assert len(hub.git_requests) == 1

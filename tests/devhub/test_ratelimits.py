"""GitHub's limits, by the clock: what is refused, for how long, and who does not wait."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub, Limits
from bot.devhub.ratelimit import Crowding, Trespass
from tests.devhub.client import Client

pytestmark = pytest.mark.service
REPO = "/repos/acme/digits"
COMMENTS = f"{REPO}/issues/1/comments"
Limited = Callable[[Limits | None], Client]


@pytest.fixture
def limited(tmp_path: Path, clock: ManualClock) -> Iterator[Limited]:
    """Make the client of a devhub with limits of its own, and with a pull request to comment on."""
    hubs: list[DevHub] = []

    def make(limits: Limits | None) -> Client:
        hub = DevHub(tmp_path / str(len(hubs)), clock, limits=limits).start()
        hubs.append(hub)
        repository = hub.create_repository("acme", "digits")
        hub.commit_files(repository, {"a": "b"}, branch="main")
        hub.commit_files(repository, {"a": "c"}, branch="side")
        hub.open_pull(repository, head="side")
        return Client(hub, clock).login()

    yield make
    for hub in hubs:
        hub.close()


def comment(client: Client) -> tuple[int, str | None]:
    answer = client.post(COMMENTS, {"body": "x"})
    return answer.status_code, answer.headers.get("Retry-After")


def test_requests_an_hour(limited: Limited, clock: ManualClock) -> None:
    client = limited(Limits(hourly=3))
    assert [client.get(REPO).headers["X-RateLimit-Remaining"] for _ in range(3)] == ["2", "1", "0"]
    refused = client.get(REPO)
    assert refused.status_code == 403
    assert "API rate limit exceeded" in refused.json()["message"]
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert int(refused.headers["X-RateLimit-Reset"]) == clock.now() // 1_000_000 + 3600
    assert client.get("/rate_limit").json()["rate"]["remaining"] == 0, "asking is free"
    assert client.hub.trespasses == [], "nobody had told it"
    clock.advance(3600)
    client.login()
    assert client.get(REPO).status_code == 200


def test_writes_a_minute_and_an_hour(limited: Limited, clock: ManualClock) -> None:
    client = limited(Limits(writes_a_minute=2, writes_an_hour=3))
    assert [comment(client)[0] for _ in range(2)] == [201, 201]
    clock.advance(20)
    assert comment(client) == (403, "40")
    clock.advance(40)
    assert client.get(REPO).status_code == 200
    assert comment(client)[0] == 201
    assert comment(client) == (403, "3540")


def test_points_a_minute_of_one_endpoint(limited: Limited) -> None:
    client = limited(Limits(points_a_minute=6))
    assert client.post(COMMENTS, {"body": "x"}).status_code == 201
    assert client.get(COMMENTS).status_code == 200, "another endpoint"
    assert client.post(COMMENTS, {"body": "x"}).status_code == 403


def test_github_s_own_figures_are_the_default_and_can_be_lifted(limited: Limited) -> None:
    client = limited(Limits())
    assert [comment(client)[0] for _ in range(81)] == [201] * 80 + [403]
    client = limited(None)
    assert {comment(client)[0] for _ in range(82)} == {201}


def test_whoever_does_not_wait_is_refused_again_and_written_down(limited: Limited, clock: ManualClock) -> None:
    client = limited(Limits(writes_a_minute=1))
    assert comment(client)[0] == 201
    clock.advance(20)
    assert comment(client) == (403, "40")
    told = clock.now()
    clock.advance(10)
    refused = client.get(f"{COMMENTS}?page=2")
    assert (refused.status_code, refused.headers["Retry-After"]) == (403, "30"), "reading is no better than writing"
    assert client.get("/rate_limit").status_code == 200
    actor = f"installation {client.hub.installation('acme').id}"
    trespass = Trespass(actor, clock.now(), told + 40_000_000, "GET", f"{COMMENTS}?page=2")
    assert client.hub.trespasses == [trespass]
    used = client.get("/rate_limit").json()["rate"]["used"]
    clock.advance(30)
    assert comment(client)[0] == 201
    assert client.get("/rate_limit").json()["rate"]["used"] == used + 1, "what was refused did not count"
    assert client.as_app("GET", "/app").status_code == 200, "the App is somebody else"


def test_an_hour_that_is_used_up_is_waited_for_to_its_end(limited: Limited, clock: ManualClock) -> None:
    client = limited(Limits(hourly=1))
    statuses = [client.get(REPO).status_code for _ in range(3)]
    assert statuses == [200, 403, 403]
    [trespass] = client.hub.trespasses
    assert trespass.until == clock.now() + 3_600_000_000
    clock.advance(3_600)
    assert client.login().get(REPO).status_code == 200


def test_a_limit_on_order(limited: Limited, clock: ManualClock) -> None:
    client = limited(None)
    client.hub.limit("acme", retry_after=90)
    clock.advance(30)
    assert comment(client) == (403, "60")
    assert client.hub.trespasses == [], "the first refusal is how one is told"
    assert comment(client) == (403, "60")
    assert len(client.hub.trespasses) == 1
    clock.advance(60)
    assert comment(client) == (201, None)
    client.hub.limit("app", retry_after=5)
    assert client.mint().status_code == 403
    clock.advance(5)
    assert client.mint().status_code == 201


def test_a_limit_that_does_not_say_how_long_is_a_minute(limited: Limited, clock: ManualClock) -> None:
    client = limited(None)
    client.hub.limit("acme", retry_after=None)
    clock.advance(300)
    refused = client.get(REPO)
    assert "secondary rate limit" in refused.json()["message"]
    assert "Retry-After" not in refused.headers
    assert refused.headers["X-RateLimit-Remaining"] != "0"
    clock.advance(59)
    assert client.get(REPO).status_code == 403
    [trespass] = client.hub.trespasses
    assert trespass.until == clock.now() + 1_000_000
    clock.advance(1)
    assert client.get(REPO).status_code == 200


def test_an_hour_that_is_used_up_on_order(limited: Limited, clock: ManualClock) -> None:
    client = limited(None)
    started = clock.now()
    client.get(REPO)
    clock.advance(600)
    client.hub.exhaust("acme")
    refused = client.get(REPO)
    assert (refused.status_code, refused.headers["X-RateLimit-Remaining"]) == (403, "0")
    assert int(refused.headers["X-RateLimit-Reset"]) == started // 1_000_000 + 3_600
    clock.advance(3_000)
    assert client.login().get(REPO).status_code == 200
    assert client.hub.trespasses == []


def test_writes_without_a_second_between_them_are_written_down(limited: Limited, clock: ManualClock) -> None:
    client = limited(None)
    comment(client)
    first = clock.now()
    clock.advance(0.9)
    comment(client)
    client.get(COMMENTS)
    clock.advance(1)
    comment(client)
    actor = f"installation {client.hub.installation('acme').id}"
    assert client.hub.crowding == [Crowding(actor, first + 900_000, first, "POST", COMMENTS)]

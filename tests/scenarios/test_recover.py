"""Nothing that GitHub ever sent is lost: what did not arrive is asked for, what nobody remembers is seen."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.clock import ManualClock
from bot.core.payloads import KINDS
from bot.devhub import DevHub, Repository
from bot.store import missing
from bot.store.schema import Attempt, Delivery, Request
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service

FIT = "train / fit"
AGAIN = "/app/hook/deliveries/{delivery_id}/attempts"
HOUR, DAY = 3_600, 86_400


def origins(road: Road) -> Counter[str]:
    """How the deliveries came that are here."""
    return Counter(delivery.origin for delivery in road.deliveries())


def everything_is_here_once(road: Road) -> None:
    """Every event that devhub ever sent was taken in, and taken in once."""
    sent = {one.guid for one in road.hub.deliveries if one.event in KINDS}
    here = [one.guid for one in road.deliveries() if one.origin != "scan"]
    assert sent == set(here)
    assert len(here) == len(set(here))
    assert {one.state for one in road.deliveries()} <= {"done", "ignored"}


def a_busy_time(
    road: Road, repository: Repository, events: int, seconds: float, *, is_worker_up: bool = False
) -> list[str]:
    """Pushes, pull requests and comments, spread over a time. Returns the commits that are heads in the end."""
    heads = []
    for number in range(events // 2):
        sha = road.hub.commit_files(repository, {f"{number}.txt": "x"}, branch=f"b{number}", message=f"Work {number}")
        pull = road.hub.open_pull(repository, head=f"b{number}", base="main", title=f"Work {number}", body="")
        if number % 5 == 0:
            road.hub.comment(pull, "/experiment status")
        heads.append(sha)
        road.clock.advance(seconds / (events // 2))
        if is_worker_up:
            road.settle()
    road.hub.wait_delivered()
    return heads


def settle_down(road: Road, seconds: float = 1_200) -> None:
    """Time passes, in steps of two minutes and a half."""
    for _ in range(max(2, round(seconds / 150))):
        road.wait(150)


def dropped(road: Road) -> tuple[Repository, str]:
    """A push of which nobody told us."""
    repository, _ = road.repository()
    road.settle()
    road.hub.courier.drop_next("push")
    return repository, road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Dropped")


@pytest.mark.parametrize("is_worker_up", [False, True], ids=["nobody at home", "the door is shut"])
def test_a_two_hour_outage_with_fifty_events_loses_none_and_doubles_none(
    road: Road, backend: ScriptedBackend, is_worker_up: bool
) -> None:
    repository, _ = road.repository()
    road.settle()
    road.hub.courier.outage()
    before = len(road.hub.deliveries)
    heads = a_busy_time(road, repository, 50, 2 * HOUR, is_worker_up=is_worker_up)
    assert len(road.hub.deliveries) - before >= 50

    road.hub.courier.restore()
    settle_down(road)

    everything_is_here_once(road)
    assert all(road.shown(repository, sha)[FIT] == ("queued", None) for sha in heads)
    with road.database.read() as tx:
        assert len(tx.scalars(select(Request.id)).all()) == 5
        per_experiment = Counter(tx.scalars(select(Attempt.experiment_id)))
    assert set(per_experiment.values()) == {1}
    assert road.hub.crowding == []
    assert road.hub.trespasses == []


def test_what_cannot_be_sent_once_more_is_fetched(road: Road, backend: ScriptedBackend) -> None:
    """The door stays shut for GitHub: its log is read instead."""
    repository, _ = road.repository()
    road.settle()
    road.hub.courier.outage(503)
    heads = a_busy_time(road, repository, 6, 60)
    settle_down(road, 2_000)

    everything_is_here_once(road)
    assert origins(road)["fetched"] >= 6
    assert all(road.shown(repository, sha)[FIT] == ("queued", None) for sha in heads)


def test_a_worker_that_dies_while_it_recovers_begins_where_it_was(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    road.hub.courier.outage()
    a_busy_time(road, repository, 20, 600)
    road.hub.courier.restore()
    for _ in range(6):
        road.wait(60)
        road.restart_worker(road.database)
    settle_down(road, 1_800)
    everything_is_here_once(road)


def test_what_arrived_is_not_asked_for_again(road: Road, backend: ScriptedBackend) -> None:
    opened(road)
    road.settle()
    settle_down(road, HOUR)
    assert road.hub.requests.count("POST", AGAIN) == 0


def test_one_that_arrives_late_after_all_is_taken_in_once(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = dropped(road)
    road.hub.courier.delay_next("push", clock_seconds=200)
    settle_down(road, 1_200)
    everything_is_here_once(road)
    assert road.shown(repository, sha)[FIT] == ("queued", None)


@pytest.mark.parametrize("status", [404, 422])
def test_what_github_does_not_send_once_more_is_fetched(road: Road, backend: ScriptedBackend, status: int) -> None:
    repository, sha = dropped(road)
    road.hub.faults.fail_next("POST", r"/app/hook/deliveries/\d+/attempts", status=status, times=100)
    settle_down(road, 480)
    assert origins(road)["fetched"] == 1
    assert road.shown(repository, sha)[FIT] == ("queued", None)


def test_what_github_has_forgotten_too_is_given_up(road: Road, backend: ScriptedBackend) -> None:
    dropped(road)
    road.hub.faults.fail_next("POST", r"/app/hook/deliveries/\d+/attempts", status=404, times=100)
    road.hub.faults.fail_next("GET", r"/app/hook/deliveries/\d+", status=404, times=100)
    settle_down(road, 480)
    with road.database.read() as tx:
        assert missing.count(tx) == (0, 1)
    asked = [request.path for request in road.hub.requests if request.path.startswith("/app/hook/deliveries/")]
    assert len(asked) == 2


def test_a_log_that_cannot_be_read_is_read_later(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = dropped(road)
    road.hub.faults.fail_next("GET", "/app/hook/deliveries", status=502, times=3)
    road.hub.faults.fail_next("POST", r"/app/hook/deliveries/\d+/attempts", status=500, times=1)
    settle_down(road, 1_200)
    assert road.shown(repository, sha)[FIT] == ("queued", None)


# Nobody remembers


def test_after_days_the_repositories_are_looked_at(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository({".ps_project/config.yaml": CONFIG + "    triggers: {branches: {only: '.*'}}\n"})
    stale = road.hub.commit_files(repository, {"s.txt": "1"}, branch="stale", message="Stale")
    road.settle()
    road.wait(700)
    road.hub.courier.outage()
    moved = road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Moved")
    new = road.hub.commit_files(repository, {"n.txt": "1"}, branch="new", message="New")
    head = road.hub.commit_files(repository, {"p.txt": "1"}, branch="change", message="Change")
    pull = road.hub.open_pull(repository, head="change", base="main", title="Change", body="")
    road.hub.delete_branch(repository, "stale")
    road.hub.wait_delivered()
    road.clock.advance(4 * DAY)
    road.hub.courier.restore()
    settle_down(road, 1_200)

    for sha in (moved, new, head):
        assert road.shown(repository, sha)[FIT] == ("queued", None)
    assert road.shown(repository, stale)[FIT] == ("completed", "cancelled")
    assert origins(road)["scan"] == 5

    road.hub.courier.outage()
    road.hub.close_pull(pull)
    road.hub.wait_delivered()
    road.clock.advance(4 * DAY)
    settle_down(road, 1_200)
    assert "closed" in road.answers("pull_request")[-1]
    assert origins(road)["scan"] == 6


def test_closed_within_the_second_of_another_event_it_is_closed_by_the_next_look(
    road: Road, backend: ScriptedBackend
) -> None:
    """GitHub's times have whole seconds: which of the two events is the newer, nobody can tell."""
    repository, _ = road.repository()
    road.settle()
    road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change", message="Change it")
    pull = road.hub.open_pull(repository, head="change", base="main", title="Change it", body="")
    road.hub.close_pull(pull)
    road.settle()
    assert backend.submissions[-1] not in backend.cancelled
    settle_down(road, 1_200)
    assert backend.submissions[-1] in backend.cancelled
    road.hub.requests.clear()
    settle_down(road, 3_600)
    assert road.hub.requests.count("GET", "/repos/{owner}/{repo}/pulls/{pull_number}") == 0


def test_what_has_not_changed_costs_nothing(road: Road, backend: ScriptedBackend) -> None:
    opened(road)
    settle_down(road, 3_600)
    road.hub.requests.clear()
    settle_down(road, 3_600)
    reads = [request for request in road.hub.requests if request.route.startswith("/repos/")]
    assert len(reads) >= 15, "three lists, six times"
    reached = [request for request in reads if request.route.endswith("/installation")]
    assert len(reached) <= 1, "a public one is shown to everybody: that it is ours is asked about once an hour"
    assert {request.status for request in reads if request not in reached} == {304}


def test_a_pull_request_from_before_the_app_is_nobodys_wish(road: Road, backend: ScriptedBackend) -> None:
    repository = road.hub.create_repository("acme", "digits", private=False)
    files = {".ps_project/config.yaml": CONFIG, "train.py": "print('training')\n"}
    road.hub.courier.outage()
    road.hub.commit_files(repository, files, message="First")
    road.hub.commit_files(repository, {"old.txt": "1"}, branch="old", message="Old")
    road.hub.open_pull(repository, head="old", base="main", title="Old", body="")
    road.hub.wait_delivered()
    road.clock.advance(4 * DAY)
    road.hub.courier.restore()
    road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Second")
    settle_down(road, 1_800)
    assert origins(road)["scan"] == 0
    assert len(backend.submissions) == 1


def test_what_was_pushed_while_the_app_was_suspended_is_built_when_it_is_back(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, _ = road.repository()
    road.settle()
    settle_down(road, 660)
    road.hub.suspend("acme")
    road.wait(1)
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, message="In the meantime")
    settle_down(road, 1_200)
    assert road.shown(repository, sha) == {}

    road.hub.unsuspend("acme")
    settle_down(road, 120)
    assert road.shown(repository, sha)[FIT] == ("queued", None)


def test_a_suspension_of_which_nobody_told_is_seen_and_so_is_its_end(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    road.hub.courier.outage()
    road.hub.suspend("acme")
    road.hub.wait_delivered()
    road.clock.advance(4 * DAY)
    settle_down(road, 1_200)
    asked = road.hub.requests.count("POST", "/app/installations/{installation_id}/access_tokens")
    settle_down(road, 6_000)
    assert road.hub.requests.count("POST", "/app/installations/{installation_id}/access_tokens") == asked, (
        "nobody knocks at a closed door"
    )

    backend.succeed(backend.submissions[0])
    road.hub.unsuspend("acme")
    road.hub.wait_delivered()
    road.clock.advance(4 * DAY)
    settle_down(road, 1_200)
    assert road.shown(repository, sha)[FIT] == ("completed", "success")


def test_what_arrives_while_the_app_is_shut_out_is_taken_in_when_it_is_back(
    road: Road, backend: ScriptedBackend
) -> None:
    """Nobody but its event tells of a merge group: given up, it would wait for its checks for ever."""
    _, _, pull = opened(road)
    road.hub.courier.delay_next("merge_group", clock_seconds=30)
    sha = road.hub.request_merge_group(pull)
    road.hub.suspend("acme")
    road.wait(40)
    assert [one.state for one in road.deliveries() if one.event == "merge_group"] == ["received"]

    road.hub.unsuspend("acme")
    settle_down(road, 600)
    assert road.shown(pull.repository, sha)[FIT] == ("queued", None)


# Behind a wall


@pytest.fixture
def hidden(tmp_path: Path, clock: ManualClock, backend: ScriptedBackend) -> Iterator[Road]:
    """A bot that GitHub cannot reach."""
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, backend, INTAKE="poll")
        hub.courier.outage()
        yield road
        road.close()


def test_a_machine_that_github_cannot_reach_gets_the_same_events(hidden: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = opened(hidden)
    hidden.wait(40)
    assert hidden.shown(repository, sha)[FIT] == ("queued", None)

    backend.fail(backend.submissions[-1])
    hidden.wait(40)
    hidden.hub.comment(pull, "/experiment rerun failed")
    hidden.wait(40)
    hidden.wait(40)
    assert backend.submissions[-1].endswith("-2")
    everything_is_here_once(hidden)
    assert set(origins(hidden)) == {"fetched"}
    assert hidden.hub.requests.count("POST", AGAIN) == 0


def test_what_is_polled_is_polled_once(hidden: Road, backend: ScriptedBackend) -> None:
    opened(hidden)
    hidden.wait(40)
    fetched = hidden.hub.requests.count("GET", "/app/hook/deliveries/{delivery_id}")
    settle_down(hidden, 1_200)
    assert hidden.hub.requests.count("GET", "/app/hook/deliveries/{delivery_id}") == fetched


def test_deliveries_come_in_the_order_in_which_they_were_sent(hidden: Road, backend: ScriptedBackend) -> None:
    repository, _ = hidden.repository()
    for number in range(5):
        hidden.hub.commit_files(repository, {"n": str(number)}, message=str(number))
        hidden.clock.advance(1)
    settle_down(hidden, 120)
    with hidden.database.read() as tx:
        here = list(tx.scalars(select(Delivery.guid).where(Delivery.event == "push").order_by(Delivery.id)))
    assert here == [one.guid for one in hidden.hub.deliveries if one.event == "push"]

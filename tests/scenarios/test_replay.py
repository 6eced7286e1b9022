"""`experiment-ci replay`: a delivery is looked at again, and nothing is done twice."""

import io
from collections.abc import Iterator

import pytest

from bot.devhub import Repository
from bot.inbox.replay import Replay
from bot.run.errors import CannotRun
from bot.run.screen import Screen
from bot.worker_sign import WorkerSign
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_from_the_terminal import Waiting
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service


class Desk:
    """Somebody at the bot's machine who types `experiment-ci replay`."""

    def __init__(self, road: Road) -> None:
        self._road = road
        self.sign = WorkerSign(road.settings.data_dir, road.clock)
        self.sign.hold()
        self.said, self.is_worker_up = "", True

    def replay(self, *names: str) -> int:
        stream = io.StringIO()
        if self.is_worker_up:
            self.sign.beat()
        clock = Waiting(self._road, self.sign.beat)
        try:
            return Replay(self._road.settings, clock, Screen({}, stream)).run(names)
        finally:
            self.said = stream.getvalue()

    def refusal(self, *names: str) -> str:
        with pytest.raises(CannotRun) as refused:
            self.replay(*names)
        return str(refused.value)


@pytest.fixture
def desk(road: Road) -> Iterator[Desk]:
    desk = Desk(road)
    yield desk
    desk.sign.release()


def test_what_failed_for_good_is_looked_at_again_when_it_is_mended(
    road: Road, backend: ScriptedBackend, desk: Desk
) -> None:
    repository, _ = road.repository()
    road.settle()
    permissions = dict(road.hub.installation("acme").permissions)
    road.hub.courier.hold()
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Second")
    road.hub.grant("acme", {name: level for name, level in permissions.items() if name != "contents"})
    road.hub.courier.release()
    road.settle()
    [*_, push] = [one for one in road.deliveries() if one.event == "push"]
    assert push.state == "failed"
    assert desk.replay(push.guid) == 1
    assert desk.said.startswith(f"✗ {push.guid} push: failed: ")

    road.hub.grant("acme", permissions)
    assert desk.replay(push.guid) == 0

    assert desk.said == f"✓ {push.guid} push: done: 1 of 1 workflows run\n"
    road.wait(5)
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)


def test_several_are_named_by_guid_or_number_and_nothing_is_done_twice(
    road: Road, backend: ScriptedBackend, desk: Desk
) -> None:
    repository, head, pull = opened(road)
    road.hub.comment(pull, "/experiment run")
    road.settle()
    for attempt in backend.submissions:
        backend.succeed(attempt)
    road.wait(10)
    before, attempts = road.hub.checks(repository, head), len(road.attempts())
    rows = {one.event: one for one in road.deliveries() if one.reason != "a comment of an App or a bot"}
    names = [rows["push"].guid, str(rows["pull_request"].id), rows["issue_comment"].guid, rows["push"].guid]

    assert desk.replay(*names) == 0

    said = desk.said.splitlines()
    assert len(said) == 3, "what is named twice is looked at once"
    assert said[1] == f"✓ {rows['pull_request'].guid} pull_request: done: 1 of 1 workflows run"
    road.wait(10)
    assert len(road.attempts()) == attempts
    assert {run.id for run in road.hub.checks(repository, head)} == {run.id for run in before}


def test_a_command_is_not_carried_out_a_second_time(road: Road, backend: ScriptedBackend, desk: Desk) -> None:
    _, _, pull = opened(road)
    road.settle()
    for attempt in backend.submissions:
        backend.succeed(attempt)
    road.wait(10)
    road.hub.comment(pull, "/experiment run")
    road.settle()
    [comment] = [one for one in road.deliveries() if one.event == "issue_comment" and "asks" in one.reason]
    count = len(road.attempts())

    assert desk.replay(comment.guid) == 0

    assert desk.said == (
        f"✓ {comment.guid} issue_comment: done: acme asks: run (written down before: nothing is done twice)\n"
    )
    road.wait(10)
    assert len(road.attempts()) == count


def called_off(road: Road, backend: ScriptedBackend) -> tuple[Repository, str]:
    """A branch whose run was replaced by that of its next commit. Returns the older one."""
    turns = CONFIG.replace("  train:\n", "  train:\n    concurrency: {group: g, cancel: true}\n")
    repository, old = road.repository({".ps_project/config.yaml": turns})
    road.settle()
    road.clock.advance(5)
    road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Second")
    road.settle()
    road.wait(5)
    assert road.shown(repository, old)["train / fit"] == ("completed", "cancelled")
    return repository, old


def test_an_old_push_does_not_bring_back_what_a_newer_one_replaced(
    road: Road, backend: ScriptedBackend, desk: Desk
) -> None:
    repository, old = called_off(road, backend)
    first = next(one for one in road.deliveries() if one.event == "push")
    count = len(road.attempts())

    assert desk.replay(first.guid) == 0
    road.wait(5)

    assert len(road.attempts()) == count
    assert road.shown(repository, old)["train / fit"] == ("completed", "cancelled")


def test_what_never_came_is_brought_from_githubs_log(road: Road, backend: ScriptedBackend, desk: Desk) -> None:
    repository, _ = road.repository()
    road.settle()
    road.hub.courier.outage(503)
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Dropped")
    road.hub.wait_delivered()
    road.wait(301)  # the worker has read the log, and waits for what it had GitHub send once more
    guid = [one.guid for one in road.hub.deliveries if one.event == "push"][-1]
    assert guid not in {one.guid for one in road.deliveries()}

    assert desk.replay(guid) == 0

    assert desk.said == f"✓ {guid} push: done: 1 of 1 workflows run\n"
    road.wait(5)
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)


def test_what_github_forgot_is_lost_and_said_so(road: Road, backend: ScriptedBackend, desk: Desk) -> None:
    repository, _ = road.repository()
    road.settle()
    road.hub.courier.outage(503)
    road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Dropped")
    road.hub.wait_delivered()
    road.wait(301)
    guid = [one.guid for one in road.hub.deliveries if one.event == "push"][-1]
    road.clock.advance(3 * 86_400)
    assert desk.replay(guid) == 1
    assert desk.said == f"✗ {guid}: lost: GitHub keeps deliveries for three days, and this one is older\n"


def test_what_is_unknown_is_refused_and_nothing_is_done(road: Road, backend: ScriptedBackend, desk: Desk) -> None:
    road.repository()
    road.settle()
    [push] = [one for one in road.deliveries() if one.event == "push"]
    for unknown in ("f0f0", "999999", "9" * 30, "²"):
        assert desk.refusal(push.guid, unknown).startswith(f"there is no delivery {unknown}: it was never stored, or")
    assert {one.id: one.processed_at for one in road.deliveries()}[push.id] == push.processed_at


def test_without_a_worker_it_is_said_and_nothing_is_done(road: Road, backend: ScriptedBackend, desk: Desk) -> None:
    road.repository()
    road.settle()
    [push] = [one for one in road.deliveries() if one.event == "push"]
    desk.sign.release()
    desk.is_worker_up = False
    assert desk.refusal(push.guid).startswith("no worker runs (")
    assert {one.state for one in road.deliveries()} <= {"done", "ignored"}

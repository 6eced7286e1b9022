"""Every place where the bot may die, and GitHub's own accidents: nothing lost, launched twice or posted twice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bot.backends.base import AttemptSpec
from bot.clock import ManualClock
from bot.devhub import DevHub
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service


class PowerCut(BaseException):
    """The process is gone. Not an Exception: nothing in the bot may catch it and carry on."""


class DyingBackend(ScriptedBackend):
    """Dies with the bot: before the backend has taken the attempt, or after."""

    def __init__(self, clock: ManualClock, *, after: bool) -> None:
        super().__init__(clock)
        self._is_armed, self._after = True, after

    def submit(self, spec: AttemptSpec) -> str:
        if self._is_armed:
            self._is_armed = False
            if self._after:
                super().submit(spec)
            raise PowerCut
        return super().submit(spec)


@pytest.mark.parametrize("after", [False, True], ids=["before it was taken", "after it was taken"])
def test_a_death_around_the_launch_gives_one_run(tmp_path: Path, clock: ManualClock, after: bool) -> None:
    backend = DyingBackend(clock, after=after)
    with DevHub(tmp_path / "hub", clock) as hub:
        first = Road(tmp_path, hub, clock, backend)
        repository, sha = first.repository()
        with pytest.raises(PowerCut):
            first.settle()
        first.close()

        second = Road(tmp_path, hub, clock, backend)
        second.settle()
        assert len(backend.specs) == 1
        [attempt] = backend.specs
        backend.succeed(attempt)
        second.wait(1)
        assert second.shown(repository, sha)["train / fit"] == ("completed", "success")
        assert len(second.attempts()) == 1
        second.close()


CREATE_CHECK = ("POST", r"/check-runs$")
UPDATE_CHECK = ("PATCH", r"/check-runs/\d+$")
COMMENT = ("POST", r"/issues/\d+/comments$")


def broken(road: Road, method: str, path: str) -> list[Callable[[], object]]:
    faults = road.hub.faults
    return [
        lambda: faults.fail_next(method, path, status=502, after_write=True),
        lambda: faults.fail_next(method, path, status=503, after_write=False),
        lambda: faults.cut_next(method, path, after_write=True),
    ]


@pytest.mark.parametrize("accident", [0, 1, 2], ids=["502 after the write", "503 before it", "cut after the write"])
@pytest.mark.parametrize("call", [CREATE_CHECK, UPDATE_CHECK, COMMENT], ids=["create", "update", "comment"])
def test_whatever_github_does_to_a_write_it_ends_up_there_once(
    road: Road, backend: ScriptedBackend, call: tuple[str, str], accident: int
) -> None:
    broken(road, *call)[accident]()
    repository, _ = road.repository()
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change", message="Change it")
    pull = road.hub.open_pull(repository, head="change", base="main", title="Change", body="")
    road.settle()
    for attempt in list(backend.submissions):
        backend.fail(attempt)
    for _ in range(8):
        road.wait(30)

    names = [check.name for check in road.hub.checks(repository, sha)]
    assert len(names) == len(set(names)) == 3
    assert all(status == "completed" for status, _ in road.shown(repository, sha).values())
    assert len(pull.comments) == 1
    assert road.hub.requests.count(call[0]) > 0


def test_a_backend_that_loses_an_attempt_gives_an_error_not_a_silence(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    backend.lose(backend.submissions[0])
    road.wait(5)
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)  # it may just be blind for a moment

    road.wait(60)
    assert road.shown(repository, sha)["train / fit"] == ("completed", "failure")
    assert "lost" in road.hub.check(repository, sha, "train / fit").output.summary


def test_nothing_stays_unfinished_for_ever(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    backend.begin(backend.submissions[0])
    road.wait(1)

    road.wait(25 * 3600)

    assert road.shown(repository, sha)["train / fit"] == ("completed", "failure")
    assert list(backend.cancelled) == backend.submissions

"""Code is fetched beside the launch station: who waits for a slow git server, and who does not."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import pytest

from bot.backends.base import Capacity
from bot.backends.machines import Machines
from bot.clock import ManualClock
from bot.devhub import DevHub, Pull
from bot.worker.pool import Pool
from tests.scenarios.power import MortalDatabase, PowerCut
from tests.scenarios.processes import eventually
from tests.scenarios.road import CONFIG, AtOnce, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_many import config

pytestmark = pytest.mark.service

PACK = r"/digits\.git/git-upload-pack$"


class Later(Executor):
    """Does nothing until the play says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    def work(self) -> None:
        """Everything that was submitted is done."""
        for future, work in self.waiting:
            future.set_result(AtOnce().submit(work).result())
        self.waiting.clear()


@pytest.fixture
def hub(tmp_path: Path, clock: ManualClock) -> Iterator[DevHub]:
    with DevHub(tmp_path / "hub", clock) as hub:
        yield hub


@pytest.fixture
def later() -> Later:
    return Later()


@pytest.fixture
def road(tmp_path: Path, hub: DevHub, clock: ManualClock, backend: ScriptedBackend, later: Later) -> Iterator[Road]:
    road = Road(tmp_path, hub, clock, backend, pool=later)
    yield road
    road.close()


def states(road: Road) -> list[str]:
    return [attempt.state for attempt in road.attempts()]


def proposed(road: Road, name: str = "digits") -> Pull:
    """A pull request whose experiment waits for its code, and nothing else does."""
    repository = road.hub.create_repository("acme", name, private=False)
    road.hub.commit_files(repository, {"README.md": "x"}, message="First")
    files = {".ps_project/config.yaml": CONFIG, "train.py": "print()"}
    road.hub.commit_files(repository, files, branch="change", message="Train")
    pull = road.hub.open_pull(repository, head="change", base="main", title="Train", body="")
    road.tick("intake", "launch")
    return pull


def test_an_attempt_is_submitted_when_its_code_is_there(road: Road, backend: ScriptedBackend, later: Later) -> None:
    road.repository()
    road.settle()
    assert backend.submissions == []
    assert len(later.waiting) == 1
    later.work()
    road.tick("launch")
    assert len(backend.submissions) == 1


def test_an_attempt_that_is_cancelled_while_its_code_is_fetched_ends_at_once(
    road: Road, backend: ScriptedBackend, later: Later
) -> None:
    pull = proposed(road)
    road.clock.advance(1)
    road.hub.close_pull(pull)
    road.tick("intake", "launch")
    assert states(road) == ["cancelled"]
    later.work()
    road.settle()
    assert backend.submissions == []


def test_twenty_that_want_the_same_code_fetch_it_once(road: Road, backend: ScriptedBackend, later: Later) -> None:
    road.repository({".ps_project/config.yaml": config(20)})
    road.settle(2)
    assert len(later.waiting) == 1
    later.work()
    road.tick("launch")
    assert len(backend.submissions) == 20


def test_a_repository_fetches_one_commit_at_a_time(road: Road, backend: ScriptedBackend, later: Later) -> None:
    """Else a slow one would soon have all threads, each waiting for the lock of the first."""
    repository, _ = road.repository()
    road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Next")
    road.repository(name="letters")
    road.tick("intake", "launch")
    assert len(later.waiting) == 2  # of each repository one
    later.work()
    road.tick("launch")
    assert len(backend.submissions) == 2
    later.work()
    road.tick("launch")
    assert len(backend.submissions) == 3


def test_a_worker_that_dies_while_code_is_fetched_asks_again(
    road: Road, backend: ScriptedBackend, later: Later
) -> None:
    road.repository()
    road.tick("intake", "launch")
    url = road.settings.database_url
    road.restart_worker(MortalDatabase(url, lambda moment: not moment.is_after and "SET handle" in moment.sql))
    later.work()  # of the dead worker: nobody takes it
    road.tick("launch")
    later.work()
    with pytest.raises(PowerCut):
        road.tick("launch")
    road.restart_worker(MortalDatabase(url, lambda moment: False))
    road.tick("launch")
    later.work()
    road.settle()
    assert len(backend.specs) == 1
    assert states(road) == ["pending"]


@pytest.mark.parametrize("key", ["submodules", "lfs"])
def test_what_would_be_ignored_is_refused(road: Road, backend: ScriptedBackend, key: str) -> None:
    params = f"command: python3 train.py, workspace: https://git.example/other.git, {key}: true"
    config = CONFIG.replace("params:\n          command: python3 train.py", f"params: {{{params}}}")
    repository, sha = road.repository({".ps_project/config.yaml": config})
    road.settle()
    assert states(road) == ["error"]
    summary = road.hub.check(repository, sha, "train / fit").output.summary or ""
    assert "another `workspace` comes without them" in summary


def test_who_waits_for_git_gives_its_place_to_others(tmp_path: Path, hub: DevHub, clock: ManualClock) -> None:
    machines = Machines.load(None)
    machine, _ = machines.find(None)
    backend = ScriptedBackend(clock, Capacity(machine.cpus, machine.memory_mb, 0))
    road = Road(tmp_path, hub, clock, backend, machines=machines)
    road.repository()
    road.tick("intake")
    hub.faults.outage(PACK)
    road.tick("launch")
    assert backend.submissions == []
    road.repository(name="letters")
    road.tick("intake", "launch")
    [letters] = backend.submissions
    hub.faults.clear()
    road.wait(6)
    assert backend.submissions == [letters], "there is one place, and it is taken"
    backend.succeed(letters)
    road.wait(1)
    assert len(backend.submissions) == 2
    road.close()


def test_git_is_waited_for_an_hour_and_then_no_more(tmp_path: Path, hub: DevHub, clock: ManualClock) -> None:
    road = Road(tmp_path, hub, clock, ScriptedBackend(clock))
    repository, sha = road.repository()
    road.tick("intake")
    hub.faults.outage(PACK)
    for _ in range(11):
        clock.advance(300)
        road.tick("launch")
    assert states(road) == ["pending"]
    for _ in range(8):
        clock.advance(300)
        road.tick("launch")
    assert states(road) == ["error"]
    road.settle()
    assert "could not be launched" in (hub.check(repository, sha, "train / fit").output.summary or "")
    road.close()


@pytest.mark.slow
def test_a_slow_git_server_holds_up_nobody_else(tmp_path: Path, hub: DevHub, clock: ManualClock) -> None:
    backend, pool = ScriptedBackend(clock), Pool(2, "fetch")
    road = Road(tmp_path, hub, clock, backend, pool=pool)
    pull = proposed(road, "letters")
    until(road, lambda: len(backend.submissions) == 1)
    [letters] = backend.submissions
    road.repository()
    road.tick("intake")
    hub.faults.delay_next("POST", PACK, seconds=8.0)
    road.tick("launch")

    road.repository(name="numbers")
    road.clock.advance(1)
    road.hub.close_pull(pull)
    road.tick("intake")
    until(road, lambda: len(backend.submissions) == 2 and list(backend.cancelled) == [letters])
    digits = next(attempt for attempt in road.attempts() if attempt.handle is None)
    assert (digits.state, digits.handle) == ("pending", None)

    pool.shutdown(wait=True)
    road.tick("launch")
    assert backend.submissions[-1] == digits.backend_id
    road.close()


def until(road: Road, condition: Callable[[], bool]) -> None:
    assert eventually(condition, 30.0, lambda: road.tick("launch"))

"""What the platform broke it repeats by itself, and nothing else; until then nothing has concluded."""

import json
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.backends.base import AttemptSpec, BackendError
from bot.backends.processes import Process
from bot.clock import ManualClock, SystemClock
from bot.devhub import DevHub, Repository
from tests.scenarios.power import Moment, MortalDatabase, PowerCut
from tests.scenarios.processes import eventually
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_failures import local

pytestmark = pytest.mark.service

FIT, GATE, ROLLUP = "train / fit", "train / fit / tensorflow:loss", "experiments"
TWO_STEPS = (
    CONFIG
    + """\
      - name: evaluate
        command: experiment.run_single_node
        params:
          command: python3 evaluate.py
"""
)


def lose(road: Road, backend: ScriptedBackend) -> str:
    """The newest attempt runs, and the backend loses it; return its id."""
    attempt = backend.submissions[-1]
    backend.begin(attempt)
    road.settle()
    backend.lose(attempt)
    road.settle()
    road.wait(11)
    return attempt


def title(road: Road, repository: Repository, sha: str, name: str = FIT) -> str:
    return road.hub.check(repository, sha, name).output.title or ""


def states(road: Road) -> list[str]:
    return [attempt.state for attempt in road.attempts()]


def test_what_the_platform_lost_is_tried_again_and_its_check_stays_open(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    first = lose(road, backend)
    assert title(road, repository, sha) == (
        "Retrying in 30 s (2 of 3) after a platform error: the backend lost this attempt"
    )
    shown = road.shown(repository, sha)
    assert (shown[FIT], shown[GATE], shown[ROLLUP]) == (
        ("in_progress", None),
        ("queued", None),
        ("in_progress", None),
    )

    road.wait(20)
    assert backend.submissions == [first]
    road.wait(11)
    second = backend.submissions[-1]
    assert second == first.removesuffix("-1") + "-2"
    assert road.shown(repository, sha)[FIT] == ("in_progress", None)

    backend.succeed(second)
    road.wait(1)
    assert road.shown(repository, sha)[FIT] == ("completed", "success")
    assert len(repository.suites[sha].runs) == 3, "each check is the one that it was from the beginning"
    assert [moment.status for moment in road.hub.check(repository, sha, FIT).history].count("completed") == 1


def test_another_attempt_has_the_same_spec_and_a_directory_of_its_own(road: Road, backend: ScriptedBackend) -> None:
    road.repository()
    road.settle()
    lost = road.attempts()[0]
    lose(road, backend)
    road.wait(31)
    first, second = road.attempts()
    assert second.spec["run_dir"] == first.spec["run_dir"].removesuffix("/1") + "/2"
    assert (second.spec["id"], second.spec["env"]["PS_JOB_ID"]) == (second.backend_id, second.backend_id)
    changed = {"id", "run_dir", "env"}
    assert {name for name, value in second.spec.items() if value != lost.spec[name]} == changed
    assert (second.number, second.retry, first.retry_at) == (2, 1, None)


def test_the_third_platform_error_concludes(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    lose(road, backend)
    road.wait(31)
    lose(road, backend)
    assert title(road, repository, sha).startswith("Retrying in 2 min 00 s (3 of 3) after a platform error")
    road.wait(100)
    assert len(backend.submissions) == 2
    road.wait(21)
    lose(road, backend)
    assert road.shown(repository, sha)[FIT] == ("completed", "failure")
    assert (
        title(road, repository, sha) == "Platform error, not your code (tried 3 times): the backend lost this attempt"
    )
    assert {conclusion for _, conclusion in road.shown(repository, sha).values()} == {"failure"}
    road.wait(3600)
    assert len(backend.submissions) == 3


def test_the_users_own_failure_is_never_repeated(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    backend.fail(backend.submissions[0])
    road.wait(1)
    assert road.shown(repository, sha)[FIT] == ("completed", "failure")
    road.wait(3600)
    assert len(backend.submissions) == 1


def test_a_failure_after_a_repetition_is_the_end_of_it(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    lose(road, backend)
    road.wait(31)
    backend.fail(backend.submissions[-1])
    road.wait(1)
    assert title(road, repository, sha) == "Failed with exit code 1"
    road.wait(3600)
    assert states(road) == ["error", "failed"]


def test_the_steps_behind_it_wait(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository({".ps_project/config.yaml": TWO_STEPS})
    road.settle()
    lose(road, backend)
    assert states(road) == ["error", "created"]
    road.wait(31)
    backend.succeed(backend.submissions[-1])
    road.wait(1)
    backend.succeed(backend.submissions[-1])
    road.wait(1)
    assert road.shown(repository, sha)["train / evaluate"] == ("completed", "success")


def test_the_steps_behind_it_are_called_off_when_it_is_given_up(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository({".ps_project/config.yaml": TWO_STEPS})
    road.settle()
    for _ in range(3):
        lose(road, backend)
        road.wait(121)
    assert road.shown(repository, sha)["train / evaluate"] == ("completed", "cancelled")


# Called off while it is due


def proposed(road: Road) -> tuple[Repository, str, int]:
    """A pull request whose experiment the platform lost; returns its head."""
    repository = road.hub.create_repository("acme", "digits", private=False)
    road.hub.commit_files(repository, {"README.md": "x"}, message="First")
    files = {".ps_project/config.yaml": CONFIG, "train.py": "print()"}
    sha = road.hub.commit_files(repository, files, branch="change", message="Train")
    pull = road.hub.open_pull(repository, head="change", base="main", title="Train", body="")
    road.settle()
    return repository, sha, pull.number


def test_closing_the_pull_request_ends_it_as_cancelled(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, number = proposed(road)
    lose(road, backend)
    road.hub.close_pull(repository.pulls[number])
    road.wait(1)
    assert road.shown(repository, sha)[FIT] == ("completed", "cancelled")
    assert title(road, repository, sha).startswith("Cancelled: pull request")
    assert road.shown(repository, sha)[ROLLUP] == ("completed", "cancelled")
    road.wait(3600)
    assert len(backend.submissions) == 1
    assert states(road) == ["error", "cancelled"]


def test_a_newer_commit_takes_its_place(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = proposed(road)
    lose(road, backend)
    newer = road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Again")
    road.wait(60)
    assert road.shown(repository, sha)[FIT] == ("completed", "cancelled")
    assert road.shown(repository, newer)[FIT][0] == "queued"
    assert len(backend.submissions) == 2


def test_what_was_called_off_before_the_platform_broke_it_is_not_repeated(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, number = proposed(road)
    backend.begin(backend.submissions[0])
    road.wait(1)
    backend.lose(backend.submissions[0])
    road.hub.close_pull(repository.pulls[number])
    road.settle()
    road.wait(11)
    assert road.shown(repository, sha)[FIT][0] == "completed"
    road.wait(3600)
    assert len(backend.submissions) == 1


def test_a_pull_request_that_is_opened_again_begins_anew(road: Road, backend: ScriptedBackend) -> None:
    """It may have all tries again: that somebody asked for it is no repetition of the platform's."""
    repository, sha, number = proposed(road)
    lose(road, backend)
    road.hub.close_pull(repository.pulls[number])
    road.clock.advance(2)
    road.hub.reopen_pull(repository.pulls[number])
    road.wait(1)
    assert [attempt.retry for attempt in road.attempts()][-1] == 0
    assert len(backend.submissions) == 2
    backend.succeed(backend.submissions[-1])
    road.wait(60)
    assert road.shown(repository, sha)[FIT] == ("completed", "success")
    assert len(backend.submissions) == 2


# What would be the same again


class Broken(ScriptedBackend):
    """Takes nothing."""

    def submit(self, spec: AttemptSpec, secrets: Mapping[str, str] | None = None) -> str:
        super().submit(spec, secrets)
        self.lose(spec.id)
        raise BackendError("there is no room")


def test_what_was_tried_for_an_hour_is_given_up(tmp_path: Path, clock: ManualClock) -> None:
    backend = Broken(clock)
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, backend)
        repository, sha = road.repository()
        for _ in range(25):
            road.wait(300)
        assert road.shown(repository, sha)[FIT] == ("completed", "failure")
        assert title(road, repository, sha) == "Platform error, not your code: could not be launched: there is no room"
        assert len(road.attempts()) == 1
        road.close()


def test_what_the_config_asks_for_is_refused_once(road: Road, backend: ScriptedBackend) -> None:
    params = "command: python3 train.py, workspace: https://git.example/other.git, lfs: true"
    config = CONFIG.replace("params:\n          command: python3 train.py", f"params: {{{params}}}")
    repository, sha = road.repository({".ps_project/config.yaml": config})
    road.wait(3600)
    assert road.shown(repository, sha)[FIT] == ("completed", "failure")
    assert states(road) == ["error"]


# A worker that dies meanwhile


@pytest.mark.parametrize("is_after", [False, True], ids=["before it is durable", "after it is durable"])
@pytest.mark.parametrize("sql", ["INSERT INTO attempts", "SET handle"])
def test_a_worker_that_dies_repeats_it_once(road: Road, backend: ScriptedBackend, sql: str, is_after: bool) -> None:
    repository, sha = road.repository()
    road.settle()
    lose(road, backend)
    deaths: list[Moment] = []

    def is_fatal(moment: Moment) -> bool:
        if deaths or moment.is_after is not is_after or sql not in moment.sql:
            return False
        deaths.append(moment)
        return True

    road.restart_worker(MortalDatabase(road.settings.database_url, is_fatal))
    with pytest.raises(PowerCut):
        road.wait(31)
    road.restart_worker(MortalDatabase(road.settings.database_url, lambda moment: False))
    road.settle()
    assert len(road.attempts()) == 2
    assert len(set(backend.submissions)) == 2
    backend.succeed(backend.submissions[-1])
    road.wait(1)
    assert road.shown(repository, sha)[FIT] == ("completed", "success")


# With real processes


@pytest.mark.slow
def test_a_supervisor_that_is_killed_is_followed_by_another_attempt(tmp_path: Path) -> None:
    clock = ManualClock(SystemClock().now())
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, local(tmp_path / "data", is_isolated=True))
        script = "import os, time\nif os.environ['PS_JOB_ID'].endswith('-1'):\n    time.sleep(60)\n"
        repository, sha = road.repository({"train.py": script})
        assert eventually(lambda: "running" in states(road), 30.0, road.settle)
        [journal] = (tmp_path / "data/runs").glob("*/1/journal")
        supervisor = Process.from_json(json.loads(journal.read_text().splitlines()[0])["supervisor"])
        assert supervisor.send(signal.SIGKILL)
        assert eventually(lambda: states(road) == ["error"], 30.0, road.settle)
        assert title(road, repository, sha).startswith(
            "Retrying in 30 s (2 of 3) after a platform error: its supervisor"
        )
        clock.advance(60)
        assert eventually(lambda: states(road) == ["error", "stopped"], 30.0, lambda: road.wait(1))
        assert road.shown(repository, sha)[FIT] == ("completed", "success")
        road.close()


def test_what_is_repeated_and_what_waits_for_its_turn_do_not_wait_for_each_other(
    road: Road, backend: ScriptedBackend
) -> None:
    config = TWO_STEPS + "    concurrency: {group: gpu}\n"
    repository, first = road.repository({".ps_project/config.yaml": config})
    road.settle()
    road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Second")
    road.settle()
    lose(road, backend)
    road.wait(40)
    assert backend.submissions[-1].endswith("-2"), "the first commit's turn goes on with its repetition"
    backend.succeed(backend.submissions[-1])
    road.wait(5)
    backend.succeed(backend.submissions[-1])
    road.wait(61)
    assert road.shown(repository, first)["train / evaluate"] == ("completed", "success")
    assert len(backend.submissions) == 4, "now it is the second commit's turn"

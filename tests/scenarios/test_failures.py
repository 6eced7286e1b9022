"""A failure on its very line: told with the end of its check, once, whatever happens on the way."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bot.backends.base import Backend, BackendUnavailable, Machine
from bot.backends.local import LocalBackend
from bot.backends.machines import Machines
from bot.backends.powers import Powers
from bot.clock import ManualClock, SystemClock
from bot.devhub import DevHub, Repository
from tests.backends.lab import powers
from tests.scenarios.power import Moment, MortalDatabase, PowerCut
from tests.scenarios.processes import eventually
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service

FIT = "train / fit"
SMALL = Machines({"small": Machine("small", cpus=0.5, memory_mb=512)}, "small", Machines.load(None).capacity)
TRAIN = 'def step():\n    raise ValueError("the loss is nan")\n\n\nstep()\n'
LOG = b"""\
epoch 1
Traceback (most recent call last):
  File "/workspace/train.py", line 5, in <module>
    step()
  File "/workspace/train.py", line 2, in step
    raise ValueError("the loss is nan")
ValueError: the loss is nan
"""
UPDATE_CHECK = ("PATCH", r"/check-runs/\d+$")


def annotations(road: Road, repository: Repository, sha: str) -> list[dict[str, Any]]:
    return road.hub.check(repository, sha, FIT).annotations


def failing(road: Road, backend: ScriptedBackend) -> tuple[Repository, str]:
    """A repository whose training has been told to be running."""
    backend.log = LOG
    repository, sha = road.repository({"train.py": TRAIN})
    road.settle()
    backend.begin(backend.submissions[0])
    road.wait(1)
    return repository, sha


def test_a_failure_stands_on_its_line(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = failing(road, backend)
    assert annotations(road, repository, sha) == []
    backend.fail(backend.submissions[0])
    road.wait(1)
    [one] = annotations(road, repository, sha)
    assert (one["path"], one["start_line"], one["end_line"]) == ("train.py", 2, 2)
    assert (one["annotation_level"], one["title"]) == ("failure", "The loss is NaN")
    assert one["message"] == 'ValueError: the loss is nan\n\nin step: raise ValueError("the loss is nan")'
    assert road.hub.check(repository, sha, FIT).output.title == "The loss is NaN at train.py:2"

    road.wait(3600)
    assert len(annotations(road, repository, sha)) == 1


def test_a_view_that_changes_after_the_end_tells_them_no_second_time(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = failing(road, backend)
    backend.fail(backend.submissions[0])
    road.wait(1)
    # Its page is closed: the check links it no more.
    with road.database.write() as tx:
        tx.execute(text("UPDATE experiments SET view_token = NULL"))
        tx.execute(text("UPDATE commits SET has_news = 1"))
    road.wait(1)
    assert "experiments/" not in (road.hub.check(repository, sha, FIT).output.text or "")
    assert len(annotations(road, repository, sha)) == 1


def test_a_check_that_was_first_told_at_its_end_has_them_too(road: Road, backend: ScriptedBackend) -> None:
    backend.log = LOG
    repository, sha = road.repository({"train.py": TRAIN})
    road.tick("intake", "launch")
    backend.fail(backend.submissions[0])
    road.tick("watch")
    road.tick("collect")
    road.settle()
    assert [one["start_line"] for one in annotations(road, repository, sha)] == [2]


@pytest.mark.parametrize(
    "accident",
    [
        lambda road: road.hub.faults.fail_next(*UPDATE_CHECK, status=502, after_write=True),
        lambda road: road.hub.faults.fail_next(*UPDATE_CHECK, status=503, after_write=False),
        lambda road: road.hub.faults.cut_next(*UPDATE_CHECK, after_write=True),
        lambda road: (
            road.hub.faults.fail_next(*UPDATE_CHECK, status=502, after_write=True),
            road.hub.faults.fail_next("GET", r"/check-runs/\d+$", status=502),
        ),
    ],
    ids=["502 after the write", "503 before it", "cut after the write", "502 after the write and when asked for it"],
)
def test_whatever_github_does_they_are_there_once(
    road: Road, backend: ScriptedBackend, accident: Callable[[Road], None]
) -> None:
    repository, sha = failing(road, backend)
    backend.fail(backend.submissions[0])
    road.tick("watch", "collect")
    accident(road)
    for _ in range(4):
        road.wait(30)
    assert road.shown(repository, sha)[FIT] == ("completed", "failure")
    assert len(annotations(road, repository, sha)) == 1


@pytest.mark.parametrize("is_after", [False, True], ids=["before it is durable", "after it is durable"])
def test_the_worker_may_die_at_every_transaction(road: Road, backend: ScriptedBackend, is_after: bool) -> None:
    repository, sha = failing(road, backend)
    backend.fail(backend.submissions[0])
    seen: Counter[Moment] = Counter()
    deaths: list[str] = []

    def is_fatal(moment: Moment) -> bool:
        seen[moment] += 1
        dies = moment.is_after is is_after and seen[moment] == 1
        deaths.extend([moment.sql] if dies else [])
        return dies

    for _ in range(100):
        road.restart_worker(MortalDatabase(road.settings.database_url, is_fatal))
        try:
            road.wait(15)
            break
        except PowerCut:
            continue
    assert any("UPDATE checks SET sending_at" in sql for sql in deaths), "it was on its way"
    assert any("told_annotations" in sql for sql in deaths), "and had arrived"
    assert road.shown(repository, sha)[FIT] == ("completed", "failure")
    assert len(annotations(road, repository, sha)) == 1


MATRIX = CONFIG.replace("      - name: fit\n", "      - name: fit\n        matrix: {seed: [1, 2, 3]}\n")


def test_the_cells_of_a_matrix_that_failed_alike_are_named_together(road: Road, backend: ScriptedBackend) -> None:
    backend.log = LOG
    repository, sha = road.repository({"train.py": TRAIN, ".ps_project/config.yaml": MATRIX})
    road.settle()
    first, *others = backend.submissions
    for attempt in others:
        backend.fail(attempt)
    road.wait(1)
    assert annotations(road, repository, sha) == [], "they are told together, at the end"
    backend.succeed(first)
    road.wait(1)
    [one] = annotations(road, repository, sha)
    assert one["message"].endswith("Failed here: seed=2; seed=3")


@pytest.mark.parametrize(
    "claim",
    [
        b'/workspace/train.py", line 200, in step\n    raise ValueError("the loss is nan")',
        b'/workspace/train.py", line 2, in step\n    os.system("rm -rf /")',
        b'/workspace/generated.py", line 1, in step\n    x',
        b'/etc/passwd", line 1, in step\n    root',
        b'/workspace/../train.py", line 2, in step\n    raise ValueError("the loss is nan")',
    ],
)
def test_a_log_can_claim_what_it_likes(road: Road, backend: ScriptedBackend, claim: bytes) -> None:
    repository, sha = failing(road, backend)
    backend.log = b'Traceback (most recent call last):\n  File "' + claim + b"\nValueError: x\n"
    backend.fail(backend.submissions[0])
    road.wait(1)
    assert annotations(road, repository, sha) == []
    assert road.hub.check(repository, sha, FIT).output.title == "ValueError: x"


# With real processes

MODEL = """\
class Model:
    def fit(self, rows):
        return [self.step(row) for row in rows]

    def step(self, row):
        return 1 / row
"""
STEP = """\
import json
import sys

from model import Model

print("epoch 1", flush=True)
Model().fit(json.loads(sys.argv[1]))
"""


def local(data_dir: Path, *, is_isolated: bool) -> Backend:
    bwrap, found = ("bwrap", powers()) if is_isolated else ("/nonexistent/bwrap", Powers())
    try:
        return LocalBackend(
            data_dir, Machines.load(None).capacity, SystemClock(), not is_isolated, grace=0.6, bwrap=bwrap, powers=found
        )
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("is_isolated", [True, False], ids=["with walls", "without walls"])
def test_a_real_run_fails_on_a_real_line(tmp_path: Path, clock: ManualClock, is_isolated: bool) -> None:
    config = CONFIG.replace(
        "          command: python3 train.py\n",
        "          command: python3 train.py '[2, 1, 0]'\n          workingDirectory: src\n",
    )
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, local(tmp_path / "data", is_isolated=is_isolated))
        repository, sha = road.repository(
            {".ps_project/config.yaml": config, "src/train.py": STEP, "src/model.py": MODEL}
        )
        assert eventually(
            lambda: road.shown(repository, sha).get(FIT, ("", ""))[0] == "completed", 30.0, lambda: road.wait(1)
        )
        check = hub.check(repository, sha, FIT)
        [one] = annotations(road, repository, sha)
        road.close()
    assert (one["path"], one["start_line"]) == ("src/model.py", 6)
    assert one["message"] == "ZeroDivisionError: division by zero\n\nin step: return 1 / row"
    check = hub.check(repository, sha, FIT)
    assert check.output.title == "ZeroDivisionError: division by zero at src/model.py:6"


TOGETHER = """\
version: 2
workflows:
  train:
    steps:
      - name: fit
        command: experiment.run_multi_node
        params:
          workerCommand: python3 train.py
          workerCount: 2
          parameterServerCommand: sleep 60
          parameterServerCount: 1
"""
RANK = """\
import os
import time

if os.environ["RANK"] == "1":
    raise RuntimeError("rank 1 has no data")
time.sleep(60)
"""


@pytest.mark.slow
def test_of_several_real_tasks_the_one_that_failed_is_named(tmp_path: Path, clock: ManualClock) -> None:
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, local(tmp_path / "data", is_isolated=True), machines=SMALL)
        repository, sha = road.repository({".ps_project/config.yaml": TOGETHER, "train.py": RANK})
        assert eventually(
            lambda: road.shown(repository, sha).get(FIT, ("", ""))[0] == "completed", 60.0, lambda: road.wait(1)
        )
        [one] = annotations(road, repository, sha)
        road.close()
    assert (one["path"], one["start_line"]) == ("train.py", 5)
    assert one["message"].endswith("Failed here: worker-1")
    assert hub.check(repository, sha, FIT).output.title == "worker-1: RuntimeError: rank 1 has no data at train.py:5"

"""The file stays within its bounds and is never half a line, whatever is asked of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.clock import ManualClock
from bot.sidecar.names import Origin, Refused
from bot.sidecar.points import LARGEST, NAMES, PROBLEMS, RESERVED, Points

WORKER = Origin("worker-0")


@pytest.fixture
def points(tmp_path: Path, clock: ManualClock) -> Points:
    return Points.open(tmp_path, clock)


@pytest.fixture
def full(tmp_path: Path, clock: ManualClock) -> Points:
    """A file that a run has filled; a hole costs no disk."""
    path = tmp_path / "points"
    with path.open("wb") as file:
        file.truncate(LARGEST - RESERVED - 1)
        file.seek(0, os.SEEK_END)
        file.write(b"\n")
    return Points(os.open(path, os.O_RDWR | os.O_APPEND), clock)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "measurements/points").read_text().splitlines()]


def test_a_line_says_whose_what_and_when(points: Points, tmp_path: Path, clock: ManualClock) -> None:
    points.log(Origin("worker-1", 4), {"loss": 0.5}, step=3)
    (line,) = lines(tmp_path)
    assert line.pop("at") == clock.now()
    assert line == {"source": "logged", "task": "worker-1", "trial": 4, "name": "loss", "step": 3, "value": 0.5}
    assert (tmp_path / "measurements/points").stat().st_mode & 0o777 == 0o600


def test_without_a_step_each_name_of_each_task_counts_its_own(points: Points, tmp_path: Path) -> None:
    for _ in range(2):
        points.log(WORKER, {"loss": 1.0})
    points.log(Origin("worker-1"), {"loss": 1.0})
    points.log(WORKER, {"accuracy": 1.0})
    points.sample(WORKER, {"loss": 1.0})
    assert [line["step"] for line in lines(tmp_path)] == [0, 1, 0, 0, 0]


def test_json_has_no_nan(points: Points, tmp_path: Path) -> None:
    points.log(WORKER, {"a": float("nan"), "b": float("inf"), "c": float("-inf")})
    assert [line["value"] for line in lines(tmp_path)] == ["nan", "inf", "-inf"]


def test_a_push_with_a_name_too_many_is_refused_whole(points: Points, tmp_path: Path) -> None:
    points.log(WORKER, {f"m{number}": 1.0 for number in range(NAMES)})
    with pytest.raises(Refused, match="may have 1000 metrics"):
        points.log(WORKER, {"m0": 2.0, "one_more": 2.0})
    assert len(lines(tmp_path)) == NAMES
    points.log(WORKER, {"m0": 2.0})
    assert lines(tmp_path)[-1]["value"] == 2.0


def test_a_flood_of_metrics_leaves_room_for_what_the_system_measures(full: Points, tmp_path: Path) -> None:
    size = (tmp_path / "points").stat().st_size
    with pytest.raises(Refused, match="have reached 48 MiB"):
        full.log(WORKER, {"loss": 1.0})
    assert (tmp_path / "points").stat().st_size == size
    full.sample(WORKER, {"memoryUsage": 5.0})
    assert (tmp_path / "points").read_bytes().endswith(b'"value":5.0}\n')


def test_each_sentence_is_told_once_and_not_too_many(points: Points, tmp_path: Path) -> None:
    for number in range(2 * PROBLEMS):
        points.complain(f"problem {number}")
        points.complain(f"problem {number}")
    assert [line["problem"] for line in lines(tmp_path)] == [f"problem {number}" for number in range(PROBLEMS)]


def test_half_a_line_of_a_killed_sidecar_is_taken_away(points: Points, tmp_path: Path, clock: ManualClock) -> None:
    points.log(WORKER, {"loss": 1.0})
    with (tmp_path / "measurements/points").open("ab") as file:
        file.write(b'{"at":17')
    Points.open(tmp_path, clock).log(WORKER, {"loss": 2.0})
    assert [line["value"] for line in lines(tmp_path)] == [1.0, 2.0]


def test_a_file_that_is_a_link_is_not_opened(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "measurements").mkdir()
    (tmp_path / "measurements/points").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Points.open(tmp_path, clock)
    assert not (tmp_path / "elsewhere").exists()


FULL = """
import resource, pathlib
from bot.clock import SystemClock
from bot.sidecar.names import Origin, Refused
from bot.sidecar.points import Points
points = Points.open(pathlib.Path(), SystemClock())
points.log(Origin("worker-0"), {"loss": 1.0})
resource.setrlimit(resource.RLIMIT_FSIZE, (150, 150))
try:
    points.log(Origin("worker-0"), {"loss": 2.0})
except Refused as refused:
    print(refused)
"""


@pytest.mark.service
def test_a_disk_that_is_full_leaves_no_half_line(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, "-c", FULL], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert done.stdout == b"the disk of the machine is full\n"
    assert [line["value"] for line in lines(tmp_path)] == [1.0]

"""A sidecar's file becomes series; what is spoiled in it is told and left out."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.clock import ManualClock
from bot.core.series import Kind, Source
from bot.metrics.measurements import FILE, Measurements, read
from bot.sidecar.names import Origin
from bot.sidecar.points import Points

WORKER = Origin("worker-0")


@pytest.fixture
def points(tmp_path: Path, clock: ManualClock) -> Points:
    """What writes the file in truth."""
    return Points.open(tmp_path, clock)


def names(found: Measurements) -> list[tuple[str, int | None, str]]:
    return [(task, trial, one.name) for task, trial, one in found.series]


def test_what_a_sidecar_writes_is_read_back(points: Points, tmp_path: Path, clock: ManualClock) -> None:
    points.log(WORKER, {"loss": 0.5}, step=3)
    clock.advance(1)
    points.log(WORKER, {"loss": float("nan")}, step=4)
    points.log(WORKER, {"loss": float("-inf")}, step=5)
    points.sample(WORKER, {"memoryUsage": 1 << 30})
    loss, memory = (one.series for one in read(tmp_path / FILE).series)
    assert (loss.source, loss.run, loss.tag) == (Source.LOGGED, "", "loss")
    assert [point.kind for point in loss.points] == [Kind.FINITE, Kind.NAN, Kind.MINUS_INFINITY]
    assert [point.step for point in loss.points] == [3, 4, 5]
    assert loss.points[0].value == 0.5
    assert loss.points[1].at - loss.points[0].at == 1_000_000
    assert (memory.source, memory.tag, memory.points[0].value) == (Source.SYSTEM, "memoryUsage", 1 << 30)


def test_reading_goes_on_from_the_cursor_and_again_gives_the_same(points: Points, tmp_path: Path) -> None:
    points.log(WORKER, {"loss": 1.0})
    first = read(tmp_path / FILE)
    points.log(WORKER, {"loss": 2.0})
    second = read(tmp_path / FILE, first.cursor)
    whole = read(tmp_path / FILE)
    both = first.series[0].series.points + second.series[0].series.points
    assert both == whole.series[0].series.points
    assert len({point.ordinal for point in both}) == 2
    assert second.cursor == whole.cursor


def test_half_a_line_waits(tmp_path: Path, points: Points) -> None:
    points.log(WORKER, {"loss": 1.0})
    line = (tmp_path / FILE).read_bytes()
    (tmp_path / "half").write_bytes(line + line[:20])
    found = read(tmp_path / "half")
    assert (found.cursor, found.problems, found.is_complete) == (len(line), (), True)
    (tmp_path / "half").write_bytes(line + line)
    assert read(tmp_path / "half", found.cursor).series[0].series.points[0].ordinal == len(line)


def test_a_limit_is_gone_on_from(tmp_path: Path, points: Points) -> None:
    for number in range(5):
        points.log(WORKER, {"loss": float(number)})
    first = read(tmp_path / FILE, limit=3)
    second = read(tmp_path / FILE, first.cursor, limit=3)
    assert (first.is_complete, second.is_complete) == (False, True)
    assert [len(found.series[0].series.points) for found in (first, second)] == [3, 2]


def test_no_file_is_no_measurement(tmp_path: Path) -> None:
    assert read(tmp_path / FILE, 17) == Measurements(cursor=17)


def test_an_only_task_s_metrics_are_called_by_their_names(points: Points, tmp_path: Path) -> None:
    points.log(WORKER, {"loss": 1.0})
    points.sample(WORKER, {"cpuPercentage": 1.0})
    assert names(read(tmp_path / FILE)) == [("worker-0", None, "./loss"), ("worker-0", None, "./cpuPercentage")]


def test_of_several_tasks_the_first_one_s_own_metrics_need_no_name(points: Points, tmp_path: Path) -> None:
    for task in ("worker-0", "worker-1"):
        points.log(Origin(task), {"loss": 1.0})
        points.sample(Origin(task), {"cpuPercentage": 1.0})
    found = [name for _, _, name in names(read(tmp_path / FILE, tasks=["worker-0", "worker-1"]))]
    assert found == ["./loss", "worker-0/cpuPercentage", "worker-1/loss", "worker-1/cpuPercentage"]


def test_a_trial_s_series_are_its_own(points: Points, tmp_path: Path) -> None:
    points.log(Origin("worker-0", 1), {"loss": 1.0})
    points.log(Origin("worker-1", 2), {"loss": 1.0})
    points.log(WORKER, {"loss": 1.0})
    found = read(tmp_path / FILE, tasks=["worker-0", "worker-1"])
    assert names(found) == [("worker-0", 1, "./loss"), ("worker-1", 2, "./loss"), ("worker-0", None, "./loss")]


def test_what_was_refused_is_told(points: Points, tmp_path: Path) -> None:
    points.complain("a push of metrics was refused")
    points.log(WORKER, {"loss": 1.0})
    found = read(tmp_path / FILE)
    assert found.problems == ("a push of metrics was refused",)
    assert len(found.series) == 1


GOOD = {"at": 1, "source": "logged", "task": "worker-0", "trial": None, "name": "loss", "step": 0, "value": 1.0}


@pytest.mark.parametrize(
    "change",
    [
        *({"name": name} for name in ("", "a b", "../x", "x" * 201, None, "a\n")),
        *({"task": task} for task in ("", "../x", "Worker-0", 5)),
        *({"trial": trial} for trial in (-1, "1", 1.5, True)),
        *({"step": step} for step in (-1, 1 << 63, 1.5, None, True)),
        *({"at": at} for at in (-1, "now", 1 << 64)),
        *({"value": value} for value in ("NaN", None, [], {}, "1.0")),
        *({"source": source} for source in ("tensorflow", "", None)),
    ],
)
def test_a_line_that_no_sidecar_wrote_is_left_out(tmp_path: Path, change: dict[str, Any]) -> None:
    lines = [json.dumps(GOOD | change), json.dumps(GOOD)]
    (tmp_path / "points").write_text("".join(f"{line}\n" for line in lines))
    found = read(tmp_path / "points")
    assert found.problems == ("the file of measurements is damaged; some of them are lost",)
    assert [len(one.series.points) for one in found.series] == [1]


@pytest.mark.parametrize("spoiled", [b"\xff\xfe", b"[" * 4000, b"x" * 20_000, b"1", b"null", b'{"at":1e999}', b""])
def test_bytes_that_are_no_measurement_are_passed_by(tmp_path: Path, spoiled: bytes) -> None:
    (tmp_path / "points").write_bytes(spoiled + b"\n" + json.dumps(GOOD).encode() + b"\n")
    found = read(tmp_path / "points")
    assert found.problems == ("the file of measurements is damaged; some of them are lost",)
    assert [len(one.series.points) for one in found.series] == [1]
    assert found.is_complete

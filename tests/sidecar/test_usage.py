"""What a task uses is measured with everybody below its first process, and given up when that is gone."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.sidecar.names import Origin
from bot.sidecar.points import Points
from bot.sidecar.usage import Gpu, Usage
from tests.sidecar.beside import until

pytestmark = pytest.mark.service

WORKER = Origin("worker-0")
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
BUSY = "print('up', flush=True)\nwhile True: pass"
LARGE = "x = bytearray(64 << 20); print('up', flush=True); input()"


@pytest.fixture
def start() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start a process whose child runs the code; the child is up when it is returned."""
    started = []

    def begin(code: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", PARENT.format(child=code)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, process_group=None
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        return process

    yield begin
    for process in started:
        subprocess.run(["kill", "-9", "--", f"-{process.pid}"], check=False, stderr=subprocess.DEVNULL)
        process.communicate()


class Watch:
    """A watcher of usage, and what it has written."""

    def __init__(self, folder: Path, gpus: Any = None, effort: Callable[[], float] = lambda: 0.0) -> None:
        self.usage = Usage(Points.open(folder, SystemClock()), SystemClock(), gpus, effort)
        self._file = folder / "measurements/points"

    def last(self, name: str) -> float | None:
        found = [json.loads(line) for line in self._file.read_text().splitlines()]
        return next((one["value"] for one in reversed(found) if one["name"] == name), None)


def test_a_child_s_processor_time_is_the_task_s(
    tmp_path: Path, start: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    watch = Watch(tmp_path)
    watch.usage.watch(WORKER, start(BUSY).pid)

    def is_busy() -> bool:
        watch.usage.sample(1.0)
        return (watch.last("cpuPercentage") or 0) > 10

    until(is_busy)


def test_a_child_s_memory_is_the_task_s(tmp_path: Path, start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    watch = Watch(tmp_path)
    watch.usage.watch(WORKER, start(LARGE).pid)
    watch.usage.sample(1.0)
    memory = watch.last("memoryUsage")
    assert memory is not None
    assert 64 << 20 < memory < 256 << 20


def test_what_has_ended_is_watched_no_longer(tmp_path: Path, start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    watch = Watch(tmp_path)
    process = start(LARGE)
    watch.usage.watch(WORKER, process.pid)
    process.communicate(b"\n")
    watch.usage.sample(1.0)
    watch.usage.watch(Origin("worker-1"), process.pid)
    watch.usage.sample(1.0)
    assert watch.last("memoryUsage") is None


def test_gpus_of_others_are_not_the_task_s(tmp_path: Path, start: Callable[[str], subprocess.Popen[bytes]]) -> None:
    pid = start(LARGE).pid

    class Machine:
        def look(self) -> list[Gpu]:
            return [
                Gpu(frozenset({pid}), {"gpuMemoryUsed": 10, "gpuTemp": 50, "gpuUtilization": 80}),
                Gpu(frozenset({pid, 1}), {"gpuMemoryUsed": 5, "gpuTemp": 70, "gpuUtilization": 40}),
                Gpu(frozenset({1}), {"gpuMemoryUsed": 1000, "gpuTemp": 99, "gpuUtilization": 99}),
            ]

    watch = Watch(tmp_path, Machine())
    watch.usage.watch(WORKER, pid)
    watch.usage.sample(1.0)
    names = ("gpuMemoryUsed", "gpuTemp", "gpuUtilization", "gpuPowerDraw")
    assert [watch.last(name) for name in names] == [15, 70, 60, None]


def test_samples_that_cost_much_come_seldom(tmp_path: Path) -> None:
    effort = iter([0.0, 0.001, 1.0, 1.5])
    watch = Watch(tmp_path, effort=lambda: next(effort))
    assert watch.usage.sample(5.0) == 5.0
    assert watch.usage.sample(5.0) == 100.0


def test_a_run_of_weeks_is_sampled_ever_less(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    distances = [watch.usage.sample(5.0) for _ in range(6000)]
    assert (distances[0], distances[2500], distances[-1]) == (5.0, 10.0, 40.0)

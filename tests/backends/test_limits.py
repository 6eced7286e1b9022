"""Limits of memory, processors, processes and disk: bombs in a sandbox, by each of the means that this machine has."""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bot.backends import processes, sandbox, walls
from bot.backends.base import BackendUnavailable
from bot.backends.limits import Cage, Limits, Means, find, sweep
from bot.backends.sandbox import Sandbox
from bot.clock import SystemClock
from bot.core.report.causes import limit
from tests.backends.lab import eventually, processes_with

pytestmark = [pytest.mark.service, pytest.mark.slow]

CLOCK = SystemClock()
LIMITS = Limits(memory_mb=256, cpus=1, processes=50, disk_mb=64, machine="small")
PYTHON = "/usr/bin/python3"


@dataclass
class Task:
    """A command in a sandbox, held by a cage, as a supervisor holds it."""

    cage: Cage
    process: "subprocess.Popen[bytes]"

    def begin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def pids(self) -> list[int]:
        return [self.process.pid, *processes.descendants(self.process.pid)]

    def watch(self, patience: float = 20.0) -> str | None:
        """Begin, and look until the cage says why the run must be ended, or the run ends by itself."""
        self.begin()
        give_up = time.monotonic() + patience
        verdict = None
        while verdict is None and self.process.poll() is None:
            assert time.monotonic() < give_up, "watched in vain"
            time.sleep(0.1)
            verdict = self.cage.look(self.pids, 10 * time.monotonic())  # the disk's turn comes sooner
        return verdict

    def end(self) -> None:
        self.cage.kill()
        self.process.kill()
        self.process.wait()
        self.begin()
        self.cage.close()


class Tasks:
    """Starts tasks in one directory with some means, and ends them."""

    def __init__(self, directory: Path, means: Means) -> None:
        try:
            self.walls = walls.find("bwrap", walls.NOBODY, False).sandbox
        except BackendUnavailable as error:
            pytest.skip(str(error))
        self.means, self.directory = means, directory
        os.chown(directory, *self.walls.owner)
        directory.chmod(0o755)
        self._started: list[Task] = []

    def start(self, command: str, **changes: object) -> Task:
        name = f"run-{len(self._started)}/worker-0"
        limits = replace(LIMITS, **changes)  # type: ignore[arg-type]
        cage = Cage(self.means, name, limits, [str(self.directory)], CLOCK)
        inside = ["/bin/sh", "-c", f"/bin/cat; {command}"]
        argv = [*_walls(self.walls), "--bind", str(self.directory), "/work", "--chdir", "/work", "--"]
        process = subprocess.Popen(
            cage.wrap([*argv, *sandbox.change_user(self.walls), *inside]), stdin=subprocess.PIPE, env={}
        )
        eventually(lambda: len(processes.descendants(process.pid)) >= 3)  # bwrap's first process, a shell, cat
        cage.hold(process.pid)
        self._started.append(Task(cage, process))
        return self._started[-1]

    def close(self) -> None:
        for task in self._started:
            task.end()


def _walls(found: Sandbox) -> list[str]:
    return [found.bwrap or "", *sandbox.walls(found)]


@pytest.fixture(scope="module")
def means(tmp_path_factory: pytest.TempPathFactory) -> Means:
    return find(tmp_path_factory.mktemp("data"))


@pytest.fixture(params=["by the kernel", "by watching"])
def tasks(request: pytest.FixtureRequest, tmp_path: Path, means: Means) -> Iterator[Tasks]:
    """Once with the best means of this machine, once with the least."""
    if request.param == "by watching":
        means = Means(means.owner)
    elif not all((means.memory, means.cpu, means.pids)):
        pytest.skip("no control groups that this user may write")
    found = Tasks(tmp_path, means)
    yield found
    found.close()


@pytest.fixture
def watched(tmp_path: Path, means: Means) -> Iterator[Tasks]:
    """With what everybody has."""
    found = Tasks(tmp_path, Means(means.owner))
    yield found
    found.close()


@pytest.fixture
def held(tmp_path: Path, means: Means) -> Iterator[Tasks]:
    """With the kernel's means only."""
    if not all((means.memory, means.cpu, means.pids)):
        pytest.skip("no control groups that this user may write")
    found = Tasks(tmp_path, means)
    yield found
    found.close()


def test_a_memory_bomb_ends(tasks: Tasks) -> None:
    task = tasks.start(f"{PYTHON} -c 'import time; x = bytearray(400 << 20); time.sleep(30)'")
    verdict = task.watch()
    if tasks.means.memory:
        task.process.wait(10)
        assert task.cage.was_out_of_memory()
        assert task.cage.out_of_memory.endswith("killed by the kernel, for it needed more than the 256 MB of `small`")
        assert limit(task.cage.out_of_memory) == "memory limit 256 MB"
        assert task.cage.peak_memory() == 256 << 20
    else:
        assert verdict is not None
        assert verdict.endswith("MB of memory used, more than the 256 MB of `small`")
        assert limit(verdict) == "memory limit 256 MB"
        assert task.cage.peak_memory() > 256 << 20
    task.end()
    assert task.cage.was_out_of_memory() is bool(tasks.means.memory)


def test_what_is_kept_in_memory_files_counts_as_memory(tasks: Tasks) -> None:
    fill = "import os, time; f = os.memfd_create(str()); [os.write(f, bytes(1 << 20)) for _ in range(40)]"
    task = tasks.start(f"head -c 40000000 /dev/zero >/dev/shm/f; {PYTHON} -c '{fill}; time.sleep(3)'")
    task.begin()
    eventually(lambda: task.cage.look(task.pids, time.monotonic()) is None and task.cage.peak_memory() > 78 << 20)
    assert task.cage.peak_memory() < 120 << 20


def test_a_file_that_is_read_is_not_memory_that_is_used(tasks: Tasks) -> None:
    (tasks.directory / "dataset").write_bytes(bytes(60 << 20))
    task = tasks.start("cat dataset dataset dataset >/dev/null; sleep 1")
    assert task.watch() is None
    assert 0 < task.cage.peak_memory() < 30 << 20


def test_a_fork_bomb_ends(tasks: Tasks) -> None:
    task = tasks.start("bomb() { bomb & bomb & sleep 20; }; bomb 2>/dev/null; sleep 20")
    verdict = task.watch()
    assert verdict == "more than the 50 processes and threads of `small`"
    assert limit(verdict) == "limit of 50 processes and threads"


def test_threads_count_as_processes(tasks: Tasks) -> None:
    many = "import threading, time; [threading.Thread(target=time.sleep, args=[9]).start() for _ in range(60)]"
    task = tasks.start(f"{PYTHON} -c '{many}' 2>/dev/null")
    assert task.watch() == "more than the 50 processes and threads of `small`"


def test_a_run_within_its_limits_is_left_alone(tasks: Tasks) -> None:
    task = tasks.start("head -c 1000000 /dev/zero >file; for i in 1 2 3 4 5; do sleep 0.2 & done; wait")
    assert task.watch() is None
    assert task.process.returncode == 0
    assert not task.cage.was_out_of_memory()


@pytest.mark.parametrize(
    "fill",
    [
        "for i in 1 2 3; do head -c 30000000 /dev/zero >$i; done",
        "mkdir -p a/b && cd a/b && for i in 1 2 3; do head -c 30000000 /dev/zero >$i; done; cd /work; chmod 0 a",
        'for i in $(seq 4 6); do eval "exec $i<>file"; rm file; head -c 30000000 /dev/zero >&$i; done',
        f"{PYTHON} -c \"for n in range(20_000): open(str(n), 'w').close()\"",
    ],
    ids=["three files", "in a locked directory", "without names", "many empty ones"],
)
def test_a_disk_that_is_filled_ends_the_run(watched: Tasks, fill: str) -> None:
    verdict = watched.start(f"{fill}; sleep 30").watch()
    assert verdict is not None
    assert verdict.endswith("MB written, more than the 64 MB of `small`")
    assert limit(verdict) == "disk limit 64 MB"


def test_no_single_file_gets_beyond_the_disk(watched: Tasks) -> None:
    task = watched.start("head -c 100000000 /dev/zero >file", disk_mb=8)
    task.watch()
    assert (watched.directory / "file").stat().st_size == 8 << 20


def test_no_core_is_dumped_and_the_run_dies_before_the_bot(watched: Tasks) -> None:
    task = watched.start("ulimit -c; cat /proc/self/oom_score_adj; ulimit -c unlimited && echo raised >raised")
    assert task.watch() is None
    assert not (watched.directory / "raised").exists()


def test_the_processor_is_shared_as_the_machine_says(held: Tasks) -> None:
    spin = "import os, time; t = time.time() + 2; [0 for _ in iter(lambda: time.time() < t, False)]"
    task = held.start(f"{PYTHON} -c '{spin}; open(str(1), str(chr(119))).write(str(os.times().user))'", cpus=0.25)
    task.watch()
    assert 0.1 <= float((held.directory / "1").read_text()) <= 0.8  # 0.5 s of 2, as the quota is counted in slices


def test_nobody_outlives_the_kill(held: Tasks) -> None:
    task = held.start(
        "setsid sh -c 'trap \"\" TERM; sleep 731.0173' & (sleep 732.0173 &) ; sleep 733.0173", processes=20
    )
    task.begin()
    eventually(lambda: all(processes_with(word) for word in ("731.0173", "732.0173", "733.0173")))
    everybody = [processes.Process.of(pid) for pid in task.pids()]
    task.cage.kill()
    assert not any(process.is_alive() for process in everybody)


def test_a_second_holder_of_a_name_finds_nothing_of_the_first(held: Tasks) -> None:
    task = held.start("sleep 734.0173")
    again = Cage(held.means, "run-0/worker-0", LIMITS, [], CLOCK)
    task.process.wait(10)
    assert not again.was_out_of_memory()
    again.close()


def test_what_a_dead_supervisor_left_is_swept(held: Tasks) -> None:
    task = held.start("sleep 735.0173")
    parents = {held.means.memory, held.means.cpu, held.means.pids}

    def groups() -> list[Path]:
        return [found for parent in parents for found in Path(parent).glob(f"*{held.means.owner}*run-0*")]

    assert groups()
    sweep(held.means, "run-00", CLOCK)
    assert groups()
    sweep(held.means, "run-0", CLOCK)
    assert not groups()
    assert task.process.wait(10) != 0


def test_groups_that_are_taken_away_are_replaced_by_watching(held: Tasks) -> None:
    cage = Cage(held.means, "run-9/worker-0", replace(LIMITS, memory_mb=1), [], CLOCK)
    sweep(held.means, "run-9", CLOCK)
    assert cage.look(lambda: [os.getpid()], 0.0) is None
    assert "of memory used" in (cage.look(lambda: [os.getpid()], 1.0) or "")
    cage.close()

"""The control groups of one task: to make them, to fill them, to read what the kernel counted, to empty them.

Two levels: the limits stand at the outer group, the processes are in the inner one. A run that makes a user namespace
of its own and mounts control groups there sees the group that it is in, and may write it where the bot is no root; the
one with the limits is above that.
"""

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from bot.backends.means import CONTROLLERS, FOLDER, Means
from bot.clock import Clock

_INNER = "run"
_PATIENCE = 30.0
_PAUSE = 0.01
_PERIOD = 100_000
"""Microseconds in which a run may use its share of the CPUs: the kernel's default."""
_LEAST_QUOTA = 1_000
_IN_USE = {2: ("anon", "shmem"), 1: ("total_rss", "total_shmem")}
"""Of memory.stat what counts as used: not the cache of files, which the kernel takes back."""


class Groups:
    """The groups of one task, by the controllers that `means` has. Methods raise OSError when a group was taken away.

    `name` is `<attempt id>/<task>`. What an earlier holder of the name left is killed and removed when they are made.
    """

    def __init__(self, means: Means, name: str, clock: Clock) -> None:
        self._version, self._clock = means.version, clock
        directory = _prefix(means) + name.replace("/", "@")
        self._outer = {c: Path(parent, directory) for c in CONTROLLERS if (parent := getattr(means, c))}

    @property
    def controllers(self) -> frozenset[str]:
        """Return what the kernel limits here: some of memory, cpu and pids."""
        return frozenset(self._outer)

    def make(self, memory: int, cpus: float, processes: int) -> None:
        """Make them with these limits; `memory` is in bytes. Raises OSError."""
        self.kill()
        self.remove()
        for directory in self._directories():
            (directory / _INNER).mkdir(parents=True)
        if "memory" in self._outer:
            self._limit_memory(memory)
        if "cpu" in self._outer:
            self._limit_cpus(cpus)
        if "pids" in self._outer:
            _write(self._outer["pids"] / "pids.max", processes)

    def take(self, pid: int) -> None:
        """Put a process in; what it starts from then on is in too. Raises ProcessLookupError when it is gone."""
        for directory in self._directories():
            _write(directory / _INNER / "cgroup.procs", pid)

    def pids(self) -> list[int]:
        """Return the processes that are in any of them."""
        return list({pid for directory in self._directories() for pid in _pids(directory)})

    def memory(self) -> int:
        """Return the bytes in use now, without what the kernel keeps of files only while nobody needs the room."""
        counted = _table(self._outer["memory"] / "memory.stat")
        return sum(counted.get(key, 0) for key in _IN_USE[self._version])

    def killed_for_memory(self) -> int:
        """Return how many processes the kernel has killed because the limit was reached."""
        file = {2: "memory.events", 1: "memory.oom_control"}[self._version]
        return self._count("memory", file, "oom_kill")

    def refused_processes(self) -> int:
        """Return how many processes and threads were not started because the limit was reached."""
        return self._count("pids", "pids.events", "max")

    def kill(self) -> None:
        """Kill all that is in them, whatever session or parent it has. Raises TimeoutError when the kernel cannot."""
        give_up = self._clock.monotonic() + _PATIENCE
        self._allow_no_more()
        while pids := self.pids():
            if self._clock.monotonic() > give_up:
                raise TimeoutError(f"{len(pids)} processes of this run cannot be killed")
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._clock.sleep(_PAUSE)

    def remove(self, patience: float = 2.0) -> None:
        """Remove them. The kernel needs a moment for the last who left; what stays is removed by the next holder."""
        give_up = self._clock.monotonic() + patience
        while left := [d for d in self._directories() if not _remove(d)]:
            if self._clock.monotonic() > give_up:
                raise OSError(f"the control group {left[0]} cannot be removed")
            self._clock.sleep(_PAUSE)

    def _allow_no_more(self) -> None:
        """Let nobody start another while we kill: one look then finds all."""
        for controller, directory in self._outer.items():
            with contextlib.suppress(OSError):
                if controller == "pids":
                    _write(directory / "pids.max", 0)
                if self._version == 2:
                    _write(directory / "cgroup.kill", 1)  # Linux 5.14: the kernel does it all

    def _directories(self) -> Iterable[Path]:
        return dict.fromkeys(self._outer.values())

    def _limit_memory(self, size: int) -> None:
        files = {2: ("memory.max", "memory.swap.max"), 1: ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")}
        limit, swap = (self._outer["memory"] / file for file in files[self._version])
        _write(limit, size)
        if swap.exists():  # not where the kernel counts no swap
            _write(swap, 0 if self._version == 2 else size)

    def _limit_cpus(self, cpus: float) -> None:
        quota = max(_LEAST_QUOTA, int(cpus * _PERIOD))
        if self._version == 2:
            _write(self._outer["cpu"] / "cpu.max", f"{quota} {_PERIOD}")
            return
        _write(self._outer["cpu"] / "cpu.cfs_period_us", _PERIOD)
        # Version 1 refuses more than a group above has: that limit holds then, and is the smaller one.
        with contextlib.suppress(OSError):
            _write(self._outer["cpu"] / "cpu.cfs_quota_us", quota)

    def _count(self, controller: str, file: str, key: str) -> int:
        """Return a counter. By version and age of the kernel it is the outer or the inner group's that counts."""
        outer = self._outer[controller]
        inner = outer / _INNER / file
        counts = [_table(outer / file).get(key, 0)]
        if inner.exists():
            counts.append(_table(inner).get(key, 0))
        return max(counts)


def sweep(means: Means, attempt_id: str, clock: Clock) -> None:
    """Kill and remove what a supervisor that died left of an attempt. Raises TimeoutError, OSError."""
    for task in set(_tasks(means, attempt_id)):
        groups = Groups(means, f"{attempt_id}/{task}", clock)
        groups.kill()
        groups.remove()


def _tasks(means: Means, attempt_id: str) -> Iterator[str]:
    prefix = f"{_prefix(means)}{attempt_id}@"
    for parent in {getattr(means, controller) for controller in CONTROLLERS} - {""}:
        with contextlib.suppress(FileNotFoundError):
            yield from (e.name.removeprefix(prefix) for e in os.scandir(parent) if e.name.startswith(prefix))


def _prefix(means: Means) -> str:
    return f"{FOLDER}@{means.owner}@"


def _remove(group: Path) -> bool:
    for directory in (group / _INNER, group):
        try:
            directory.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def _pids(group: Path) -> list[int]:
    found: list[int] = []
    for directory in (group, group / _INNER):
        with contextlib.suppress(OSError):
            found += map(int, (directory / "cgroup.procs").read_text().split())
    return found


def _table(file: Path) -> dict[str, int]:
    """Return a file of lines `key number`."""
    rows = (line.split() for line in file.read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def _write(file: Path, value: object) -> None:
    file.write_text(str(value))

"""What tasks use, in the ancestor's names: `cpuPercentage` (100 is one CPU), `memoryUsage` (bytes), `gpu…`.

A task is the process that its supervisor named and everybody below it. Processors' time is taken from the living and
from what they have inherited of the dead, so that short processes count; shared memory is counted once.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil

from bot.backends import processes
from bot.clock import Clock
from bot.sidecar.names import Origin, Refused
from bot.sidecar.points import Points

SHARE = 200
"""The next sample is at least so many times later than this one cost: half a percent of one CPU."""

_AT_FULL_RATE = 2000
"""Samples before the distance doubles, and again: a month of eight tasks then fits into the file."""


@dataclass(frozen=True)
class Gpu:
    """One GPU at one moment: who computes on it, and its values in the ancestor's names."""

    pids: frozenset[int]
    values: Mapping[str, float]


class Gpus(Protocol):
    """The machine's GPUs."""

    def look(self) -> Sequence[Gpu]:
        """Return how they are now."""


@dataclass
class _Watched:
    origin: Origin
    process: psutil.Process
    seconds: float
    at: float


class Usage:
    """Watches tasks and writes down what they use."""

    def __init__(
        self, points: Points, clock: Clock, gpus: Gpus | None, effort: Callable[[], float] = time.process_time
    ) -> None:
        """`effort` tells the seconds of processors' time that this process has taken."""
        self._points = points
        self._clock = clock
        self._gpus = gpus
        self._effort = effort
        self._watched: dict[str, _Watched] = {}
        self._samples = 0

    def watch(self, origin: Origin, pid: int) -> None:
        """Watch a task from now on, instead of what it was before."""
        try:
            process = psutil.Process(pid)
            seconds = _processor_time(_everybody(process))
        except psutil.Error:
            self.forget(origin.task)
            return
        self._watched[origin.task] = _Watched(origin, process, seconds, self._clock.monotonic())

    def forget(self, task: str) -> None:
        """Watch it no longer."""
        self._watched.pop(task, None)

    def sample(self, every: float) -> float:
        """Write down what each task uses, and return the seconds until the next time: `every`, or longer."""
        began = self._effort()
        gpus = self._gpus.look() if self._gpus is not None and self._watched else ()
        for task, watched in list(self._watched.items()):
            try:
                self._points.sample(watched.origin, self._measure(watched, gpus))
            except psutil.Error:
                del self._watched[task]
            except Refused as error:
                self._points.complain(f"a sample was refused: {error}")
        self._samples += 1
        distance = every * 2.0 ** (self._samples // _AT_FULL_RATE)
        return max(distance, SHARE * (self._effort() - began))

    def _measure(self, watched: _Watched, gpus: Sequence[Gpu]) -> dict[str, float]:
        everybody = _everybody(watched.process)
        seconds, now = _processor_time(everybody), self._clock.monotonic()
        passed = now - watched.at
        # What nobody inherits (children whose end nobody waits for) is lost, so the sum may fall.
        percentage = 100 * max(seconds - watched.seconds, 0.0) / passed if passed > 0 else 0.0
        watched.seconds, watched.at = seconds, now
        pids = [process.pid for process in everybody]
        memory = processes.shared_memory(pids)
        return {"cpuPercentage": round(percentage, 1), "memoryUsage": memory, **_together(pids, gpus)}


def _everybody(process: psutil.Process) -> list[psutil.Process]:
    """Return the task's processes. Raises psutil.NoSuchProcess when its first one is gone or another one's pid."""
    if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
        raise psutil.NoSuchProcess(process.pid)
    found = [process]
    for pid in processes.descendants(process.pid):
        try:
            found.append(psutil.Process(pid))
        except psutil.Error:
            continue
    return found


def _processor_time(everybody: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in everybody:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _together(pids: Sequence[int], gpus: Sequence[Gpu]) -> dict[str, float]:
    """Return one value for each thing that the task's GPUs tell; nothing where it has none.

    Memory and power add up, of temperatures the highest counts, of shares the mean.
    """
    own = [gpu.values for gpu in gpus if not gpu.pids.isdisjoint(pids)]
    names = {name for values in own for name in values}
    return {name: _joined(name, [values[name] for values in own if name in values]) for name in sorted(names)}


def _joined(name: str, values: Sequence[float]) -> float:
    if name == "gpuTemp":
        return max(values)
    return sum(values) / len(values) if name.endswith("tilization") else sum(values)

"""The file of measurements: a JSON object a line, written by this process alone, within bounds."""

import json
import os
from collections.abc import Iterable, Mapping
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from bot.clock import Clock
from bot.sidecar.names import Origin, Refused

FOLDER, FILE = "measurements", "points"

LARGEST = 64 << 20
"""Bytes of the file."""

RESERVED = 16 << 20
"""Bytes of it that only system metrics may take: a run that floods the file still shows what it used."""

NAMES = 1000
"""Different names of an attempt's own metrics."""

PROBLEMS = 20
"""Different sentences about what was refused."""

_LOGGED, _SYSTEM = "logged", "system"


class Points:
    """Appends to the file. What it cannot keep it refuses; the first sentences about that stand in the file, too."""

    def __init__(self, descriptor: int, clock: Clock) -> None:
        """Own a descriptor of the file that is open for reading and appending."""
        self._descriptor = descriptor
        self._clock = clock
        self._size = _mended(descriptor)
        self._names: set[str] = set()
        self._counts: dict[tuple[Origin, str], int] = {}
        self._problems: set[str] = set()

    @classmethod
    def open(cls, folder: Path, clock: Clock) -> "Points":
        """Make the file below a directory of the bot's, for the bot alone."""
        (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return cls(os.open(folder / FOLDER / FILE, flags, 0o600), clock)

    def log(self, origin: Origin, values: Mapping[str, float], step: int | None = None) -> None:
        """Keep what a run has measured: all of it, or none. Without a step, each name counts its own. Raises Refused.

        Names have been checked.
        """
        names = self._names.union(values)
        if len(names) > NAMES:
            raise Refused(f"an experiment may have {NAMES} metrics; this would be one more")
        lines = [
            self._line(origin, _LOGGED, name, self._step(origin, name, step), value) for name, value in values.items()
        ]
        self._append(lines, LARGEST - RESERVED)
        self._names = names
        for name in values:
            self._counts[origin, name] = self._counts.get((origin, name), 0) + 1

    def sample(self, origin: Origin, values: Mapping[str, float]) -> None:
        """Keep what a task used; the step is its age in samples. Raises Refused."""
        counts = {name: self._counts.get((origin, f"/{name}"), 0) for name in values}
        self._append(
            [self._line(origin, _SYSTEM, name, counts[name], value) for name, value in values.items()], LARGEST
        )
        self._counts.update({(origin, f"/{name}"): count + 1 for name, count in counts.items()})

    def complain(self, sentence: str) -> None:
        """Keep a sentence about something that was refused, the first time."""
        if sentence in self._problems or len(self._problems) >= PROBLEMS:
            return
        self._problems.add(sentence)
        try:
            self._append([{"at": self._clock.now(), "problem": sentence[:500]}], LARGEST)
        except Refused:
            return  # the file itself is the problem, and its reader sees that it is full

    def _step(self, origin: Origin, name: str, step: int | None) -> int:
        return self._counts.get((origin, name), 0) if step is None else step

    def _line(self, origin: Origin, source: str, name: str, step: int, value: float) -> dict[str, Any]:
        told: float | str = value if isfinite(value) else "nan" if isnan(value) else "inf" if value > 0 else "-inf"
        who = {"task": origin.task, "trial": origin.trial}
        return {"at": self._clock.now(), "source": source, **who, "name": name, "step": step, "value": told}

    def _append(self, objects: Iterable[Mapping[str, Any]], limit: int) -> None:
        data = b"".join(json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in objects)
        if self._size + len(data) > limit:
            raise Refused(f"the measurements of this experiment have reached {limit >> 20} MiB; no more are kept")
        try:
            written = os.write(self._descriptor, data)
            if written < len(data):
                os.ftruncate(self._descriptor, self._size)
                raise Refused("the disk of the machine is full")
        except OSError as error:
            raise Refused(f"the measurements cannot be written: {error.strerror}") from error
        self._size += written


def _mended(descriptor: int) -> int:
    """Take away half a line that a killed process has left, and return the size."""
    size = os.fstat(descriptor).st_size
    end = os.pread(descriptor, 1 << 16, max(size - (1 << 16), 0))
    size -= len(end) - (end.rfind(b"\n") + 1)
    os.ftruncate(descriptor, size)
    return size

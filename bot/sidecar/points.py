"""The file of measurements: a JSON object a line, written by this process alone, within bounds."""

import json
import os
from collections import Counter
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

SERIES = 50_000
"""Different names of different tasks and trials."""

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
        self._counts: Counter[tuple[str, Origin, str]] = Counter()
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
        if len(names) > NAMES or len(self._counts) > SERIES:
            raise Refused(f"an experiment may have {NAMES} metrics and {SERIES} series; this would be one more")
        self._keep(_LOGGED, origin, values, step, LARGEST - RESERVED)
        self._names = names

    def sample(self, origin: Origin, values: Mapping[str, float]) -> None:
        """Keep what a task used; the step is its age in samples. Raises Refused."""
        self._keep(_SYSTEM, origin, values, None, LARGEST)

    def complain(self, sentence: str) -> None:
        """Keep a sentence about something that was refused, the first time."""
        if sentence in self._problems or len(self._problems) >= PROBLEMS:
            return
        self._problems.add(sentence)
        try:
            self._append([{"at": self._clock.now(), "problem": sentence[:500]}], LARGEST)
        except Refused:
            return  # the file itself is the problem, and its reader sees that it is full

    def _keep(self, source: str, origin: Origin, values: Mapping[str, float], step: int | None, limit: int) -> None:
        keys = [(source, origin, name) for name in values]
        steps = [self._counts[key] if step is None else step for key in keys]
        self._append(map(self._line, keys, steps, values.values()), limit)
        self._counts.update(keys)

    def _line(self, key: tuple[str, Origin, str], step: int, value: float) -> dict[str, Any]:
        source, origin, name = key
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

"""The file `trials`: the one truth about a search, a JSON line for each step of a trial, synced before it is acted on.

What the sampler and the pruner know is made anew from it when the tuner starts. Beside it, `study/steps` keeps the
intermediate values of finished trials, which only the pruner needs: losing them loses no trial.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.clock import Clock
from bot.core.trials import Trial, TrialState, standing

PATIENCE = 20.0
"""Seconds that the tuner waits for one that went before it and is still ending."""


class LedgerError(Exception):
    """The files of a search cannot be used; the message is for people."""


@dataclass(frozen=True)
class Memory:
    """What a finished trial leaves for the pruner: its values by step, and what the pruner noted about it."""

    steps: Mapping[int, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


class Ledger:
    """Reads and writes the files of one search in `run_dir`. One process at a time may have it."""

    def __init__(self, run_dir: Path, clock: Clock) -> None:
        """Raises LedgerError when another tuner keeps the files, or when they are not what a tuner wrote."""
        (run_dir / "study").mkdir(exist_ok=True)
        self._trials = _opened(run_dir / "trials")
        _lock(self._trials, clock)
        self._steps = _opened(run_dir / "study" / "steps")
        _sync_directories(run_dir / "study", run_dir)
        lines = [_trial(line) for line in _whole_lines(self._trials)]
        self.began_at = next((trial.began_at for trial in lines), None)
        """When the first trial began, in microseconds; None before that."""
        self._standing = {trial.number: trial for trial in standing(lines)}
        if [*self._standing] != [*range(len(self._standing))]:
            raise LedgerError("the file `trials` has gaps: it was changed by somebody else")

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials as they stand, by number, without gaps."""
        return tuple(self._standing.values())

    def write(self, trial: Trial) -> None:
        """Write how a trial stands now; when this returns, no crash can undo it."""
        if self.began_at is None:
            self.began_at = trial.began_at
        _append(self._trials, trial.to_json())
        self._standing[trial.number] = trial

    def remember(self, number: int, memory: Memory) -> None:
        """Keep what the pruner will need of a trial that is about to be written as finished."""
        steps = [[step, value] for step, value in memory.steps.items()]
        _append(self._steps, {"number": number, "steps": steps, "notes": dict(memory.notes)})

    def memories(self) -> dict[int, Memory]:
        """Return what is remembered of the finished trials, by number."""
        finished = {trial.number for trial in self.trials if trial.state is not TrialState.RUNNING}
        return {number: memory for number, memory in _memories(_whole_lines(self._steps)) if number in finished}

    def close(self) -> None:
        os.close(self._trials)
        os.close(self._steps)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _lock(file: int, clock: Clock) -> None:
    end = clock.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() > end:
                raise LedgerError("another tuner of this search is still running") from None
            clock.sleep(0.05)
        else:
            return


def _sync_directories(*paths: Path) -> None:
    for path in paths:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fsync(directory)
        os.close(directory)


def _append(file: int, line: Mapping[str, Any]) -> None:
    data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
    while data:
        data = data[os.write(file, data) :]
    os.fsync(file)


def _whole_lines(file: int) -> list[bytes]:
    """Return the lines. One without its end was torn by a crash before anything was done about it: it is cut off."""
    data = b"".join(_blocks(file))
    end = data.rfind(b"\n") + 1
    if end < len(data):
        os.ftruncate(file, end)
    return data[:end].splitlines()


def _blocks(file: int) -> Iterator[bytes]:
    place = 0
    while block := os.pread(file, 1 << 20, place):
        place += len(block)
        yield block


def _trial(line: bytes) -> Trial:
    try:
        return Trial.from_json(json.loads(line))
    except (ValueError, TypeError) as error:
        raise LedgerError(f"the file `trials` has a line that is none of ours: {error}") from error


def _memories(lines: Iterable[bytes]) -> Iterator[tuple[int, Memory]]:
    for line in lines:
        try:
            entry = json.loads(line)
            steps = {int(step): float(value) for step, value in entry["steps"]}
            yield int(entry["number"]), Memory(steps, dict(entry["notes"]))
        except (ValueError, TypeError, KeyError):
            continue

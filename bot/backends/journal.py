"""The journal of an attempt: what its supervisor saw, durable line by line, readable by a newer bot than wrote it.

JSON lines. The first names the format and who writes: `{"journal": 2, "attempt": …, "supervisor": {pid, start, boot}}`;
another of these comes when a supervisor was started anew. The others are of four kinds, with more keys where there is
more to say: a state `{"state": "running", "at": µs, "reason": "…"}` (an error that may not come again has the key
`may_retry`), a task's end `{"task": "worker-0", "state": …}`, a sentence of what is being waited for
`{"progress": "…"}`, and things found out `{"facts": {…}}`. Unknown keys are ignored, so a format may grow; what a
reader must not misread gets a new number, which older readers refuse. A last line without its end was torn by a crash
and was never said.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.backends.durable import sync_directory
from bot.backends.processes import Process
from bot.clock import Clock
from bot.core.masking import Masker
from bot.core.states import Observation, State

VERSION = 2
"""1 was that of single nodes, one journal for each task."""


class UnknownJournal(Exception):
    """The journal has a format that this version does not know; the message is for people."""


@dataclass
class TaskStory:
    """How a task ended, if it has."""

    end: Observation | None = None
    exit_code: int | None = None
    peak_memory_mb: int | None = None


@dataclass
class Story:
    """What a journal tells so far. `offset` is how many bytes of it have been read."""

    supervisor: Process | None = None
    node: str | None = None
    seen: list[Observation] = field(default_factory=list)
    tasks: dict[str, TaskStory] = field(default_factory=dict)
    progress: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    """What must be gone when the supervisor is: each sandbox's first process, or the command's; our own programs."""
    marker: str | None = None
    """A variable's value that every process of the run was started with, where no sandbox holds them together."""
    interruptions: int = 0
    """How often a supervisor died and the attempt could go on."""
    is_interrupted: bool = False
    """Tell whether nobody has gone on yet."""
    offset: int = 0

    @property
    def is_started(self) -> bool:
        """A journal without its first line is one of an attempt that never began."""
        return self.supervisor is not None

    @property
    def is_over(self) -> bool:
        return bool(self.seen) and self.seen[-1].state.is_final

    def read(self, path: Path) -> bool:
        """Read on from where the last reading ended; tell whether there was anything new. Raises UnknownJournal."""
        with path.open("rb") as file:
            file.seek(self.offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.splitlines():
            self._take(line)
        self.offset += len(whole)
        return bool(whole)

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if not isinstance(entry, dict):
            return
        if "journal" in entry:
            self._begin(entry)
            return
        self.processes += [Process.from_json(value) for value in entry.get("processes", ())]
        self.marker = entry.get("marker", self.marker)
        self.progress = entry.get("progress", self.progress)
        self.facts |= entry.get("facts", {})
        if "interrupted" in entry:
            self.interruptions, self.is_interrupted = self.interruptions + 1, True
            self.processes.clear()
        if entry.get("state") in set(State):
            self._see(entry)

    def _begin(self, entry: Mapping[str, Any]) -> None:
        if entry["journal"] != VERSION:
            raise UnknownJournal(
                f"its journal has format {entry['journal']!r}, this version knows {VERSION}:"
                " another version of the bot wrote it, which can read it again"
            )
        self.supervisor = Process.from_json(entry["supervisor"])
        self.node = entry.get("node")
        self.is_interrupted = False

    def _see(self, entry: Mapping[str, Any]) -> None:
        may_retry = entry.get("may_retry") is True
        seen = Observation(State(entry["state"]), int(entry["at"]), str(entry.get("reason", "")), may_retry)
        if "task" in entry:
            end = TaskStory(seen, entry.get("exit_code"), entry.get("peak_memory_mb"))
            self.tasks[str(entry["task"])] = end
            return
        self.progress = ""
        self.seen.append(seen)


class Journal:
    """The writing side. Only who holds the attempt's lock may have one: two writers would tear each other's lines."""

    def __init__(self, path: Path, clock: Clock, masker: Masker | None = None) -> None:
        """`masker` knows the attempt's secrets: no sentence and no fact with one of them is ever written."""
        self._clock, self._masker = clock, masker
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        _drop_torn_line(self._file)
        story = Story()
        story.read(path)
        self._last = story.seen[-1].at if story.seen else 0
        sync_directory(path.parent)

    def begin(self, attempt: str, supervisor: Process) -> None:
        """Write the first line."""
        node = os.uname().nodename
        self._write({"journal": VERSION, "attempt": attempt, "supervisor": vars(supervisor), "node": node})

    def see(self, state: State, reason: str = "", **more: Any) -> None:
        """Write a state, with the time of now; a clock that was set back does not turn the story round.

        It is a task's where `more` names one (`task="worker-0"`), else the attempt's.
        """
        self._last = max(self._last, self._clock.now())
        self._write({"state": state, "at": self._last, "reason": reason, **more})

    def note(self, **more: Any) -> None:
        """Write down what is no state: `progress`, `facts`, `processes`, that the attempt was `interrupted`."""
        self._write(more)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self._masker is not None:
            entry = _masked(entry, self._masker)
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        while line:
            line = line[os.write(self._file, line) :]
        os.fsync(self._file)


def _masked(entry: Mapping[str, Any], masker: Masker) -> dict[str, Any]:
    """Mask what came from outside: a secret may be any word, our own among them."""
    masked = {key: masker.mask(str(entry[key])) for key in ("reason", "progress") if key in entry}
    if "facts" in entry:
        masked["facts"] = json.loads(masker.mask_json(json.dumps(entry["facts"])))
    return {**entry, **masked}


def _drop_torn_line(file: int) -> None:
    size = os.fstat(file).st_size
    end = size
    while end > 0:
        start = max(0, end - 65_536)
        newline = os.pread(file, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(file, end)

"""Where in the commit an attempt failed: the lines that its logs claim, each looked up in the commit itself.

A log is written by code that nobody trusts, and a file may have been written by the run, or belong to a submodule. So
only a line of a regular file of that very commit is a place, and only if it reads as the traceback has it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.backends.base import AttemptSpec, Code, Mode, from_json
from bot.backends.sandbox import WORKSPACE
from bot.core.masking import Masker
from bot.core.report import PlaceFacts
from bot.core.states import State
from bot.core.traceback import Frame, in_repository, why
from bot.forge.git import FileError, GitError, read_local
from bot.store.schema import Attempt, Task

MOST_FILES, LARGEST_FILE = 50, 2 << 20
"""How many files are looked at for one attempt, and the bytes that one may have."""
_LONGEST = 300
"""Characters of an exception, a function, a line of code that are kept."""
_WORDS = re.compile(r"[!-~]+")


def places(attempt: Attempt, logs: Iterable[tuple[Task, str]], masker: Masker) -> list[dict[str, Any]]:
    """Return where the tasks failed that did so by themselves, in the order of their `logs`, as `PlaceFacts` in JSON.

    The ends of logs are masked already; what is read from the commit is masked here.
    """
    spec = from_json(attempt.spec) if State(attempt.state) is State.FAILED else None
    if spec is None or spec.code is None:
        return []
    commit, found = _Commit(spec.code, masker), []
    for task, log in logs:
        if _speaks(spec, task) and (place := _place(spec, task, log, commit)) is not None:
            found.append(asdict(place))
    return found


def is_culprit(attempt: Attempt, task: Task) -> bool:
    """Tell whether an attempt failed because this one of its tasks did: its reason begins with the task's name."""
    return attempt.reason.startswith(f"{task.role}-{task.index}: ")


def _speaks(spec: AttemptSpec, task: Task) -> bool:
    """Tell whether the end of a task's log says why it failed. What the trials of a search print, all workers have."""
    return State(task.state) is State.FAILED or spec.mode is Mode.SEARCH


def _place(spec: AttemptSpec, task: Task, log: str, commit: "_Commit") -> PlaceFacts | None:
    """Return the deepest frame that is a line of the commit."""
    name = f"{task.role}-{task.index}"
    for traceback in why(task.exit_code, log):
        for path, frame in _own(spec, task, reversed(traceback.frames)):
            line = commit.line(path, frame.line)
            if line is not None and _is_same(line, frame.source):
                return PlaceFacts(
                    name, path, frame.line, *(_cut(text) for text in (traceback.exception, frame.function, line))
                )
    return None


def _own(spec: AttemptSpec, task: Task, frames: Iterable[Frame]) -> Iterator[tuple[str, Frame]]:
    """Yield the frames that may lie in the repository, with their paths there."""
    group = next((group for group in spec.groups if group.role == task.role), None)
    workdir = (None if group is None else group.workdir) or spec.workdir
    # Where nothing isolates a run, it sees its directories where they are; its own name for them has no links in it.
    own = Path(spec.run_dir, "workspace", f"{task.role}-{task.index}")
    roots = (WORKSPACE, str(own), str(own.resolve()))
    for frame in frames:
        path = in_repository(frame.path, roots, workdir)
        if path is not None:
            yield path, frame


def _is_same(line: str, source: str) -> bool:
    """Tell whether a line of the commit is what the traceback shows; what is no ASCII may have been spelled otherwise.

    Python shows no code where it has none.
    """
    return not source or _WORDS.findall(line) == _WORDS.findall(source)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


class _Commit:
    """The files of a commit that lies whole on this machine."""

    def __init__(self, code: Code, masker: Masker) -> None:
        self._code, self._masker = code, masker
        self._files: dict[str, list[str]] = {}

    def line(self, path: str, number: int) -> str | None:
        """Return a line, masked and without its indentation; None where the commit has no such line or file."""
        if path not in self._files and len(self._files) < MOST_FILES:
            self._files[path] = self._read(path)
        lines = self._files.get(path, ())
        return self._masker.mask(lines[number - 1]).strip() if 0 < number <= len(lines) else None

    def _read(self, path: str) -> list[str]:
        try:
            data = read_local(Path(self._code.git_dir), self._code.sha, path, LARGEST_FILE)
        except (FileError, GitError):
            return []
        # Python's lines end with these three, and with nothing else.
        lines = re.split("\r\n|\r|\n", data.decode(errors="replace").replace("\0", ""))
        return lines if lines[-1] else lines[:-1]

"""What a play with a backend needs: a repository with one commit, attempts at it, and patience."""

import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from bot.backends import walls
from bot.backends.base import AttemptReport, AttemptSpec, Backend, BackendUnavailable, Code, Machine, TaskGroup
from bot.backends.powers import Powers, probe
from bot.core.states import State

PATIENCE = 30.0
FILES = {"train.py": "print('trained')\n", "sub/where.txt": "in sub\n"}


@dataclass
class Lab:
    """`make` gives a fresh backend over the same data, as a restarted bot would have it."""

    data_dir: Path
    make: Callable[[], Backend]
    code: Code
    machine: Machine = field(default_factory=lambda: Machine("small", cpus=1, memory_mb=2048))
    submitted: list[str] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.backend = self.make()

    def spec(self, command: str, **changes: Any) -> AttemptSpec:
        """Return the spec of a new attempt at a run of `command`."""
        public_id = f"run{next(self._numbers)}"
        spec = AttemptSpec(
            id=f"{public_id}-1",
            groups=(TaskGroup("worker", 1, command, changes.pop("machine", self.machine)),),
            code=self.code,
            env={"COLOUR": "green"},
            timeout=60.0,
            run_dir=str(self.data_dir / "runs" / public_id / "1"),
            storage_dir=str(self.data_dir / "storage" / "7"),
        )
        return replace(spec, **changes)

    def submit(self, command: str, **changes: Any) -> str:
        """Submit a new attempt; return its id."""
        spec = self.spec(command, **changes)
        self.submitted.append(spec.id)
        self.backend.submit(spec)
        return spec.id

    def run(self, command: str, **changes: Any) -> AttemptReport:
        """Submit a new attempt and return how it ended."""
        return self.end_of(self.submit(command, **changes))

    def report(self, attempt_id: str) -> AttemptReport:
        return self.backend.poll([attempt_id])[attempt_id]

    def state(self, attempt_id: str) -> State | None:
        """Return the newest state that was seen; None when there is none."""
        seen = self.report(attempt_id).seen
        return seen[-1].state if seen else None

    def end_of(self, attempt_id: str) -> AttemptReport:
        """Wait for the attempt's end."""
        eventually(lambda: (state := self.state(attempt_id)) is not None and state.is_final)
        return self.report(attempt_id)

    def log(self, attempt_id: str, task: str = "worker-0") -> str:
        """Return all of a task's log."""
        return self.backend.logs(attempt_id, task, 0, 1 << 30).data.decode(errors="replace")

    def prints(self, command: str, **changes: Any) -> str:
        """Run a command that must succeed; return what it printed."""
        report = self.run(command, **changes)
        log = self.log(report.id)
        assert report.seen[-1].state is State.STOPPED, (report.seen[-1], log)
        return log

    def wait_for_line(self, attempt_id: str, line: str, task: str = "worker-0") -> None:
        """Wait until the run has printed it: it is running then."""
        eventually(lambda: line in self.log(attempt_id, task).splitlines())

    def close(self) -> None:
        """End whatever a play left running."""
        for attempt_id in self.submitted:
            self.backend.cancel(attempt_id, "the play is over")
        for attempt_id in self.submitted:
            if self.report(attempt_id).known:
                self.end_of(attempt_id)


@cache
def powers() -> Powers:
    """Return what this machine lets attempts have: found out once, since it takes a moment. Nothing without walls."""
    try:
        found = walls.find("bwrap", walls.NOBODY, allow_unisolated=False)
    except BackendUnavailable:
        return Powers()
    with tempfile.TemporaryDirectory() as directory:
        return probe(Path(directory), walls.around_nothing(found.sandbox))


def eventually(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until it holds."""
    give_up = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.01)


def commit(directory: Path, files: dict[str, str] | None = None, links: dict[str, str] | None = None) -> Code:
    """Return a bare repository with one commit of these files and links."""
    work = directory / "work"
    work.mkdir(parents=True)
    for path, content in (FILES if files is None else files).items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(content)
    for path, target in (links or {}).items():
        (work / path).symlink_to(target)
    bare = directory / "bare.git"
    git("init", "--quiet", "--bare", str(bare))
    tree = ["-C", str(work), f"--git-dir={bare}", f"--work-tree={work}"]
    git(*tree, "add", "--all")
    git(*tree, "commit", "--quiet", "--allow-empty", "-m", "Work")
    return Code(str(bare), git(*tree, "rev-parse", "HEAD"))


def git(*arguments: str) -> str:
    who = {f"GIT_{role}_{what}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", **who}
    done = subprocess.run(["git", *arguments], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def processes_with(word: str) -> list[int]:
    """Return the pids of all processes of this machine with `word` in their command line, this one's tests aside.

    Between two arguments there is a zero byte.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if word.encode() in command:
                found.append(int(entry.name))
    return found

"""The supervisor's side of a declared search: it runs the trials that the tuner asks for, and ends them when told to.

Each trial is a command of its own in one of the workers, with a fresh workspace and a directory of its own below the
artifacts.
"""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bot.backends.ends import End, judge
from bot.backends.programs import Program
from bot.backends.task import TaskRun
from bot.core.states import State

_MOST_RESTARTS = 3
Start = Callable[[int, int, str, Mapping[str, str]], TaskRun]
"""Starts trial `number` in worker `slot` with a command and variables. Raises for what cannot be started."""


class Trials:
    """`start` and `stop` are the supervisor's: only it knows of walls and of time. `see` is told each tuner's pid."""

    def __init__(
        self,
        run_dir: Path,
        hello: Mapping[str, Any],
        start: Start,
        stop: Callable[[TaskRun], None],
        is_resumed: bool,
        see: Callable[[int], None],
    ) -> None:
        self._run_dir, self._hello = run_dir, hello
        self._start, self._stop, self._see = start, stop, see
        self._restarts = 0
        self._why: dict[int, str] = {}
        self._runs: dict[int, TaskRun] = {}
        self.tuner = self._begin(is_resumed)

    def hear(self) -> End | None:
        """Do what the tuner said since the last time; return the search's end once it is told."""
        for message in self.tuner.heard():
            if "run" in message:
                self._run(**message["run"])
            elif "stop" in message:
                self._end(int(message["stop"]["trial"]), str(message["stop"]["reason"]))
            elif "end" in message:
                end = message["end"]
                return End(State(end["state"]), str(end.get("reason", "")), 0 if end["state"] == "stopped" else None)
        return self._restart() if self.tuner.is_silent else None

    def ended(self, run: TaskRun, code: int | None, verdict: str) -> None:
        """Tell the tuner of a trial's end. `verdict` says why it was ended by us, empty when it ended by itself."""
        assert run.trial is not None  # noqa: S101 - only trials are run in a search
        if self._runs.get(run.trial) is run:
            del self._runs[run.trial]
            reason = verdict or self._why.pop(run.trial, "") or judge(code).reason
            self.tuner.tell({"ended": {"trial": run.trial, "exit_code": code, "reason": reason}})

    def _run(self, trial: int, slot: int, argv: list[str], env: Mapping[str, str]) -> None:
        try:
            self._runs[trial] = self._start(trial, slot, shlex.join(argv), env)
        except OSError as error:
            self.tuner.tell({"ended": {"trial": trial, "exit_code": None, "reason": f"could not be started: {error}"}})

    def _end(self, trial: int, reason: str) -> None:
        if trial in self._runs:
            self._why[trial] = reason
            self._stop(self._runs[trial])

    def _begin(self, is_resumed: bool) -> Program:
        program = Program("bot.search", self._run_dir)
        self._see(program.pid)
        program.tell({**self._hello, "resumed": is_resumed})
        return program

    def _restart(self) -> End | None:
        """The tuner died. What it had begun is ended, and a new one begins it again: it knows what was finished."""
        self._restarts += 1
        if self._restarts > _MOST_RESTARTS:
            return End(State.ERROR, "the tuner died again and again; supervisor.log may say why")
        self.tuner.kill()
        for run in self._runs.values():
            run.running.kill()
        self._runs.clear()
        self.tuner = self._begin(is_resumed=True)
        return None

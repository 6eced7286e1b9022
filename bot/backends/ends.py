"""How attempts and their tasks end, in the words that people read."""

import signal
from dataclasses import dataclass

from bot.core.states import State

_WHY = {9: "out of memory?", 11: "segmentation fault"}


@dataclass(frozen=True)
class End:
    """How an attempt or a task ends. `may_retry` as in `core.states.Observation`: of the platform's ends only."""

    state: State
    reason: str
    exit_code: int | None = None
    may_retry: bool = False


class Stop(Exception):
    """The attempt is to end as `end` says."""

    def __init__(self, end: End) -> None:
        super().__init__(end.reason)
        self.end = end


def judge(code: int | None) -> End:
    """Return the end that the command's own exit code means."""
    if code is None:
        return End(State.ERROR, "the sandbox was killed from outside", may_retry=True)
    if code == 0:
        return End(State.STOPPED, "", 0)
    number = code - 128
    if 0 < number < signal.NSIG:
        why = _WHY.get(number)
        return End(State.FAILED, f"killed by signal {number}" + (f" ({why})" if why else ""), code)
    why = {126: " (not executable)", 127: " (command not found)"}.get(code, "")
    return End(State.FAILED, f"exit code {code}{why}", code)


def duration(seconds: float) -> str:
    """Return `9h`, `1h 30m`, `10m`, `2.5s`."""
    whole = int(seconds)
    parts = [(whole // 3600, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    return " ".join(f"{count}{unit}" for count, unit in parts if count) if whole >= 10 else f"{seconds:g}s"

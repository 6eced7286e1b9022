"""A search without processes: the real ledger on disk, Optuna, and values that the play says."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.clock import ManualClock
from bot.core.search import FloatRange, Goal, Search
from bot.core.series import Source
from bot.search.ledger import Ledger
from bot.search.tuner import Tuner
from bot.search.values import NoValue


def search(**changes: Any) -> Search:
    """Return a search for the x that makes a loss small."""
    given: dict[str, Any] = {
        "space": {"x": FloatRange(-1.0, 1.0)},
        "metric_source": Source.TENSORFLOW,
        "metric": "loss",
        "goal": Goal.MINIMIZE,
        "trials": 6,
        "parallel": 2,
        "seed": 1,
    }
    return Search(**{**given, **changes})


@dataclass
class SaidValues:
    """What trials log, as the play says it: `logged` while they run, `left` at their end (a text is why there is none).

    Without a word of the play, a trial leaves its number.
    """

    logged: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    left: dict[int, float | str] = field(default_factory=dict)

    def begin(self, number: int) -> None:
        self.logged.pop(number, None)

    def news(self, number: int) -> list[tuple[int, float]]:
        return self.logged.pop(number, [])

    def final(self, number: int) -> float:
        left = self.left.get(number, float(number))
        if isinstance(left, str):
            raise NoValue(left)
        return left

    def forget(self, number: int) -> None:
        pass


class Stage:
    """A directory, a clock and values; tuners come and go on it."""

    def __init__(self, run_dir: Path, clock: ManualClock) -> None:
        self.run_dir, self.clock = run_dir, clock
        self.values = SaidValues()
        self.said: list[dict[str, Any]] = []
        self.cleared: list[int] = []
        self.ledger: Ledger | None = None

    def tuner(self, definition: Search) -> Tuner:
        """Return a new tuner, started; the one before it is dead, and its words are forgotten."""
        self.die()
        self.ledger = Ledger(self.run_dir, self.clock)
        self.said.clear()
        tuner = Tuner(
            definition,
            ("train", *(f"--{name}={{{name}}}" for name in definition.space)),
            self.ledger,
            self.values,
            self.clock,
            self.said.append,
            self.cleared.append,
        )
        tuner.start()
        return tuner

    def die(self) -> None:
        """As a kill does: files are closed, nothing more is written."""
        if self.ledger is not None:
            self.ledger.close()
            self.ledger = None

    def runs(self) -> list[int]:
        """Return the trials that were to be run, in order."""
        return [one["run"]["trial"] for one in self.said if "run" in one]

    def stops(self) -> dict[int, str]:
        """Return the trials that were to be stopped, with the reason."""
        return {one["stop"]["trial"]: one["stop"]["reason"] for one in self.said if "stop" in one}

    @property
    def end(self) -> dict[str, str] | None:
        return next((one["end"] for one in self.said if "end" in one), None)

    def states(self) -> list[str]:
        """Return the trials' states by number."""
        assert self.ledger is not None
        return [trial.state.value for trial in self.ledger.trials]

"""A search as facts, and as it is shown: while it runs only at its milestones, not trial by trial."""

from collections import Counter
from dataclasses import dataclass

from bot.core.search import Goal
from bot.core.space import Scalar
from bot.core.trials import Trial, TrialState, top

STEPS = 10
"""How many milestones a search has besides its new bests: a running search of any size is edited a few times only."""

PARAMETERS, COLUMNS = 20, 6
"""How many parameters of the best trial, and of each in the table, are shown."""


@dataclass(frozen=True)
class SearchFacts:
    """A search: `metric` as the config names it (`custom:/loss`), `asked_trials` how many it wants.

    `is_declared` where the command is that of one trial; the user's own tuner has trials that nobody can run alone.
    """

    goal: Goal
    metric: str
    asked_trials: int
    trials: tuple[Trial, ...] = ()
    is_declared: bool = True

    def seen(self, *, is_done: bool) -> "SearchView":
        """Return what is to be shown: everything once it is done, before that the state at its latest milestone."""
        ended = sorted(
            (trial for trial in self.trials if trial.state is not TrialState.RUNNING),
            key=lambda trial: (trial.ended_at or 0, trial.number),
        )
        shown = ended if is_done else ended[: self._milestone(ended)]
        return SearchView(self, tuple(shown), top(shown, self.goal))

    def _milestone(self, ended: list[Trial]) -> int:
        """Return how many trials had ended at the latest milestone: a tenth of those asked for, or a new best."""
        stride = max(1, -(-self.asked_trials // STEPS))
        latest, best = 0, float("inf")
        for count, trial in enumerate(ended, start=1):
            cost = self._cost(trial)
            if cost < best or count % stride == 0:
                latest = count
            best = min(best, cost)
        return latest

    def _cost(self, trial: Trial) -> float:
        if trial.state is not TrialState.COMPLETE or trial.value is None:
            return float("inf")
        return trial.value if self.goal is Goal.MINIMIZE else -trial.value


@dataclass(frozen=True)
class SearchView:
    """What is shown of a search: the trials that had ended (`ended`), and the best of them, best first (`top`)."""

    facts: SearchFacts
    ended: tuple[Trial, ...]
    top: tuple[Trial, ...]

    @property
    def best(self) -> Trial | None:
        return next(iter(self.top), None)

    @property
    def label(self) -> str:
        """What is compared, without where it comes from: `loss` for `custom:/loss`."""
        return self.facts.metric.partition(":")[2].strip("/") or self.facts.metric

    @property
    def asked(self) -> int:
        return self.facts.asked_trials

    @property
    def counts(self) -> dict[str, int]:
        """How many trials ended how: `complete`, `pruned`, `failed`; those that none did are left out."""
        counts = Counter(trial.state for trial in self.ended)
        return {state.value: counts[state] for state in TrialState if counts[state]}

    @property
    def columns(self) -> tuple[str, ...]:
        """The parameters that a table of trials has room for."""
        return () if self.best is None else tuple(self.best.params)[:COLUMNS]

    @property
    def best_parameters(self) -> tuple[tuple[str, Scalar], ...]:
        """The parameters of the best trial, in the order of the search's space, as many as are shown."""
        return () if self.best is None else tuple(self.best.params.items())[:PARAMETERS]

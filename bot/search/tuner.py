"""The course of a search: which trial runs where, what its end means, and when the whole is over.

Every step of a trial is in the ledger before anybody is told of it. After a crash the ledger is all there is: finished
trials stay, and one that was running is run again, under its number and with its parameters.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from bot.clock import SECOND, Clock
from bot.core.search import Search, command, environment
from bot.core.trials import Trial, TrialState
from bot.search.advisor import Advisor
from bot.search.ledger import Ledger
from bot.search.values import NoValue, Values

HOPELESS = 5
"""Failed trials at the beginning, with nothing else between them, after which no more are begun."""

TIME_IS_OVER = "the search's time was over"
GIVEN_UP = "the search was given up, since its first trials failed"

Send = Callable[[dict[str, Any]], None]


@dataclass
class _Run:
    """A trial that runs: in which worker, what was seen of it, and what it will have been if it was told to stop."""

    slot: int
    reported: set[int] = field(default_factory=set)
    step: int | None = None
    value: float | None = None
    verdict: tuple[TrialState, str] | None = None


class Tuner:
    """Told what happened (`ended`), asked to look around (`look`); it says what to do by `send`."""

    def __init__(
        self,
        search: Search,
        words: Sequence[str],
        ledger: Ledger,
        values: Values,
        clock: Clock,
        send: Send,
        clear: Callable[[int], None],
    ) -> None:
        """`words` are the command's, with placeholders. `clear` removes what a trial left in its artifacts."""
        self._search, self._words = search, words
        self._ledger, self._values, self._clock = ledger, values, clock
        self._send, self._clear = send, clear
        self._advisor = Advisor(search, ledger.trials, ledger.memories())
        self._runs: dict[int, _Run] = {}
        self.is_over = False

    def start(self) -> None:
        """Begin, or go on where the ledger ends."""
        if why := self._why_no_more():
            self._write_off(why)
        self._go_on()

    def ended(self, number: int, exit_code: int | None, reason: str) -> None:
        """Take the end of a trial's command. Of one that does not run, it was told already."""
        if number not in self._runs:
            return
        run = self._runs[number]
        # The values since the last look: a short trial has shown none before, and others are measured by them.
        self._take_news(number, run)
        trial = self._judged(number, run, exit_code, reason)
        # First what only helps, then what counts: between the two, a crash makes the trial run again.
        self._ledger.remember(number, self._advisor.memory(number))
        self._ledger.write(trial)
        self._advisor.tell(number, trial.state, trial.value)
        self._values.forget(number)
        del self._runs[number]
        self._go_on()

    def look(self) -> None:
        """Read what the running trials have logged, stop the hopeless ones, and all of them when time is over."""
        for number, run in self._runs.items():
            if run.verdict is None and (step := self._take_news(number, run)) is not None:
                self._stop(number, run, TrialState.PRUNED, f"pruned at step {step}")
        self._go_on()

    def _go_on(self) -> None:
        if why := self._why_no_more():
            for number, run in self._runs.items():
                if run.verdict is None:
                    self._stop(number, run, TrialState.FAILED, why)
        else:
            self._fill()
        if not self._runs and not self.is_over:
            self.is_over = True
            self._send({"end": self._verdict()})

    def _why_no_more(self) -> str:
        """Return why no more trials are to run before all have run; empty when there is no such reason."""
        limit, began = self._search.timeout_seconds, self._ledger.began_at
        if limit is not None and began is not None and self._clock.now() - began >= limit * SECOND:
            return TIME_IS_OVER
        states = Counter(trial.state for trial in self._ledger.trials)
        is_hopeless = not states[TrialState.COMPLETE] and not states[TrialState.PRUNED]
        return GIVEN_UP if is_hopeless and states[TrialState.FAILED] >= HOPELESS else ""

    def _fill(self) -> None:
        begun = self._ledger.trials
        interrupted = sum(trial.state is TrialState.RUNNING for trial in begun) - len(self._runs)
        left = self._advisor.count - len(begun) + interrupted
        taken = {run.slot for run in self._runs.values()}
        free = [slot for slot in range(self._search.parallel) if slot not in taken]
        for slot in free[: max(left, 0)]:
            self._run(slot)

    def _run(self, slot: int) -> None:
        number, params = self._advisor.ask()
        self._clear(number)
        self._values.begin(number)
        self._ledger.write(Trial(number, params, TrialState.RUNNING, None, f"worker-{slot}", self._clock.now()))
        self._runs[number] = _Run(slot)
        call = {"argv": command(self._words, params), "env": environment(params)}
        self._send({"run": {"trial": number, "slot": slot, **call}})

    def _stop(self, number: int, run: _Run, state: TrialState, reason: str) -> None:
        run.verdict = (state, reason)
        self._send({"stop": {"trial": number, "reason": reason}})

    def _write_off(self, why: str) -> None:
        """The trials that a crash interrupted after the search had come to its end are not begun again."""
        for trial in self._ledger.trials:
            if trial.state is TrialState.RUNNING:
                self._ledger.write(replace(trial, state=TrialState.FAILED, ended_at=self._clock.now(), reason=why))

    def _take_news(self, number: int, run: _Run) -> int | None:
        """Take the trial's new values, and return the step at which the pruner gives it up, if it does.

        Of several that come together the newest is judged: what was bad at first may have become good.
        """
        given_up = None
        for step, value in self._values.news(number):
            run.step, run.value = step, value
            place = coarse(step)
            if step < 0 or place in run.reported:
                continue
            run.reported.add(place)
            given_up = step if self._advisor.report(number, place, value) else None
        return given_up

    def _judged(self, number: int, run: _Run, exit_code: int | None, reason: str) -> Trial:
        """Return the trial with what became of it. One that was told to stop was stopped, whatever it says."""
        trial = replace(self._ledger.trials[number], ended_at=self._clock.now(), steps=run.step)
        if run.verdict is not None:
            state, why = run.verdict
            is_known = state is TrialState.PRUNED and run.value is not None and isfinite(run.value)
            return replace(trial, state=state, reason=why, value=run.value if is_known else None)
        if exit_code != 0:
            return replace(trial, state=TrialState.FAILED, reason=reason or f"its command ended with {exit_code}")
        try:
            return replace(trial, state=TrialState.COMPLETE, value=self._values.final(number))
        except NoValue as error:
            return replace(trial, state=TrialState.FAILED, reason=str(error))

    def _verdict(self) -> dict[str, str]:
        """Return how the search ends: it has found something, or it has not and says why."""
        trials = self._ledger.trials
        complete = sum(trial.state is TrialState.COMPLETE for trial in trials)
        why = self._why_no_more()
        if complete:
            told = f"{why}: {complete} of {self._advisor.count} trials were completed" if why else ""
            return {"state": "stopped", "reason": told}
        if why == TIME_IS_OVER:
            return {"state": "failed", "reason": f"{why} before a trial was completed"}
        first = next((f": trial {one.number}: {one.reason}" for one in trials if one.state is TrialState.FAILED), "")
        return {"state": "failed", "reason": f"no trial was completed{first}"}


def coarse(step: int) -> int:
    """Return the step with at most three digits that count: 12345 is 12300.

    A pruner compares trials at the same step and keeps every value; a million batches are a few thousand places then.
    """
    unit: int = 10 ** max(len(str(step)) - 3, 0)
    return step // unit * unit

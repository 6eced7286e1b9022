"""Optuna, as the tuner uses it: it chooses parameters and says which trials are hopeless. It keeps nothing on disk.

A study is made anew from the finished trials whenever the tuner starts. Every trial has a sampler of its own, seeded
by the search's seed and the trial's number: a tuner that was killed goes on with the choices it would have made.
"""

import random
import warnings
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import product
from math import isnan
from types import MappingProxyType

import numpy
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState as OptunaState

from bot.core.search import Distribution, FloatRange, IntRange, Pruner, Sampler, Scalar, Search, grid_size
from bot.core.trials import Trial, TrialState
from bot.search.ledger import Memory

optuna.logging.set_verbosity(optuna.logging.ERROR)

_STATES = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}

_STARTUP, _CANDIDATES = 8, 100
"""Of TPE: random trials at the beginning, and candidates that it weighs. Measured: docs/decisions/0054-search.md."""


class Advisor:
    """Asked for parameters, told of values. Trials are known by their numbers, which begin at 0 and have no gaps."""

    def __init__(
        self, search: Search, known: Sequence[Trial] = (), memories: Mapping[int, Memory] = MappingProxyType({})
    ) -> None:
        """`known` are all trials so far by number; those that are running are asked for again, in that order."""
        self._search = search
        self._space = {name: _distribution(one) for name, one in search.space.items()}
        self._grid = _grid(search) if search.sampler is Sampler.GRID else None
        self._study = optuna.create_study(direction=search.goal.value, pruner=_pruner(search))
        self._running: dict[int, optuna.Trial] = {}
        for trial in known:
            self._restore(trial, memories.get(trial.number, Memory()))

    @property
    def count(self) -> int:
        """How many trials there will be: a grid may have fewer cells than the search has trials."""
        return self._search.trials if self._grid is None else len(self._grid)

    def ask(self) -> tuple[int, dict[str, Scalar]]:
        """Return the number and the parameters of the next trial: first those that were running, then new ones."""
        number = len(self._study.get_trials(deepcopy=False))
        is_known = any(True for _ in self._waiting())
        if self._grid is not None and not is_known:
            self._study.enqueue_trial(self._grid[number])
        self._study.sampler = _sampler(self._search, number)
        trial = self._study.ask(self._space)
        self._running[trial.number] = trial
        return trial.number, {name: _tidied(one, trial.params[name]) for name, one in self._search.space.items()}

    def report(self, number: int, step: int, value: float) -> bool:
        """Take an intermediate value, at a step of 0 or more, each once; tell whether the trial should be stopped."""
        trial = self._running[number]
        trial.report(value, step)
        with warnings.catch_warnings():
            # Of numpy, when there is nothing but NaN; the pruner knows what that means.
            warnings.simplefilter("ignore", RuntimeWarning)
            return trial.should_prune()

    def memory(self, number: int) -> Memory:
        """Return what has to be kept of a running trial, for a later advisor."""
        frozen = self._study.get_trials(deepcopy=False)[number]
        return Memory(dict(frozen.intermediate_values), dict(frozen.system_attrs))

    def tell(self, number: int, state: TrialState, value: float | None) -> None:
        """Take the end of a trial; `value` is that of a complete one."""
        self._running.pop(number, None)
        self._study.tell(number, value if state is TrialState.COMPLETE else None, _STATES[state])

    def _waiting(self) -> list[optuna.trial.FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(OptunaState.WAITING,))

    def _restore(self, trial: Trial, memory: Memory) -> None:
        if trial.state is TrialState.RUNNING:
            self._study.enqueue_trial(dict(trial.params))
            return
        value = trial.value
        if trial.state is TrialState.PRUNED:
            value = _last(memory.steps)
        self._study.add_trial(
            optuna.trial.create_trial(
                state=_STATES[trial.state],
                value=None if trial.state is TrialState.FAILED else value,
                params=dict(trial.params),
                distributions=self._space,
                intermediate_values=dict(memory.steps),
                system_attrs=dict(memory.notes),
            )
        )


def _distribution(one: Distribution) -> BaseDistribution:
    if isinstance(one, FloatRange):
        return FloatDistribution(one.low, one.high, log=one.log, step=one.step)
    if isinstance(one, IntRange):
        return IntDistribution(one.low, one.high, log=one.log)
    return CategoricalDistribution(one.options)


def _sampler(search: Search, number: int) -> optuna.samplers.BaseSampler:
    seed = None
    if search.seed is not None:
        # Mixed, not added: trial 1 of seed 0 is not to be trial 0 of seed 1.
        seed = int(numpy.random.SeedSequence([search.seed, number]).generate_state(1)[0])
    if search.sampler is not Sampler.TPE:
        return optuna.samplers.RandomSampler(seed)
    return optuna.samplers.TPESampler(
        multivariate=True,
        # Workers that run at the same time are not to try the same.
        constant_liar=True,
        n_startup_trials=_STARTUP,
        n_ei_candidates=_CANDIDATES,
        seed=seed,
    )


def _pruner(search: Search) -> optuna.pruners.BasePruner:
    if search.pruner is Pruner.MEDIAN:
        return optuna.pruners.MedianPruner()
    if search.pruner is Pruner.ASHA:
        return optuna.pruners.SuccessiveHalvingPruner()
    return optuna.pruners.NopPruner()


def _grid(search: Search) -> list[dict[str, Scalar]]:
    """Return the cells that are tried: all in their order, or as many as there are trials, drawn by lot."""
    size = grid_size(search.space)
    cells = product(*(one.values() for one in search.space.values()))
    grid = [dict(zip(search.space, cell, strict=True)) for cell in cells]
    if size > search.trials:
        random.Random(search.seed or 0).shuffle(grid)  # noqa: S311 - a lot, no secret
    return grid[: search.trials]


def _tidied(one: Distribution, value: Scalar) -> Scalar:
    """Return 0.3 where the sampler's arithmetic gave 0.30000000000000004."""
    if isinstance(one, FloatRange) and one.step is not None:
        low, step = Decimal(repr(one.low)), Decimal(repr(one.step))
        return float(low + step * round((Decimal(value) - low) / step))
    return value


def _last(steps: Mapping[int, float]) -> float | None:
    value = steps[max(steps)] if steps else None
    return None if value is None or isnan(value) else value

"""Which parameters made a difference, by PED-ANOVA (https://arxiv.org/abs/2304.10255) as Optuna has it.

It compares where the best trials lie with where all lie, and needs no scikit-learn.
"""

import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from bot.core.search import Goal
from bot.core.trials import TrialState
from bot.metrics.searches import Axis, Dot, SearchPicture

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FEWEST = 20
"""Complete trials below which it would be reading tea leaves."""

_GOOD = 5
"""Trials that count as the best ones at least, as Optuna's documentation advises; else a tenth of all."""


class NotKnown(Exception):
    """Nothing can be said about the parameters; the message says why."""


def importances(picture: SearchPicture) -> dict[int, float]:
    """Return the shares of the parameters by their place among the axes, largest first; they sum to 1.

    Raises NotKnown.
    """
    complete = [dot for dot in picture.dots if dot.state is TrialState.COMPLETE and None not in dot.places]
    if len(complete) < FEWEST:
        raise NotKnown(f"needs {FEWEST} complete trials, there are {len(complete)}")
    try:
        import optuna  # noqa: PLC0415 - an extra
    except ImportError:
        raise NotKnown("needs Optuna, which is not installed") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction=picture.goal.value)
    space = {str(place): _distribution(axis) for place, axis in enumerate(picture.axes)}
    for dot in complete:
        params = {str(place): _value(axis, dot.places[place]) for place, axis in enumerate(picture.axes)}
        study.add_trial(optuna.trial.create_trial(value=dot.value, params=params, distributions=space))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=max(0.1, _GOOD / len(complete)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weights = evaluator.evaluate(study)
    total = sum(weights.values())
    if total <= 0:
        raise NotKnown("no parameter stands out")
    return {int(name): weight / total for name, weight in sorted(weights.items(), key=lambda one: -one[1])}


def warm_up() -> None:
    """Load all that this needs, if it is installed."""
    dots = tuple(Dot(number, TrialState.COMPLETE, float(number), (number / FEWEST,)) for number in range(FEWEST))
    with suppress(NotKnown):
        importances(SearchPicture("", Goal.MINIMIZE, (Axis(""),), dots, best=0))


def _distribution(axis: Axis) -> "BaseDistribution":
    from optuna import distributions  # noqa: PLC0415

    if axis.options:
        return distributions.CategoricalDistribution(range(len(axis.options)))
    if axis.is_whole:
        return distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return distributions.FloatDistribution(axis.low, axis.high, log=axis.log)


def _value(axis: Axis, place: float | None) -> float | int:
    value = place or 0.0
    return int(value) if axis.options or axis.is_whole else value

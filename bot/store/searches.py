"""What a search looks for, its best trial, and the series that an attempt is judged by."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot.core.search import Goal
from bot.core.series import Series, Source
from bot.core.trials import Trial
from bot.core.trials import best as best_of
from bot.store import experiments, metrics
from bot.store.database import Transaction
from bot.store.schema import Attempt


def aim_of(spec: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[Goal, str] | None:
    """Return what a search looks for, and in which metric; None for what is no search.

    A declared one says it; of the ancestor's form only the study that it left can tell.
    """
    declared = spec.get("search") or facts.get("study")
    return None if declared is None else (Goal(declared["goal"]), str(declared["metric"]))


def best_trial(tx: Transaction, attempt: Attempt) -> int | None:
    """Return the number of the best complete trial of an attempt's search, None when there is none (yet)."""
    aim = aim_of(attempt.spec, attempt.facts)
    best = None if aim is None else best_of(experiments.trials(tx, attempt.id), aim[0])
    return None if best is None else best.number


def judged_series(tx: Transaction, attempt: Attempt, best: Trial | None) -> list[Series]:
    """Return the series that an attempt's gates are asked of; `best` is the best trial of its search.

    A declared search is judged by the last try of that trial: what was sent before it began belongs to one that was
    cut off. What the tasks of a study log belongs to none of its trials.
    """
    if best is None or attempt.spec.get("search") is None:
        return metrics.load(tx, attempt.id)
    tried = [_since(best.began_at or 0, one) for one in metrics.load(tx, attempt.id, best.number)]
    return [one for one in tried if one.points]


def _since(moment: int, series: Series) -> Series:
    if series.source is Source.TENSORFLOW:
        return series  # of these only the last try is kept, and their times are the run's own
    return replace(series, points=tuple(point for point in series.points if point.at >= moment))

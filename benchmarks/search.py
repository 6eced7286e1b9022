"""Whether a search finds more than chance does: 30 trials by TPE against 30 random ones, on known functions.

Each repetition has seeds of its own and goes through the tuner as a real search does: its ledger on disk, its choices,
its ends; only the training is a formula with a little noise. Compared is the true value at the parameters that each
search calls its best. Ends with status 1 when TPE does not win at least 8 of 10 repetitions on Hartmann's function.
Branin's is shown beside it: in two dimensions 30 random trials leave little to be found.

    python -m benchmarks.search [--parallel N] [--seed N]
"""

import argparse
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, exp, pi
from pathlib import Path
from typing import Any

from bot.clock import SystemClock
from bot.core.search import Distribution, FloatRange, Goal, Sampler, Scalar, Search
from bot.core.series import Source
from bot.core.trials import best
from bot.search.ledger import Ledger
from bot.search.tuner import Tuner

TRIALS, REPETITIONS, WINS = 30, 10, 8
Params = Mapping[str, Scalar]


@dataclass(frozen=True)
class Function:
    """A function of a known minimum. `noise` is the standard deviation of what a trial measures around its value.

    `is_held_to` says whether the benchmark fails where TPE does not win.
    """

    name: str
    space: Mapping[str, Distribution]
    value: Callable[[Params], float]
    minimum: float
    noise: float
    is_held_to: bool


def branin(params: Params) -> float:
    """Branin's function, as https://www.sfu.ca/~ssurjano/branin.html gives it: three minima of 0.397887."""
    x, y = float(params["x"]), float(params["y"])
    b, c, t = 5.1 / (4 * pi**2), 5 / pi, 1 / (8 * pi)
    return (y - b * x**2 + c * x - 6) ** 2 + 10 * (1 - t) * cos(x) + 10


_ALPHA = (1.0, 1.2, 3.0, 3.2)
_A = (
    (10, 3, 17, 3.5, 1.7, 8),
    (0.05, 10, 17, 0.1, 8, 14),
    (3, 3.5, 1.7, 10, 17, 8),
    (17, 8, 0.05, 10, 0.1, 14),
)
_P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)


def hartmann(params: Params) -> float:
    """Hartmann's function of six variables, as https://www.sfu.ca/~ssurjano/hart6.html gives it: minimum -3.32237."""
    x = [float(params[f"x{place}"]) for place in range(6)]
    return -sum(
        alpha * exp(-sum(a * (one - p) ** 2 for a, one, p in zip(row, x, centre, strict=True)))
        for alpha, row, centre in zip(_ALPHA, _A, _P, strict=True)
    )


FUNCTIONS = (
    Function("Branin", {"x": FloatRange(-5, 10), "y": FloatRange(0, 15)}, branin, 0.397887, 0.1, is_held_to=False),
    Function(
        "Hartmann-6", {f"x{place}": FloatRange(0, 1) for place in range(6)}, hartmann, -3.32237, 0.01, is_held_to=True
    ),
)


class Measured:
    """The values of trials, computed instead of trained."""

    def __init__(self, function: Function, seed: int) -> None:
        self._function = function
        self._chance = random.Random(seed)  # noqa: S311 - the same noise each time
        self.params: dict[int, Params] = {}

    def begin(self, number: int) -> None:
        """Nothing was left."""

    def news(self, number: int) -> list[tuple[int, float]]:
        del number
        return []

    def final(self, number: int) -> float:
        return self._function.value(self.params[number]) + self._chance.gauss(0, self._function.noise)

    def forget(self, number: int) -> None:
        """Nothing is kept."""


def found(function: Function, sampler: Sampler, seed: int, parallel: int) -> float:
    """Return the true value at the best parameters of one search."""
    goal = Goal.MINIMIZE
    search = Search(function.space, Source.CUSTOM, "/value", goal, TRIALS, parallel, sampler, seed=seed)
    values, orders = Measured(function, seed), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as directory:
        ledger = Ledger(Path(directory), SystemClock())
        tuner = Tuner(search, ("train",), ledger, values, SystemClock(), orders.append, clear=values.begin)
        tuner.start()
        while not tuner.is_over:
            number = orders.pop(0)["run"]["trial"]
            values.params[number] = ledger.trials[number].params
            tuner.ended(number, 0, "")
        winner = best(ledger.trials, goal)
        ledger.close()
    assert winner is not None
    return function.value(winner.params)


def compare(function: Function, seeds: Sequence[int], parallel: int) -> int:
    """Print a line for each seed, and return how often TPE found a lower value than chance."""
    print(f"{function.name}, minimum {function.minimum:g}, {TRIALS} trials, {parallel} at a time")
    print(f"{'seed':>6}{'TPE':>10}{'random':>10}")
    wins, pairs = 0, []
    for seed in seeds:
        tpe = found(function, Sampler.TPE, seed, parallel)
        # Another seed: the first trials of TPE are random, and would be the very same.
        chance = found(function, Sampler.RANDOM, seed + 1_000_000, parallel)
        wins += tpe < chance
        pairs.append((tpe, chance))
        print(f"{seed:6}{tpe:10.3f}{chance:10.3f}  {'✓' if tpe < chance else '✗'}", flush=True)
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    print(f"{'median':>6}{medians[0]:10.3f}{medians[1]:10.3f}  TPE wins {wins} of {len(seeds)}\n")
    return wins


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parallel", type=int, default=1, help="trials at the same time")
    parser.add_argument("--seed", type=int, default=0, help="the first of ten seeds")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + REPETITIONS)
    wins = {function.name: compare(function, seeds, options.parallel) for function in FUNCTIONS}
    held_to = [function for function in FUNCTIONS if function.is_held_to]
    holds = all(wins[function.name] >= WINS for function in held_to)
    names = " and ".join(function.name for function in held_to)
    print(f"{'✓' if holds else '✗'} TPE beats chance in at least {WINS} of {REPETITIONS} repetitions on {names}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

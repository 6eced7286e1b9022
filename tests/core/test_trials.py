"""Which trials of a search are the best, and what the file `trials` says."""

import json
import math
from typing import Any

import pytest

from bot.core.search import Goal
from bot.core.trials import Trial, TrialState, best, standing, top


def trial(number: int, value: float | None, state: TrialState = TrialState.COMPLETE) -> Trial:
    return Trial(number, {"lr": 0.1}, state, value)


class TestTheBest:
    def test_the_goal_says_which_way_is_better(self) -> None:
        trials = [trial(0, 2), trial(1, -1), trial(2, 3)]
        assert [one.number for one in top(trials, Goal.MINIMIZE)] == [1, 0, 2]
        assert [one.number for one in top(trials, Goal.MAXIMIZE)] == [2, 0, 1]

    @pytest.mark.parametrize("goal", Goal)
    def test_of_equal_ones_the_earlier_is_better(self, goal: Goal) -> None:
        assert [one.number for one in top([trial(2, 0.5), trial(0, 0.5), trial(1, 0.5)], goal)] == [0, 1, 2]

    @pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.PRUNED, TrialState.FAILED])
    def test_only_a_complete_trial_can_be_the_best(self, state: TrialState) -> None:
        # A pruned trial's last value belongs to an earlier step than the others' final ones.
        assert best([trial(0, 0.9), trial(1, 0.1, state)], Goal.MINIMIZE) == trial(0, 0.9)
        assert best([trial(1, 0.1, state)], Goal.MINIMIZE) is None

    @pytest.mark.parametrize("goal", Goal)
    @pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
    def test_what_is_no_number_is_never_the_best(self, goal: Goal, value: float | None) -> None:
        assert best([trial(0, value), trial(1, 5)], goal) == trial(1, 5)

    def test_ten_are_shown(self) -> None:
        assert len(top([trial(number, number) for number in range(30)], Goal.MINIMIZE)) == 10


class TestTheFile:
    def test_a_trial_comes_back_from_its_line(self) -> None:
        params = {"lr": 1e-4, "units": 64, "act": "relu", "bias": True}
        written = Trial(3, params, TrialState.PRUNED, 0.5, "worker-1", 10, 20, "pruned at step 5", 5)
        line = json.loads(json.dumps(written.to_json()))
        assert line["step"] == 5
        assert Trial.from_json({**line, "new": "key"}) == written

    def test_the_last_line_of_a_number_stands(self) -> None:
        lines = [trial(1, None, TrialState.RUNNING), trial(0, None, TrialState.RUNNING), trial(1, 0.5)]
        assert standing(lines) == (trial(0, None, TrialState.RUNNING), trial(1, 0.5))

    @pytest.mark.parametrize(
        "change",
        [
            {"number": None},
            {"params": []},
            {"params": {"lr": None}},
            {"state": "lost"},
            {"value": "0.5"},
            {"step": "five"},
            {"value": 10**400},
        ],
    )
    def test_anything_else_is_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"trial|TrialState|literal"):
            Trial.from_json({**trial(0, 0.5).to_json(), **change})

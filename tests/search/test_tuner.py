"""The course of a search, told event by event: what is run, what is stopped, and how it ends."""

import itertools
import json
import math
from typing import Any

import pytest

from bot.core.search import Choice, FloatRange, IntRange, Pruner, Sampler
from tests.search.stage import Stage, search


class TestTheUsualCourse:
    def test_as_many_run_as_there_are_workers_and_each_end_begins_another(self, stage: Stage) -> None:
        tuner = stage.tuner(search(trials=3))
        assert stage.runs() == [0, 1]
        tuner.ended(1, 0, "")
        assert [(one["run"]["trial"], one["run"]["slot"]) for one in stage.said] == [(0, 0), (1, 1), (2, 1)]
        tuner.ended(2, 0, "")
        tuner.ended(0, 0, "")
        assert stage.runs() == [0, 1, 2]
        assert tuner.is_over
        assert stage.end == {"state": "stopped", "reason": ""}

    def test_a_trial_is_in_the_file_before_anybody_is_told_to_run_it(self, stage: Stage) -> None:
        stage.tuner(search())
        lines = [json.loads(line) for line in (stage.run_dir / "trials").read_text().splitlines()]
        x = lines[1]["params"]["x"]
        assert lines[1] == {
            "number": 1,
            "params": {"x": x},
            "state": "running",
            "value": None,
            "task": "worker-1",
            "began_at": stage.clock.now(),
            "ended_at": None,
            "reason": "",
            "step": None,
        }
        assert stage.said[1]["run"] == {
            "trial": 1,
            "slot": 1,
            "argv": ["train", f"--x={x!r}"],
            "env": {"x": repr(x), "PARAMS": json.dumps({"x": x})},
        }

    def test_there_are_never_more_trials_than_workers_or_than_asked_for(self, stage: Stage) -> None:
        tuner = stage.tuner(search(trials=1, parallel=8))
        assert stage.runs() == [0]
        tuner.ended(0, 0, "")
        assert stage.runs() == [0]

    def test_an_end_that_was_told_already_changes_nothing(self, stage: Stage) -> None:
        tuner = stage.tuner(search())
        tuner.ended(0, 0, "")
        tuner.ended(0, 1, "again")
        tuner.ended(77, 0, "")
        assert stage.states() == ["complete", "running", "running"]

    def test_the_best_of_several_is_by_their_last_values(self, stage: Stage) -> None:
        tuner = stage.tuner(search(trials=2))
        stage.values.left = {0: -3.5, 1: "it logged no scalar `loss`"}
        stage.values.logged[0] = [(7, -3.0)]
        tuner.ended(0, 0, "")
        tuner.ended(1, 0, "")
        assert stage.ledger is not None
        found = [(trial.state, trial.value, trial.reason, trial.steps) for trial in stage.ledger.trials]
        assert found == [("complete", -3.5, "", 7), ("failed", None, "it logged no scalar `loss`", None)]
        assert stage.end == {"state": "stopped", "reason": ""}


class TestFailures:
    def test_a_command_that_fails_is_a_failed_trial_with_the_supervisors_reason(self, stage: Stage) -> None:
        tuner = stage.tuner(search())
        tuner.ended(0, 137, "killed: it used 2.1 GB of 2 GB")
        tuner.ended(1, 3, "")
        assert stage.ledger is not None
        assert [trial.reason for trial in stage.ledger.trials[:2]] == [
            "killed: it used 2.1 GB of 2 GB",
            "its command ended with 3",
        ]

    def test_five_failures_at_the_beginning_end_all(self, stage: Stage) -> None:
        tuner = stage.tuner(search(trials=100))
        for number in range(5):
            tuner.ended(number, 1, f"no module named torch{number}")
        assert stage.stops() == {5: "the search was given up, since its first trials failed"}
        assert stage.runs() == [0, 1, 2, 3, 4, 5]
        tuner.ended(5, 143, "")
        assert stage.end == {"state": "failed", "reason": "no trial was completed: trial 0: no module named torch0"}
        assert stage.states() == ["failed"] * 6

    def test_one_success_among_them_is_reason_enough_to_go_on(self, stage: Stage) -> None:
        tuner = stage.tuner(search(trials=8, parallel=1))
        for number in range(8):
            tuner.ended(number, number != 2, "")
        assert stage.runs() == [*range(8)]
        assert stage.end == {"state": "stopped", "reason": ""}

    def test_fewer_than_five_that_all_fail_fail_the_search(self, stage: Stage) -> None:
        tuner = stage.tuner(search(trials=2))
        stage.values.left = {0: "the last value of `loss` is not a finite number"}
        tuner.ended(1, 1, "")
        tuner.ended(0, 0, "")
        reason = "no trial was completed: trial 0: the last value of `loss` is not a finite number"
        assert stage.end == {"state": "failed", "reason": reason}


class TestTime:
    def test_when_time_is_over_the_running_ones_are_stopped_and_the_best_so_far_stands(self, stage: Stage) -> None:
        tuner = stage.tuner(search(timeout_seconds=60))
        tuner.ended(0, 0, "")
        stage.clock.advance(61)
        tuner.look()
        assert stage.stops() == {1: "the search's time was over", 2: "the search's time was over"}
        tuner.look()
        tuner.ended(2, 0, "")
        assert stage.end is None
        tuner.ended(1, 143, "")
        assert stage.states() == ["complete", "failed", "failed"]
        assert stage.end == {
            "state": "stopped",
            "reason": "the search's time was over: 1 of 6 trials were completed",
        }

    def test_with_nothing_completed_it_has_failed(self, stage: Stage) -> None:
        tuner = stage.tuner(search(timeout_seconds=60, parallel=1))
        stage.clock.advance(61)
        tuner.look()
        tuner.ended(0, 143, "")
        assert stage.end == {"state": "failed", "reason": "the search's time was over before a trial was completed"}

    def test_a_crash_does_not_give_it_more_time(self, stage: Stage) -> None:
        stage.tuner(search(timeout_seconds=60))
        stage.clock.advance(59)
        stage.tuner(search(timeout_seconds=60))
        assert stage.runs() == [0, 1]
        stage.clock.advance(2)
        stage.tuner(search(timeout_seconds=60))
        assert stage.runs() == []
        assert stage.states() == ["failed", "failed"]
        assert stage.end is not None


class TestPruning:
    def median(self, stage: Stage, **changes: Any) -> Any:
        """Return a tuner after five complete trials whose values fell from 1.0 by tenths."""
        tuner = stage.tuner(search(pruner=Pruner.MEDIAN, trials=20, parallel=1, **changes))
        for number in range(5):
            stage.values.logged[number] = [(step, 1.0 - step / 10) for step in range(5)]
            tuner.ended(number, 0, "")
        return tuner

    def test_a_trial_worse_than_the_others_were_at_that_step_is_stopped(self, stage: Stage) -> None:
        tuner = self.median(stage)
        stage.values.logged[5] = [(0, 0.9), (1, 0.8)]
        tuner.look()
        assert stage.stops() == {}
        stage.values.logged[5] = [(2, 0.85), (3, 0.85), (4, 0.85)]
        tuner.look()
        assert stage.stops() == {5: "pruned at step 4"}
        tuner.look()
        tuner.ended(5, 143, "")
        assert stage.ledger is not None
        pruned = stage.ledger.trials[5]
        assert (pruned.state, pruned.value, pruned.steps) == ("pruned", 0.85, 4)
        assert stage.runs()[-1] == 6

    def test_one_that_has_caught_up_when_it_is_looked_at_goes_on(self, stage: Stage) -> None:
        tuner = self.median(stage)
        stage.values.logged[5] = [(2, 0.85), (3, 0.85), (4, 0.1)]
        tuner.look()
        assert stage.stops() == {}

    def test_one_that_was_told_to_stop_is_pruned_even_if_it_ends_well(self, stage: Stage) -> None:
        tuner = self.median(stage)
        stage.values.logged[5] = [(2, 99)]
        tuner.look()
        tuner.ended(5, 0, "")
        assert stage.states()[5] == "pruned"

    def test_one_that_logs_nothing_but_nan_is_stopped_and_has_no_value(self, stage: Stage) -> None:
        tuner = self.median(stage)
        stage.values.logged[5] = [(0, math.nan)]
        tuner.look()
        tuner.ended(5, 143, "")
        assert stage.ledger is not None
        assert (stage.ledger.trials[5].state, stage.ledger.trials[5].value) == ("pruned", None)
        self_made = stage.tuner(search(pruner=Pruner.MEDIAN, trials=20, parallel=1))
        assert not self_made.is_over

    def test_what_the_others_logged_is_known_after_a_crash_too(self, stage: Stage) -> None:
        self.median(stage)
        again = stage.tuner(search(pruner=Pruner.MEDIAN, trials=20, parallel=1))
        assert stage.runs() == [5]
        stage.values.logged[5] = [(2, 0.85)]
        again.look()
        assert stage.stops() == {5: "pruned at step 2"}

    def test_successive_halving_remembers_its_rungs(self, stage: Stage) -> None:
        definition = search(pruner=Pruner.ASHA, trials=20, parallel=1)
        tuner = stage.tuner(definition)
        for number in range(4):
            stage.values.logged[number] = [(step, number * 1.0) for step in range(1, 101)]
            tuner.ended(number, 0, "")
        again = stage.tuner(definition)
        stage.values.logged[4] = [(1, 2.0)]
        again.look()
        assert stage.stops() == {4: "pruned at step 1"}

    @pytest.mark.parametrize("pruner", [Pruner.MEDIAN, Pruner.ASHA])
    def test_a_good_trial_runs_to_its_end(self, stage: Stage, pruner: Pruner) -> None:
        tuner = stage.tuner(search(pruner=pruner, trials=20, parallel=1))
        for number in range(8):
            stage.values.logged[number] = [(step, -1.0 * number) for step in range(1, 30)]
            tuner.look()
            tuner.ended(number, 0, "")
        assert stage.stops() == {}

    def test_without_a_pruner_nothing_is_stopped(self, stage: Stage) -> None:
        tuner = stage.tuner(search(trials=20, parallel=1))
        for number in range(8):
            stage.values.logged[number] = [(step, 1.0 * number) for step in range(1, 30)]
            tuner.look()
            tuner.ended(number, 0, "")
        assert stage.stops() == {}

    def test_a_step_is_taken_once_and_negative_ones_not_at_all(self, stage: Stage) -> None:
        tuner = self.median(stage)
        stage.values.logged[5] = [(-1, 5.0), (2, 0.1), (2, 99.0)]
        tuner.look()
        assert stage.stops() == {}


class TestGrids:
    SPACE = {"lr": FloatRange(0, 0.9, step=0.3), "units": IntRange(1, 2), "act": Choice(("relu", True))}  # noqa: RUF012

    def test_each_cell_is_tried_once_across_a_crash(self, stage: Stage) -> None:
        grid = search(space=self.SPACE, sampler=Sampler.GRID, trials=99, parallel=3)
        tuner = stage.tuner(grid)
        for number in range(5):
            tuner.ended(number, 0, "")
        again = stage.tuner(grid)
        for number in range(5, 16):
            again.ended(number, 0, "")
        assert again.is_over
        assert stage.ledger is not None
        found = [tuple(trial.params.values()) for trial in stage.ledger.trials]
        assert found == [*itertools.product((0.0, 0.3, 0.6, 0.9), (1, 2), ("relu", True))]

    def test_of_more_cells_than_trials_some_are_drawn_always_the_same(self, stage: Stage) -> None:
        grid = search(space=self.SPACE, sampler=Sampler.GRID, trials=6, parallel=6)
        stage.tuner(grid)
        first = [one["run"]["env"]["PARAMS"] for one in stage.said]
        assert len(set(first)) == 6
        assert {json.loads(one)["lr"] for one in first} != {0.0, 0.3}, "not the first cells only"
        stage.tuner(grid)
        assert [one["run"]["env"]["PARAMS"] for one in stage.said] == first


class TestSeeds:
    @pytest.mark.parametrize("sampler", [Sampler.TPE, Sampler.RANDOM])
    def test_a_seed_gives_the_same_parameters_whether_there_was_a_crash_or_not(
        self, stage: Stage, sampler: Sampler
    ) -> None:
        definition = search(trials=30, parallel=1, sampler=sampler)
        tuner = stage.tuner(definition)
        for number in range(14):
            tuner.ended(number, 0, "")
        assert stage.ledger is not None
        whole = [trial.params for trial in stage.ledger.trials]
        assert len({one["x"] for one in whole}) == 15
        (stage.run_dir / "trials").unlink()
        for number in range(14):
            stage.tuner(definition).ended(number, 0, "")
        assert [trial.params for trial in stage.ledger.trials] == whole

    def test_another_seed_gives_other_parameters(self, stage: Stage) -> None:
        stage.tuner(search(seed=1))
        first = [one["run"]["argv"] for one in stage.said]
        (stage.run_dir / "trials").unlink()
        stage.tuner(search(seed=2))
        assert not [one for one in stage.said if one["run"]["argv"] in first]

    def test_values_with_steps_are_written_as_people_write_them(self, stage: Stage) -> None:
        space = {"x": FloatRange(0.0, 0.9, step=0.1)}
        tuner = stage.tuner(search(space=space, trials=30, parallel=30))
        assert {one["run"]["env"]["x"] for one in stage.said} <= {f"0.{tenth}" for tenth in range(10)}
        assert not tuner.is_over


class TestTheSpace:
    def test_every_kind_of_parameter_comes_back_from_the_file(self, stage: Stage) -> None:
        space = {
            "lr": FloatRange(1e-5, 1e-1, log=True),
            "drop": FloatRange(0.0, 0.5, step=0.25),
            "units": IntRange(1, 512, log=True),
            "act": Choice(("relu", "tanh", 1, 2.5, False)),
        }
        definition = search(space=space, trials=40, parallel=4)
        for number in range(16):
            stage.tuner(definition).ended(number, 0, "")
        assert stage.states() == ["complete"] * 16 + ["running"] * 4

"""A gate looks at what an attempt logged and says pass or fail, and why, in one sentence."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.core.gates import (
    DOCUMENT,
    Gate,
    GateResult,
    IfNotFound,
    Outcome,
    Range,
    Rounding,
    Source,
    Verdict,
    evaluate,
    rounded,
)
from bot.core.series import POINTS_PER_SERIES, Point, Series
from bot.core.states import State

STOPPED = Outcome(State.STOPPED)
OVER_NINE = Range(0.9, None)


def series(tag: str, *values: float, run: str = "") -> Series:
    points = (Point.of(step, step, value, step) for step, value in enumerate(values))
    return Series(Source.TENSORFLOW, run, tag, tuple(points))


def gate(metric: str = "accuracy", target: Range = OVER_NINE, aggregate: str = "max", **more: Any) -> Gate:
    return Gate(Source.TENSORFLOW, metric, target, aggregate, **more)


def custom(pointer: str, target: Range = OVER_NINE, **more: Any) -> Gate:
    return Gate(Source.CUSTOM, "score", target, pointer, **more)


def judged(gate: Gate, *logged: Series, outcome: Outcome = STOPPED, is_pull: bool = True) -> GateResult:
    return evaluate(gate, logged, {}, is_pull=is_pull, outcome=outcome)


def read(gate: Gate, document: Any) -> GateResult:
    return evaluate(gate, (), {DOCUMENT: document}, is_pull=True, outcome=STOPPED)


class TestScalars:
    def test_a_value_inside_the_target_passes_and_shows_its_sums(self) -> None:
        result = judged(gate(), series("accuracy", 0.5, 0.9579, 0.9))
        assert (result.verdict, result.value) == (Verdict.PASSED, 0.95)
        assert result.reason == "max of 3 points is 0.9579, rounded down to 0.95: inside 0.9.."

    def test_a_value_outside_fails_and_shows_its_sums(self) -> None:
        result = judged(gate(), series("accuracy", 0.5))
        assert (result.verdict, result.value) == (Verdict.FAILED, 0.5)
        assert result.reason == "max of 1 point is 0.5: outside 0.9.."

    def test_rounding_comes_before_the_comparison(self) -> None:
        logged = series("accuracy", 0.909)
        assert judged(gate(target=OVER_NINE), logged).verdict is Verdict.FAILED
        assert judged(gate(target=OVER_NINE, precision=3), logged).verdict is Verdict.PASSED
        assert judged(gate(target=OVER_NINE, round=Rounding.UP), logged).verdict is Verdict.PASSED

    @pytest.mark.parametrize(
        ("target", "verdict"),
        [
            (Range(0.9, None), Verdict.FAILED),
            (Range(None, 0.9), Verdict.FAILED),
            (Range(0.9, 1.0), Verdict.PASSED),
            (Range(0.5, 0.9), Verdict.PASSED),
        ],
    )
    def test_one_sided_targets_leave_their_end_out_and_two_sided_ones_take_it_in(
        self, target: Range, verdict: Verdict
    ) -> None:
        assert judged(gate(target=target), series("accuracy", 0.9)).verdict is verdict

    @pytest.mark.parametrize("spoiler", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("target", [Range(0.9, None), Range(None, 0.9), Range(-1e300, 1e300)])
    def test_nan_and_infinities_never_pass(self, spoiler: float, target: Range) -> None:
        result = judged(gate(target=target, aggregate="mean"), series("accuracy", 0.95, spoiler))
        assert (result.verdict, result.value) == (Verdict.FAILED, None)
        assert result.reason == "mean of 2 points is not a finite number and never passes"

    def test_values_too_large_for_their_variance_never_pass(self) -> None:
        result = judged(gate(target=Range(0.0, None), aggregate="var"), series("accuracy", 1e200, -1e200))
        assert (result.verdict, result.value) == (Verdict.FAILED, None)

    def test_a_series_that_was_cut_is_not_evaluated(self) -> None:
        result = judged(gate(), series("accuracy", *[0.99] * POINTS_PER_SERIES))
        assert result.verdict is Verdict.NOT_EVALUATED
        assert result.reason == "not evaluated: only the first 100000 points are kept; log fewer"


class TestTasks:
    """What tasks sent, and what was measured of them, is judged like scalars."""

    @pytest.mark.parametrize("source", [Source.LOGGED, Source.SYSTEM])
    def test_a_gate_sees_the_series_of_its_own_source(self, source: Source) -> None:
        points = (Point.of(0, 0, 0.5), Point.of(1, 1, 0.75))
        here = Series(source, "worker-0", "memoryUsage", points)
        there = Series(Source.TENSORFLOW, "", "memoryUsage", (Point.of(0, 0, 99.0),))
        asked = Gate(source, "memoryUsage", Range(None, 1.0), "mean")
        assert judged(asked, here, there).reason == "mean of 2 points is 0.625, rounded down to 0.62: inside ..1"

    def test_a_metric_of_several_tasks_needs_the_task(self) -> None:
        points = (Point.of(0, 0, 0.5),)
        logged = [Series(Source.LOGGED, f"worker-{n}", "loss", points) for n in range(2)]
        plain = judged(Gate(Source.LOGGED, "loss", Range(None, 1.0), "max"), *logged)
        assert plain.verdict is Verdict.FAILED
        assert plain.reason == "`loss` was logged by 2 tasks: put the task before its name"
        assert plain.found == ("worker-0/loss", "worker-1/loss")
        assert judged(Gate(Source.LOGGED, "worker-1/loss", Range(None, 1.0), "max"), *logged).value == 0.5


class TestNames:
    def test_the_tag_of_a_single_run_needs_no_run(self) -> None:
        assert judged(gate("loss", Range(None, 0.5)), series("loss", 0.1, run="logs/train")).value == 0.1

    def test_a_tag_of_several_runs_fails_and_lists_them(self) -> None:
        result = judged(gate("loss"), series("loss", 1, run="validation"), series("loss", 1, run="train"))
        assert result.verdict is Verdict.FAILED
        assert result.reason == "`loss` was logged by 2 runs: put the run before its name"
        assert result.found == ("train/loss", "validation/loss")

    @pytest.mark.parametrize("name", ["train/loss", "logs/train/loss"])
    def test_the_run_before_the_tag_tells_which(self, name: str) -> None:
        logged = (series("loss", 0.1, run="logs/train"), series("loss", 0.2, run="logs/validation"))
        assert judged(gate(name), *logged).value == 0.1

    def test_the_top_folder_is_a_dot(self) -> None:
        logged = (series("loss", 0.1), series("loss", 0.2, run="validation"))
        assert judged(gate("./loss"), *logged).value == 0.1
        assert judged(gate("loss"), *logged).found == ("./loss", "validation/loss")

    def test_half_the_name_of_a_run_is_not_its_name(self) -> None:
        assert judged(gate("train/loss"), series("loss", 0.1, run="pretrain")).found == ("loss",)

    def test_the_end_of_a_tag_is_another_metric(self) -> None:
        assert judged(gate("loss"), series("train/loss", 0.1)).verdict is Verdict.FAILED

    def test_a_tag_with_a_slash_and_a_run_of_the_same_name_are_told_apart_by_failing(self) -> None:
        result = judged(gate("train/loss"), series("train/loss", 0.1), series("loss", 0.2, run="train"))
        assert (result.verdict, result.found) == (Verdict.FAILED, ("./train/loss", "train/loss"))

    def test_several_runs_fail_even_where_absence_would_pass(self) -> None:
        lenient = gate("loss", if_not_found=IfNotFound.SUCCESS)
        result = judged(lenient, series("loss", 1, run="a"), series("loss", 1, run="b"))
        assert result.verdict is Verdict.FAILED


class TestAbsence:
    def test_an_absent_metric_fails_and_names_what_is_near(self) -> None:
        result = judged(gate("acuracy"), series("loss", 1), series("accuracy", 1), series("lr", 1))
        assert (result.verdict, result.value) == (Verdict.FAILED, None)
        assert result.reason == "no scalar `acuracy` was logged"
        assert result.found[0] == "accuracy"

    def test_at_most_ten_near_names_are_listed(self) -> None:
        assert len(judged(gate("x"), *(series(f"tag{i}", 1) for i in range(30))).found) == 10

    def test_absence_passes_where_the_config_says_so(self) -> None:
        result = judged(gate("accuracy", if_not_found=IfNotFound.SUCCESS))
        assert result.verdict is Verdict.PASSED
        assert result.reason == "no scalar `accuracy` was logged, and `if-not-found` is `success`"

    def test_names_are_case_sensitive(self) -> None:
        assert judged(gate("Accuracy"), series("accuracy", 1)).found == ("accuracy",)

    def test_a_scalar_of_another_source_is_none_of_ours(self) -> None:
        pushed = Series(Source.CUSTOM, "", "accuracy", (Point.of(0, 0, 1.0),))
        assert judged(gate("accuracy"), pushed).reason == "no scalar `accuracy` was logged"

    @pytest.mark.parametrize("if_not_found", list(IfNotFound))
    def test_nothing_is_concluded_from_files_that_could_not_be_read(self, if_not_found: IfNotFound) -> None:
        for logged in ([], [series("accuracy", 1.0)]):
            result = evaluate(
                gate(if_not_found=if_not_found), logged, {}, is_pull=True, outcome=STOPPED, problems=["a is damaged"]
            )
            assert (result.verdict, result.reason) == (Verdict.NOT_EVALUATED, "not evaluated: a is damaged")

    def test_a_bad_document_is_no_concern_of_a_scalar(self) -> None:
        problems = [f"{DOCUMENT}: no JSON"]
        logged = [series("accuracy", 1.0)]
        result = evaluate(gate(), logged, {}, is_pull=True, outcome=STOPPED, problems=problems)
        assert result.verdict is Verdict.PASSED


class TestDocuments:
    @pytest.mark.parametrize("pointer", ["/score/mean", "/scores/1", "/a~1b", ""])
    def test_a_pointer_names_the_value(self, pointer: str) -> None:
        document = 0.95 if pointer == "" else {"score": {"mean": 0.95}, "scores": [0, 0.95], "a/b": 0.95}
        assert read(custom(pointer), document) == GateResult(
            custom(pointer), Verdict.PASSED, 0.95, f"`{pointer}` is 0.95: inside 0.9.."
        )

    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            (True, "a truth value"),
            ("0.95", "a text"),
            ("NaN", "NaN"),
            ("-Infinity", "-Infinity"),
            (None, "null"),
            ({}, "an object"),
            ([1], "an array"),
            (10**400, "too large, or NaN"),
            (math.nan, "too large, or NaN"),
        ],
    )
    def test_only_finite_numbers_are_compared(self, value: Any, kind: str) -> None:
        lenient = custom("/score", if_not_found=IfNotFound.SUCCESS)
        result = read(lenient, {"score": value})
        assert (result.verdict, result.value) == (Verdict.FAILED, None)
        assert result.reason == f"`/score` is {kind}, not a finite number"

    def test_integers_are_numbers(self) -> None:
        assert read(custom("/score"), {"score": 3}).value == 3

    def test_a_pointer_to_nothing_lists_the_numbers_that_are_near(self) -> None:
        result = read(custom("/los/mean"), {"loss": {"mean": 0.1, "unit": "nats"}, "n": 5})
        assert (result.verdict, result.found) == (Verdict.FAILED, ("/loss/mean", "/n"))
        assert result.reason == f"`/los/mean` is not in {DOCUMENT}"

    def test_a_document_that_is_not_there_is_absent(self) -> None:
        assert judged(custom("/score")).reason == f"there is no {DOCUMENT} in the model path"
        assert judged(custom("/score", if_not_found=IfNotFound.SUCCESS)).verdict is Verdict.PASSED

    @pytest.mark.parametrize("pointer", ["score", "/scores/-", "/scores/01", "/~2"])
    def test_a_bad_pointer_fails_even_where_absence_would_pass(self, pointer: str) -> None:
        lenient = custom(pointer, if_not_found=IfNotFound.SUCCESS)
        assert read(lenient, {"score": 1, "scores": [1, 2]}).verdict is Verdict.FAILED

    def test_a_document_that_could_not_be_read_is_not_absent(self) -> None:
        lenient = custom("/score", if_not_found=IfNotFound.SUCCESS)
        problems = ["b is damaged", f"{DOCUMENT}: no JSON"]
        result = evaluate(lenient, (), {}, is_pull=True, outcome=STOPPED, problems=problems)
        assert (result.verdict, result.reason) == (Verdict.NOT_EVALUATED, f"not evaluated: {DOCUMENT}: no JSON")

    def test_a_damaged_event_file_is_no_concern_of_a_document(self) -> None:
        documents = {DOCUMENT: {"score": 1}}
        result = evaluate(custom("/score"), (), documents, is_pull=True, outcome=STOPPED, problems=["b is damaged"])
        assert result.verdict is Verdict.PASSED

    @pytest.mark.parametrize("if_not_found", list(IfNotFound))
    def test_onnx_is_never_evaluated_and_never_passes(self, if_not_found: IfNotFound) -> None:
        onnx = Gate(Source.ONNX, "accuracy", OVER_NINE, "max", if_not_found=if_not_found)
        result = evaluate(onnx, [series("accuracy", 1)], {DOCUMENT: 1}, is_pull=True, outcome=STOPPED)
        assert result.verdict is Verdict.NOT_EVALUATED
        assert "use `tensorflow:`" in result.reason


class TestOutcomes:
    @pytest.mark.parametrize("state", [state for state in State if not state.is_final])
    def test_an_experiment_under_way_keeps_its_gates_waiting(self, state: State) -> None:
        result = judged(gate(), series("accuracy", 0.99), outcome=Outcome(state))
        assert (result.verdict, result.value) == (Verdict.WAITING, None)
        assert result.reason == f"the experiment is {state.label.lower()}"

    @pytest.mark.parametrize(
        ("outcome", "verdict", "reason"),
        [
            (
                Outcome(State.FAILED, "the command exited with 1"),
                Verdict.NOT_EVALUATED,
                "not evaluated: the experiment failed: the command exited with 1",
            ),
            (
                Outcome(State.ERROR),
                Verdict.NOT_EVALUATED,
                "not evaluated: the experiment ended with an error of the platform",
            ),
            (
                Outcome(State.CANCELLED, "a newer commit came"),
                Verdict.CANCELLED,
                "the experiment was cancelled: a newer commit came",
            ),
        ],
    )
    @pytest.mark.parametrize("if_not_found", list(IfNotFound))
    def test_a_bad_end_decides_whatever_was_logged(
        self, outcome: Outcome, verdict: Verdict, reason: str, if_not_found: IfNotFound
    ) -> None:
        result = judged(gate(if_not_found=if_not_found), series("accuracy", 0.99), outcome=outcome)
        assert (result.verdict, result.reason, result.value) == (verdict, reason, None)

    @pytest.mark.parametrize("state", list(State))
    def test_a_gate_for_pulls_only_says_so_on_a_push(self, state: State) -> None:
        only = gate(only_pulls=True)
        assert judged(only, is_pull=False, outcome=Outcome(state)).verdict is Verdict.NOT_ON_PUSH

    def test_a_gate_for_pulls_only_is_evaluated_for_a_pull_request(self) -> None:
        assert judged(gate(only_pulls=True), series("accuracy", 0.99)).verdict is Verdict.PASSED


PRINTED = st.decimals(min_value=-1000, max_value=1000, places=4)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
WAYS = st.sampled_from(Rounding)


class TestRounding:
    @pytest.mark.parametrize(
        ("value", "down", "up"),
        [(0.29, 0.29, 0.29), (0.285, 0.28, 0.29), (-0.285, -0.29, -0.28), (1.005, 1.0, 1.01), (0.1 + 0.2, 0.3, 0.31)],
    )
    def test_two_decimals(self, value: float, down: float, up: float) -> None:
        assert (rounded(value, 2, Rounding.DOWN), rounded(value, 2, Rounding.UP)) == (down, up)

    def test_there_is_no_minus_nought(self) -> None:
        assert str(rounded(-0.001, 2, Rounding.UP)) == "0.0"

    @given(PRINTED, st.integers(0, 6))
    def test_it_rounds_the_decimals_that_were_printed(self, printed: Decimal, precision: int) -> None:
        unit = Decimal(1).scaleb(-precision)
        assert rounded(float(printed), precision, Rounding.DOWN) == float(printed.quantize(unit, ROUND_FLOOR))
        assert rounded(float(printed), precision, Rounding.UP) == float(printed.quantize(unit, ROUND_CEILING))

    @given(FLOATS, st.integers(0, 20), WAYS)
    def test_it_never_goes_the_other_way_nor_further_than_a_unit(
        self, value: float, precision: int, way: Rounding
    ) -> None:
        result = rounded(value, precision, way)
        assert result <= value if way is Rounding.DOWN else result >= value
        assert abs(Decimal(result) - Decimal(value)) <= Decimal(1).scaleb(-precision) * Decimal("1.5")

    @given(FLOATS, st.integers(0, 10), WAYS)
    def test_what_is_rounded_stays_as_it_is(self, value: float, precision: int, way: Rounding) -> None:
        once = rounded(value, precision, way)
        assert rounded(once, precision, way) == once


class TestTargets:
    @given(FLOATS, FLOATS, FLOATS)
    def test_two_ends_are_both_inside(self, low: float, high: float, value: float) -> None:
        assume(low <= high)
        target = Range(low, high)
        assert target.contains(low)
        assert target.contains(high)
        assert target.contains(value) is (low <= value <= high)

    @given(FLOATS, FLOATS)
    def test_one_end_is_outside(self, end: float, value: float) -> None:
        assert Range(end, None).contains(value) is (value > end)
        assert Range(None, end).contains(value) is (value < end)

    @given(st.none() | FLOATS, st.none() | FLOATS)
    def test_nan_is_nowhere(self, low: float | None, high: float | None) -> None:
        assert not Range(low, high).contains(math.nan)

    @given(st.lists(FLOATS, min_size=1, max_size=5), FLOATS, st.sampled_from(["max", "min", "mean", "median"]))
    def test_a_verdict_is_pass_exactly_when_the_shown_value_is_inside(
        self, values: list[float], low: float, aggregate: str
    ) -> None:
        result = judged(gate(target=Range(low, None), aggregate=aggregate), series("accuracy", *values))
        assert result.value is not None
        assert (result.verdict is Verdict.PASSED) is (result.value > low)

"""Curves as numbers: nothing is hidden, nothing falls out of the picture."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.series import Point, Series, Source
from bot.web.curves import HEIGHT, WIDTH, Curve, curves
from tests.web.stage import gate


def series(values: list[float], tag: str = "loss", run: str = "", first: int = 0) -> Series:
    return Series(Source.TENSORFLOW, run, tag, tuple(Point.of(first + i, i, v, i) for i, v in enumerate(values)))


def drawn(curve: Curve) -> list[tuple[float, float]]:
    """Return all places that are drawn."""
    pairs = (pair.split(",") for line in curve.lines for pair in line.split())
    return [*((float(x), float(y)) for x, y in pairs), *curve.dots]


def test_a_curve_runs_from_left_to_right_and_higher_is_higher() -> None:
    [curve] = curves([series([1.0, 3.0, 2.0], first=10)], [], 5)

    left, middle, right = drawn(curve)
    assert left[0] < middle[0] < right[0]
    assert middle[1] < right[1] < left[1]  # an SVG's heights count from the top
    assert (curve.low, curve.high, curve.latest, curve.count) == (1.0, 3.0, 2.0, 3)
    assert (curve.first_step, curve.last_step) == (10, 12)


def test_what_is_not_finite_is_a_gap_and_counted() -> None:
    [curve] = curves([series([1.0, 2.0, float("nan"), 3.0, float("inf"), 4.0, 5.0])], [], 5)

    assert len(curve.lines) == 2
    assert len(curve.dots) == 1
    assert curve.not_finite == 2


def test_a_series_of_nothing_but_nan_is_told_without_a_line() -> None:
    [curve] = curves([series([float("nan")] * 3)], [gate("loss", 0.0, 1.0)], 5)

    assert (curve.lines, curve.dots, curve.targets, curve.not_finite) == ((), (), (), 3)


def test_a_spike_survives_the_thinning() -> None:
    values = [1.0] * 100_000
    values[54_321] = 50.0

    [curve] = curves([series(values)], [], 5)

    assert curve.count == 100_000
    assert len(drawn(curve)) <= 400
    assert min(y for _, y in drawn(curve)) < HEIGHT / 4 < max(y for _, y in drawn(curve))


def test_the_bounds_of_a_gate_are_drawn_into_the_curve_it_looks_at() -> None:
    looked_at, other = curves([series([1.0], "other"), series([0.2, 0.4])], [gate("loss", 0.1, 0.5)], 5)

    assert (looked_at.name, other.name) == ("loss", "other")
    low, high = looked_at.targets
    assert all(high < y < low for _, y in drawn(looked_at))
    assert other.targets == ()


def test_the_target_of_a_variance_has_no_place_among_the_values() -> None:
    [curve] = curves([series([5.0, 6.0])], [gate("loss", None, 0.1, "var")], 5)

    assert curve.targets == ()


def test_of_too_many_those_that_a_gate_looks_at_are_kept() -> None:
    many = [series([1.0], f"metric{number}") for number in range(50)]

    kept = curves(many, [gate("metric49", 0.0, None)], 3)

    assert [curve.name for curve in kept] == ["metric49", "metric0", "metric1"]


def test_a_run_stands_before_its_metric() -> None:
    assert [c.name for c in curves([series([1.0], run="train"), series([1.0])], [], 5)] == ["train/loss", "loss"]


@pytest.mark.parametrize("values", [[5.0], [5.0, 5.0, 5.0]])
def test_what_does_not_change_lies_in_the_middle(values: list[float]) -> None:
    [curve] = curves([series(values)], [], 5)

    assert {y for _, y in drawn(curve)} == {HEIGHT / 2}


POINTS = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats()), min_size=1, max_size=30)


@given(POINTS, st.floats(allow_nan=False))
@settings(deadline=None, max_examples=150)
def test_whatever_was_logged_stays_inside_the_picture(logged: list[tuple[int, float]], bound: float) -> None:
    points = tuple(Point.of(step, 0, value, i) for i, (step, value) in enumerate(logged))

    [curve] = curves([Series(Source.TENSORFLOW, "", "loss", points)], [gate("loss", bound, None)], 1)

    for x, y in chain(drawn(curve), ((0.0, height) for height in curve.targets)):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT

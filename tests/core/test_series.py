"""A series becomes one value, a line of bars, or fewer points."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.series import Aggregate, Kind, Point, Series, Source, aggregate, downsample, sparkline

FINITE = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)
NAN = float("nan")


def series(*values: float) -> Series:
    points = (Point.of(step, step * 1_000_000, value, step) for step, value in enumerate(values))
    return Series(Source.TENSORFLOW, "", "loss", tuple(points))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (Aggregate.MEAN, 5.0),
        (Aggregate.STDDEV, 2.0),
        (Aggregate.VAR, 4.0),
        (Aggregate.MAX, 9.0),
        (Aggregate.MIN, 2.0),
        (Aggregate.MEDIAN, 4.5),
    ],
)
def test_every_aggregate_on_a_textbook_population(how: Aggregate, expected: float) -> None:
    assert aggregate(series(2, 4, 4, 4, 5, 5, 7, 9), how) == expected


def test_the_median_of_an_odd_count_is_the_middle_value() -> None:
    assert aggregate(series(3, 1, 2), Aggregate.MEDIAN) == 2


@pytest.mark.parametrize("how", list(Aggregate))
@pytest.mark.parametrize("spoiler", [NAN, math.inf, -math.inf])
def test_one_value_that_is_not_finite_spoils_every_aggregate(how: Aggregate, spoiler: float) -> None:
    assert math.isnan(aggregate(series(0.1, spoiler, 0.3), how))


@pytest.mark.parametrize("how", list(Aggregate))
def test_nothing_logged_is_no_number(how: Aggregate) -> None:
    assert math.isnan(aggregate(series(), how))


@pytest.mark.parametrize("value", [0.29, 0.1, 0.7, 1e-7, 123456.789])
def test_the_mean_of_equal_values_is_that_value_to_the_last_digit(value: float) -> None:
    for count in range(1, 30):
        assert aggregate(series(*[value] * count), Aggregate.MEAN) == value


@given(st.lists(FINITE, min_size=1, max_size=30))
def test_aggregates_agree_with_the_standard_library(values: list[float]) -> None:
    one = series(*values)
    assert aggregate(one, Aggregate.MEAN) == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-6)
    assert aggregate(one, Aggregate.VAR) == pytest.approx(statistics.pvariance(values), rel=1e-9, abs=1e-6)
    assert aggregate(one, Aggregate.MEDIAN) == pytest.approx(statistics.median(values), rel=1e-12)


def test_the_largest_floats_have_a_mean_and_an_infinite_variance() -> None:
    extremes = series(1.7e308, -1.7e308, 1.7e308)
    assert aggregate(extremes, Aggregate.MEAN) == pytest.approx(1.7e308 / 3)
    assert aggregate(extremes, Aggregate.VAR) == math.inf


@pytest.mark.parametrize(
    ("number", "kind"),
    [(0.5, Kind.FINITE), (NAN, Kind.NAN), (math.inf, Kind.PLUS_INFINITY), (-math.inf, Kind.MINUS_INFINITY)],
)
def test_a_point_keeps_what_kind_of_number_it_is(number: float, kind: Kind) -> None:
    point = Point.of(1, 2, number)
    assert (point.kind, point.value) == (kind, number if kind is Kind.FINITE else None)
    assert repr(point.number) == repr(number)


def test_the_full_name_has_the_run_first_and_a_dot_for_the_top_folder() -> None:
    assert Series(Source.TENSORFLOW, "logs/train", "loss", ()).name == "logs/train/loss"
    assert series().name == "./loss"


def test_the_latest_point_is_that_of_the_highest_step_however_they_were_read() -> None:
    one = Series(Source.TENSORFLOW, "", "loss", (Point.of(2, 20, 0.2), Point.of(2, 30, 0.3), Point.of(1, 40, 0.1)))
    assert one.latest == Point.of(2, 30, 0.3)
    assert series().latest is None


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([1], "▅"),
        ([3, 3, 3], "▅▅▅"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([2.3, 1.2, 0.8, 0.5], "█▄▂▁"),
        ([1, NAN, 2], "▁ █"),
        ([NAN, math.inf], "  "),
        ([-1.7e308, 0, 1.7e308], "▁▅█"),
    ],
)
def test_a_sparkline_goes_from_the_lowest_to_the_highest(values: list[float], bars: str) -> None:
    assert sparkline(values) == bars


@given(st.lists(st.floats(), max_size=200), st.integers(1, 40))
def test_a_sparkline_is_never_wider_than_asked(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    assert set(line) <= set(" ▁▂▃▄▅▆▇█")


def test_downsampling_keeps_the_spike() -> None:
    points = [Point.of(step, step, 100.0 if step == 777 else 1.0) for step in range(10_000)]
    kept = downsample(points, 50)
    assert len(kept) <= 50
    assert max(point.number for point in kept) == 100.0


def test_downsampling_keeps_a_stretch_of_nan_visible() -> None:
    points = [Point.of(step, step, NAN if 400 <= step < 600 else 1.0) for step in range(1000)]
    assert any(point.kind is Kind.NAN for point in downsample(points, 20))


@given(st.lists(st.floats(), max_size=100), st.integers(2, 50))
def test_downsampling_takes_some_of_the_points_in_order_of_steps(values: list[float], limit: int) -> None:
    points = [Point.of(step, step, value, step) for step, value in enumerate(values)]
    kept = downsample(list(reversed(points)), limit)
    assert len(kept) <= limit
    assert [point.step for point in kept] == sorted({point.step for point in kept})
    if len(points) <= limit:
        assert kept == tuple(points)

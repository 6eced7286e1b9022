"""Numbers, times and sizes as people read them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.gates import Range
from bot.core.report import figures
from bot.core.states import DAY, HOUR, MINUTE, SECOND


@pytest.mark.parametrize(
    ("count", "shown"),
    [(-1, "0 B"), (812, "812 B"), (4_200, "4.1 KB"), (1_048_576, "1.0 MB"), (12_582_912, "12 MB"), (3 << 30, "3.0 GB")],
)
def test_sizes(count: int, shown: str) -> None:
    assert figures.size(count) == shown


def test_peaks_stand_in_one_order_each_with_its_unit() -> None:
    peaks = {
        "gpuTemp": 71.2,
        "memoryUsage": 2.0**30,
        "cpuPercentage": 187.4,
        "gpuPowerDraw": 301.0,
        "gpuMemoryFree": 1.0,
    }
    assert figures.peaks(peaks) == "CPU 187 % · memory 1.0 GB · GPU temperature 71 °C · GPU power 301 W"


def test_parameters_are_short_in_a_title_and_whole_where_they_are_no_real_numbers() -> None:
    assert [figures.parameter(value) for value in (0.0123456, 1_234_567, True, "adam")] == [
        "0.01235",
        "1234567",
        "true",
        "adam",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.91234, "0.9123"), (12.0, "12"), (1.2e-5, "1.2e-05"), (float("nan"), "NaN"), (float("-inf"), "-∞")],
)
def test_numbers_have_four_digits(value: float, shown: str) -> None:
    assert figures.number(value) == shown


def test_what_was_compared_keeps_its_decimals() -> None:
    assert figures.compared(0.7, 2) == "0.70"
    assert figures.compared(1e300, 2) == "1e+300"
    assert figures.compared(float("nan"), 2) == "NaN"


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (Range(0.9, None), "> 0.9"),
        (Range(None, 0.5), "< 0.5"),
        (Range(0.1, 2.0), "0.1 to 2"),
        (Range(0.99999999, None), "> 0.99999999"),
    ],
)
def test_targets_are_shown_exactly(wanted: Range, shown: str) -> None:
    assert figures.target(wanted) == shown


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (-1, "0.0 s"),
        (400_000, "0.4 s"),
        (12 * SECOND, "12 s"),
        (3 * MINUTE + 5 * SECOND, "3 min 05 s"),
        (2 * HOUR + 3 * MINUTE, "2 h 03 min"),
        (4 * DAY + HOUR, "4 d 1 h"),
    ],
)
def test_durations_have_two_units(length: int, shown: str) -> None:
    assert figures.duration(length) == shown


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (5 * SECOND, "5 s"),
        (45 * SECOND, "45 s"),
        (30 * MINUTE, "30 min"),
        (90 * SECOND, "1 min 30 s"),
        (HOUR, "1 h"),
        (90 * MINUTE, "1 h 30 min"),
        (2 * DAY, "2 d"),
    ],
)
def test_limits_have_no_second_unit_that_is_nothing(length: int, shown: str) -> None:
    assert figures.at_most(length) == shown


@pytest.mark.parametrize(("hours", "shown"), [(7 / 60, "0.12"), (0.5, "0.5"), (1, "1"), (9.96, "10"), (128, "128")])
def test_an_estimate_has_two_digits(hours: float, shown: str) -> None:
    assert figures.estimate(hours) == shown


@given(st.integers(0, 4_000_000_000))
@settings(deadline=None)
def test_dates_and_times_are_those_of_the_calendar(seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    shown = f"{figures.date(seconds * SECOND)} {figures.time_of_day(seconds * SECOND)}"
    assert shown == moment.strftime("%Y-%m-%d %H:%M:%S")


def test_memory_is_in_the_unit_that_fits() -> None:
    assert (figures.memory(412), figures.memory(4096)) == ("412 MB", "4.0 GB")

"""How figures look."""

import pytest

from bot.clock import DAY, HOUR, MINUTE, SECOND
from bot.web import formats


def test_a_moment_is_told_in_utc() -> None:
    assert formats.moment(1_700_000_000 * SECOND + 999_999) == "2023-11-14 22:13:20 UTC"


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "0 ms"),
        (-5 * SECOND, "0 ms"),
        (340_000, "340 ms"),
        (2_500_000, "2.5 s"),
        (60 * SECOND, "1 min"),
        (65 * SECOND, "1 min 5 s"),
        (59_960_000, "60.0 s"),
        (2 * HOUR + 10 * MINUTE + 59 * SECOND, "2 h 10 min"),
        (3 * DAY + 4 * HOUR, "3 d 4 h"),
        (3 * DAY, "3 d"),
    ],
)
def test_a_duration_has_two_units_at_most(microseconds: int, text: str) -> None:
    assert formats.duration(microseconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (20 * 1024**2, "20.0 MiB"), (5000 * 1024**4, "5000.0 TiB")],
)
def test_a_size_has_the_unit_that_fits(count: int, text: str) -> None:
    assert formats.size(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234567, "0.123457"), (3.0, "3"), (1e-9, "1e-09"), (float("nan"), "NaN"), (float("-inf"), "−Inf")],
)
def test_a_number_has_six_digits_or_a_name(value: float, text: str) -> None:
    assert formats.number(value) == text


def test_a_reason_has_its_names_as_code_and_nothing_of_it_is_html() -> None:
    assert formats.sentence("`a<b` is 1 & `c") == "<code>a&lt;b</code> is 1 &amp; c"
    assert formats.sentence("with `LR=0.1`, as `ada` asked") == "with <code>LR=0.1</code>, as <code>ada</code> asked"


@pytest.mark.parametrize(
    ("ref", "name"),
    [("refs/heads/a/b", "a/b"), ("refs/tags/v1", "v1"), ("main", "main"), ("refs/pull/1", "refs/pull/1")],
)
def test_a_ref_has_the_name_that_people_have_for_it(ref: str, name: str) -> None:
    assert formats.branch(ref) == name

"""Distributions, as a config writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.space import (
    MAX_CHOICES,
    MAX_GRID,
    Choice,
    FloatRange,
    IntRange,
    SpaceError,
    choice,
    grid_size,
    parse,
    scalar,
    written,
)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("uniform(0, 1)", FloatRange(0.0, 1.0)),
        ("uniform(-1.5, 2)", FloatRange(-1.5, 2.0)),
        ("loguniform(1e-4, 1e-1)", FloatRange(1e-4, 0.1, log=True)),
        (" loguniform ( .0001 , 0.1 ) ", FloatRange(1e-4, 0.1, log=True)),
        ("quniform(0, 1, 0.25)", FloatRange(0.0, 1.0, step=0.25)),
        ("quniform(0, 1, 0.3)", FloatRange(0.0, 0.9, step=0.3)),
        ("quniform(0, 0.9, 0.3)", FloatRange(0.0, 0.9, step=0.3)),
        ("int(1, 8)", IntRange(1, 8)),
        ("int(-3, +3)", IntRange(-3, 3)),
        ("int(1, 512, log)", IntRange(1, 512, log=True)),
        ("choice([32, 64])", Choice((32, 64))),
        ("choice([1e-3, 0.5, true, adam])", Choice((0.001, 0.5, True, "adam"))),
        ("""choice(["a, b", 'it''s', "32", "\\u00e9", ''])""", Choice(("a, b", "it's", "32", "é", ""))),
        ("choice([010])", Choice((10,))),
    ],
)
def test_what_a_text_means(text: str, meant: object) -> None:
    assert parse(text) == meant


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "This is not a distribution"),
        ("0.1", "This is not a distribution"),
        ("normal(0, 1)", "This is not a distribution"),
        ("Uniform(0, 1)", "This is not a distribution"),
        ("uniform(0, 1", "This is not a distribution"),
        ("uniform(0)", "`uniform` takes other values"),
        ("uniform(0, 1, 2)", "`uniform` takes other values"),
        ("uniform(0, one)", "A finite number is expected"),
        ("uniform(0, 1e999)", "A finite number is expected"),
        ("uniform(0, inf)", "A finite number is expected"),
        ("uniform(0, __import__)", "A finite number is expected"),
        ("uniform(1, 0)", "The range is empty: its low end is not below its high end"),
        ("uniform(1, 1)", "The range is empty: its low end is not below its high end"),
        ("uniform(-1e308, 1e308)", "The range is too wide to be calculated with"),
        ("loguniform(0, 1)", "A logarithmic range begins above 0"),
        ("quniform(0, 1)", "`quniform` takes other values"),
        ("quniform(0, 1, 0)", "The step does not fit between the ends"),
        ("quniform(0, 1, 2)", "The step does not fit between the ends"),
        ("quniform(0, 1e300, 1e-300)", "The step is too small for the range"),
        ("int(1)", "`int` takes other values"),
        ("int(1, 8, lin)", "`int` takes other values"),
        ("int(1, 8.5)", "The ends of `int` are whole numbers"),
        ("int(1, 99999999999999999999)", "The ends of `int` are whole numbers"),
        ("int(8, 1)", "The range is empty: its low end is not below its high end"),
        ("int(0, 8, log)", "A logarithmic range begins above 0"),
        ("choice(32, 64)", "A choice needs a list"),
        ("choice([])", "There is nothing to choose from"),
        ("choice([a, ])", "The values of the choice cannot be read"),
        ("choice([a b])", "The values of the choice cannot be read"),
        ("choice([[1], [2]])", "The values of the choice cannot be read"),
        ("choice(['a])", "The values of the choice cannot be read"),
        ("choice([1, 1.0])", "`1.0` stands twice in the choice"),
        ("choice([null])", "`null` is no value that a command can get"),
        ('choice(["\\x"])', "A text in double quotes is not valid"),
        ('choice(["a\\u0000"])', "One of the values cannot be passed to a command"),
        ('choice(["a\\nb"])', "One of the values cannot be passed to a command"),
        ("choice([1e999])", "A finite number is expected"),
        ("choice([" + "x" * 501 + "])", "One of the values cannot be passed to a command"),
        ("choice([" + ",".join(map(str, range(MAX_CHOICES + 1))) + "])", "More than 256 values to choose from"),
        ("choice([" + "1" * 5000 + "])", "A distribution of more than 4,000 characters"),
    ],
)
def test_what_is_no_distribution(text: str, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        parse(text)

    assert str(caught.value) == message
    assert caught.value.hint


@given(st.text(max_size=60) | st.text("choiceunformltq()[],'\"\\ 0123456789.e-", max_size=60))
def test_no_text_does_worse_than_be_refused(text: str) -> None:
    try:
        made = parse(text)
    except SpaceError:
        return
    assert parse(str(made)) == made


_FINITE = st.floats(-1e300, 1e300)


@given(_FINITE, _FINITE)
def test_a_range_is_read_back_to_the_last_bit(one: float, other: float) -> None:
    low, high = sorted((one, other))
    if low < high:
        assert parse(str(FloatRange(low, high))) == FloatRange(low, high)


@given(st.lists(st.integers() | _FINITE | st.text(max_size=5), min_size=1, max_size=6))
def test_a_choice_is_read_back_as_it_was(options: list[str | int | float]) -> None:
    try:
        made = choice(options)
    except SpaceError:
        return
    again = parse(str(made))
    assert again == made
    assert [type(one) for one in again.values()] == [type(one) for one in made.values()]


@given(_FINITE | st.integers(-(10**200), 10**200))
def test_a_number_is_written_so_that_reading_it_gives_the_same(number: float) -> None:
    assert scalar(written(number)) == number


def test_truth_is_written_as_in_the_config() -> None:
    assert (written(True), written(False), scalar("true"), scalar("yes")) == ("true", "false", True, "yes")


def test_the_values_of_a_grid_are_decimals_as_people_count_them() -> None:
    assert parse("quniform(0, 0.9, 0.3)").values() == (0.0, 0.3, 0.6, 0.9)
    assert parse("int(1, 3)").values() == (1, 2, 3)
    assert parse("choice([b, a])").values() == ("b", "a")


def test_a_grid_has_all_combinations() -> None:
    space = {"a": parse("int(1, 4)"), "b": parse("choice([x, y])"), "c": parse("quniform(0, 1, 0.5)")}

    assert grid_size(space) == 24


@pytest.mark.parametrize(
    ("text", "message", "key"),
    [
        ("uniform(0, 1)", "A grid cannot count the values of `a`", "a"),
        (f"int(0, {MAX_GRID})", "The grid has more than 10,000 points", ""),
    ],
)
def test_what_no_grid_can_cover(text: str, message: str, key: str) -> None:
    with pytest.raises(SpaceError) as caught:
        grid_size({"a": parse(text)})

    assert (str(caught.value), caught.value.key) == (message, key)

"""What `only` and `ignore` select."""

import time

import pytest

from bot.core.patterns import MAX_PATTERNS, Filter, PatternError


@pytest.mark.parametrize(
    ("pattern", "text", "is_selected"),
    [
        ("main", "main", True),
        ("main", "maintenance", False),
        ("main", "not-main", False),
        ("v.*", "v1.2", True),
        ("v.*", "dev", False),
        ("^main$", "main", True),
        ("release/[0-9]+", "release/12", True),
        ("release/[0-9]+", "release/12-rc", False),
        ("[[:alpha:]]+", "main", True),
        ("no", "no", True),
        (".*", "", True),
        ("docs/.*", "docs/a\nb", True),
        ("ä.", "äß", True),
        ("Main", "main", False),
    ],
)
def test_a_pattern_matches_the_whole_name(pattern: str, text: str, is_selected: bool) -> None:
    assert Filter(only=(pattern,)).selects(text) is is_selected
    assert Filter(ignore=(pattern,)).selects(text) is not is_selected


def test_only_wants_one_of_its_patterns_and_ignore_none() -> None:
    assert Filter(only=("main", "release/.*")).selects("release/1")
    assert not Filter(ignore=("main", "release/.*")).selects("release/1")
    assert Filter(ignore=("main", "release/.*")).selects("feature")


def test_an_empty_filter_selects_everything() -> None:
    assert Filter().selects("anything")


def test_paths_ask_whether_any_file_is_selected() -> None:
    sources = Filter(only=(r"src/.*\.py",))
    assert sources.selects_any(["README.md", "src/a.py"])
    assert not sources.selects_any(["README.md"])
    assert not Filter(ignore=("docs/.*",)).selects_any(["docs/a.md", "docs/b.md"])
    assert not Filter().selects_any([])


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "missing )"),
        ("*", "no argument for repetition operator"),
        (r"(a)\1", "invalid escape sequence"),
        ("(?=a)", "invalid perl operator"),
        ("(a{1000}){1000}", "invalid repetition size"),
        ("a" * 257, "longer than 256 bytes"),
        ("ä" * 129, "longer than 256 bytes"),
        ("\ud800", "not valid text"),
    ],
)
def test_what_cannot_be_evaluated_cannot_be_made(pattern: str, reason: str) -> None:
    with pytest.raises(PatternError, match=reason.replace("(", r"\(").replace(")", r"\)")):
        Filter(only=(pattern,))


def test_only_and_ignore_exclude_each_other_and_lists_are_short() -> None:
    with pytest.raises(PatternError, match="exclude"):
        Filter(only=("a",), ignore=("b",))
    with pytest.raises(PatternError, match="more than 50"):
        Filter(only=("a",) * (MAX_PATTERNS + 1))


def test_only_the_first_kibibyte_of_a_name_is_looked_at_and_cut_at_a_character() -> None:
    assert Filter(only=("a{1000}a{24}",)).selects("a" * 5000)
    assert Filter(only=("x.*",)).selects("x" + "ä" * 5000)


def test_a_name_that_is_not_text_is_matched_all_the_same() -> None:
    assert Filter(only=("a.b",)).selects("a\udcffb")


def test_a_pattern_that_would_hold_up_python_for_years_takes_no_time() -> None:
    begin = time.perf_counter()
    assert not Filter(only=("(a+)+$", "(a|a)*b", "(.*.*.*.*x)")).selects("a" * 1000 + "!")
    assert time.perf_counter() - begin < 5  # an exponential engine takes hours

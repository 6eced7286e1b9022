"""Why a command failed, from its log and its exit code."""

from bot.core.report.causes import LAST_LINES, LINES, exception_line, exit_meaning, last_words
from tests.core.report.examples import TRACEBACK


def test_the_traceback_is_found_in_the_log() -> None:
    words = last_words(TRACEBACK + "Error in atexit\n")
    assert words.startswith("Traceback (most recent call last):\n")
    assert words.endswith("ValueError: the loss is nan")
    assert exception_line(TRACEBACK) == "ValueError: the loss is nan"


def test_of_a_chain_the_last_one_counts() -> None:
    chain = TRACEBACK + "\nDuring handling of the above exception, another exception occurred:\n\n"
    chain += 'Traceback (most recent call last):\n  File "x.py", line 1, in f\nKeyError: 3\n'
    assert exception_line(chain) == "KeyError: 3"


def test_what_belongs_to_the_exception_is_kept() -> None:
    log = "Traceback (most recent call last):\n  File x\nRuntimeError: bad state:\n\tMissing key: w\nbye\n"
    assert last_words(log).endswith("RuntimeError: bad state:\n\tMissing key: w")


def test_a_launcher_s_prefix_is_taken_off() -> None:
    log = "\n".join(f"[rank0]: {row}" for row in TRACEBACK.split("\n"))
    assert exception_line(log) == "ValueError: the loss is nan"


def test_a_long_traceback_keeps_both_ends() -> None:
    log = "Traceback (most recent call last):\n" + "  File x\n" * 500 + "RecursionError: too deep\n"
    rows = last_words(log).split("\n")
    assert len(rows) == LINES
    assert (rows[0], rows[-1]) == ("Traceback (most recent call last):", "RecursionError: too deep")


def test_without_a_traceback_the_last_lines_must_do() -> None:
    words = last_words("".join(f"line {n}\n\n" for n in range(20)))
    assert words.split("\n") == [f"line {n}" for n in range(20 - LAST_LINES, 20)]
    assert exception_line(words) == ""


def test_a_traceback_that_was_cut_off_is_shown_as_far_as_it_goes() -> None:
    log = "Traceback (most recent call last):\n  File x"
    assert last_words(log) == log
    assert exception_line(log) == ""


def test_silence_says_nothing() -> None:
    assert last_words("") == last_words("\n \n") == ""


def test_exit_codes_that_mean_something() -> None:
    assert "memory" in exit_meaning(137)
    assert exit_meaning(127) == "a command was not found"
    assert exit_meaning(1) == exit_meaning(None) == ""

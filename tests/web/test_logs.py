"""A log in parts: put together they are the log, and no character is torn."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.backends.base import LogChunk
from bot.core.text import clean
from bot.web.logs import CHUNK, part_of, read_log
from tests.web.stage import ShelfBackend


def shelf(log: bytes, is_complete: bool = True) -> ShelfBackend:
    return ShelfBackend(log={"a-1": log}, is_complete=is_complete)


def test_the_line_being_written_is_shown_and_comes_again() -> None:
    part = read_log(shelf(b"one\ntwo\nthr", is_complete=False), "a-1", "worker-0", 0)

    assert part is not None
    assert (part.lines, part.partial, part.end) == ("one\ntwo\n", "thr", 8)


def test_of_a_finished_log_nothing_is_left_to_come() -> None:
    part = read_log(shelf(b"one\ntwo"), "a-1", "worker-0", 0)

    assert part is not None
    assert (part.lines, part.partial, part.end, part.is_complete) == ("one\ntwo", "", 7, True)


def test_the_end_of_a_long_log_begins_with_a_whole_line() -> None:
    part = part_of(LogChunk(100, 117, b"rn away\nthe end\n\n", True), is_tail=True)

    assert (part.lines, part.is_cut) == ("the end\n\n", True)


def test_a_line_longer_than_an_answer_does_not_stop_the_log() -> None:
    part = read_log(shelf(b"x" * (CHUNK + 10), is_complete=False), "a-1", "worker-0", 0)

    assert part is not None
    assert part.end == CHUNK


def test_colours_and_overwritten_lines_are_gone() -> None:
    part = read_log(shelf(b"\x1b[1;32mgood\x1b[0m\n 10%\r 50%\r100%\n"), "a-1", "worker-0", 0)

    assert part is not None
    assert part.lines == "good\n100%\n"


def test_there_may_be_no_log_at_all() -> None:
    assert read_log(ShelfBackend(), "a-1", "worker-0", 0) is None


@given(st.text(st.sampled_from("ab\né\r€😀"), max_size=60), st.integers(1, 40), st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_followed_while_it_grows_it_is_the_whole_log(text: str, step: int, start: int) -> None:
    log, shown, at = text.encode(), "", 0
    for written in [*range(start, len(log), step), len(log)]:
        data = log[at:written]
        part = part_of(LogChunk(at, at + len(data), data, is_complete=False))
        shown, at = shown + part.lines, part.end
    last = part_of(LogChunk(at, len(log), log[at:], is_complete=True))

    assert shown + last.lines == clean(text)

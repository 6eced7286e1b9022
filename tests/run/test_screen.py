"""What is written to a terminal, seen through one."""

import io
from collections.abc import Sequence

import pytest

from bot.run.ink import Line, Span, Style, line
from bot.run.screen import Screen
from tests.run.emulator import Emulator

LIVE = {"TERM": "xterm"}


class Terminal(io.StringIO):
    """A stream that is one, and counts how often it is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)

    def seen(self, width: int = 80) -> list[str]:
        emulator = Emulator(width)
        emulator.feed(self.getvalue())
        return emulator.shown


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "6")
    return Terminal()


def lines(*texts: str) -> list[Line]:
    return [line(text) for text in texts]


def test_what_is_drawn_stands_in_the_place_of_what_was_drawn_before(terminal: Terminal) -> None:
    screen = Screen(LIVE, terminal)
    screen.say(lines("begun"), lines("▸ fit 1 s", "▸ eval 1 s", "0 of 2"))
    screen.say((), lines("▸ fit 2 s", "0 of 2"))
    assert terminal.seen() == ["begun", "▸ fit 2 s", "0 of 2"]
    screen.say(lines("✓ fit"), lines("1 of 2"))
    screen.say(())
    assert terminal.seen() == ["begun", "✓ fit"]


def test_a_picture_is_one_write_and_an_equal_one_is_none(terminal: Terminal) -> None:
    screen = Screen(LIVE, terminal)
    for _ in range(3):
        screen.say((), lines("▸ fit", "0 of 1"))
    assert terminal.writes == 1


def test_what_is_too_wide_or_too_high_is_cut_so_that_it_can_be_drawn_over(terminal: Terminal) -> None:
    screen = Screen(LIVE, terminal)
    for second in range(3):
        screen.say((), lines(*(f"{number} {second} s {'損' * 60}" for number in range(20))))
    shown = terminal.seen(40)
    assert len(shown) == 5
    assert all(row.startswith(f"{number} 2 s 損") for number, row in enumerate(shown))


def test_what_is_said_may_be_wider_than_the_terminal(terminal: Terminal) -> None:
    screen = Screen(LIVE, terminal)
    screen.say((), lines("▸ fit"))
    screen.say(lines("x" * 100), lines("▸ fit"))
    assert terminal.seen(40) == ["x" * 40, "x" * 40, "x" * 20, "▸ fit"]


@pytest.mark.parametrize("environ", [{"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "xterm", "NO_COLOR": ""}])
def test_colours_are_left_out_where_nobody_wants_them(environ: dict[str, str], terminal: Terminal) -> None:
    Screen(environ, terminal).say([(Span("✗", Style.BAD), Span(" fit"))])
    assert ("\x1b[31m✗\x1b[m" in terminal.getvalue()) is not bool(environ["NO_COLOR"])


@pytest.mark.parametrize(
    ("stream", "environ"), [(io.StringIO(), LIVE), (Terminal(), {"TERM": "dumb"}), (Terminal(), {})]
)
def test_where_nothing_can_be_drawn_over_only_what_is_said_is_written(
    stream: io.StringIO, environ: dict[str, str]
) -> None:
    said: Sequence[Line] = [(Span("✓", Style.GOOD), Span(" fit"))]
    screen = Screen(environ, stream)
    screen.say((), lines("▸ fit"))
    screen.say(said, lines("1 of 1"))
    screen.say(())
    assert stream.getvalue() == "✓ fit\n"


def test_a_terminal_without_our_signs_gets_question_marks() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as stream:
        Screen({}, stream).say(lines("✓ fit"))
        assert raw.getvalue() == b"? fit\n"

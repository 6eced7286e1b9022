"""Lines before they are a terminal's bytes: how wide they are, and that nothing in them is a command."""

import pytest

from bot.run.ink import Cell, Span, Style, cut, line, shortened, table, text_of, width_of

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\x08\u202egnp.exe\u200b\nrm"


def test_whatever_a_span_is_made_of_it_commands_nothing() -> None:
    assert Span(HOSTILE).text.isprintable()


@pytest.mark.parametrize(
    ("text", "columns"), [("loss", 4), ("損失", 4), ("e\u0301", 1), ("✓ naïve", 7), ("", 0), ("👩\u200d🔬", 4)]
)
def test_the_width_is_that_of_a_terminal(text: str, columns: int) -> None:
    assert width_of(text) == columns


def test_a_line_is_cut_where_the_terminal_ends_and_keeps_its_styles() -> None:
    shown = (Span("損失", Style.BAD), Span(" is "), Span("too large", Style.DIM))
    assert text_of(cut(shown, 12)) == "損失 is too…"
    assert [span.style for span in cut(shown, 12)] == [Style.BAD, Style.PLAIN, Style.DIM, Style.PLAIN]
    assert text_of(cut(shown, 4)) == "損…"
    assert cut(shown, 17) == shown


def test_of_a_long_name_the_end_is_kept_which_tells_it_apart() -> None:
    assert shortened("validation/loss", 20) == "validation/loss"
    assert shortened("a/very/long/path/to/validation/loss", 20) == "a/very…lidation/loss"


def test_a_table_has_straight_columns_whatever_is_in_them() -> None:
    rows = [
        [Cell(Span("metric")), Cell(Span("last"), is_number=True)],
        [Cell(Span("損失")), Cell(Span("0.5"), is_number=True)],
        [Cell(Span("a"))],
    ]
    assert [text_of(row) for row in table(rows)] == ["  metric  last", "  損失     0.5", "  a"]
    assert table([]) == []


def test_a_line_is_one_span() -> None:
    assert text_of(line("a\tb")) == "a b"

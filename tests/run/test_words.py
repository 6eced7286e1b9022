"""Every word that the terminal is told, pinned. A change of words is a change of the product: see it in golden.txt."""

from tests.core.report import hostile
from tests.run.words import GOLDEN, document, drawn, over


def test_the_words() -> None:
    assert document() == GOLDEN.read_text()


def test_nothing_that_a_stranger_named_commands_the_terminal() -> None:
    weapon = hostile.WEAPON + "\x1b[2J\x1b]0;owned\x07\x9b31m\r\x08\u202e"
    for line in (*over(hostile.commit(weapon)), *drawn(hostile.commit(weapon))):
        assert all(span.text.isprintable() for span in line)


def test_a_picture_has_no_more_rows_than_there_are() -> None:
    for height in range(1, 12):
        assert len(drawn(hostile.commit(), height)) <= max(2, height)

"""Lines for a terminal, before they become its bytes: words with a style, as wide as a terminal shows them."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.core.config import printable


class Style(StrEnum):
    """What words look like where there are colours; they must say the same without."""

    PLAIN = "plain"
    BOLD = "bold"
    DIM = "dim"
    GOOD = "good"
    BAD = "bad"


class Span:
    """Words of one style. Whatever they were, nothing in them commands a terminal."""

    __slots__ = ("style", "text", "width")

    def __init__(self, text: str, style: Style = Style.PLAIN) -> None:
        self.text, self.style = printable(text), style
        self.width = width_of(self.text)

    def __repr__(self) -> str:
        return f"Span({self.text!r}, {self.style!r})"


Line = tuple[Span, ...]
BLANK: Line = ()


@dataclass(frozen=True)
class Cell:
    """A place of a table. `is_number`: it stands at the right of its column."""

    span: Span
    is_number: bool = False


def line(text: str, style: Style = Style.PLAIN) -> Line:
    """Return a line of one style."""
    return (Span(text, style),)


def text_of(shown: Line) -> str:
    """Return what a line says."""
    return "".join(span.text for span in shown)


def width_of(text: str) -> int:
    """Return how many columns a terminal takes for `text`: two for wide characters, none for what is put on others."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(shown: Line, width: int) -> Line:
    """Return as much of a line as has room; what is left out is an ellipsis."""
    if sum(span.width for span in shown) <= width:
        return shown
    kept, left = list[Span](), width - 1
    for span in shown:
        text = _first(span.text, left)
        kept.append(Span(text, span.style))
        left -= kept[-1].width
        if len(text) < len(span.text):
            break
    return (*kept, Span("…"))


def shortened(text: str, width: int) -> str:
    """Return `text` in at most `width` columns; its end, which tells names apart, stays longer than its beginning."""
    if width_of(text) <= width:
        return text
    return f"{_first(text, width // 3)}…{_last(text, width - 1 - width // 3)}"


def _first(text: str, width: int) -> str:
    taken, count = 0, 0
    for character in text:
        taken += _columns(character)
        if taken > width:
            break
        count += 1
    return text[:count]


def _last(text: str, width: int) -> str:
    return _first(text[::-1], width)[::-1]


def table(rows: Sequence[Sequence[Cell]], indent: int = 2) -> list[Line]:
    """Return rows of cells as lines whose columns stand below each other. Rows may have fewer cells than others."""
    widths = [
        max(row[place].span.width for row in rows if place < len(row))
        for place in range(max(map(len, rows), default=0))
    ]
    return [_row(row, widths, indent) for row in rows]


def _row(cells: Sequence[Cell], widths: Sequence[int], indent: int) -> Line:
    shown = [Span(" " * indent)]
    for place, cell in enumerate(cells):
        blank = Span(" " * (widths[place] - cell.span.width))
        shown += [blank, cell.span] if cell.is_number else [cell.span, blank]
        shown.append(Span("  "))
    while shown and not shown[-1].text.strip():
        shown.pop()
    return tuple(shown)

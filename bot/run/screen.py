"""The terminal: what is said stays; below it a few lines are drawn over and over, where there is a terminal to do that.

A picture is one write that overwrites in place, so that it does not flicker; nothing wraps meanwhile, so that it is as
high as it was counted.
"""

import io
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from bot.run.ink import Line, Span, Style, cut, text_of

_COLOURS = {Style.BOLD: "1", Style.DIM: "2", Style.GOOD: "32", Style.BAD: "31"}
_PLAIN_WIDTH = 120


class Screen:
    """Says lines on `stream`. `is_live`: it is a terminal, on which lines can be drawn over."""

    def __init__(self, environ: Mapping[str, str], stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        if isinstance(self._stream, io.TextIOWrapper):
            # A terminal that knows no ticks shows question marks; that is no reason to stop.
            self._stream.reconfigure(errors="replace")
        self.is_live = self._stream.isatty() and environ.get("TERM", "") not in ("", "dumb")
        # https://no-color.org: present and not empty.
        self._has_colours = self.is_live and not environ.get("NO_COLOR")
        self._drawn: Sequence[Line] = ()

    @property
    def size(self) -> tuple[int, int]:
        """How many columns and rows there are now."""
        if not self.is_live:
            return _PLAIN_WIDTH, 0
        found = shutil.get_terminal_size()
        return max(20, found.columns), max(4, found.lines)

    def say(self, said: Sequence[Line], drawn: Sequence[Line] = ()) -> None:
        """Put lines there for good and, on a terminal, draw others in the place of what was drawn before."""
        width, height = self.size
        shown = [cut(line, width - 1) for line in drawn[: height - 1]] if self.is_live else []
        if said or list(map(text_of, shown)) != list(map(text_of, self._drawn)):
            self._write(said, shown)

    def _write(self, said: Sequence[Line], drawn: Sequence[Line]) -> None:
        if self.is_live:
            up = f"\x1b[{len(self._drawn)}A\r" if self._drawn else ""
            picture = f"\x1b[?7l{self._rows(drawn)}\x1b[?7h" if drawn else ""
            self._stream.write(f"{up}{self._rows(said)}{picture}\x1b[J")
        else:
            self._stream.write("".join(f"{text_of(line)}\n" for line in said))
        self._stream.flush()
        self._drawn = drawn

    def _rows(self, lines: Sequence[Line]) -> str:
        """Return lines as a terminal takes them, each to the end of its row."""
        return "".join(f"{''.join(map(self._written, line))}\x1b[K\n" for line in lines)

    def _written(self, span: Span) -> str:
        colour = _COLOURS.get(span.style) if self._has_colours and span.text else None
        return span.text if colour is None else f"\x1b[{colour}m{span.text}\x1b[m"

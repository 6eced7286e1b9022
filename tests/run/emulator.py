"""A terminal, as far as our programs use one: what a person would see after all that was written to it."""

import re

_SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Emulator:
    """A terminal of `width` columns. `scrolled` is all that ever stood there, the last rows of it on the screen.

    It obeys what Screen writes, and refuses everything else: what a stranger wrote must not get here as a command.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0
        self.wraps = True

    def feed(self, text: str) -> None:
        place = 0
        while place < len(text):
            found = _SEQUENCE.match(text, place)
            if found is not None:
                self._obey(*found.groups())
                place = found.end()
                continue
            self._put(text[place])
            place += 1

    @property
    def shown(self) -> list[str]:
        """What stands there, row by row, without the blank ones at the end."""
        lines = ["".join(row).rstrip() for row in self.rows]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def _put(self, character: str) -> None:
        if character == "\n":
            self._go_down()
        elif character == "\r":
            self.column = 0
        else:
            assert character.isprintable(), f"{character!r} commands a terminal"
            if self.column >= self.width and self.wraps:
                self._go_down()
                self.column = 0
            row = self.rows[self.row]
            self.column = min(self.column, self.width - 1)
            row += [" "] * (self.column + 1 - len(row))
            row[self.column] = character
            self.column += 1

    def _go_down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])
        self.column = 0  # a terminal's line discipline makes a carriage return of it, too

    def _obey(self, mark: str, numbers: str, command: str) -> None:
        row = self.rows[self.row]
        if command == "A":
            self.row -= int(numbers)
            assert self.row >= 0, "above all that was ever written"
        elif command == "K":
            del row[self.column :]
        elif command == "J":
            del row[self.column :]
            del self.rows[self.row + 1 :]
        elif (mark, numbers) == ("?", "7"):
            self.wraps = command == "h"
        else:
            assert command == "m", f"{mark}{numbers}{command} is none of ours"

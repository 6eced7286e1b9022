"""Python's last words: the tracebacks at the end of a log, and which of their frames lie in the repository.

A log is what a stranger printed. Nothing here believes it, and nothing takes longer than its length: whether a line is
really there is for whoever has the commit (`bot.worker.places`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from bot.core.text import clean

HEADER = "Traceback (most recent call last):"
LONGEST_PATH = 400
_LONGEST_LOG, _MOST, _MOST_ROWS = 32_768, 64, 1_000
"""How much of a log is looked at, how many of its tracebacks, from the end, and how many rows of each."""
_NEAR = 20
"""Rows of others between those of a traceback, or between its end and the launcher that reports it."""

_BEHIND, _LITTLE = 60, 3
"""Rows that others, or what runs at the exit of a program, may print behind a traceback."""

FATAL = "Fatal Python error: "
_FATAL_HEADER = "(most recent call first):"
"""What faulthandler prints where no exception can be raised any more, the deepest frame first."""
_DURING = "During handling of the above exception, another exception occurred:"
_CAUSE = "The above exception was the direct cause of the following exception:"
_GROUP, _ORIGINAL = "Exception Group ", "Original "
"""What may stand between a launcher's prefix and the header."""
_NOT_THE_END = ("Exception ignored", "Error in atexit._run_exitfuncs", "--- Logging error ---")
"""What stands above a traceback that ended no program."""
_LAUNCHERS = frozenset({"ChildFailedError", "CalledProcessError", "ProcessExitedException"})
"""What is raised because another process failed: that one's traceback says why."""
_NO_CODE = frozenset({"SyntaxError", "IndentationError", "TabError"})
"""What Python says of a file before it runs it: of the main one it prints no header."""
_INSTALLED = frozenset({"site-packages", "dist-packages"})

# Quantifiers are possessive (`*+`): no input makes these patterns try again and again.
_FRAME = re.compile(r'\s*+File "(?P<path>[^"]++)", line (?P<line>[0-9]{1,9}+)(?:,? in (?P<function>.++))?+$', re.ASCII)
_EXCEPTION = re.compile(r"(?P<name>[A-Za-z_][\w.<>]*+)(?:\([\w.]*+\))?+(?:: |:?$)")
_MARKERS = re.compile(r"[\s~^]++")
_BRANCH = re.compile(r"\+(?:-\+)?+-{8}")
"""Where a group of exceptions goes on to one of them."""
_CLOCK = re.compile(r"[0-9]++(?:[-:/T ][0-9]++){2,}+(?:[.,][0-9]++)?+")


@dataclass(frozen=True)
class Frame:
    """A call as the log tells it: `source` is the line of code if it was shown, `function` is empty for a file that
    could not be compiled."""

    path: str
    line: int
    function: str = ""
    source: str = ""


@dataclass(frozen=True)
class Traceback:
    """A traceback without its launcher's prefixes. `exception` is the row that names it, empty where it was cut off.

    `frames` are in Python's order, the deepest last; `rows` are what was printed, to be shown.
    """

    exception: str
    frames: tuple[Frame, ...]
    rows: tuple[str, ...]

    @property
    def name(self) -> str:
        """The exception's class without its module: `OutOfMemoryError`."""
        return exception_name(self.exception)


def exception_name(exception: str) -> str:
    """Return the class that a row such as `torch.cuda.OutOfMemoryError: …` names; empty where it names none."""
    found = _EXCEPTION.match(exception)
    return "" if found is None else found["name"].rpartition(".")[2]


def is_signal(exit_code: int | None) -> bool:
    """Tell whether an exit code stands for a signal that killed the command: 128 + n."""
    return exit_code in range(129, 193)


def why(exit_code: int | None, log: str) -> tuple[Traceback, ...]:
    """Return the tracebacks that explain an exit code, as `tracebacks` does; nothing where those in the log do not.

    Who goes on after an exception has handled it: there is not much behind one that ended a program. Python's own exit
    code is 1 then; another is somebody's decision, and only the very last words are about it. A command that a signal
    killed had no time for last words, unless Python itself said that it crashed.
    """
    rows = clean(log[-_LONGEST_LOG:]).split("\n")
    last, told = _last(rows)
    behind = sum(bool(row.strip()) for row in rows[last + 1 :])
    if is_signal(exit_code):
        return tuple(one for one in told if one.exception.startswith(FATAL))
    return told if behind <= (_BEHIND if exit_code in (None, 1) else _LITTLE) else ()


def tracebacks(log: str) -> tuple[Traceback, ...]:
    """Return what the end of a log tells, then what belongs to it, the nearest first; nothing without a traceback.

    The last one in the log counts. But where that was only handed on (by a launcher, by a pool of processes) the one
    before says more. Those that it was raised from come after it.
    """
    return _last(clean(log[-_LONGEST_LOG:]).split("\n"))[1]


def _last(rows: Sequence[str]) -> tuple[int, tuple[Traceback, ...]]:
    """Return the number of the last row of what counts, and see `tracebacks`."""
    found = [*_all(rows)]
    ends = [one for one in found if one.ends_it] or found
    if not ends:
        return 0, ()
    chain = [*_chain(ends[-1])]
    if _is_handed_on(chain):
        chain[:2] = chain[1], chain[0]
    reported = _reported(ends[-1], found) if ends[-1].told.name in _LAUNCHERS else ()
    return ends[-1].last_row, tuple(one.told for one in [*reported, *chain])


def last_traceback(log: str) -> Traceback | None:
    """Return the traceback that counts, None where there is none."""
    return next(iter(tracebacks(log)), None)


def in_repository(path: str, roots: Iterable[str], workdir: str = ".") -> str | None:
    """Return a frame's path relative to the repository; None for what lies elsewhere, or reads as if it might.

    `roots` are the names of the workspace as the run saw it. Relative paths are those of `workdir`, itself relative.
    """
    is_odd = not path.isprintable() or any(sign in path for sign in ":\\\ufffd") or len(path) > LONGEST_PATH
    whole = PurePosixPath(workdir, path)
    if is_odd or path.startswith("<") or ".." in whole.parts or not _INSTALLED.isdisjoint(whole.parts):
        return None
    if not whole.is_absolute():
        return str(whole)
    return next((str(whole.relative_to(root)) for root in roots if whole.is_relative_to(root)), None)


@dataclass
class _Found:
    """A traceback at its place in the log. `earlier` is the one that it was raised from, or during."""

    told: Traceback
    last_row: int
    ends_it: bool = True
    earlier: "_Found | None" = None
    is_cause: bool = False


@dataclass
class _Reading:
    """What has been read of one traceback. `taken` are the numbers of its rows."""

    rows: list[str]
    frames: list[Frame] = field(default_factory=list)
    exception: str = ""
    taken: list[int] = field(default_factory=list)
    others: int = 0

    @property
    def told(self) -> Traceback:
        return Traceback(self.exception, tuple(self.frames), tuple(self.rows))

    def take(self, number: int, row: str) -> bool:
        """Take a row; tell whether more may follow."""
        if self.exception:
            if not row[:1].isspace():
                return False
        elif row[:1].isspace():
            self._take_frame(row)
        elif row.endswith(HEADER):
            return False
        elif _is_exception(row):
            self.exception = row
        else:
            self.others += 1  # somebody else's output, in between
            return self.others <= _NEAR
        self.rows.append(row)
        self.taken.append(number)
        return True

    def _take_frame(self, row: str) -> None:
        found = _FRAME.match(row.rstrip())
        if found is not None:
            self.frames.append(Frame(found["path"], int(found["line"]), found["function"] or ""))
        elif self.frames and not self.frames[-1].source and not _MARKERS.fullmatch(row):
            last = self.frames[-1]
            self.frames[-1] = Frame(last.path, last.line, last.function, row.strip())


def _all(rows: Sequence[str]) -> Iterator[_Found]:
    """Yield the tracebacks of a log in their order, those that were raised from others with them."""
    taken: set[int] = set()
    last: _Found | None = None
    link = fatal = ""
    for number in _interesting(rows):
        row = rows[number].rstrip()
        if row.endswith((_DURING, _CAUSE)) or _BRANCH.search(row):
            link = row
        elif FATAL in row:
            fatal = row[row.index(FATAL) :]
        elif number not in taken and (reading := _read(rows, number, fatal)) is not None:
            taken.update(reading.taken)
            above = next((text for text in reversed(rows[max(0, number - 2) : number]) if text.strip()), "")
            ends_it = not any(words in above for words in _NOT_THE_END)
            earlier, is_cause = (last, link.endswith(_CAUSE)) if link else (None, False)
            last, link = _Found(reading.told, max(reading.taken, default=number), ends_it, earlier, is_cause), ""
            yield last


def _interesting(rows: Sequence[str]) -> Iterator[int]:
    """Yield the numbers of the rows at which a traceback may begin, or which tell how two hang together."""
    ends = (HEADER, _DURING, _CAUSE, _FATAL_HEADER)
    marks = (FATAL, '  File "', "+-")
    numbers = [n for n, row in enumerate(rows) if row.rstrip().endswith(ends) or any(mark in row for mark in marks)]
    headers = [n for n in numbers if rows[n].rstrip().endswith(HEADER)]
    first = headers[-_MOST] if len(headers) > _MOST else 0
    yield from (number for number in numbers if number >= first)


def _read(rows: Sequence[str], number: int, fatal: str) -> _Reading | None:
    """Read what begins at a row; None when that is no traceback."""
    row = rows[number].rstrip()
    if row.endswith(HEADER):
        prefix = _Prefix.before_header(row, rows[number + 1] if number + 1 < len(rows) else "")
        return _follow(_Reading([HEADER]), rows, number + 1, prefix)
    if row.endswith(_FATAL_HEADER):
        return _follow_fatal(rows, number, fatal) if fatal and "Current thread" in row else None
    before, frame, _ = row.partition('  File "')
    reading = _follow(_Reading([]), rows[: number + 8 if frame else number], number, _Prefix(before))
    return reading if len(reading.frames) == 1 and reading.told.name in _NO_CODE else None


def _follow(reading: _Reading, rows: Sequence[str], number: int, prefix: "_Prefix") -> _Reading:
    for place in range(number, min(number + _MOST_ROWS, len(rows))):
        bare = prefix.off(rows[place])
        if bare is not None and not reading.take(place, bare):
            break
    return reading


def _follow_fatal(rows: Sequence[str], number: int, fatal: str) -> _Reading:
    reading = _Reading([fatal, rows[number]])
    for place in range(number + 1, len(rows)):
        found = _FRAME.match(rows[place].rstrip())
        if found is None:
            break
        reading.frames.insert(0, Frame(found["path"], int(found["line"]), found["function"] or ""))
        reading.rows.append(rows[place])
        reading.taken.append(place)
    reading.exception = fatal
    return reading


class _Prefix:
    """What a launcher puts before every row of a process: `[rank0]: `, `worker-1: `, a time that goes on."""

    def __init__(self, text: str) -> None:
        self._text, self._shape = text, _shape(text)
        self._has_time = _CLOCK.search(text) is not None

    @staticmethod
    def before_header(header: str, following: str) -> "_Prefix":
        """Return what stands before a header, and before the rows that follow it."""
        text = header.removesuffix(HEADER).removesuffix(_ORIGINAL)
        if text.endswith(_GROUP):
            # `  + Exception Group Traceback` has its rows behind `  | `.
            text = text.removesuffix(_GROUP)
            text = f"{text[:-2]}| " if text.endswith("+ ") else text
        # What a progress bar left on the line is no prefix.
        return _Prefix("" if following.startswith('  File "') else text)

    def off(self, row: str) -> str | None:
        """Return the row without the prefix; None for another's row."""
        start = row[: len(self._text)]
        if start == self._text or (self._has_time and _shape(start) == self._shape):
            return row[len(self._text) :]
        return "" if row.rstrip() == self._text.rstrip() else None


def _shape(text: str) -> str:
    """Return the text with all its times alike."""
    return _CLOCK.sub(lambda found: re.sub(r"[0-9]", "0", found[0]), text)


def _is_exception(row: str) -> bool:
    """Tell whether a row reads like the last of a traceback: `ValueError: …`, `struct.error: …`, not `INFO: …`."""
    found = _EXCEPTION.match(row)
    if found is None:
        return False
    name = found["name"]
    return "." in name.strip(".") or (name[0].isupper() and not name.isupper())


def _chain(last: _Found) -> Iterator[_Found]:
    one: _Found | None = last
    while one is not None:
        yield one
        one = one.earlier


def _is_handed_on(chain: Sequence[_Found]) -> bool:
    """Tell whether the last one only raises again, in the same words, what another process or call had raised."""
    return len(chain) > 1 and chain[0].is_cause and chain[0].told.exception == chain[1].told.exception != ""


def _reported(launcher: _Found, found: Sequence[_Found]) -> Sequence[_Found]:
    """Return the traceback of the process whose end a launcher reports, if one stands right above."""
    before = [one for one in found if one.ends_it and one.last_row < launcher.last_row and one is not launcher]
    begins = launcher.last_row - len(launcher.told.rows)
    return [one for one in before[-1:] if begins - one.last_row <= _NEAR and one.told.name not in _LAUNCHERS]

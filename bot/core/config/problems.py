"""What can be wrong with a config, as values: an answer with a line and a hint, not an exception."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]

MAX_PROBLEMS = 50
"""More help nobody, and a check run takes only so many annotations a request."""

_SHOWN = 60


@dataclass(frozen=True)
class Mark:
    """A place in a file. Lines and columns count from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """One thing to mend (`error`) or to know (`warning`), with its place and what to write instead.

    Messages and hints may quote what the file says, in backticks: whoever shows them neutralises them.
    """

    severity: Severity
    message: str
    hint: str
    path: str
    line: int
    column: int


class Problems:
    """Collects problems of several files; the same one is kept once, for an alias shows a place twice."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def add(self, problem: Problem) -> None:
        self._found[problem] = None

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == "error" for problem in self)


def arrange(problems: Iterable[Problem], main: str) -> tuple[Problem, ...]:
    """Return the problems in reading order, those of the file `main` first, errors kept before warnings if cut."""
    found = sorted(problems, key=lambda p: (p.path != main, p.path, p.line, p.column, p.severity))
    if len(found) <= MAX_PROBLEMS:
        return tuple(found)
    errors = [problem for problem in found if problem.severity == "error"]
    kept = (errors or found)[: MAX_PROBLEMS - 1]
    last = kept[-1]
    rest = f"{len(found) - len(kept)} more problems are not shown"
    return (
        *kept,
        Problem(last.severity, rest, "Mend the ones above first.", last.path, last.line, last.column),
    )


def quote(text: str) -> str:
    """Return a user's text for a message: in backticks, on one line, short."""
    line = " ".join(text.split()).replace("`", "'")
    return f"`{line if len(line) <= _SHOWN else line[: _SHOWN - 1] + '…'}`"

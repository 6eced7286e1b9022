"""What stands in a sidecar's file of measurements (`bot.sidecar.points`), as series: read again from where it ended.

The file is a JSON object a line: `{"at", "source": "logged" | "system", "task", "trial", "name", "step", "value"}`, or
`{"at", "problem"}` for a sentence about what was refused. A line without its end is still being written, and waits.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from bot.core.series import Kind, Point, Series, Source

FILE = "measurements/points"
"""Below the directory of an attempt."""

POINTS_PER_READ = 50_000

_LONGEST_LINE = 4096
_PROBLEMS = 20
_NAME = re.compile(r"[A-Za-z0-9_:-]{1,200}")
_TASK = re.compile(r"[a-z][a-z0-9-]{0,60}")
_SOURCES = {"logged": Source.LOGGED, "system": Source.SYSTEM}
_KINDS = {"nan": Kind.NAN, "inf": Kind.PLUS_INFINITY, "-inf": Kind.MINUS_INFINITY}


class Measured(NamedTuple):
    """A series, and whose it is: of `trial`, or of the attempt itself when that is None."""

    task: str
    trial: int | None
    series: Series


@dataclass(frozen=True)
class Measurements:
    """What is new since the cursor. `problems` are sentences, of this reading; they contain what runs wrote.

    `is_complete` is False when the limit came first: the next reading goes on at once.
    """

    series: tuple[Measured, ...] = ()
    cursor: int = 0
    problems: tuple[str, ...] = ()
    is_complete: bool = True


class _Spoiled(ValueError):
    """A line that no sidecar has written."""


@dataclass(frozen=True)
class _Line:
    source: Source
    task: str
    trial: int | None
    name: str
    point: Point


def read(
    file: BinaryIO | Path,
    cursor: int = 0,
    limit: int = POINTS_PER_READ,
    tasks: Sequence[str] = ("worker-0",),
) -> Measurements:
    """Return what stands beyond `cursor` (bytes), at most `limit` lines. A file that is not there holds nothing.

    `tasks` are all tasks of the attempt, the first one first. A series' `run` is empty where its name says enough: for
    a trial's, for what the first task logged, and for what an only task used; else it is the task's name. A point's
    ordinal is the place of its line, so reading again gives the same points. Raises OSError.
    """
    try:
        with _opened(file) as opened:
            return _read(opened, cursor, limit, tasks)
    except FileNotFoundError:
        return Measurements(cursor=cursor)


@contextmanager
def _opened(file: BinaryIO | Path) -> Iterator[BinaryIO]:
    if isinstance(file, Path):
        with file.open("rb") as opened:
            yield opened
    else:
        yield file


def _read(file: BinaryIO, cursor: int, limit: int, tasks: Sequence[str]) -> Measurements:
    found: dict[tuple[str, int | None, Source, str], list[Point]] = {}
    problems: dict[str, None] = {}
    file.seek(cursor)
    is_complete = False
    for _ in range(limit):
        line = file.readline(_LONGEST_LINE)
        if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
            is_complete = True
            break
        try:
            one = _parsed(line, cursor)
        except ValueError as error:
            problems[str(error)] = None
        else:
            found.setdefault((one.task, one.trial, one.source, one.name), []).append(one.point)
        cursor += len(line)
    series = [
        Measured(task, trial, Series(source, _run(task, trial, source, tasks), name, tuple(points)))
        for (task, trial, source, name), points in found.items()
    ]
    return Measurements(tuple(series), cursor, tuple(problems)[:_PROBLEMS], is_complete)


def _run(task: str, trial: int | None, source: Source, tasks: Sequence[str]) -> str:
    if trial is not None:
        return ""
    is_told_by_name = len(tasks) == 1 if source is Source.SYSTEM else task == tasks[0]
    return "" if is_told_by_name else task


def _parsed(line: bytes, place: int) -> _Line:
    """Return what a line says. Raises ValueError, with the sentence, for a problem and for what is no measurement."""
    try:
        value = json.loads(line)
        if not isinstance(value, dict):
            raise _Spoiled
        problem = value.get("problem")
        parsed = _line(value, place) if problem is None else None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("the file of measurements is damaged; some of them are lost") from error
    if parsed is None:
        raise ValueError(str(problem)[:500])
    return parsed


def _line(value: dict[str, Any], place: int) -> _Line:
    task, trial, name = value["task"], value["trial"], value["name"]
    if not _TASK.fullmatch(task) or not _NAME.fullmatch(name) or not (trial is None or _is_count(trial)):
        raise _Spoiled
    if not _is_count(value["step"]) or not _is_count(value["at"]):
        raise _Spoiled
    number = value["value"]
    if isinstance(number, str):
        point = Point(value["step"], value["at"], None, _KINDS[number], place)
    else:
        point = Point.of(value["step"], value["at"], float(number), place)
    return _Line(_SOURCES[value["source"]], task, trial, name, point)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63

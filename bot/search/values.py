"""Where the tuner takes a trial's values from: event files, the metadata document, or what was sent to the sidecar."""

import json
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

from bot.core.gates import DOCUMENT, matching
from bot.core.pointer import PointerError, resolve
from bot.core.search import Search
from bot.core.series import POINTS_PER_SERIES, Point, Series, Source
from bot.metrics import measurements
from bot.metrics.reader import Cursor, MetricsReader, Reading

_TRIES = 3
"""Readings at the end of a trial, each as long as the reader allows, before its value counts as unreadable."""

_NAMED = 5
"""Names that a sentence lists."""


class NoValue(Exception):
    """A trial ended without a value that can be compared; the message is a sentence for people."""


class Values(Protocol):
    """The values of the trials' metric, by trial number."""

    def begin(self, number: int) -> None:
        """Forget what an earlier try of this trial left: a new one starts now, with an empty directory."""

    def news(self, number: int) -> list[tuple[int, float]]:
        """Return steps and values that came since the last call, for a trial that is running."""

    def final(self, number: int) -> float:
        """Return the value of a trial that has ended, always finite. Raises NoValue."""

    def forget(self, number: int) -> None:
        """Let go of a trial that has ended."""


def values_of(search: Search, run_dir: Path, reader: MetricsReader) -> Values:
    """Return where the search's metric is found."""
    if search.metric_source is Source.CUSTOM:
        return _Documents(search.metric, run_dir, reader)
    if search.metric_source is Source.LOGGED:
        return _Sent(search.metric, run_dir)
    return _Scalars(search.metric, run_dir, reader)


def artifacts(run_dir: Path, number: int) -> Path:
    """Return the directory that a trial sees as its /artifacts."""
    return run_dir / "artifacts" / "trials" / str(number)


class _Documents:
    """A number in the document that a trial leaves at its end."""

    def __init__(self, pointer: str, run_dir: Path, reader: MetricsReader) -> None:
        self._pointer = pointer
        self._run_dir = run_dir
        self._reader = reader

    def begin(self, number: int) -> None:
        """There is nothing to forget."""

    def news(self, number: int) -> list[tuple[int, float]]:
        """Return nothing: a document is read when the trial has ended."""
        del number
        return []

    def final(self, number: int) -> float:
        reading = self._reader.read([artifacts(self._run_dir, number)])
        unread = [problem for problem in reading.problems if problem.startswith(DOCUMENT)]
        if unread:
            raise NoValue(unread[0])
        if DOCUMENT not in reading.documents:
            # Where the reader gave up, it may not have come as far as the document.
            raise NoValue(f"it left no {DOCUMENT}" if reading.is_complete else reading.problems[-1])
        try:
            value = resolve(json.loads(reading.documents[DOCUMENT]), self._pointer)
        except PointerError as error:
            raise NoValue(str(error)) from error
        except LookupError:
            raise NoValue(f"`{self._pointer}` is not in {DOCUMENT}") from None
        return _finite(value, f"`{self._pointer}`")

    def forget(self, number: int) -> None:
        """There is nothing to let go of."""


@dataclass
class _Seen:
    """What was read of one trial's event files: the cursor, and how much and what last of each matching series."""

    cursor: Cursor | None = None
    latest: dict[str, Point] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)


class _Scalars:
    """The points of one tag in a trial's event files."""

    def __init__(self, metric: str, run_dir: Path, reader: MetricsReader) -> None:
        self._metric = metric
        self._run_dir = run_dir
        self._reader = reader
        self._seen: dict[int, _Seen] = {}

    def begin(self, number: int) -> None:
        self._seen[number] = _Seen()

    def news(self, number: int) -> list[tuple[int, float]]:
        seen = self._seen[number]
        found = self._matches(seen, self._read(number))
        # Which of two series of that name is meant only a person can say; the trial's end will ask.
        points = [point for one in found for point in one.points] if len(seen.latest) == 1 else []
        return [(point.step, point.number) for point in points]

    def final(self, number: int) -> float:
        reading = self._last_reading(number)
        seen = self._seen[number]
        unread = [problem for problem in reading.problems if not problem.startswith(DOCUMENT)]
        if unread:
            raise NoValue(unread[0])
        if not seen.latest:
            raise NoValue(f"it logged no scalar `{self._metric}`{_listed(seen.others)}")
        if len(seen.latest) > 1:
            raise NoValue(f"several of its runs logged `{self._metric}`: put the run first{_listed(set(seen.latest))}")
        ((name, point),) = seen.latest.items()
        if seen.counts[name] >= POINTS_PER_SERIES:
            raise NoValue(f"only the first {POINTS_PER_SERIES} points of `{self._metric}` are kept: log fewer")
        return _finite(point.number, f"the last value of `{self._metric}`")

    def forget(self, number: int) -> None:
        del self._seen[number]

    def _last_reading(self, number: int) -> Reading:
        for _ in range(_TRIES):
            reading = self._read(number)
            self._matches(self._seen[number], reading)
            if reading.is_complete:
                break
        return reading

    def _read(self, number: int) -> Reading:
        seen = self._seen[number]
        reading = self._reader.read([artifacts(self._run_dir, number)], seen.cursor)
        seen.cursor = reading.cursor
        return reading

    def _matches(self, seen: _Seen, reading: Reading) -> list[Series]:
        """Return the new points of the metric, and take them down."""
        found = matching(self._metric, reading.series)
        seen.others.update(one.tag for one in reading.series[:_NAMED])
        for one in found:
            points = [point for point in (seen.latest.get(one.name), *one.points) if point is not None]
            seen.counts[one.name] = seen.counts.get(one.name, 0) + len(one.points)
            seen.latest[one.name] = max(points, key=_order)
        return found


class _Sent:
    """What trials sent by the ancestor's clients, as the sidecar wrote it down, in one file for all trials."""

    def __init__(self, metric: str, run_dir: Path) -> None:
        self._metric = metric
        self._path = run_dir / measurements.FILE
        self._cursor = 0
        self._points: dict[int, list[Point]] = {}
        self._told: dict[int, int] = {}

    def begin(self, number: int) -> None:
        self._read_on()
        self._points[number] = []
        self._told[number] = 0

    def news(self, number: int) -> list[tuple[int, float]]:
        self._read_on()
        new = self._points[number][self._told[number] :]
        self._told[number] += len(new)
        return [(point.step, point.number) for point in new]

    def final(self, number: int) -> float:
        self._read_on()
        points = self._points[number]
        if not points:
            raise NoValue(f"it sent no metric `{self._metric}`")
        if len(points) >= POINTS_PER_SERIES:
            raise NoValue(f"only the first {POINTS_PER_SERIES} points of `{self._metric}` are kept: log fewer")
        return _finite(max(points, key=_order).number, f"the last value of `{self._metric}`")

    def forget(self, number: int) -> None:
        del self._points[number], self._told[number]

    def _read_on(self) -> None:
        is_complete = False
        while not is_complete:
            read = measurements.read(self._path, self._cursor)
            self._cursor, is_complete = read.cursor, read.is_complete
            for _, trial, series in read.series:
                if trial in self._points and series.source is Source.LOGGED and series.tag == self._metric:
                    room = POINTS_PER_SERIES - len(self._points[trial])
                    self._points[trial].extend(series.points[:room])


def _order(point: Point) -> tuple[int, int, int]:
    return point.step, point.at, point.ordinal


def _finite(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NoValue(f"{what} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise NoValue(f"{what} is not a finite number")
    return number


def _listed(names: set[str]) -> str:
    shown = ", ".join(f"`{name[:60]}`" for name in sorted(names)[:_NAMED])
    return f"; there are {shown}" if shown else ""

"""The bot's side of reading metrics: what is asked of the reading process, and what its answers mean."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

from bot.clock import Clock, SystemClock
from bot.core.gates import Gate
from bot.core.search import Distribution, Goal
from bot.core.series import Kind, Point, Series, Source
from bot.core.trials import Trial
from bot.metrics import searches
from bot.metrics.panels import arrange
from bot.metrics.process import ChildProcess, NoAnswer

Cursor = dict[str, Any]
"""How far an attempt was read: JSON-able, to be stored with the points and handed in again."""


@dataclass(frozen=True)
class Root:
    """A folder to read: `below` (relative, from a config, so not trusted) the folder `base` that the bot made.

    `name` is what its runs are called by, should it be a second tree; empty: the folder's own name.
    """

    base: Path
    below: str = ""
    name: str = ""


@dataclass(frozen=True)
class Reading:
    """What was new since the cursor.

    `documents` are JSON texts by name. `problems` are sentences about what was not read, of this reading and, where
    it will not be seen again, of earlier ones: those of the last reading belong into `gates.evaluate`.
    `is_complete` is False when time ran out before the files' ends; the next reading goes on from the cursor.
    """

    series: tuple[Series, ...] = ()
    documents: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    cursor: Cursor | None = None
    is_complete: bool = True


class MetricsReader:
    """Reads metrics and draws pictures, in a process of its own that is killed when it takes too long.

    May be called from several threads; they wait for each other.
    """

    def __init__(self, timeout: float = 30.0, user: int | None = None, clock: Clock | None = None) -> None:
        """`timeout` in seconds: no call takes much longer. `user`: the uid to read as, when the bot is root."""
        self._timeout = timeout
        self._clock = clock or SystemClock()
        self._child = ChildProcess(timeout, user)
        self._lock = Lock()

    def start(self) -> None:
        """Start the process, which else the first question does: it takes a second until it answers."""
        with self._lock:
            self._child.start()

    def read(self, roots: Sequence[Path | Root], cursor: Cursor | None = None) -> Reading:
        """Return what the roots hold beyond `cursor`: give the artifacts first, the model path last. Never raises.

        A root below an earlier one is reached from there without following links, and its event files are read once;
        the document is looked for directly in each root, the last one's stands. A root that does not exist
        holds nothing. Reading again from an old cursor gives the same points with the same ordinals.
        """
        with self._lock, ExitStack() as stack:
            places, descriptors = _opened(stack, roots)
            if all(map(_is_empty, descriptors)):
                return Reading(cursor=cursor)  # what left nothing need not wait for the process to start
            reading = Reading(cursor=cursor, is_complete=False)
            end = self._clock.monotonic() + self._timeout
            while not reading.is_complete and self._clock.monotonic() < end:
                request = {"kind": "read", "places": places, "cursor": reading.cursor}
                try:
                    reading = _joined(reading, _parsed(self._ask(request, descriptors)))
                except NoAnswer as error:
                    return _unread(reading, str(error))
        return reading if reading.is_complete else _unread(reading, f"it took longer than {self._timeout:g} s")

    def draw(self, title: str, series: Sequence[Series], gates: Sequence[Gate]) -> bytes | None:
        """Return a PNG of the series with the gates' targets, None when there is nothing to draw. Raises NoAnswer."""
        panels = arrange(series, gates)
        if not panels:
            return None
        return self._picture({"kind": "draw", "title": title, "panels": [panel.to_json() for panel in panels]})

    def draw_search(
        self,
        title: str,
        trials: Sequence[Trial],
        goal: Goal,
        metric: str,
        space: Mapping[str, Distribution] | None = None,
    ) -> bytes | None:
        """Return a PNG of a search: history, importances, parallel coordinates. None while no trial is complete.

        `metric` is what is compared, as the config names it (`custom:/loss`); `space` is None where none was declared.
        Raises NoAnswer.
        """
        picture = searches.arrange(trials, goal, metric, space)
        if picture is None:
            return None
        return self._picture({"kind": "draw_search", "title": title, "search": picture.to_json()})

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._child.close()

    def _picture(self, request: Mapping[str, Any]) -> bytes:
        with self._lock:
            answer = self._ask(request, ())
        try:
            return bytes.fromhex(answer["picture"])
        except (KeyError, TypeError, ValueError) as error:
            raise NoAnswer("the reading process answered nonsense") from error

    def _ask(self, request: Mapping[str, Any], descriptors: Sequence[int]) -> dict[str, Any]:
        try:
            return self._child.ask(request, descriptors)
        except NoAnswer as error:
            if not error.is_worth_another_try:
                raise
        # Once more: the process may have been killed by somebody else, or while it was idle.
        return self._child.ask(request, descriptors)


def _unread(reading: Reading, why: str) -> Reading:
    # Not an exception: a finished experiment needs a verdict, and its gates say this sentence.
    return replace(reading, problems=(*reading.problems, f"the metrics could not be read: {why}"), is_complete=False)


def _opened(stack: ExitStack, roots: Sequence[Path | Root]) -> tuple[list[dict[str, Any]], list[int]]:
    """Open the bases, and say for each where to look and what its runs are called."""
    places: list[dict[str, Any]] = []
    descriptors: list[int] = []
    known: list[Root] = []
    for root in roots:
        place = _placed(root, known)
        try:
            descriptor = os.open(place.base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        stack.callback(os.close, descriptor)
        is_searched = not any(_holds(one, place) for one in known)
        # Runs of a second tree get its name before theirs: two folders `train` are two runs.
        prefix = f"{place.name or (place.base / place.below).name}/" if known and is_searched else ""
        places.append({"below": place.below, "prefix": prefix, "is_searched": is_searched})
        descriptors.append(descriptor)
        known.append(place)
    return places, descriptors


def _is_empty(folder: int) -> bool:
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def _holds(outer: Root, inner: Root) -> bool:
    return outer.base == inner.base and PurePosixPath(inner.below).is_relative_to(PurePosixPath(outer.below))


def _placed(root: Path | Root, known: Sequence[Root]) -> Root:
    """Return the root as one below the base of an earlier root, where it lies there: a run may have put links in it."""
    if isinstance(root, Root):
        return root
    for one in known:
        if root.is_relative_to(one.base):
            return Root(one.base, str(root.relative_to(one.base)))
    return Root(root)


def _parsed(answer: Mapping[str, Any]) -> Reading:
    # The process that wrote this has read what nobody trusts: its word is taken for values, not for shapes.
    try:
        return Reading(
            series=tuple(_series(one) for one in answer["series"]),
            documents={str(name): str(text) for name, text in answer["documents"].items()},
            problems=tuple(str(problem) for problem in answer["problems"]),
            cursor=dict(answer["cursor"]),
            is_complete=bool(answer["is_complete"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoAnswer(f"the reading process answered nonsense ({type(error).__name__})") from error


def _series(value: Mapping[str, Any]) -> Series:
    points = (
        Point(int(step), int(at), None if number is None else float(number), Kind(kind), int(ordinal))
        for step, at, number, kind, ordinal in value["points"]
    )
    return Series(Source.TENSORFLOW, str(value["run"]), str(value["tag"]), tuple(points))


def _joined(first: Reading, second: Reading) -> Reading:
    """Return two readings in a row as one."""
    points = {(one.run, one.tag): one.points for one in first.series}
    for one in second.series:
        points[one.run, one.tag] = points.get((one.run, one.tag), ()) + one.points
    series = tuple(Series(Source.TENSORFLOW, run, tag, found) for (run, tag), found in points.items())
    return replace(second, series=series, documents={**first.documents, **second.documents})

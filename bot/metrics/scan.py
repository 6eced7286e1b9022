"""One reading of an attempt's folders: the new points since the cursor, within limits, in bounded time."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core.gates import DOCUMENT
from bot.core.series import POINTS_PER_SERIES
from bot.metrics.documents import LARGEST, BadDocument, strict
from bot.metrics.events import LARGEST_FILE, Damaged, EventFile, Step, clean
from bot.metrics.tree import Refused, Walk, folder, regular_file

FILES = 200
"""Event files of an attempt that are read."""

SERIES = 1000
"""Series of an attempt that are kept."""

POINTS = 1_000_000
"""Points of an attempt that are kept."""

POINTS_PER_SCAN = 50_000
"""Points of one answer: it stays a few megabytes."""

_EVENT_FILE = "tfevents"
_PROBLEMS = 20


@dataclass(frozen=True)
class Place:
    """An open folder made by the bot, and the relative path `below` it where to look.

    `prefix` begins the names of its runs; `is_searched` is False where an earlier place holds all its event files.
    """

    descriptor: int
    below: str
    prefix: str
    is_searched: bool


@dataclass
class Cursor:
    """How far an attempt was read: JSON-able, kept by the caller between two readings.

    `files`: offset and scalar tags of each file; `counts`: points of each run and tag; `losses`: sentences about
    what was passed by and will not be seen again.
    """

    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> "Cursor":
        """Return the cursor; one of another version of this program begins anew, which costs time only."""
        return cls(**value) if value and value.keys() == {"files", "counts", "losses"} else cls()

    def to_json(self) -> dict[str, Any]:
        return {"files": self.files, "counts": self.counts, "losses": self.losses}

    def lose(self, sentence: str) -> None:
        if sentence not in self.losses and len(self.losses) < _PROBLEMS:
            self.losses.append(sentence)


class _Late(Exception):
    """This reading has taken its time or its share of points; the next one goes on from the cursor."""


class Scan:
    """A reading under way. `is_late` is asked after every record and ends it early."""

    def __init__(self, cursor: Cursor, is_late: Callable[[], bool]) -> None:
        self._cursor = cursor
        self._is_late = is_late
        self._documents: dict[str, str] = {}
        self._problems: list[str] = []
        self._points: dict[tuple[str, str], list[Any]] = {}
        self._room = POINTS_PER_SCAN
        self._files = 0
        self._total = sum(sum(tags.values()) for tags in cursor.counts.values())

    def answer(self, places: Sequence[Place]) -> dict[str, Any]:
        """Read what is new in all places and return the answer as JSON-able values."""
        try:
            for place in places:
                self._read(place)
            is_complete = True
        except _Late:
            is_complete = False
        series = [{"run": run, "tag": tag, "points": points} for (run, tag), points in self._points.items()]
        return {
            "series": series,
            "documents": self._documents,
            "problems": [*self._cursor.losses, *self._problems][:_PROBLEMS],
            "cursor": self._cursor.to_json(),
            "is_complete": is_complete,
        }

    def _read(self, place: Place) -> None:
        try:
            with folder(place.descriptor, place.below) as root:
                self._read_document(root)
                if place.is_searched:
                    self._search(root, place.prefix)
        except FileNotFoundError:
            return  # a model path that the run never made
        except OSError as error:
            self._problems.append(f"the folder {clean(place.below)} could not be opened: {error.strerror}")

    def _read_document(self, root: int) -> None:
        try:
            with regular_file(root, DOCUMENT, LARGEST) as descriptor:
                self._documents[DOCUMENT] = strict(os.pread(descriptor, LARGEST, 0))
        except FileNotFoundError:
            return
        except (Refused, BadDocument) as error:
            # Gates know by this beginning that the problem concerns the document.
            self._problems.append(f"{DOCUMENT} {error}")

    def _search(self, root: int, prefix: str) -> None:
        walk = Walk(root, _EVENT_FILE)
        for path in walk.files():
            self._files += 1
            if self._files > FILES:
                self._problems.append(f"only the first {FILES} event files were read")
                break
            try:
                with regular_file(root, path, LARGEST_FILE) as descriptor:
                    self._read_events(descriptor, f"{prefix}{path}")
            except FileNotFoundError:
                continue
            except (Refused, Damaged) as error:
                self._problems.append(f"{clean(path)} {error}")
        self._problems.extend(walk.problems)

    def _read_events(self, descriptor: int, path: str) -> None:
        # Names of files are bytes; JSON and databases want text.
        key = os.fsencode(path).decode(errors="backslashreplace")
        known = self._cursor.files.setdefault(key, {"offset": 0, "tags": []})
        file = EventFile(descriptor, key, set(known["tags"]))
        if file.size < known["offset"]:
            self._cursor.lose(f"{clean(path)} was written anew while it was read")
            known["offset"] = 0
        run = "" if "/" not in path else clean(path.rpartition("/")[0])
        for step in file.steps(known["offset"]):
            self._keep(run, step)
            known["offset"] = step.offset
            if len(known["tags"]) < min(len(file.tags), SERIES):
                known["tags"] = sorted(file.tags)[:SERIES]
            if self._room <= 0 or self._is_late():
                raise _Late

    def _keep(self, run: str, step: Step) -> None:
        for scalar in step.scalars:
            counts = self._cursor.counts
            count = counts.get(run, {}).get(scalar.tag, 0)
            if count == 0 and sum(map(len, counts.values())) >= SERIES:
                self._cursor.lose(f"only the first {SERIES} metrics are kept")
            elif self._total >= POINTS:
                self._cursor.lose(f"only the first {POINTS} points are kept")
            elif count < POINTS_PER_SERIES:
                counts.setdefault(run, {})[scalar.tag] = count + 1
                self._total += 1
                self._room -= 1
                point = scalar.point
                row = [point.step, point.at, point.value, point.kind, point.ordinal]
                self._points.setdefault((run, scalar.tag), []).append(row)

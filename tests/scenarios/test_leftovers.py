"""What runs leave behind: however much and however strange, every gate gets its verdict and nobody waits for it."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import event

from bot.backends.base import Artifact, AttemptSpec, LogChunk
from bot.clock import ManualClock
from bot.core.series import Point, Series, Source
from bot.devhub import DevHub
from bot.metrics.reader import Cursor, MetricsReader, Reading
from bot.store.database import Busy, Database, Transaction
from bot.worker.collect import Collect
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service

GATE = "train / fit / tensorflow:loss"


class LockedReport(ScriptedBackend):
    """A run that took the right to read its report away before it ended."""

    def artifacts(self, attempt_id: str) -> Iterator[Artifact]:
        yield Artifact("report.md", 5)

    def open_artifact(self, attempt_id: str, path: str) -> BinaryIO:
        raise FileNotFoundError(path)


class BrokenDisk(ScriptedBackend):
    """A disk that does not give the log back."""

    def logs(self, attempt_id: str, task: str, from_byte: int, limit: int = 65_536) -> LogChunk:
        raise OSError("input/output error")


class EndlessReader(MetricsReader):
    """Event files so large that each reading brings a little more."""

    def __init__(self, readings: int) -> None:
        self._left = readings  # and no process to read with

    def read(self, roots: object, cursor: Cursor | None = None) -> Reading:
        self._left -= 1
        done = int((cursor or {}).get("done", 0)) + 1
        series = Series(Source.TENSORFLOW, "", "loss", (Point.of(done, 0, 0.1, done),))
        return Reading((series,), cursor={"done": done}, is_complete=self._left <= 0)


class BusyMachine(EndlessReader):
    """A machine that trains: the reading process does not always get its turn in time."""

    def read(self, roots: object, cursor: Cursor | None = None) -> Reading:
        self._left -= 1
        if self._left >= 0:
            return Reading(problems=("it took longer than 10 s",), cursor=cursor, is_complete=False)
        series = Series(Source.TENSORFLOW, "", "loss", (Point.of(1, 0, 0.1, 1),))
        return Reading((series,), cursor={"done": 1})


def with_reader(road: Road, reader: MetricsReader) -> Collect:
    """The road's station with another reader."""
    station = road.stations["collect"]
    assert isinstance(station, Collect)
    other = Collect(road.database, road.clock, road.backend, reader, station._pictures, station._secrets)
    road.stations["collect"] = other
    return other


def ended(root: Path, hub: DevHub, clock: ManualClock, backend: ScriptedBackend) -> tuple[Road, dict[str, str | None]]:
    road = Road(root, hub, clock, backend)
    repository, sha = road.repository()
    road.settle()
    backend.succeed(backend.submissions[0])
    for _ in range(70):
        road.clock.advance(60)
        road.tick("watch", "collect")
    road.settle()
    return road, {name: end for name, (_, end) in road.shown(repository, sha).items()}


@pytest.mark.parametrize("kind", [LockedReport, BrokenDisk])
def test_what_cannot_be_read_keeps_no_gate_without_a_verdict(
    tmp_path: Path, clock: ManualClock, kind: type[ScriptedBackend]
) -> None:
    with DevHub(tmp_path / "hub", clock) as hub:
        road, shown = ended(tmp_path, hub, clock, kind(clock))
        road.close()

    assert shown == {"experiments": "failure", "train / fit": "success", GATE: "failure"}


def test_a_run_that_logged_without_end_does_not_keep_others_waiting(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    backend.succeed(backend.submissions[0])
    road.tick("watch")
    collect = with_reader(road, EndlessReader(10**9))

    collect.tick()  # comes back although there is more to read
    collect.tick()
    assert road.attempts()[0].metrics_cursor == {"done": 2, "measurements": 0}

    road.clock.advance(3600)
    collect.tick()
    road.wait(1)
    assert road.shown(repository, sha)["train / fit"] == ("completed", "success")


def test_what_takes_several_readings_is_read_to_its_end(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    backend.succeed(backend.submissions[0])
    road.tick("watch")
    collect = with_reader(road, EndlessReader(3))
    for _ in range(3):
        assert road.attempts()[0].metrics_read_at is None
        collect.tick()

    road.wait(1)
    assert road.shown(repository, sha)[GATE] == ("completed", "success")


@pytest.mark.parametrize(("slow", "conclusion"), [(2, "success"), (10**9, "failure")])
def test_a_machine_that_is_busy_for_once_costs_no_verdict(
    road: Road, backend: ScriptedBackend, slow: int, conclusion: str
) -> None:
    repository, sha = road.repository()
    road.settle()
    backend.succeed(backend.submissions[0])
    road.tick("watch")
    with_reader(road, BusyMachine(slow))

    for _ in range(5):
        road.wait(1)
    assert road.shown(repository, sha)[GATE] == ("completed", conclusion)


def test_many_points_are_stored_a_few_at_a_time(road: Road, backend: ScriptedBackend) -> None:
    """A transaction that takes seconds would make the door turn deliveries away, and GitHub sends each only once."""
    road.repository()
    road.settle()
    backend.succeed(backend.submissions[0])
    road.tick("watch")
    points = tuple(Point.of(i, 0, 0.1, i) for i in range(12_000))

    class Rich(EndlessReader):
        def read(self, roots: object, cursor: Cursor | None = None) -> Reading:
            return Reading((Series(Source.TENSORFLOW, "", "loss", points),), cursor={})

    collect = with_reader(road, Rich(1))
    sizes: list[int] = []
    event.listen(
        road.database.engine,
        "before_cursor_execute",
        lambda c, cursor, sql, given, context, many: sizes.append(len(given)) if "INTO points" in sql else None,
    )
    collect.tick()

    assert sum(sizes) == 12_000
    assert max(sizes) <= 5_000


class SlowToStart(ScriptedBackend):
    """Takes longer to start an attempt than the attempt may wait."""

    road: Road

    def submit(self, spec: AttemptSpec, secrets: Mapping[str, str] | None = None) -> str:
        self.road.clock.advance(8 * 24 * 3600)
        self.road.tick("watch")
        return super().submit(spec, secrets)


def test_what_began_after_its_end_was_written_down_is_stopped(tmp_path: Path, clock: ManualClock) -> None:
    backend = SlowToStart(clock)
    with DevHub(tmp_path / "hub", clock) as hub:
        backend.road = road = Road(tmp_path, hub, clock, backend)
        road.repository()
        road.settle()
        road.close()

    assert list(backend.cancelled) == backend.submissions


class OftenLocked(Database):
    """Locked by somebody else at the moment that the play names."""

    is_locked = False

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        if self.is_locked:
            self.is_locked = False
            raise Busy("BEGIN IMMEDIATE", None, sqlite3.OperationalError("database is locked"))
        with super().write() as tx:
            yield tx


def test_a_database_that_is_often_locked_costs_no_delivery(road: Road, backend: ScriptedBackend) -> None:
    """Faults of ours are given up after eight tries, for ever; a busy time is no fault of the delivery's."""
    repository, _ = road.repository()
    road.settle()
    database = OftenLocked(road.settings.database_url)
    road.restart_worker(database)
    road.hub.commit_files(repository, {"train.py": "print(5)"}, message="Next")
    road.hub.wait_delivered()
    for _ in range(10):
        road.clock.advance(600)
        database.is_locked = True
        with suppress(Busy):
            road.stations["intake"].tick()
    road.settle()

    assert road.answers("push")[-1] == "1 of 1 workflows run"

"""Who works, and until when: leases, their holders, and what becomes of a dead one's."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.backends.processes import Process
from bot.clock import SECOND, ManualClock, SystemClock
from bot.store import leases
from bot.store.database import Database
from bot.worker.loop import Leased, Worker, holder_name
from bot.worker_sign import WorkerSign


class Counting:
    """A station that counts its turns."""

    name = "count"

    def __init__(self) -> None:
        self.ticks = 0

    def tick(self) -> bool:
        self.ticks += 1
        return False


class Stumbling(Counting):
    """A station that raises at its first turn."""

    name = "stumble"

    def tick(self) -> bool:
        super().tick()
        if self.ticks == 1:
            raise ValueError("the first turn goes wrong")
        return False


def ticks_of(database: Database, clock: ManualClock, holder: str) -> int:
    """How often a station of this worker gets its turn when it asks once."""
    station = Counting()
    Leased(station, database, clock, holder).tick()
    return station.ticks


def name_of(process: Process, host: str = "") -> str:
    return f"{host or socket.gethostname()}:{process.pid}:{process.start}:{process.boot}:abcd"


def held_until(database: Database) -> int:
    with database.read() as tx:
        lease = leases.find(tx, "count")
    assert lease is not None
    return lease.until


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """Another living process of this machine."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_a_name_is_nobody_elses() -> None:
    assert holder_name() != holder_name()
    assert holder_name().startswith(f"{socket.gethostname()}:{os.getpid()}:")
    assert len(holder_name()) <= 128


def test_a_living_worker_keeps_its_lease(
    database: Database, clock: ManualClock, sleeper: "subprocess.Popen[bytes]"
) -> None:
    assert ticks_of(database, clock, name_of(Process.of(sleeper.pid))) == 1
    clock.advance(29)
    assert ticks_of(database, clock, holder_name()) == 0
    clock.advance(2)
    assert ticks_of(database, clock, holder_name()) == 1


def test_a_lease_is_renewed_at_its_half_and_not_at_each_turn(database: Database, clock: ManualClock) -> None:
    station = Counting()
    leased = Leased(station, database, clock, holder_name())
    leased.tick()
    first = held_until(database)
    clock.advance(14)
    leased.tick()
    assert held_until(database) == first
    clock.advance(2)
    leased.tick()
    assert held_until(database) == first + 16 * SECOND
    assert station.ticks == 3


def test_a_dead_workers_lease_is_free_at_once(
    database: Database, clock: ManualClock, sleeper: "subprocess.Popen[bytes]"
) -> None:
    assert ticks_of(database, clock, name_of(Process.of(sleeper.pid))) == 1
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has asked how: its pid is still there
    assert ticks_of(database, clock, holder_name()) == 1


def test_the_pid_of_a_dead_worker_may_be_somebody_elses_by_now(
    database: Database, clock: ManualClock, sleeper: "subprocess.Popen[bytes]"
) -> None:
    now = Process.of(sleeper.pid)
    assert ticks_of(database, clock, name_of(Process(now.pid, now.start - 1, now.boot))) == 1
    assert ticks_of(database, clock, holder_name()) == 1


def test_a_lease_from_before_the_machine_was_restarted_is_free(
    database: Database, clock: ManualClock, sleeper: "subprocess.Popen[bytes]"
) -> None:
    now = Process.of(sleeper.pid)
    assert ticks_of(database, clock, name_of(Process(now.pid, now.start, "an earlier boot"))) == 1
    assert ticks_of(database, clock, holder_name()) == 1


def test_an_earlier_life_in_this_very_process_is_over(database: Database, clock: ManualClock) -> None:
    assert ticks_of(database, clock, holder_name()) == 1
    assert ticks_of(database, clock, holder_name()) == 1


@pytest.mark.parametrize("holder", ["elsewhere.example", "a name of another version"])
def test_who_cannot_be_looked_at_is_waited_for(database: Database, clock: ManualClock, holder: str) -> None:
    name = name_of(Process(1, 1, "unknown"), host=holder) if "." in holder else holder
    assert ticks_of(database, clock, name) == 1
    assert ticks_of(database, clock, holder_name()) == 0
    clock.advance(31)
    assert ticks_of(database, clock, holder_name()) == 1


def test_of_two_that_saw_the_same_lease_one_takes_it(database: Database, clock: ManualClock) -> None:
    assert ticks_of(database, clock, "somebody") == 1
    with database.read() as tx:
        seen = leases.find(tx, "count")
    with database.write() as tx:
        assert leases.take(tx, "count", "first", clock.now() + SECOND, seen)
    with database.write() as tx:
        assert not leases.take(tx, "count", "second", clock.now() + SECOND, seen)


def test_a_station_that_stumbles_goes_on_and_stops_nobody(tmp_path: Path) -> None:
    counting, stumbling = Counting(), Stumbling()
    worker = Worker([stumbling, counting], WorkerSign(tmp_path, SystemClock()))
    thread = threading.Thread(target=worker.run)
    thread.start()
    eventually(lambda: counting.ticks >= 3)
    worker.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert stumbling.ticks == 1  # it rests before it tries again


def eventually(condition: Callable[[], bool]) -> None:
    clock = SystemClock()
    end = clock.monotonic() + 10
    while not condition():
        assert clock.monotonic() < end
        clock.sleep(0.01)

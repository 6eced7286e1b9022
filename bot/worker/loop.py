"""The worker's loop: each station in a thread of its own, round and round, under a lease.

A slow git server holds up intake only, a slow GitHub only reports. A station that raises is logged and goes on:
its rows say where it stood.
"""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bot.clock import SECOND, Clock
from bot.store import leases
from bot.store.database import Database
from bot.store.schema import Lease
from bot.worker_sign import WorkerSign

_LEASE = 30 * SECOND
_PAUSE = 0.2
_PAUSE_AFTER_ERROR = 2.0
_log = logging.getLogger(__name__)


class Station(Protocol):
    """One stop of the road."""

    name: str

    def tick(self) -> bool:
        """Do what is to be done now; return True when there may be more at once."""


class Leased:
    """A station that works only while this worker holds its lease.

    The holder's name carries its host, pid and start time: the lease of a dead process on this machine is free
    at once, so a worker that was killed is followed without a wait.
    """

    def __init__(self, station: Station, database: Database, clock: Clock, holder: str) -> None:
        self.name = station.name
        self._station, self._database, self._clock, self._holder = station, database, clock, holder
        self._until = 0

    def tick(self) -> bool:
        return self._station.tick() if self._is_held() else False

    def _is_held(self) -> bool:
        now = self._clock.now()
        if now < self._until - _LEASE // 2:
            return True
        with self._database.write() as tx:
            lease = leases.find(tx, self.name)
            if lease is not None and lease.holder != self._holder and lease.until > now and not _is_dead(lease):
                return False
            if not leases.take(tx, self.name, self._holder, now + _LEASE, lease):
                return False
        self._until = now + _LEASE
        return True


def holder_name() -> str:
    """Return a name for this process that no other process has, had or will have."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{_start_time(pid)}:{secrets.token_hex(4)}"


def _is_dead(lease: Lease) -> bool:
    host, _, rest = lease.holder.partition(":")
    pid, _, rest = rest.partition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    if int(pid) == os.getpid():
        return True  # a pid that came round again, or an earlier life of this very process
    return _start_time(int(pid)) != rest.partition(":")[0]


def _start_time(pid: int) -> str:
    """Return the kernel's start time of a process (field 22 of its stat), empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The second field, the command's name, may itself hold spaces and parentheses.
    return stat.rpartition(")")[2].split()[19]


class Worker:
    """All stations, running until `stop`."""

    def __init__(self, stations: Sequence[Station], sign: WorkerSign) -> None:
        self._stations, self._sign = stations, sign
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Work until `stop` is called, then let each station finish what it is at (at most ten seconds)."""
        self._threads = [
            threading.Thread(target=self._turn, args=(station,), name=station.name, daemon=True)
            for station in self._stations
        ]
        for thread in self._threads:
            thread.start()
        while not self._stopping.wait(5.0):
            if all(thread.is_alive() for thread in self._threads):
                self._sign.beat()
        for thread in self._threads:
            thread.join(timeout=10.0)
        self._sign.release()

    def stop(self) -> None:
        """Ask for the end. Experiments go on running: they belong to their supervisors."""
        self._stopping.set()

    def _turn(self, station: Station) -> None:
        while not self._stopping.is_set():
            try:
                pause = 0.0 if station.tick() else _PAUSE
            except Exception:
                _log.exception("the %s station stumbled; it goes on from its rows", station.name)
                pause = _PAUSE_AFTER_ERROR
            self._stopping.wait(pause)

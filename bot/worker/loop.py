"""The worker's loop: each station in a thread of its own, round and round, under a lease.

A slow git server holds up intake, a slow GitHub only reports. A station that raises is logged and goes on:
its rows say where it stood.
"""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Sequence
from typing import Protocol

from bot.backends.processes import Process
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

    The holder's name says which process of which host it is: the lease of a dead process on this machine is free at
    once, so a worker that was killed is followed without a wait. Another host's lease is waited for.
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
    me = Process.of(os.getpid())
    return ":".join([socket.gethostname(), str(me.pid), str(me.start), me.boot, secrets.token_hex(2)])


def _is_dead(lease: Lease) -> bool:
    """Tell whether the holder is certainly gone. One on another host, or with a name that is not ours, may be alive."""
    try:
        host, pid, start, boot, _ = lease.holder.split(":")
        holder = Process(int(pid), int(start), boot)
    except ValueError:
        return False
    # This very process under another name is an earlier life of the worker in it.
    return host == socket.gethostname() and (holder == Process.of(os.getpid()) or not holder.is_alive())


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

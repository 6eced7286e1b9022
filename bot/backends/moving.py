"""The supervisor's move into namespaces of its attempt's own: for a network, for a layer over the storage.

What is started afterwards is born there: the sidecar, the tuner, the tasks.
"""

import os
import select
from pathlib import Path
from typing import Any

from bot.backends import namespaces
from bot.backends.network import PRIVATE, SHARED, Nat, resolv_conf
from bot.backends.orders import Order
from bot.backends.processes import Process

OVERLAY = "overlay"


class Move:
    """Made by moving. `resolver` is a file that runs see as their /etc/resolv.conf, None for the machine's own.

    Raises NamespaceError or NetworkError when the machine does not give what the order says.
    """

    def __init__(self, run_dir: Path, storage: Path, order: Order) -> None:
        scratch = run_dir / "scratch"
        scratch.mkdir(exist_ok=True)
        self.resolver = None if order.network == SHARED else self._resolver(scratch, order.network)
        self._nat = Nat(order.slirp) if order.network == PRIVATE else None
        with namespaces.enter(network=order.network != SHARED, mounts=order.storage == OVERLAY):
            if self._nat is not None:
                self._nat.connect()
            if order.storage == OVERLAY:
                namespaces.overlay(storage, scratch / "storage")

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What becomes readable when the way out is lost."""
        return () if self._nat is None else (self._nat.ended,)

    @property
    def is_cut_off(self) -> bool:
        """Tell whether the network's way out was lost: then no result of the run means anything."""
        return bool(self.descriptors and select.select(self.descriptors, [], [], 0)[0])

    @property
    def processes(self) -> list[dict[str, Any]]:
        """Who must be gone when the supervisor is."""
        return [] if self._nat is None else [vars(Process.of(self._nat.pid))]

    @property
    def pids(self) -> set[int]:
        return set() if self._nat is None else {self._nat.pid}

    def end(self) -> None:
        if self._nat is not None:
            self._nat.close()

    def _resolver(self, scratch: Path, network: str) -> str:
        try:
            machines = Path("/etc/resolv.conf").read_text()
        except OSError:
            machines = ""
        path = scratch / "resolv.conf"
        path.write_text(resolv_conf(network, machines))
        path.chmod(0o644)
        return str(path)


def make_storage(storage: Path, owner: tuple[int, int]) -> None:
    """Make a project's storage where it is not there yet; runs own it."""
    storage.mkdir(parents=True, exist_ok=True)
    os.chown(storage, *owner)

"""Free TCP ports for tasks that meet by address, on a network that others use too.

Between the moment when a port is found and the one when a task listens on it, nobody else may get it: no program that
takes any port (so the kernel's own range is left alone), no program that wants this one (so it is bound meanwhile),
and no other supervisor, until the attempt is over (so there is a lock for each).
"""

import fcntl
import os
import socket
from pathlib import Path

_FIRST, _END = 10_000, 65_536
_KERNELS = Path("/proc/sys/net/ipv4/ip_local_port_range")


class PortsExhausted(Exception):
    """There are not as many free ports as were asked for."""


class Held:
    """Ports that are ours: bound until `release`, which comes just before their tasks begin; locked until `close`."""

    def __init__(self) -> None:
        self._bound: dict[int, socket.socket] = {}
        self._locks: list[int] = []

    @property
    def ports(self) -> tuple[int, ...]:
        """Return the ports, each another."""
        return tuple(self._bound)

    def take(self, port: int, locks: Path) -> bool:
        """Take a port too, if it is free."""
        lock = os.open(locks / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            bound.bind(("", port))  # nobody is listened to; it is taken on every address
        except OSError:
            bound.close()
            os.close(lock)
            return False
        self._bound[port] = bound
        self._locks.append(lock)
        return True

    def release(self) -> None:
        """Let their tasks listen on them."""
        for bound in self._bound.values():
            bound.close()

    def close(self) -> None:
        """Give them to whoever wants them. The end of the process does so too."""
        self.release()
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()


def free_ports(count: int, locks: Path) -> Held:
    """Find `count` ports. `locks` is one directory for all supervisors of this machine. Raises PortsExhausted."""
    candidates, held = _candidates(), Held()
    if not candidates or len(candidates) < count:
        raise PortsExhausted(f"{count} free ports are wanted, but there are {len(candidates)} in all")
    start = int.from_bytes(os.urandom(4)) % len(candidates)  # not all attempts shall try the same ones first
    for port in [*candidates[start:], *candidates[:start]]:
        if len(held.ports) == count:
            return held
        held.take(port, locks)
    if len(held.ports) < count:
        held.close()
        raise PortsExhausted(f"{count} free ports are wanted, and fewer are free")
    return held


def _candidates() -> list[int]:
    """Return the ports that the kernel gives to nobody who has not asked for them."""
    low, high = map(int, _KERNELS.read_text().split())
    return [*range(_FIRST, min(low, _END)), *range(max(high + 1, _FIRST), _END)]

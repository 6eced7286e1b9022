"""What the sidecar does between the first and the last word of its supervisor, which speaks a JSON object a line."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from bot.backends.openings import listen
from bot.clock import Clock
from bot.sidecar import gateway, ports, statsd
from bot.sidecar.connections import Connections
from bot.sidecar.names import Origin, Workloads
from bot.sidecar.points import Points
from bot.sidecar.usage import Gpus, Usage
from bot.sidecar.user import NOBODY

STATSD_PORT = 8125
"""The port that DogStatsD's clients send to."""

STATSD_SOCKET = "generated/statsd.sock"
"""The same as a unix socket, which a run finds in /generated: gradient-statsd without a host would send its datagrams
to the gateway of the network."""

_LONGEST_LINE = 1 << 20
_GRACE = 0.05
"""Seconds for what a run has sent just before its end."""
_FINISH = 5.0
_QUEUED = 4096
"""Datagrams that may be waiting; a run that never stops sending must not hold us up."""


@dataclass(frozen=True)
class Order:
    """The first line of the supervisor. `every`: seconds between samples; `user`: uid and gid of the run."""

    attempt: str
    ports: tuple[tuple[int, int], ...]
    user: tuple[int, int] | None
    every: float
    has_host_ports: bool
    listeners: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def parse(line: bytes) -> "Order":
        """Raises ValueError, TypeError or KeyError."""
        value = json.loads(line)
        pairs = tuple((_port(host), _port(container)) for host, container in value["ports"])
        user = None if value["user"] is None else (int(value["user"][0]), int(value["user"][1]))
        every, has_host_ports = max(float(value["every"]), 0.05), bool(value["host_ports"])
        listeners = tuple((_port(container), int(descriptor)) for container, descriptor in value.get("listeners", ()))
        return Order(str(value["attempt"]), pairs, user, every, has_host_ports, listeners)


def _port(number: object) -> int:
    if not isinstance(number, int) or not 0 < number < 1 << 16:
        raise ValueError(f"{number!r} is no port")
    return number


class Sidecar:
    """Everything that is bound before root is given up. Raises OSError."""

    def __init__(self, order: Order, clock: Clock, gpus: Gpus | None) -> None:
        self._order = order
        self._points = Points.open(Path(), clock)
        self._workloads = Workloads(order.attempt)
        self._usage = Usage(self._points, clock, gpus)
        self._statsd = statsd.Statsd(self._workloads, self._points)
        self._doors, self._opened = ports.open_doors(order.ports, order.has_host_ports, order.listeners)
        self._gateway = listen(0)
        udp = _udp()
        self._has_udp = udp is not None
        self._has_task = asyncio.Event()
        self._receivers = [_unix(order.user or NOBODY), *([] if udp is None else [udp])]

    def first_word(self) -> dict[str, Any]:
        """Return what the supervisor must know of it."""
        return {
            "pushgateway": f"127.0.0.1:{self._gateway.getsockname()[1]}",
            "statsd": STATSD_PORT if self._has_udp else None,
            "statsd_socket": STATSD_SOCKET,
            "ports": {str(container): host for container, host in self._opened.items()},
        }

    async def run(self, orders: BinaryIO) -> None:
        """Work until the end of `orders`, then take what is under way."""
        pushed = Connections(
            self._gateway,
            gateway.CONNECTIONS,
            gateway.LARGEST_HEAD,
            gateway.Gateway(self._workloads, self._points).handle,
        )
        doors = [ports.serve(door) for door in self._doors]
        for receiver in self._receivers:
            asyncio.get_running_loop().add_reader(receiver, statsd.receive, receiver, self._statsd.take)
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(one.accept()) for one in (pushed, *doors)]
            helpers.append(group.create_task(self._sample()))
            await self._listen(orders)
            await asyncio.sleep(_GRACE)
            for helper in helpers:
                helper.cancel()
        await pushed.finish(_FINISH)
        self._receive_all()
        for door in doors:
            await door.finish(0)

    async def _sample(self) -> None:
        await self._has_task.wait()
        # Sooner at first, so that short runs have something to show.
        wait = min(1.0, self._order.every)
        while True:
            await asyncio.sleep(wait)
            wait = min(2 * wait, self._order.every)
            wait = max(wait, self._usage.sample(wait))

    async def _listen(self, orders: BinaryIO) -> None:
        reader = asyncio.StreamReader(limit=_LONGEST_LINE)
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), orders)
        while line := await reader.readline():
            try:
                self._obey(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                sys.stderr.write(f"the sidecar does not understand {line[:200]!r}: {error}\n")

    def _obey(self, message: Mapping[str, Any]) -> None:
        self._receive_all()  # what is waiting belongs to what the task did until now
        if "gone" in message:
            self._usage.forget(str(message["gone"]))
            return
        origin = Origin(str(message["task"]), None if message["trial"] is None else int(message["trial"]))
        self._workloads.begin(origin)
        self._usage.watch(origin, int(message["pid"]))
        self._has_task.set()

    def _receive_all(self) -> None:
        for receiver in self._receivers:
            statsd.receive(receiver, self._statsd.take, _QUEUED)


def _udp() -> socket.socket | None:
    """Return the socket at DogStatsD's port, None where somebody else of this network has it."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    with suppress(OSError):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        made.bind(("127.0.0.1", STATSD_PORT))
        return made
    made.close()
    return None


def _unix(user: tuple[int, int]) -> socket.socket:
    Path(STATSD_SOCKET).parent.mkdir(exist_ok=True)
    made = ports.bind_unix(STATSD_SOCKET, socket.SOCK_DGRAM)
    made.setblocking(False)
    if os.getuid() == 0:
        os.chown(STATSD_SOCKET, *user, follow_symlinks=False)
    return made

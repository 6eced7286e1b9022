"""Datagrams of DogStatsD, as gradient-statsd sends them: `name:value|type|@rate|#tag:value,…`, one a line.

https://docs.datadoghq.com/developers/dogstatsd/datagram_shell: counters (`c`) are added up, gauges (`g`) are values,
signed ones too. Timers, histograms and sets belong to a server that makes statistics of them, and are refused. Nobody
can be answered; what was refused is told in the file of measurements.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from math import isfinite

from bot.sidecar.names import Origin, Refused, Workloads, check_counted, shown
from bot.sidecar.points import Points

LARGEST = 8192
"""Bytes of a datagram: what Datadog's own clients keep to."""

AT_A_TIME = 32
"""Datagrams that are read before others get their turn."""
_CLIENTS_OWN = ("datadog.dogstatsd.client.", "_e{", "_sc|")
"""What clients tell of themselves; events and service checks are no metrics."""
_TASK_TAG = "container_name:"
"""The tag by which gradient-statsd says whose metric it is: the value is its PS_JOB_ID."""


class Statsd:
    """Takes datagrams of one attempt's workloads."""

    def __init__(self, workloads: Workloads, points: Points) -> None:
        self._workloads = workloads
        self._points = points
        self._totals: dict[tuple[Origin, str], float] = {}

    def take(self, datagram: bytes) -> None:
        """Keep what is in it and can be kept."""
        if len(datagram) > LARGEST:
            self._points.complain(f"a StatsD datagram was refused: it is longer than {LARGEST} bytes")
            return
        for line in datagram.decode(errors="replace").splitlines():
            if line and not line.startswith(_CLIENTS_OWN):
                try:
                    self._take(line)
                except Refused as error:
                    self._points.complain(f"a StatsD metric was refused: {error}")

    def _take(self, line: str) -> None:
        head, *fields = line.split("|")
        name, *values = head.split(":")
        if not fields or not values:
            raise Refused(f"{shown(line)} is no metric of StatsD")
        check_counted(name)
        origin = self._origin(fields[1:])
        for value in values:
            self._keep(origin, name, fields[0], _number(value), _rate(fields[1:]))

    def _keep(self, origin: Origin, name: str, kind: str, value: float, rate: float) -> None:
        if kind == "g":
            self._points.log(origin, {name: value})
        elif kind == "c":
            total = self._totals.get((origin, name), 0.0) + value / rate
            if not isfinite(total):
                raise Refused(f"the counter {shown(name)} is beyond all numbers")
            self._points.log(origin, {name: total})
            self._totals[origin, name] = total
        else:
            raise Refused(f"{shown(name)} is of type {shown(kind)}; only counters and gauges are kept")

    def _origin(self, fields: list[str]) -> Origin:
        tags = next((field[1:].split(",") for field in fields if field.startswith("#")), [])
        workload = next((tag.removeprefix(_TASK_TAG) for tag in tags if tag.startswith(_TASK_TAG)), None)
        return self._workloads.first() if workload is None else self._workloads.origin(workload)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise Refused(f"the value {shown(text)} is no number") from error


def _rate(fields: list[str]) -> float:
    rate = next((_number(field[1:]) for field in fields if field.startswith("@")), 1.0)
    if not 0 < rate <= 1:
        raise Refused("a sample rate is between 0 and 1")
    return rate


def receive(receiver: socket.socket, take: Callable[[bytes], None], most: int = AT_A_TIME) -> None:
    """Hand over what has arrived, `most` datagrams at most. The socket must not block."""
    with suppress(BlockingIOError):
        for _ in range(most):
            take(receiver.recv(LARGEST + 1))

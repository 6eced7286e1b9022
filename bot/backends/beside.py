"""The sidecar of an attempt, seen from its supervisor: it takes the metrics that tasks send, and opens their ports."""

import json
import os
import socket
from pathlib import Path
from typing import Any

from bot.backends import processes, sandbox
from bot.backends.base import AttemptSpec, Mode
from bot.backends.interrupts import Interrupts
from bot.backends.network import SHARED
from bot.backends.openings import listen_at
from bot.backends.orders import Order
from bot.backends.processes import Process
from bot.backends.programs import Program
from bot.clock import Clock

_EVERY = 5.0
"""Seconds between two looks at what tasks use of the machine."""
_START_LIMIT, _END_LIMIT = 60.0, 10.0


class Beside:
    """Start it before anything else, and wait for it when the network is set up: it takes its time to begin."""

    def __init__(self, run_dir: Path, spec: AttemptSpec, order: Order, clock: Clock) -> None:
        self._run_dir, self._spec, self._order, self._clock = run_dir, spec, order, clock
        self._program: Program | None = None
        self._said: dict[str, Any] = {}
        self._listeners: list[tuple[int, socket.socket]] = []

    def open_ports(self) -> None:
        """Listen at the machine's ports, if the run is about to have a network of its own. Raises OSError."""
        if self._order.network != SHARED:
            self._listeners = [*listen_at(self._spec.ports)]

    def start(self) -> None:
        for name in ("measurements", "ports"):
            (self._run_dir / name).mkdir(exist_ok=True, mode=0o700)
        self._program = Program("bot.sidecar", self._run_dir, [one.fileno() for _, one in self._listeners])
        walls = self._order.sandbox
        self._program.tell(
            {
                "attempt": self._spec.id,
                "ports": [[port.host, port.container] for port in self._spec.ports],
                "user": None if walls.uid is None else [walls.uid, walls.gid],
                "every": _EVERY,
                "host_ports": self._order.network == SHARED,
                "listeners": [[port, one.fileno()] for port, one in self._listeners],
            }
        )
        for _, listener in self._listeners:
            listener.close()

    def wait(self, interrupts: Interrupts) -> None:
        """Wait until it is ready. Raises ProgramDied, or Stop when that is asked for."""
        if self._program is not None:
            self._said = self._program.first_word(interrupts, self._clock, _START_LIMIT)

    @property
    def facts(self) -> dict[str, Any]:
        """What is to be known of the ports that were opened."""
        return {"ports": self._said["ports"]} if self._said.get("ports") else {}

    @property
    def processes(self) -> list[dict[str, Any]]:
        """Who must be gone when the supervisor is."""
        return [] if self._program is None else [vars(Process.of(self._program.pid))]

    def pids(self) -> set[int]:
        """The processes that are ours, not the run's."""
        if self._program is None:
            return set()
        return {self._program.pid, *processes.descendants(self._program.pid)}

    def variables(self, task: str, trial: int | None = None) -> dict[str, str]:
        """Return where a task sends its metrics, under the ancestor's names."""
        is_plain = self._spec.mode is Mode.SINGLE
        workload = self._spec.id if is_plain else f"{self._spec.id}.{task if trial is None else f'trial-{trial}'}"
        return {
            "PAPERSPACE_METRIC_PUSHGATEWAY": f"http://{self._said['pushgateway']}",
            "PAPERSPACE_METRIC_WORKLOAD_ID": workload,
            "PAPERSPACE_METRIC_WORKLOAD_TYPE": "experiment",
            # What gradient-statsd tags its datagrams with, and where its library sends them.
            "PS_JOB_ID": workload,
            "DD_DOGSTATSD_URL": f"unix://{sandbox.GENERATED}/statsd.sock",
        }

    def see(self, task: str, trial: int | None, pid: int) -> None:
        """Tell it whose use of the machine to measure."""
        if self._program is not None:
            self._program.tell({"task": task, "trial": trial, "pid": pid})

    def forget(self, task: str) -> None:
        if self._program is not None:
            self._program.tell({"gone": task})

    def end(self) -> None:
        """Let it take what is still on its way, and end it. One that never got as far as its first word has nothing.

        One that died, or has to be killed, leaves measurements that no verdict may rest on: they say so themselves.
        """
        if self._program is not None:
            self._program.end(self._clock, _END_LIMIT if self._said else 0.0)
            if self._said and self._program.status != 0:
                self._complain("what was measured is not whole: the program that takes it ended before the run")

    def _complain(self, sentence: str) -> None:
        """Write a line into its file, as it would itself (`bot.sidecar.points`), after what it may have left of one."""
        line = json.dumps({"at": self._clock.now(), "problem": sentence}).encode() + b"\n"
        with (self._run_dir / "measurements" / "points").open("a+b") as file:
            is_torn = file.tell() > 0 and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"
            file.write(b"\n" + line if is_torn else line)

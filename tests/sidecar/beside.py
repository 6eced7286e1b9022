"""A sidecar as its supervisor starts it, and what a run does with it."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bot

ATTEMPT = "run7-1"
PATIENCE = 30.0


@dataclass
class Beside:
    """A running sidecar. `word` is the first that it said."""

    process: subprocess.Popen[bytes]
    folder: Path
    word: dict[str, Any]

    def tell(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def end(self) -> list[dict[str, Any]]:
        """Say no more to it, wait for its end and return the lines of its file."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0
        return self.lines()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "measurements/points").read_text().splitlines()]

    def values(self) -> list[tuple[str, int, Any]]:
        """Return name, step and value of all that was logged."""
        return [(one["name"], one["step"], one["value"]) for one in self.lines() if one.get("source") == "logged"]

    def problems(self) -> list[str]:
        return [one["problem"] for one in self.lines() if "problem" in one]

    def push(self, path: str, body: bytes, method: str = "PUT", **headers: str) -> tuple[int, str]:
        """Send a request to the push gateway; return the status and the reason."""
        connection = http.client.HTTPConnection(*self.gateway(), timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.reason
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """Return a plain connection to the push gateway."""
        return socket.create_connection(self.gateway(), timeout=PATIENCE)

    def gateway(self) -> tuple[str, int]:
        host, _, port = self.word["pushgateway"].partition(":")
        return host, int(port)

    def send(self, datagram: bytes) -> None:
        """Send a datagram of StatsD by the unix socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(PATIENCE)
            sender.connect(short(self.folder / self.word["statsd_socket"]))
            sender.send(datagram)

    def door(self, port: int) -> socket.socket:
        """Return a connection to one of the run's ports, as the bot makes it."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(PATIENCE)
        connection.connect(short(self.folder / f"ports/{port}.sock"))
        return connection


@contextmanager
def beside(folder: Path, **order: Any) -> Iterator[Beside]:
    """Start a sidecar with `folder` as the run's directory."""
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "bot.sidecar"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(Path(bot.__file__).parents[1])},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        usual = {"attempt": ATTEMPT, "ports": [], "user": None, "every": 0.2, "host_ports": False}
        process.stdin.write(json.dumps(usual | order).encode() + b"\n")
        process.stdin.flush()
        yield Beside(process, folder, json.loads(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait until it is so. Fails when it does not become so."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, "it did not come to pass"
        time.sleep(0.02)


def short(path: Path) -> str:
    """Return a path that fits into a unix address, whatever directory pytest has made."""
    return os.path.relpath(path)

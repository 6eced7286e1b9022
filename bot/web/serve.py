"""The web server: gunicorn, told once and for all what this program needs of it."""

import logging
import re
import socket
import struct
from collections.abc import Callable
from errno import EADDRINUSE
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from bot.clock import Clock

THREADS = 32
"""Requests at work at the same time: the door needs one for milliseconds, downloads and slow senders hold theirs.

Requests to ports and archives, which may hold theirs for hours, have turns (`ports.TURNS`, `shelf.TURNS`): fewer.
"""

SILENCE = 10
"""Seconds without a byte after which a request is given up: one whose sender vanished would hold a thread for ever.

Against somebody who sends a byte now and then stands the proxy in front, which HTTPS needs anyway.
"""

STOP_WITHIN = 8
"""Seconds that requests at work are given when the server is told to stop."""

PATIENCE = 5
"""Seconds that somebody who listens at our address is given to end: it may be the one whose place we take."""

_QUERY = re.compile(r"\?[^\s'\"]+")


def serve(make: Callable[[], Flask], host: str, port: int, silence: int = SILENCE) -> None:
    """Serve the application that `make` returns until SIGTERM or SIGINT; then finish the requests at work and return.

    `make` is called in the process that serves, after the fork: an SQLite connection must never cross one.
    """
    _Server(make, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", silence).run()


def why_not(host: str, port: int, clock: Clock) -> str:
    """Return why nobody can listen at this address, "" where it is free, by `PATIENCE` at the latest."""
    end = clock.monotonic() + PATIENCE
    while (error := _refusal(host, port)) is not None and error.errno == EADDRINUSE and clock.monotonic() < end:
        clock.sleep(0.2)
    if error is None:
        return ""
    return "another program does already" if error.errno == EADDRINUSE else str(error.strerror or error)


def _refusal(host: str, port: int) -> OSError | None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error
    return None


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, make: Callable[[], Flask], address: str, silence: int) -> None:
        self._make, self._address, self._silence = make, address, silence
        super().__init__()

    def load_config(self) -> None:
        for name, value in settings(self._address).items():
            self.cfg.set(name, value)
        self.cfg.set("post_fork", self._limit_silence)

    def load(self) -> Flask:
        logging.getLogger("gunicorn.error").addFilter(_without_query)
        return self._make()

    def _limit_silence(self, _arbiter: object, worker: Any) -> None:
        """Let the kernel end a read that waits too long. Connections inherit it from the socket that accepts them."""
        for listener in worker.sockets:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", self._silence, 0))


def _without_query(record: logging.LogRecord) -> bool:
    """Take queries out of what gunicorn tells of failed requests: they hold tokens."""
    record.msg, record.args = _QUERY.sub("?…", record.getMessage()), ()
    return True


def settings(address: str) -> dict[str, Any]:
    """Return gunicorn's settings.

    One process with threads: SQLite takes one writer at a time anyway, and a second process would only be a second
    one to lose. No access log: addresses carry tokens. No control socket: SIGTERM is all the control there is.
    """
    return {
        "bind": [address],
        "workers": 1,
        "worker_class": "gthread",
        "threads": THREADS,
        "keepalive": 5,
        "backlog": 2048,
        "graceful_timeout": STOP_WITHIN,
        "timeout": 60,
        "accesslog": None,
        "errorlog": "-",
        "loglevel": "warning",
        "control_socket_disable": True,
        "worker_tmp_dir": _in_memory(),
        "proc_name": "experiment-ci",
    }


def _in_memory() -> str | None:
    """Return where the heartbeat's file goes: memory where there is some, for on a busy disk its touch may block."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes its file there safely

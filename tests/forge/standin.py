"""A GitHub that says exactly what a test tells it to say, over real HTTP, and remembers what it was asked.

devhub behaves like GitHub; this one misbehaves in any way a test can spell: a status, a header, half an answer.
"""

import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bot.clock import SECOND, Clock

CUT = "cut"
"""Instead of a reply: the connection is closed without an answer."""


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Reply:
    """One answer; `body` is sent as JSON, or as it stands when it is text."""

    status: int
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Standin:
    """Answers `replies` in order. Installation tokens it gives out by itself, `ghs_1`, `ghs_2`…, or as `mints` says."""

    def __init__(self, clock: Clock, prefix: str = "") -> None:
        self.clock = clock
        self.prefix = prefix
        self.asked: list[Asked] = []
        self.minted: list[Asked] = []
        self.replies: deque[Reply | str] = deque()
        self.mints: deque[Reply | str] = deque()
        self.date_ahead = 0
        handler = type("_BoundHandler", (_Handler,), {"standin": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{self.prefix}"

    @property
    def lines(self) -> list[str]:
        """What was asked beside tokens, as `METHOD path`."""
        return [asked.line for asked in self.asked]

    def will(self, *replies: Reply | str) -> None:
        """Answer so, in this order."""
        self.replies.extend(replies)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, asked: Asked) -> Reply | str:
        """Choose the reply to one request."""
        if not asked.path.endswith("/access_tokens"):
            self.asked.append(asked)
            return self.replies.popleft() if self.replies else Reply(500, {"message": "the test expected no such call"})
        self.minted.append(asked)
        if self.mints:
            return self.mints.popleft()
        return Reply(201, {"token": f"ghs_{len(self.minted)}", "expires_at": "2030-01-01T00:00:00Z"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet an answer: in two, the second waits 40 ms for the first to be acknowledged.
    wbufsize = -1
    standin: Standin

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.standin.answer(Asked(self.command, self.path, headers, body))
        if isinstance(reply, str):
            self.close_connection = True
            return
        data = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
        self.send_response_only(reply.status)
        now = self.standin.clock.now() / SECOND + self.standin.date_ahead
        sent = {"Date": formatdate(now, usegmt=True), "Content-Length": str(len(data)), **reply.headers}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = _serve  # noqa: N815 -- the names that http.server looks for

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on the terminal."""

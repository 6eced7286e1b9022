"""Every request passes here: written down, and spoiled when a fault was ordered. WSGI, around the whole application."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from bot.clock import Clock
from bot.devhub.faults import Fault, Faults

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
Headers = list[tuple[str, str]]

ROUTE, ACTOR, BODY = "devhub.route", "devhub.actor", "devhub.body"
"""Where the application notes, in the WSGI environment, what only it knows of a request."""
_OF_THE_API = ("/repos/", "/repositories/", "/app/", "/app-manifests/", "/installation/", "/api/v3/")
"""How the paths begin of requests that were spoiled before the application could say what they are."""
CROWD = "devhub.crowd"
"""Where it finds how many requests are being answered at this moment."""


@dataclass(frozen=True)
class ApiRequest:
    """One request. `route` is OpenAPI's template; `status` is what the client saw, 0 for a cut connection.

    `answer` is what was (or would have been) sent; `fault` names what was done to it. `prefix` is what stood before the
    path: `/api/v3`, as GitHub Enterprise has it, or nothing.
    """

    at: int
    method: str
    path: str
    query: str
    route: str
    status: int
    actor: str
    body: bytes
    answer: bytes
    content_type: str
    fault: str | None
    prefix: str = ""


class RequestLog:
    """Requests in the order of their ends."""

    def __init__(self) -> None:
        self._requests: list[ApiRequest] = []

    def add(self, request: ApiRequest) -> None:
        self._requests.append(request)

    def __iter__(self) -> Iterator[ApiRequest]:
        return iter(list(self._requests))

    def __len__(self) -> int:
        return len(self._requests)

    def find(self, method: str | None = None, route: str | None = None, status: int | None = None) -> list[ApiRequest]:
        """Return the requests with this method, route template and status (None: any)."""
        return [
            request
            for request in self
            if method in {None, request.method} and route in {None, request.route} and status in {None, request.status}
        ]

    def count(self, method: str | None = None, route: str | None = None, status: int | None = None) -> int:
        return len(self.find(method, route, status))

    def clear(self) -> None:
        self._requests.clear()


class Cut(ConnectionError):
    """The connection was closed on purpose; the server's handler takes it for a client that went away."""


class Traffic:
    """The middleware. `api` logs requests of the REST API, `git` those of git."""

    def __init__(self, application: Application, faults: Faults, clock: Clock) -> None:
        self._application, self._faults, self._clock = application, faults, clock
        self.api = RequestLog()
        self.git = RequestLog()
        self.closing = threading.Event()
        self._crowd = 0
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            self._crowd += 1
            environ[CROWD] = self._crowd
        try:
            return self._answer(environ, start_response)
        finally:
            with self._lock:
                self._crowd -= 1

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        fault = self._faults.choose(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""))
        if fault is not None and fault.kind == "delay":
            self.closing.wait(fault.seconds)
        if fault is not None and fault.kind != "delay" and not fault.after_write:
            self._log(environ, fault, 0, [], b"")
            return self._spoil(fault, environ, start_response)
        status, headers, body = self._run(environ)
        self._log(environ, fault, status, headers, body)
        if fault is not None and fault.kind != "delay":
            return self._spoil(fault, environ, start_response)
        start_response(f"{status} {_reason(status)}", headers)
        return [body]

    def _run(self, environ: Environ) -> tuple[int, Headers, bytes]:
        """Let the application answer in full, so that nothing is on the wire before it is written down."""
        seen: list[tuple[str, Headers]] = []

        def note(status: str, headers: Headers, _: Any = None) -> None:
            seen.append((status, headers))

        parts = self._application(environ, note)
        try:
            body = b"".join(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        status, headers = seen[-1]
        return int(status.split(" ", 1)[0]), headers, body

    def _spoil(self, fault: Fault, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if fault.kind == "cut":
            connection = environ.get("werkzeug.socket")
            if connection is not None:
                connection.shutdown(socket.SHUT_RDWR)
            raise Cut
        body = b"<html><body><h1>Unicorn!</h1></body></html>" if fault.status >= 500 else b'{"message":"ordered"}'
        headers = [("Content-Type", "text/html"), ("Content-Length", str(len(body)))]
        if fault.retry_after is not None:
            headers.append(("Retry-After", str(fault.retry_after)))
        start_response(f"{fault.status} {_reason(fault.status)}", headers)
        return [body]

    def _log(self, environ: Environ, fault: Fault | None, status: int, headers: Headers, body: bytes) -> None:
        route = environ.get(ROUTE, "")
        is_spoiled = fault is not None and fault.kind != "delay"
        if is_spoiled and fault is not None:
            status = fault.status if fault.kind == "fail" else 0
        path = environ.get("PATH_INFO", "")
        request = ApiRequest(
            at=self._clock.now(),
            method=environ["REQUEST_METHOD"],
            path=path,
            query=environ.get("QUERY_STRING", ""),
            route=route,
            status=status,
            actor=environ.get(ACTOR, ""),
            body=environ.get(BODY, b""),
            answer=body,
            content_type=dict(headers).get("Content-Type", ""),
            fault=None if fault is None else str(fault),
            prefix=environ.get("SCRIPT_NAME", ""),
        )
        log = self._log_of(path, route)
        if log is not None:
            log.add(request)

    def _log_of(self, path: str, route: str) -> RequestLog | None:
        if route == "git":
            return self.git
        is_api = bool(route) or path == "/app" or path.startswith(_OF_THE_API)
        return self.api if is_api else None


def _reason(status: int) -> str:
    return HTTPStatus(status).phrase

"""One webhook on the wire: written as JSON or as a form, signed over its bytes, posted, and what came of it.

GitHub gives ten seconds to answer. How a failure reads is documented by one example (`failed to connect`, 502) and by
the filter of the list ("failure returns deliveries with a status_code in the 400-599 range"); what a timeout's code is
is not, so it has none: whoever counts on the filter misses it.
"""

import hashlib
import hmac
import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from bot.clock import SystemClock
from bot.devhub.model import App

TIMEOUT = 10
"""Seconds that a receiver has for its answer."""
UNREACHED = 502
"""The code of a delivery that met nobody."""
ContentType = Literal["json", "form"]
_MEDIA_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
_TARGET = "X-GitHub-Hook-Installation-Target-ID"
_WIRE = SystemClock()


@dataclass(eq=False)
class Delivery:
    """One attempt to deliver an event. `status_code` is 0 while or when there was no answer; `duration` in seconds."""

    id: int
    guid: str
    event: str
    action: str | None
    payload: dict[str, Any] = field(repr=False)
    body: bytes = field(repr=False)
    installation_id: int | None
    repository_id: int | None
    delivered_at: int
    redelivery: bool = False
    status: str = "pending"
    status_code: int = 0
    duration: float = 0.0
    request_headers: dict[str, str] = field(default_factory=dict, repr=False)
    response_headers: dict[str, str] = field(default_factory=dict, repr=False)
    response_body: str = field(default="", repr=False)

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status_code < 300

    @property
    def is_pending(self) -> bool:
        return self.status == "pending"

    @property
    def target(self) -> str:
        """Return the id of the App that it is for."""
        return self.request_headers[_TARGET]

    def fail(self, status: str = "failed to connect to host", status_code: int = UNREACHED) -> None:
        self.status, self.status_code = status, status_code


def encode(payload: dict[str, Any], content_type: ContentType) -> bytes:
    """Return the bytes of a payload: JSON, or a form whose one field `payload` is that JSON."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return text.encode() if content_type == "json" else urlencode({"payload": text}).encode()


def headers(delivery: Delivery, app: App, hook_id: int, content_type: ContentType) -> dict[str, str]:
    """Return what GitHub sends with a delivery; the signatures are over its body as it is sent."""
    secret = app.webhook_secret.encode()
    return {
        "Accept": "*/*",
        "Content-Type": _MEDIA_TYPES[content_type],
        "User-Agent": "GitHub-Hookshot/devhub",
        "X-GitHub-Delivery": delivery.guid,
        "X-GitHub-Event": delivery.event,
        "X-GitHub-Hook-ID": str(hook_id),
        _TARGET: str(app.id),
        "X-GitHub-Hook-Installation-Target-Type": "integration",
        # GitHub still sends the old one too.
        "X-Hub-Signature": "sha1=" + hmac.new(secret, delivery.body, hashlib.sha1).hexdigest(),
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret, delivery.body, hashlib.sha256).hexdigest(),
    }


def deliver(delivery: Delivery, url: str) -> None:
    """Post a delivery, and write down in it what came of that."""
    started = _WIRE.monotonic()
    try:
        _post(delivery, url)
    except TimeoutError:
        delivery.fail("timed out", 0)
    except (OSError, http.client.HTTPException):
        delivery.fail()
    delivery.duration = round(_WIRE.monotonic() - started, 3)


def _post(delivery: Delivery, url: str) -> None:
    parts = urlsplit(url)
    connection = _connector(parts.scheme)(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, delivery.body, delivery.request_headers)
        response = connection.getresponse()
        delivery.response_body = response.read(100_000).decode(errors="replace")
        delivery.response_headers = dict(response.getheaders())
        delivery.status_code = response.status
        delivery.status = "OK" if delivery.is_ok else f"Invalid HTTP Response: {response.status}"
    finally:
        connection.close()


def _connector(scheme: str) -> Callable[..., http.client.HTTPConnection]:
    if scheme == "https":
        return lambda *a, **k: http.client.HTTPSConnection(*a, context=ssl.create_default_context(), **k)
    return http.client.HTTPConnection

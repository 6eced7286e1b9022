"""Webhooks on their way: signed, delivered once each by a thread of their own, and written down.

As GitHub does it: ten seconds to answer, no retry ever, a log of attempts, and a redelivery (on order) that has the
same GUID. In order by default; `duplicate_next`, `drop_next`, `delay_next` and `at_random` are for bad days. Waiting is
in real seconds: it is the wire that is slow, whatever the clock of a test says.
"""

import hashlib
import heapq
import hmac
import http.client
import itertools
import json
import random
import ssl
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from bot.clock import Clock, SystemClock
from bot.devhub.model import Installation, Repository, World

TIMEOUT = 10
"""Seconds that a receiver has for its answer."""
_LARGEST = 25 * 1024 * 1024
"""GitHub does not send larger payloads."""
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


@dataclass(frozen=True)
class _Fault:
    kind: Literal["duplicate", "drop", "delay"]
    event: str | None
    seconds: float = 0.0
    new_guid: bool = False


class Courier:
    """Sends the App's webhooks to `url` (None: nowhere, which the log tells)."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world, self._clock = world, clock
        self._hook_id = world.new_id()
        self.url: str | None = None
        self.deliveries: list[Delivery] = []
        self._ids = itertools.count(1)
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Delivery]] = []
        self._flying = 0
        self._changed = threading.Condition()
        self._faults: list[_Fault] = []
        self._random: tuple[float, random.Random] | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._closing = False
        self._thread = threading.Thread(target=self._deliver_all, name="devhub-courier", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; what still waits stays undelivered, as it would when GitHub is down."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(TIMEOUT + 1)

    def duplicate_next(self, event: str | None = None, *, new_guid: bool = False) -> None:
        """Deliver the next (such) event twice; under another GUID as well, which GitHub has been seen to do."""
        self._faults.append(_Fault("duplicate", event, new_guid=new_guid))

    def drop_next(self, event: str | None = None) -> None:
        """Let the next (such) event fail to reach its receiver; the log shows it, so it can be redelivered."""
        self._faults.append(_Fault("drop", event))

    def delay_next(self, event: str | None = None, *, seconds: float) -> None:
        """Deliver the next (such) event late, after those that follow it."""
        self._faults.append(_Fault("delay", event, seconds=seconds))

    def at_random(self, rate: float, seed: int, *, drop: bool = False) -> None:
        """Duplicate or delay (or drop) each event with probability `rate`."""
        # Not for secrets: a soak test must be able to repeat itself.
        self._random = (rate, random.Random(seed)) if rate else None  # noqa: S311
        self._kinds: tuple[Literal["duplicate", "drop", "delay"], ...] = ("duplicate", "delay")
        if drop:
            self._kinds += ("drop",)

    def send(
        self,
        event: str,
        payload: dict[str, Any],
        installation: Installation | None,
        repository: Repository | None,
    ) -> None:
        """Queue an event for delivery."""
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > _LARGEST:
            return
        delivery = self._attempt(
            guid=str(uuid.uuid4()),
            event=event,
            payload=payload,
            body=body,
            installation_id=None if installation is None else installation.id,
            repository_id=None if repository is None else repository.id,
        )
        self._enqueue_with_faults(delivery)

    def redeliver(self, old: Delivery) -> Delivery:
        """Attempt the same delivery again: a new row in the log, the same GUID."""
        delivery = self._again(old, old.guid, redelivery=True)
        self._enqueue(delivery)
        return delivery

    def wait(self, timeout: float = 30.0) -> bool:
        """Wait until nothing is on its way any more; tell whether that came true within `timeout` real seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._flying, timeout)

    def _attempt(self, **known: Any) -> Delivery:
        action = known["payload"].get("action")
        delivery = Delivery(id=next(self._ids), action=action, delivered_at=self._clock.now(), **known)
        delivery.request_headers = self._headers(delivery)
        return delivery

    def _again(self, old: Delivery, guid: str, *, redelivery: bool) -> Delivery:
        return self._attempt(
            guid=guid,
            event=old.event,
            payload=old.payload,
            body=old.body,
            installation_id=old.installation_id,
            repository_id=old.repository_id,
            redelivery=redelivery,
        )

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        secret = self._world.app.webhook_secret.encode()
        return {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/devhub",
            "X-GitHub-Delivery": delivery.guid,
            "X-GitHub-Event": delivery.event,
            "X-GitHub-Hook-ID": str(self._hook_id),
            "X-GitHub-Hook-Installation-Target-ID": str(self._world.app.id),
            "X-GitHub-Hook-Installation-Target-Type": "integration",
            # GitHub still sends the old one too.
            "X-Hub-Signature": "sha1=" + hmac.new(secret, delivery.body, hashlib.sha1).hexdigest(),
            "X-Hub-Signature-256": "sha256=" + hmac.new(secret, delivery.body, hashlib.sha256).hexdigest(),
        }

    def _enqueue_with_faults(self, delivery: Delivery) -> None:
        fault = self._fault_for(delivery.event)
        if fault is None:
            self._enqueue(delivery)
        elif fault.kind == "drop":
            delivery.status = "failed to connect to host"
            self._log(delivery)
        elif fault.kind == "delay":
            self._enqueue(delivery, fault.seconds)
        else:
            self._enqueue(delivery)
            guid = str(uuid.uuid4()) if fault.new_guid else delivery.guid
            self._enqueue(self._again(delivery, guid, redelivery=False))

    def _fault_for(self, event: str) -> _Fault | None:
        for fault in self._faults:
            if fault.event in {None, event}:
                self._faults.remove(fault)
                return fault
        if self._random is not None:
            rate, dice = self._random
            if dice.random() < rate:
                return _Fault(dice.choice(self._kinds), None, seconds=0.3, new_guid=dice.random() < 0.5)
        return None

    def _enqueue(self, delivery: Delivery, seconds: float = 0.0) -> None:
        self._log(delivery)
        with self._changed:
            heapq.heappush(self._queue, (_WIRE.monotonic() + seconds, next(self._order), delivery))
            self._changed.notify_all()

    def _log(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)

    def _deliver_all(self) -> None:
        while (delivery := self._next()) is not None:
            try:
                self._deliver(delivery)
            finally:
                with self._changed:
                    self._flying -= 1
                    self._changed.notify_all()

    def _next(self) -> Delivery | None:
        """Return the next delivery when its time has come; None at the end of the work."""
        with self._changed:
            while not self._closing:
                wait = self._queue[0][0] - _WIRE.monotonic() if self._queue else None
                if wait is not None and wait <= 0:
                    self._flying += 1
                    return heapq.heappop(self._queue)[2]
                self._changed.wait(wait)
            return None

    def _deliver(self, delivery: Delivery) -> None:
        started = _WIRE.monotonic()
        if self.url is None:
            delivery.status = "no webhook URL"
            return
        try:
            self._post(delivery, self.url)
        except TimeoutError:
            delivery.status = "timed out"
        except (OSError, http.client.HTTPException):
            delivery.status = "failed to connect to host"
        delivery.duration = round(_WIRE.monotonic() - started, 3)

    def _post(self, delivery: Delivery, url: str) -> None:
        parts = urlsplit(url)
        connection = _connector(parts.scheme)(parts.hostname or "", parts.port, timeout=TIMEOUT)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, delivery.body, delivery.request_headers)
            response = connection.getresponse()
            delivery.response_body = response.read(100_000).decode(errors="replace")
            delivery.response_headers = dict(response.getheaders())
            delivery.status_code = response.status
            delivery.status = "OK" if delivery.is_ok else response.reason
        finally:
            connection.close()


def _connector(scheme: str) -> Callable[..., http.client.HTTPConnection]:
    if scheme == "https":
        return lambda *a, **k: http.client.HTTPSConnection(*a, context=ssl.create_default_context(), **k)
    return http.client.HTTPConnection

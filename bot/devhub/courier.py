"""Webhooks on their way: delivered one after the other by a thread of their own, and written down.

As GitHub does it: no retry ever, a log of attempts, and a redelivery (on order) that has the same GUID. In order by
default; orders are for bad days. Real seconds are the wire's, which is slow whatever the clock of a test says; what is
late by devhub's clock is sent when that clock has passed its time.
"""

import heapq
import itertools
import random
import threading
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from bot.clock import SECOND, Clock, SystemClock
from bot.devhub.deliveries import TIMEOUT, UNREACHED, ContentType, Delivery, deliver, encode, headers
from bot.devhub.mishaps import Kind, Mishap, Mishaps
from bot.devhub.model import Installation, Repository, World

_LARGEST = 25 * 1024 * 1024
"""GitHub does not send larger payloads."""
_LOOK = 0.02
"""Real seconds after which the thread looks again whether the clock was moved."""
_PATIENCE = 2.0
"""Real seconds that a delivery waits at most for others to pass it."""
_WIRE = SystemClock()


@dataclass
class _Aside:
    """A delivery that lets so many others pass, but waits for them no longer than until `deadline` (monotonic)."""

    delivery: Delivery
    followers: int
    deadline: float


class Courier:
    """Sends the App's webhooks to `url` (None: nowhere, which the log tells), as JSON or as a form."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world, self._clock = world, clock
        self.hook_id = world.new_id()
        self.url: str | None = None
        self.content_type: ContentType = "json"
        self.insecure_ssl = "0"
        self.deliveries: list[Delivery] = []
        self._ids = itertools.count(1)
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Delivery]] = []
        self._late: list[tuple[int, int, Delivery]] = []
        self._aside: list[_Aside] = []
        self._held: list[Delivery] | None = None
        self._outage: int | None = None
        self._flying = 0
        self._changed = threading.Condition()
        self._mishaps = Mishaps()
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

    # --- bad days, on order ---

    def duplicate_next(self, event: str | None = None, *, new_guid: bool = False) -> None:
        """Deliver the next (such) event twice; under another GUID as well, which GitHub has been seen to do."""
        self._mishaps.order(Mishap("duplicate", event, new_guid=new_guid))

    def drop_next(self, event: str | None = None) -> None:
        """Let the next (such) event fail to reach its receiver; the log shows it, so it can be redelivered."""
        self._mishaps.order(Mishap("drop", event))

    def delay_next(self, event: str | None = None, *, seconds: float = 0.0, clock_seconds: float | None = None) -> None:
        """Deliver the next (such) event late, after those that follow it: by real seconds, or by devhub's clock."""
        self._mishaps.order(Mishap("delay", event, seconds, clock_seconds))

    def at_random(
        self,
        rate: float,
        seed: int,
        *,
        drop: bool = False,
        kinds: Collection[Kind] | None = None,
        clock_seconds: float | None = None,
        copies: int = 2,
    ) -> None:
        """Let each event go wrong with probability `rate`, in one of `kinds` (default: duplicate and delay, or drop).

        A delay is 0.3 real seconds, or up to `clock_seconds` of devhub's clock. `shuffle` lets the next one to three
        events pass. A duplicate comes in so many `copies`. It repeats itself for a seed; 0 ends it.
        """
        default: tuple[Kind, ...] = ("duplicate", "delay", "drop") if drop else ("duplicate", "delay")
        self._mishaps.at_random(rate, seed, kinds or default, clock_seconds, copies)

    def outage(self, status_code: int = UNREACHED) -> None:
        """Let every attempt fail at once, and be written down, until `restore`: the receiver's network is down."""
        self._outage = status_code

    def restore(self) -> None:
        self._outage = None

    def hold(self) -> None:
        """Keep deliveries back from now on; nobody waits for them, and no log shows them."""
        with self._changed:
            self._held = self._held or []

    def release(self, seed: int | None = None) -> None:
        """Send what was kept back, in order, or in the order that `seed` makes of it."""
        with self._changed:
            held, self._held = self._held or [], None
            if seed is not None:
                random.Random(seed).shuffle(held)  # noqa: S311 - to be repeated, not to be secret
            for delivery in held:
                self._enqueue(delivery)

    # --- the daily round ---

    def send(
        self,
        event: str,
        payload: dict[str, Any],
        installation: Installation | None,
        repository: Repository | None,
    ) -> None:
        """Queue an event for delivery."""
        if len(encode(payload, "json")) > _LARGEST:
            return
        with self._changed:
            delivery = self._attempt(
                guid=str(uuid.uuid4()),
                event=event,
                payload=payload,
                installation_id=None if installation is None else installation.id,
                repository_id=None if repository is None else repository.id,
            )
            self._send_with_mishaps(delivery)

    def redeliver(self, old: Delivery) -> Delivery:
        """Attempt the same delivery again: a new row in the log, the same GUID."""
        delivery = self._again(old, old.guid, redelivery=True)
        self._enqueue(delivery)
        return delivery

    @property
    def is_late(self) -> bool:
        """Tell whether anything waits for devhub's clock."""
        with self._changed:
            return bool(self._late)

    def wait(self, timeout: float = 30.0) -> bool:
        """Wait until nothing is on its way any more; tell whether that came true within `timeout` real seconds.

        What is kept back, or late by a clock that has not come so far, is not waited for.
        """
        with self._changed:
            return self._changed.wait_for(self._is_idle, timeout)

    def _is_idle(self) -> bool:
        self._wake(all_aside=True)
        return not self._queue and not self._flying

    def _attempt(self, **known: Any) -> Delivery:
        body = encode(known["payload"], self.content_type)
        delivery = Delivery(id=0, action=known["payload"].get("action"), body=body, delivered_at=0, **known)
        delivery.request_headers = headers(delivery, self._world.app, self.hook_id, self.content_type)
        return delivery

    def _again(self, old: Delivery, guid: str, *, redelivery: bool) -> Delivery:
        return self._attempt(
            guid=guid,
            event=old.event,
            payload=old.payload,
            installation_id=old.installation_id,
            repository_id=old.repository_id,
            redelivery=redelivery,
        )

    def _send_with_mishaps(self, delivery: Delivery) -> None:
        mishap = self._mishaps.choose(delivery.event)
        if mishap is not None and mishap.kind == "shuffle":
            self._aside.append(_Aside(delivery, mishap.followers, _WIRE.monotonic() + _PATIENCE))
            self._changed.notify_all()
            return
        if mishap is None:
            self._enqueue(delivery)
        elif mishap.kind == "drop":
            delivery.fail()
            self._log(delivery)
        elif mishap.kind == "delay":
            self._delay(delivery, mishap)
        else:
            self._enqueue(delivery)
            for _ in range(mishap.copies - 1):
                guid = str(uuid.uuid4()) if mishap.new_guid else delivery.guid
                self._enqueue(self._again(delivery, guid, redelivery=False))
        for aside in self._aside:
            aside.followers -= 1
        self._wake()

    def _delay(self, delivery: Delivery, mishap: Mishap) -> None:
        if mishap.clock_seconds is None:
            self._enqueue(delivery, mishap.seconds)
            return
        due = self._clock.now() + round(mishap.clock_seconds * SECOND)
        heapq.heappush(self._late, (due, next(self._order), delivery))
        self._changed.notify_all()

    def _wake(self, *, all_aside: bool = False) -> None:
        """Queue what was late until now, and what enough others have passed."""
        while self._late and self._late[0][0] <= self._clock.now():
            self._enqueue(heapq.heappop(self._late)[2])
        waiting, now = self._aside, _WIRE.monotonic()
        ready = [each for each in waiting if all_aside or each.followers <= 0 or each.deadline <= now]
        self._aside = [each for each in waiting if each not in ready]
        for each in ready:
            self._enqueue(each.delivery)

    def _enqueue(self, delivery: Delivery, seconds: float = 0.0) -> None:
        with self._changed:
            if self._held is not None:
                self._held.append(delivery)
                return
            self._log(delivery)
            heapq.heappush(self._queue, (_WIRE.monotonic() + seconds, next(self._order), delivery))
            self._changed.notify_all()

    def _log(self, delivery: Delivery) -> None:
        delivery.id, delivery.delivered_at = next(self._ids), self._clock.now()
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
                self._wake()
                wait = self._queue[0][0] - _WIRE.monotonic() if self._queue else None
                if wait is not None and wait <= 0:
                    self._flying += 1
                    return heapq.heappop(self._queue)[2]
                if self._late or self._aside:
                    wait = _LOOK if wait is None else min(wait, _LOOK)
                self._changed.wait(wait)
            return None

    def _deliver(self, delivery: Delivery) -> None:
        if self.url is None:
            delivery.status = "no webhook URL"
        elif self._outage is not None:
            delivery.fail(status_code=self._outage)
        else:
            deliver(delivery, self.url)

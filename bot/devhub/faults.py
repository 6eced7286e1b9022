"""Misbehaviour on order: what an API, or the way to it, does on a bad day.

Orders are for the next matching requests, oldest order first; `at_random` is for soak tests and repeats itself for a
seed as long as requests come in the same order.
"""

import random
import re
import threading
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["fail", "cut", "delay"]


@dataclass(frozen=True)
class Fault:
    """One misbehaviour. `after_write` lets the request do its work first and loses only the answer."""

    kind: Kind
    status: int = 502
    after_write: bool = False
    seconds: float = 0.0
    retry_after: int | None = None

    def __str__(self) -> str:
        return f"{self.kind} {'after' if self.after_write else 'before'} the write"


@dataclass(frozen=True)
class _Order:
    method: re.Pattern[str]
    path: re.Pattern[str]
    fault: Fault
    times: int


_API = r"^(/api/v3)?/(repos|repositories|app|installation|orgs|users)\b"
_AT_RANDOM = (
    Fault("fail", 502),
    Fault("fail", 502, after_write=True),
    Fault("fail", 503),
    Fault("cut"),
    Fault("cut", after_write=True),
    Fault("delay", seconds=0.2),
)


class Faults:
    """The orders of one devhub. Methods are words or patterns (`POST`, `POST|PATCH`), paths are searched for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[_Order] = []
        self._random: tuple[float, random.Random, re.Pattern[str]] | None = None

    def fail_next(
        self,
        method: str = ".*",
        path: str = "",
        *,
        status: int = 502,
        after_write: bool = False,
        retry_after: int | None = None,
        times: int = 1,
    ) -> None:
        """Answer `status` to the next `times` matching requests, before or after they did their work."""
        self._order(method, path, Fault("fail", status, after_write, retry_after=retry_after), times)

    def cut_next(self, method: str = ".*", path: str = "", *, after_write: bool = False, times: int = 1) -> None:
        """Close the connection without an answer."""
        self._order(method, path, Fault("cut", after_write=after_write), times)

    def delay_next(self, method: str = ".*", path: str = "", *, seconds: float, times: int = 1) -> None:
        """Answer late by so many real seconds; the work is done after the wait."""
        self._order(method, path, Fault("delay", seconds=seconds), times)

    def outage(self, path: str = "", status: int = 503) -> None:
        """Answer `status` to everything that matches, until `clear`."""
        self._order(".*", path, Fault("fail", status), 10**9)

    def at_random(self, rate: float, seed: int, path: str = _API) -> None:
        """Let each matching request go wrong in some way with probability `rate` (0..1); 0 ends it."""
        with self._lock:
            # Not for secrets: a soak test must be able to repeat itself.
            self._random = (rate, random.Random(seed), re.compile(path))  # noqa: S311

    def clear(self) -> None:
        """Behave again."""
        with self._lock:
            self._orders.clear()
            self._random = None

    def choose(self, method: str, path: str) -> Fault | None:
        """Return what is to go wrong with this request, and count it as done."""
        with self._lock:
            for index, order in enumerate(self._orders):
                if order.method.fullmatch(method) and order.path.search(path):
                    self._orders[index] = replace(order, times=order.times - 1)
                    self._orders = [o for o in self._orders if o.times > 0]
                    return order.fault
            if self._random is not None and self._random[2].search(path):
                rate, dice, _ = self._random
                return dice.choice(_AT_RANDOM) if dice.random() < rate else None
            return None

    def _order(self, method: str, path: str, fault: Fault, times: int) -> None:
        with self._lock:
            self._orders.append(_Order(re.compile(method), re.compile(path), fault, times))

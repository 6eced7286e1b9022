"""GitHub's own log of the webhooks that it sent us, and what it does with those that did not arrive.

GitHub never tries a delivery again by itself; the App may, for three days (docs: "Redelivering webhooks"). PyGithub
knows only the log of a repository's hooks.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bot.clock import time_of
from bot.forge.credentials import Credentials
from bot.forge.errors import Retry

_PATH = "/app/hook/deliveries"


@dataclass(frozen=True)
class Logged:
    """One attempt at a delivery. All attempts at the same event have one `guid`; each has an `id` of its own.

    `at` in microseconds; `is_ok`: we answered with a 2xx. `redeliver` and `fetch` take the `id` of any of them.
    """

    id: int
    guid: str
    event: str
    at: int
    is_ok: bool


class DeliveryLog:
    """What GitHub holds of our deliveries. Each verb raises like `Credentials.read`."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def pages(self, most: int) -> Iterator[list[Logged]]:
        """Yield the attempts of the past days, a page at a time and at most so many pages, the newest first."""
        query: str | None = "per_page=100"
        for _ in range(most):
            if query is None:
                return
            page = self._credentials.page(f"{_PATH}?{query}")
            query = page.following
            yield [_logged(item) for item in page.value]

    def redeliver(self, delivery: int) -> None:
        """Have GitHub send it once more, under the same guid."""
        self._credentials.post(f"{_PATH}/{delivery:d}/attempts")

    def fetch(self, delivery: int) -> tuple[str, bytes]:
        """Return the event of a delivery, and its body: as it was sent, or a JSON that means the same."""
        found = self._credentials.read(f"{_PATH}/{delivery:d}")
        try:
            event, payload = str(found["event"]), found["request"]["payload"]
        except (KeyError, TypeError):
            event, payload = "", None
        if not payload:
            raise Retry("GitHub's log of a delivery holds no payload.")
        return event, (payload if isinstance(payload, str) else json.dumps(payload)).encode()


def _logged(item: Any) -> Logged:
    try:
        at = time_of(item["delivered_at"])
        is_ok = 200 <= int(item["status_code"]) < 300
        return Logged(int(item["id"]), str(item["guid"]), str(item["event"]), at, is_ok)
    except (KeyError, TypeError, ValueError) as error:
        raise Retry(f"GitHub's log of deliveries could not be read ({type(error).__name__}).") from None

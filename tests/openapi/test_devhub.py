"""devhub's answers and webhooks, held to GitHub's own description and to its example payloads."""

from collections.abc import Iterator
from typing import Any

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub
from bot.devhub.rest import ROUTES
from tests.openapi import day, description

pytestmark = pytest.mark.service
BY_CHANCE = {"permissions", "from"}
"""Members whose own members say what one App may do, or whether it was a person or an organization."""

OF_OTHER_HOOKS = {"ping"}
"""Events of which GitHub has examples for repositories and organizations only, not for Apps."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> DevHub:
    return day.live_through(tmp_path_factory.mktemp("hub"), ManualClock())


def test_each_call_is_githubs_and_each_was_made(hub: DevHub) -> None:
    for route in ROUTES:
        assert description.knows(route.method, route.template), f"GitHub has no {route.method} {route.template}"
    made = {(request.method, request.route) for request in hub.requests}
    assert {(route.method, route.template) for route in ROUTES} - made == set()


def test_what_devhub_answers_is_what_github_describes(hub: DevHub) -> None:
    wrong = [error for request in hub.requests for error in description.errors_in_answer_of(request)]
    assert wrong == []
    assert {200, 201, 202, 204, 304, 401, 403, 404, 422} == {request.status for request in hub.requests}


def test_what_the_client_of_the_day_sends_is_what_github_describes(hub: DevHub) -> None:
    good = [request for request in hub.requests if request.status < 400]
    assert [error for request in good for error in description.errors_in_exchange(request)] == []


def test_webhooks_are_what_github_describes(hub: DevHub) -> None:
    wrong = {
        f"{delivery.event} {delivery.action}: {error}"
        for delivery in hub.deliveries
        for error in description.errors_in_payload(delivery.event, delivery.payload)
    }
    assert wrong == set()
    assert {delivery.event for delivery in hub.deliveries} >= set(hub.app.events)


def test_webhooks_have_all_that_githubs_examples_have(hub: DevHub) -> None:
    """A member that every example of an event has is one that a bot may rely upon."""
    missing = set()
    for delivery in hub.deliveries:
        ours = set(_paths(delivery.payload))
        known = set() if delivery.event in OF_OTHER_HOOKS else _in_every_example(delivery.event, delivery.action)
        for path in known:
            if path not in ours and not _is_below_null(path, delivery.payload):
                missing.add(f"{delivery.event} {delivery.action}: {'.'.join(path)}")
    assert missing == set()


def _in_every_example(event: str, action: str | None) -> set[tuple[str, ...]]:
    found = [set(_paths(e)) for e in description.examples()[event] if e.get("action") == action]
    return {path for path in set.intersection(*found) if not BY_CHANCE & set(path[:-1])} if found else set()


def _paths(value: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield (*above, name)
            yield from _paths(member, (*above, name))


def _is_below_null(path: tuple[str, ...], payload: Any) -> bool:
    for name in path:
        if not isinstance(payload, dict) or name not in payload:
            return payload is None
        payload = payload[name]
    return False

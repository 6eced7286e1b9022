"""A payload without its header: which event it is of."""

import pytest

from bot.core.kinds import kind_of
from bot.core.payloads import KINDS
from tests.openapi.description import examples, skip_without_npm_parts


def test_githubs_own_examples_are_told_apart() -> None:
    skip_without_npm_parts()
    wrong = set()
    for event, payloads in examples().items():
        for payload in payloads:
            wanted = event if event in KINDS else None
            if (found := kind_of(payload)) != wanted:
                wrong.add((event, payload.get("action"), found))

    assert wrong == set()


@pytest.mark.parametrize("payload", [None, [], "push", 7, {}, {"action": "created"}, {"action": [], "repository": 1}])
def test_what_may_be_anything_is_not_guessed(payload: object) -> None:
    assert kind_of(payload) is None

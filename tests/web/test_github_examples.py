"""GitHub's own example payloads, every one: the door takes it, and intake can say what it is."""

import json
import uuid

import pytest

from bot.core.events import MergeGroupRequested, PullRequestChanged, PushReceived, RefDeleted
from bot.core.payloads import parse
from tests.openapi.description import examples, skip_without_npm_parts
from tests.web.stage import Stage, delivery


@pytest.mark.slow
def test_the_door_lets_every_example_in(stage: Stage) -> None:
    skip_without_npm_parts()
    answers = set()
    for event, payloads in examples().items():
        for payload in payloads:
            body = json.dumps(payload).encode()
            headers = delivery(body, guid=str(uuid.uuid4()), X_GitHub_Event=event)
            answers.add(stage.client.post("/webhook", data=body, headers=headers).status_code)

    assert answers == {202}


def test_intake_can_read_every_example_and_knows_its_own() -> None:
    skip_without_npm_parts()
    facts = [
        (event, type(parse(event, json.dumps(payload).encode())))
        for event, payloads in examples().items()
        for payload in payloads
    ]

    assert {("push", PushReceived), ("push", RefDeleted), ("pull_request", PullRequestChanged)} < set(facts)
    assert ("merge_group", MergeGroupRequested) in facts

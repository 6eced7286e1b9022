"""Webhooks as forms (`Content type: application/x-www-form-urlencoded`): the same road as JSON."""

import pytest
import requests

from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_pull_request import opened
from tests.web.stage import delivery, signature

pytestmark = pytest.mark.service


def sent_as_forms(road: Road) -> None:
    road.hub.set_webhook(road.hub.courier.url, content_type="form")


def test_pushes_pull_requests_and_commands_come_as_forms(road: Road, backend: ScriptedBackend) -> None:
    sent_as_forms(road)
    repository, sha, pull = opened(road)
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)
    for attempt in backend.submissions:
        backend.succeed(attempt)
    road.wait(10)
    road.hub.comment(pull, "Noch einmal, bitte: 100 % größer & schneller\n\n/experiment run LR=0.1+0.2")
    road.wait(10)

    assert backend.specs[backend.submissions[-1]].env["LR"] == "0.1+0.2"
    assert all(one.body.startswith(b"payload=%7B") for one in road.deliveries())
    assert {one.state for one in road.deliveries()} <= {"done", "ignored"}


def test_a_form_that_was_missed_comes_as_json_from_the_log(road: Road, backend: ScriptedBackend) -> None:
    sent_as_forms(road)
    repository, _ = road.repository()
    road.settle()
    road.hub.courier.outage(503)
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Missed")
    road.hub.wait_delivered()
    for _ in range(6):
        road.wait(150)
    [fetched] = [one for one in road.deliveries() if one.event == "push" and one.origin == "fetched"]
    assert fetched.body.startswith(b"{")
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)


@pytest.mark.parametrize(
    "body", [b"payload=%7B%7D&payload=%7B%7D", b"x=1&payload=%7B%7D", b"payload=%7B", b"payload", b"payload=%ff"]
)
def test_a_form_that_is_not_githubs_is_unreadable_and_stops_nobody(
    road: Road, backend: ScriptedBackend, body: bytes
) -> None:
    """Whoever has the secret can send anything."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    secret = road.hub.app.webhook_secret
    headers = delivery(body, X_GitHub_Hook_Installation_Target_ID=None, X_Hub_Signature_256=signature(body, secret))
    answer = requests.post(str(road.hub.courier.url), body, headers=headers | form, timeout=10)
    assert answer.status_code == 202
    road.repository()
    road.settle()
    assert road.deliveries()[0].state == "unreadable"
    assert len(backend.submissions) == 1

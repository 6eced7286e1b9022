"""Webhooks as forms, held back, late by devhub's clock, in another order, and while nobody can be reached."""

import hashlib
import hmac
import json
from urllib.parse import parse_qs

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub, Pull
from tests.devhub.client import Client
from tests.devhub.receiver import Receiver

pytestmark = pytest.mark.service


def bodies(receiver: Receiver) -> list[str]:
    return [json.loads(received.body)["comment"]["body"] for received in receiver.received]


def say(hub: DevHub, pull: Pull, *words: str) -> None:
    for word in words:
        hub.comment(pull, word)


def test_a_form_has_the_json_in_its_one_field(hub: DevHub, client: Client, pull: Pull, receiver: Receiver) -> None:
    hub.set_webhook(receiver.url, content_type="form")
    say(hub, pull, "Zwölf & 12 = 🥊")
    hub.wait_delivered()

    [came] = receiver.received
    assert came.headers["Content-Type"] == "application/x-www-form-urlencoded"
    digest = hmac.new(hub.app.webhook_secret.encode(), came.body, hashlib.sha256).hexdigest()
    assert came.headers["X-Hub-Signature-256"] == f"sha256={digest}", "signed as it is sent, not as it is read"
    fields = parse_qs(came.body.decode(), strict_parsing=True)
    assert json.loads(fields["payload"][0])["comment"]["body"] == "Zwölf & 12 = 🥊"
    assert list(fields) == ["payload"]
    assert client.as_app("GET", "/app/hook/config").json()["content_type"] == "form"


def test_while_nobody_can_be_reached_every_attempt_fails_and_is_written_down(
    hub: DevHub, client: Client, pull: Pull, receiver: Receiver
) -> None:
    hub.courier.outage()
    say(hub, pull, "one", "two")
    assert hub.wait_delivered()
    assert receiver.received == []
    failed = client.as_app("GET", "/app/hook/deliveries?status=failure").json()
    assert [(each["status"], each["status_code"]) for each in failed] == [("failed to connect to host", 502)] * 2
    hub.courier.restore()
    say(hub, pull, "three")
    for each in reversed(failed):
        client.as_app("POST", f"/app/hook/deliveries/{each['id']}/attempts")
    hub.wait_delivered()
    assert bodies(receiver) == ["three", "one", "two"]
    assert {each.guid for each in receiver.received[1:]} == {each["guid"] for each in failed}


def test_what_is_held_is_nowhere_until_it_is_released(
    hub: DevHub, client: Client, pull: Pull, receiver: Receiver
) -> None:
    known = len(hub.deliveries)
    hub.courier.hold()
    say(hub, pull, "one", "two", "three")
    assert hub.wait_delivered(), "nobody waits for it"
    assert (len(hub.deliveries), receiver.received) == (known, [])
    hub.courier.release()
    say(hub, pull, "four")
    hub.wait_delivered()
    assert bodies(receiver) == ["one", "two", "three", "four"]


def test_what_is_held_can_be_released_in_another_order(hub: DevHub, pull: Pull, receiver: Receiver) -> None:
    def shuffled(seed: int) -> list[str]:
        receiver.received.clear()
        hub.courier.hold()
        say(hub, pull, *"abcdefgh")
        hub.courier.release(seed=seed)
        hub.wait_delivered()
        return bodies(receiver)

    first = shuffled(1)
    assert first != sorted(first) == [*"abcdefgh"]
    assert first == shuffled(1) != shuffled(2)


def test_late_by_the_clock_is_sent_when_the_clock_has_passed_its_time(
    hub: DevHub, client: Client, pull: Pull, receiver: Receiver, clock: ManualClock
) -> None:
    hub.courier.delay_next("issue_comment", clock_seconds=3_600)
    say(hub, pull, "late", "in time")
    assert hub.wait_delivered()
    assert bodies(receiver) == ["in time"]
    clock.advance(3_599)
    assert hub.wait_delivered()
    assert bodies(receiver) == ["in time"]
    clock.advance(1)
    hub.wait_delivered()
    assert bodies(receiver) == ["in time", "late"]
    newest = client.as_app("GET", "/app/hook/deliveries?per_page=1").json()[0]
    assert newest["delivered_at"] == "2023-11-14T23:13:20Z", "no log has it before"
    assert newest["id"] == max(delivery.id for delivery in hub.deliveries)


def test_nobody_need_wait_for_what_is_late(hub: DevHub, pull: Pull, receiver: Receiver, clock: ManualClock) -> None:
    hub.courier.delay_next(clock_seconds=60)
    say(hub, pull, "late")
    clock.advance(60)
    assert receiver.wait_for(1)


def test_what_is_shuffled_lets_others_pass(hub: DevHub, pull: Pull, receiver: Receiver) -> None:
    hub.courier.at_random(1.0, seed=1, kinds=["shuffle"])
    say(hub, pull, "aside")
    hub.courier.at_random(0, seed=1)
    say(hub, pull, *"abcd")
    hub.wait_delivered()
    came = bodies(receiver)
    assert 1 <= came.index("aside") <= 3
    assert [word for word in came if word != "aside"] == [*"abcd"]


def test_what_is_shuffled_comes_at_last(hub: DevHub, pull: Pull, receiver: Receiver) -> None:
    hub.courier.at_random(1.0, seed=1, kinds=["shuffle"])
    say(hub, pull, "alone")
    assert receiver.wait_for(1), "when nobody follows it, too"


def test_a_bad_day_of_any_kind_repeats_itself(hub: DevHub, pull: Pull, receiver: Receiver, clock: ManualClock) -> None:
    def day(seed: int) -> list[str]:
        receiver.received.clear()
        hub.courier.at_random(0.6, seed, kinds=["duplicate", "delay", "drop", "shuffle"], clock_seconds=600)
        for word in "abcdefghijklmnop":
            say(hub, pull, word)
            clock.advance(30)
            hub.wait_delivered()
        hub.courier.at_random(0, seed)
        clock.advance(600)
        hub.wait_delivered()
        return bodies(receiver)

    first = day(2)
    assert first == day(2) != day(3)
    assert first != sorted(first)
    assert len(set(first)) < 16, "some were dropped"

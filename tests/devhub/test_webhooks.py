"""Webhooks as they come over the wire: signed, in order, once; and on bad days."""

import hashlib
import hmac
import json
import socket

import pytest

from bot.clock import DAY, SECOND, ManualClock
from bot.devhub import DevHub, Pull, Repository
from tests.devhub.client import Client
from tests.devhub.receiver import Receiver

pytestmark = pytest.mark.service


def test_a_webhook_is_signed_and_labelled_as_githubs_are(
    hub: DevHub, repository: Repository, receiver: Receiver
) -> None:
    hub.commit_files(repository, {"ü": "ü"}, message="Zwölf Boxkämpfer 🥊")
    assert hub.wait_delivered()
    push = receiver.received[0]
    digest = hmac.new(hub.app.webhook_secret.encode(), push.body, hashlib.sha256).hexdigest()
    assert push.headers["X-Hub-Signature-256"] == f"sha256={digest}"
    assert push.headers["X-GitHub-Hook-Installation-Target-ID"] == str(hub.app.id)
    assert push.headers["X-GitHub-Hook-Installation-Target-Type"] == "integration"
    assert push.headers["User-Agent"].startswith("GitHub-Hookshot/")
    assert push.headers["Content-Type"] == "application/json"
    payload = json.loads(push.body)
    assert payload["installation"]["id"] == hub.installation("acme").id
    assert payload["head_commit"]["message"] == "Zwölf Boxkämpfer 🥊"


def test_they_come_in_order_and_once(hub: DevHub, pull: Pull, receiver: Receiver) -> None:
    hub.close_pull(pull)
    hub.reopen_pull(pull)
    hub.comment(pull, "hello")
    assert hub.wait_delivered()
    assert [r.event for r in receiver.received] == ["pull_request", "pull_request", "issue_comment"]
    assert len({r.guid for r in receiver.received}) == 3
    assert [d.status for d in hub.deliveries[-3:]] == ["OK"] * 3


def test_all_that_happens_to_a_pull_request(hub: DevHub, repository: Repository, pull: Pull) -> None:
    hub.edit_pull(pull, "New")
    hub.commit_files(repository, {"c": "c"}, branch="draft")
    draft = hub.open_pull(repository, head="draft", draft=True)
    hub.mark_ready(draft)
    merged = hub.merge_pull(pull)
    actions = [(d.action, d.payload["number"]) for d in hub.deliveries if d.event == "pull_request"]
    assert actions == [("opened", 1), ("edited", 1), ("opened", 2), ("ready_for_review", 2), ("closed", 1)]
    assert hub.deliveries[-1].payload["pull_request"]["merged"] is True
    pushed = next(d for d in reversed(hub.deliveries) if d.event == "push")
    assert (pushed.payload["ref"], pushed.payload["after"]) == ("refs/heads/main", merged)


def test_a_pull_request_from_a_fork_says_where_it_comes_from(hub: DevHub, repository: Repository, sha: str) -> None:
    fork = hub.fork(repository, "zoe")
    hub.commit_files(fork, {"evil": "evil"}, branch="evil")
    pull = hub.open_pull(repository, head="evil", head_repository=fork)
    payload = hub.deliveries[-1].payload
    assert payload["pull_request"]["head"]["repo"]["full_name"] == "zoe/digits"
    assert payload["pull_request"]["head"]["repo"]["fork"] is True
    assert payload["sender"]["login"] == "zoe"
    before = len(hub.deliveries)
    hub.commit_files(fork, {"evil": "worse"}, branch="evil")
    told = [(d.event, d.action) for d in hub.deliveries[before:]]
    assert told == [("pull_request", "synchronize")], "of the fork itself the App hears nothing"
    assert hub.site.has_commit(repository, pull.head_sha), "the commit is in the repository: refs/pull/1/head"


def test_a_failed_delivery_is_never_repeated_but_can_be_asked_for(
    hub: DevHub, client: Client, pull: Pull, receiver: Receiver
) -> None:
    receiver.status = 503
    hub.comment(pull, "hello")
    hub.wait_delivered()
    failed = client.as_app("GET", "/app/hook/deliveries?per_page=1").json()[0]
    assert (failed["status_code"], failed["event"], failed["action"]) == (503, "issue_comment", "created")
    assert failed["status"] == "Invalid HTTP Response: 503"
    receiver.status = 202
    assert client.as_app("POST", f"/app/hook/deliveries/{failed['id']}/attempts").status_code == 202
    hub.wait_delivered()
    first, second = receiver.received
    assert first.guid == second.guid
    assert first.body == second.body
    newest = client.as_app("GET", "/app/hook/deliveries?per_page=1").json()[0]
    assert (newest["guid"], newest["redelivery"], newest["status"]) == (failed["guid"], True, "OK")
    seen = client.as_app("GET", f"/app/hook/deliveries/{newest['id']}").json()
    assert seen["request"]["payload"]["comment"]["body"] == "hello"
    assert seen["response"]["headers"]["Content-Length"] == "0"


def test_deliveries_are_listed_in_pages_for_three_days(
    hub: DevHub, client: Client, pull: Pull, clock: ManualClock
) -> None:
    hub.wait_delivered()
    page = client.as_app("GET", "/app/hook/deliveries?per_page=2")
    seen = [each["id"] for each in page.json()]
    while "next" in page.links:
        page = client.as_app("GET", page.links["next"]["url"])
        seen += [each["id"] for each in page.json()]
    assert seen == [d.id for d in reversed(hub.deliveries)]
    assert client.as_app("GET", "/app/hook/deliveries?status=success").json() == [], "nobody was there to hear"
    clock.advance(3 * DAY / SECOND + 1)
    assert client.as_app("GET", "/app/hook/deliveries").json() == []
    assert client.as_app("POST", f"/app/hook/deliveries/{seen[0]}/attempts").status_code == 404
    assert client.as_app("GET", "/app/hook/deliveries?cursor=x").status_code == 422


def test_nobody_listens(hub: DevHub, pull: Pull) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        hub.set_webhook(f"http://127.0.0.1:{free.getsockname()[1]}/webhook")
        hub.comment(pull, "hello")
        hub.wait_delivered()
    assert (hub.deliveries[-1].status_code, hub.deliveries[-1].status) == (502, "failed to connect to host")


def test_bad_days_on_order(hub: DevHub, pull: Pull, receiver: Receiver) -> None:
    hub.courier.drop_next("issue_comment")
    hub.courier.duplicate_next("issue_comment")
    hub.courier.duplicate_next("issue_comment", new_guid=True)
    hub.courier.delay_next("issue_comment", seconds=0.2)
    for name in ("dropped", "twice", "twice anew", "late", "plain"):
        hub.comment(pull, name)
    assert hub.wait_delivered()
    came = [json.loads(r.body)["comment"]["body"] for r in receiver.received]
    assert came == ["twice", "twice", "twice anew", "twice anew", "plain", "late"]
    guids = [r.guid for r in receiver.received]
    assert guids[0] == guids[1]
    assert guids[2] != guids[3]
    assert hub.deliveries[-7].status == "failed to connect to host"


def test_random_bad_days_repeat_themselves(hub: DevHub, pull: Pull, receiver: Receiver) -> None:
    def day() -> list[str]:
        receiver.received.clear()
        hub.courier.at_random(0.4, seed=3, drop=True)
        for number in range(12):
            hub.comment(pull, str(number))
        hub.wait_delivered()
        return sorted(json.loads(r.body)["comment"]["body"] for r in receiver.received)

    first = day()
    assert first == day()
    assert first != sorted(map(str, range(12)))


def test_the_app_itself_says_where_its_webhooks_go(hub: DevHub, client: Client, pull: Pull, receiver: Receiver) -> None:
    hub.set_webhook(None)
    wanted = {"url": receiver.url, "secret": "another", "content_type": "form", "insecure_ssl": "1"}
    assert client.as_app("PATCH", "/app/hook/config", json={"content_type": "xml"}).status_code == 422
    told = client.as_app("PATCH", "/app/hook/config", json=wanted).json()
    assert told == client.as_app("GET", "/app/hook/config").json() == wanted | {"secret": "********"}
    assert client.as_app("PATCH", "/app/hook/config", json={}).json() == told

    hub.comment(pull, "hello")
    assert hub.wait_delivered()
    [came] = receiver.received
    digest = hmac.new(b"another", came.body, hashlib.sha256).hexdigest()
    assert came.headers["X-Hub-Signature-256"] == f"sha256={digest}"
    assert came.headers["Content-Type"] == "application/x-www-form-urlencoded"

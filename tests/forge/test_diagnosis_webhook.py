"""What the doctor says of the webhook's address and of GitHub's last deliveries."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.clock import ManualClock
from bot.forge.credentials import Credentials
from bot.forge.diagnosis import Finding, deliveries, webhook
from tests.forge.standin import Reply, Standin

OURS = "https://ci.example.com/webhook"
CONFIG = {"url": OURS, "content_type": "json", "insecure_ssl": "0", "secret": "********"}


@pytest.mark.parametrize(
    ("changes", "ok", "says", "cure"),
    [
        ({}, True, f"GitHub sends to {OURS}, as JSON.", ""),
        ({"content_type": "form"}, True, f"GitHub sends to {OURS}, as a form, which the bot reads too.", ""),
        ({"insecure_ssl": 0}, True, "as JSON", ""),
        ({"insecure_ssl": "1"}, False, "does not look at the certificate", "“Enable SSL verification”"),
        (
            {"url": "https://ci.example.com"},
            False,
            f"sends to https://ci.example.com, but the bot listens at {OURS}",
            OURS,
        ),
        ({"url": None}, False, "The App has no webhook", "tick “Active”"),
    ],
)
def test_where_webhooks_go(
    credentials: Credentials, github: Standin, changes: dict[str, Any], ok: bool, says: str, cure: str
) -> None:
    github.will(Reply(200, CONFIG | changes))
    finding = webhook(credentials, OURS, polls=False)
    assert finding.ok is ok
    assert says in finding.sentence
    assert cure in finding.cure
    assert bool(finding.cure) is not ok


def test_a_bot_that_fetches_needs_any_address(credentials: Credentials, github: Standin) -> None:
    github.will(Reply(200, CONFIG | {"url": "https://nobody.example.com/webhook"}), Reply(200, {}))
    assert webhook(credentials, OURS, polls=True).sentence == (
        "The bot fetches what GitHub could not deliver to https://nobody.example.com/webhook (INTAKE=poll)."
    )
    assert not webhook(credentials, OURS, polls=True).ok, "without a webhook, GitHub writes nothing down"


@pytest.mark.parametrize("reply", [Reply(404, {"message": "Not Found"}), Reply(200, "<html>"), Reply(200, [])])
def test_an_app_without_a_webhook(credentials: Credentials, github: Standin, reply: Reply) -> None:
    github.will(reply)
    assert webhook(credentials, OURS, polls=False).sentence.startswith("The App has no webhook")


Sent = Callable[..., dict[str, Any]]


@pytest.fixture
def sent(clock: ManualClock) -> Sent:
    """A delivery as GitHub lists it."""

    def item(guid: str, code: int = 202, event: str = "push", minutes: int = 3, status: str = "OK") -> dict[str, Any]:
        at = datetime.fromtimestamp(clock.now() / 1_000_000, UTC) - timedelta(minutes=minutes)
        shown = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"guid": guid, "event": event, "status_code": code, "status": status, "delivered_at": shown}

    return item


def ask(
    credentials: Credentials, clock: ManualClock, *known: str, polls: bool = False, has_tables: bool = True
) -> Finding:
    def among(guids: Collection[str]) -> set[str]:
        return set(known) & set(guids)

    return deliveries(credentials, clock.now(), among if has_tables else None, polls=polls)


def test_all_was_taken(credentials: Credentials, github: Standin, clock: ManualClock, sent: Sent) -> None:
    github.will(Reply(200, [sent("b"), sent("a"), sent("a", 502)]))
    assert ask(credentials, clock) == Finding("deliveries", True, "All of the last 2 were taken.")


def test_nothing_was_sent(credentials: Credentials, github: Standin, clock: ManualClock) -> None:
    github.will(Reply(200, []))
    assert ask(credentials, clock) == Finding("deliveries", True, "GitHub has not sent anything in the last days.")


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (0, "ten seconds"),
        (301, "does not follow"),
        (400, "docs/when-things-go-wrong.md"),
        (401, "GITHUB_WEBHOOK_SECRET is not the secret"),
        (404, "/webhook"),
        (413, "client_max_body_size"),
        (502, "Is the bot running?"),
    ],
)
def test_the_newest_failure_is_told_with_what_it_usually_means(
    credentials: Credentials, github: Standin, clock: ManualClock, sent: Sent, code: int, cure: str
) -> None:
    github.will(Reply(200, [sent("c", code, minutes=7, status="failed"), sent("b", 500, minutes=99), sent("a")]))
    finding = ask(credentials, clock, "b")
    shown = f"{code}, failed" if code else "failed"
    assert finding.sentence == (
        f"2 of the last 3 failed; missing here: 1. The newest failure: push, 7 min ago ({shown})."
    )
    assert not finding.ok
    assert cure in finding.cure


def test_what_came_in_another_way_is_no_loss(
    credentials: Credentials, github: Standin, clock: ManualClock, sent: Sent
) -> None:
    github.will(Reply(200, [sent("b"), sent("a", 502, minutes=300)]))
    finding = ask(credentials, clock, "a")
    assert (finding.ok, finding.cure) == (True, "")
    assert finding.sentence.startswith("1 of the last 2 failed; missing here: 0. The newest failure: push, 5 h ago")


def test_while_the_last_one_fails_it_is_not_well(
    credentials: Credentials, github: Standin, clock: ManualClock, sent: Sent
) -> None:
    github.will(Reply(200, [sent("b", 502), sent("a")]), Reply(200, [sent("b", 502), sent("a")]))
    assert not ask(credentials, clock, "b").ok
    assert ask(credentials, clock, "b", polls=True).ok, "unless nothing else is expected"


def test_a_lost_ping_is_no_loss(credentials: Credentials, github: Standin, clock: ManualClock, sent: Sent) -> None:
    github.will(Reply(200, [sent("b"), sent("a", 502, "ping")]))
    assert ask(credentials, clock).ok


def test_a_bot_that_fetches_says_what_it_has_not_fetched(
    credentials: Credentials, github: Standin, clock: ManualClock, sent: Sent
) -> None:
    github.will(Reply(200, [sent("b", 502), sent("a", 502)]))
    finding = ask(credentials, clock, "a", polls=True)
    assert not finding.ok
    assert finding.sentence.startswith("2 of the last 2 failed; missing here: 1.")
    assert "worker" in finding.cure


def test_without_tables_a_failure_is_a_failure(
    credentials: Credentials, github: Standin, clock: ManualClock, sent: Sent
) -> None:
    github.will(Reply(200, [sent("b"), sent("a", 502)]))
    finding = ask(credentials, clock, has_tables=False)
    assert finding.sentence.startswith("1 of the last 2 failed. The newest")


@pytest.mark.parametrize("reply", [Reply(503), Reply(200, "<html>"), Reply(200, [{"guid": "a"}]), Reply(200, {"a": 1})])
def test_a_list_that_cannot_be_read(
    credentials: Credentials, github: Standin, clock: ManualClock, reply: Reply
) -> None:
    github.will(reply)
    finding = ask(credentials, clock)
    assert (finding.ok, finding.cure) == (False, "Try again in a minute.")

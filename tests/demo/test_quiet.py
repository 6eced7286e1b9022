"""When the demo may end: everything that came was looked at and answered, and GitHub was told all."""

from collections.abc import Callable

import pytest

from bot.core import events
from bot.demo.protocol import is_quiet
from bot.store import checks, commits, deliveries, missing, requests
from bot.store.database import Database, Transaction
from bot.store.schema import Request

SEEN = events.Repository(1, "acme", "digits", False, "main", 7)


def receive(database: Database) -> None:
    with database.connection() as connection:
        deliveries.receive(connection, "guid", "push", b"{}", 1)


def asked(**values: object) -> Callable[[Transaction], object]:
    """Somebody asked for something in a comment."""

    def put(tx: Transaction) -> None:
        request = Request(key="comment/1/0", repository_id=1, number=1, sha="", verb="status", names=[], settings={})
        request.source, request.sender, request.asked_at, request.created_at = "comment", "ada", 1, 1
        request.comment_id = 1
        for name, value in values.items():
            setattr(request, name, value)
        requests.put(tx, request)

    return put


def told(tx: Transaction) -> None:
    commit = commits.see_commit(tx, 1, "a" * 40, "", "", [], 1)
    commits.touch(tx, commit.id)


@pytest.mark.parametrize(
    "happens",
    [
        asked(),
        asked(state="done", reaction="+1"),
        told,
        lambda tx: missing.see(tx, [("guid", 1, 1)], 1),
        lambda tx: checks.desire_comment(tx, 1, 1, "text", "digest", True),
    ],
    ids=["a request waits", "its reaction is missing", "a commit has news", "a delivery is missing", "a comment waits"],
)
def test_what_is_still_to_come_is_waited_for(database: Database, happens: Callable[[Transaction], object]) -> None:
    with database.write() as tx:
        commits.see_repository(tx, SEEN, 1)
    assert is_quiet(database)
    with database.write() as tx:
        happens(tx)
    assert not is_quiet(database)


def test_a_delivery_that_nobody_looked_at_is_waited_for(database: Database) -> None:
    receive(database)
    assert not is_quiet(database)


def test_what_is_answered_or_lost_keeps_nobody(database: Database) -> None:
    with database.write() as tx:
        commits.see_repository(tx, SEEN, 1)
        asked(state="done", reaction="+1", reacted_at=2)(tx)
        missing.see(tx, [("guid", 1, 1)], 1)
        missing.give_up(tx, "guid", "forgotten")
    assert is_quiet(database)

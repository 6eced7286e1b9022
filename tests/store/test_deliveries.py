"""The inbox."""

import pytest
from sqlalchemy.dialects.postgresql.psycopg import dialect as psycopg

from bot.clock import DAY, MINUTE, ManualClock
from bot.store import deliveries
from bot.store.database import Database
from bot.store.schema import Delivery


def receive(database: Database, guid: str, now: int = 1000, body: bytes = b"{}") -> bool:
    with database.connection() as connection:
        return deliveries.receive(connection, guid, "push", body, now)


def waiting(database: Database, now: int = 10**15, limit: int = 100) -> list[Delivery]:
    with database.read() as tx:
        return list(deliveries.waiting(tx, now, limit))


def test_a_delivery_is_stored_once_whatever_it_holds_the_second_time(database: Database) -> None:
    assert receive(database, "a", 1000, b"first")
    assert not receive(database, "a", 2000, b"second")

    [row] = waiting(database)
    assert (row.guid, row.event, row.body, row.received_at, row.state) == ("a", "push", b"first", 1000, "received")


def test_they_are_looked_at_in_the_order_in_which_they_came(database: Database) -> None:
    for guid in "cab":
        receive(database, guid)

    assert [row.guid for row in waiting(database, limit=2)] == ["c", "a"]


def test_the_row_has_the_columns_defaults(database: Database) -> None:
    """The door writes its statement by hand: it must leave what the table's own defaults would."""
    receive(database, "by hand", 1000)
    with database.write() as tx:
        tx.add(Delivery(guid="by the table", event="push", body=b"{}", received_at=1000))

    by_hand, by_table = (
        {name: value for name, value in vars(row).items() if name not in ("_sa_instance_state", "id", "guid")}
        for row in waiting(database)
    )
    assert by_hand == by_table


def test_what_was_processed_is_not_looked_at_again(database: Database) -> None:
    receive(database, "a")
    [row] = waiting(database)

    with database.write() as tx:
        deliveries.conclude(tx, row.id, "ignored", "this commit has no config", 5000)

    assert waiting(database) == []
    with database.read() as tx:
        stored = tx.get_one(Delivery, row.id)
    assert (stored.state, stored.reason, stored.processed_at) == ("ignored", "this commit has no config", 5000)


def test_what_is_postponed_comes_again_at_its_time_and_counts_its_tries(database: Database) -> None:
    receive(database, "a")
    for until in (2000, 4000):
        [row] = waiting(database)
        with database.write() as tx:
            deliveries.postpone(tx, row.id, "git did not answer", until)

    assert waiting(database, now=3999) == []
    [row] = waiting(database, now=4000)
    assert (row.tries, row.reason) == (2, "git did not answer")


def test_what_was_processed_long_ago_is_forgotten_and_nothing_else(database: Database, clock: ManualClock) -> None:
    for guid in ("old", "new", "waiting"):
        receive(database, guid, clock.now())
    with database.write() as tx:
        deliveries.conclude(tx, waiting(database)[0].id, "done", "", clock.now())
    clock.advance(31 * DAY / 1_000_000)
    with database.write() as tx:
        deliveries.conclude(tx, waiting(database)[0].id, "done", "", clock.now() - MINUTE)
        deliveries.forget(tx, before=clock.now() - 30 * DAY)

    assert receive(database, "old")  # forgotten, so it would be taken again
    assert not receive(database, "new")
    assert not receive(database, "waiting")


def test_those_nobody_has_finished_with_are_counted(database: Database) -> None:
    for guid in "abc":
        receive(database, guid)
    with database.write() as tx:
        deliveries.conclude(tx, waiting(database)[0].id, "done", "", 1)
        assert deliveries.count_waiting(tx) == 2


@pytest.mark.parametrize("member", ["guid", "event", "body", "received_at", "state", "tries", "not_before"])
def test_the_statement_is_put_together_for_postgresql_as_well(member: str) -> None:
    statement = deliveries._insert(psycopg())

    assert f"%({member})s" in statement
    assert "ON CONFLICT (guid) DO NOTHING" in statement
    assert "RETURNING" not in statement

"""The inbox: webhook deliveries, each stored once, each processed once."""

from collections.abc import Collection, Sequence
from functools import cache

from sqlalchemy import Connection, Dialect, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.store.database import Transaction
from bot.store.schema import Delivery


def receive(connection: Connection, guid: str, event: str, body: bytes, now: int, origin: str = "webhook") -> bool:
    """Store a verified delivery. Return False when its guid is here already: GitHub redelivers under the same."""
    values = (guid, event, body, origin, now, "received", "", 0, 0)
    dialect = connection.dialect
    given = values if dialect.positional else dict(zip(_COLUMNS, values, strict=True))
    return connection.exec_driver_sql(_insert(dialect), given).rowcount == 1


_COLUMNS = ("guid", "event", "body", "origin", "received_at", "state", "reason", "tries", "not_before")


@cache
def _insert(dialect: Dialect) -> str:
    """Return the statement in the driver's own words: putting it together costs as much as all the rest of the door."""
    words = postgresql if dialect.name == "postgresql" else sqlite
    insert = words.insert(Delivery).on_conflict_do_nothing(index_elements=["guid"]).inline()
    return str(insert.compile(dialect=dialect, column_keys=list(_COLUMNS)))


def known(tx: Transaction, guids: Collection[str]) -> set[str]:
    """Return those guids that are here."""
    return set(tx.scalars(select(Delivery.guid).where(Delivery.guid.in_(guids))))


def find(tx: Transaction, guid: str) -> Delivery | None:
    """Return a delivery by its guid."""
    return tx.scalar(select(Delivery).where(Delivery.guid == guid))


def by_number(tx: Transaction, delivery_id: int) -> Delivery | None:
    """Return a delivery by the number of its row."""
    return tx.get(Delivery, delivery_id)


def look_again(tx: Transaction, delivery_id: int) -> None:
    """Let a delivery be processed once more, from its beginning."""
    values = {"state": "received", "reason": "", "tries": 0, "not_before": 0, "processed_at": None}
    tx.execute(update(Delivery).where(Delivery.id == delivery_id).values(values))


def waiting(tx: Transaction, now: int, limit: int) -> Sequence[Delivery]:
    """Return the oldest deliveries that are to be looked at now."""
    query = select(Delivery).where(Delivery.state == "received", Delivery.not_before <= now)
    return tx.scalars(query.order_by(Delivery.id).limit(limit)).all()


def conclude(tx: Transaction, delivery_id: int, state: str, reason: str, now: int) -> None:
    """Write down what became of a delivery: done, ignored, unreadable or failed, and why."""
    values = {"state": state, "reason": reason, "processed_at": now}
    tx.execute(update(Delivery).where(Delivery.id == delivery_id).values(values))


def postpone(tx: Transaction, delivery_id: int, reason: str, until: int) -> None:
    """Look at a delivery again later: something that it needs did not answer."""
    values = {"reason": reason, "not_before": until, "tries": Delivery.tries + 1}
    tx.execute(update(Delivery).where(Delivery.id == delivery_id).values(values))


def failed(tx: Transaction, since: int) -> Sequence[Delivery]:
    """Return what was given up since then (microseconds), the newest first."""
    query = select(Delivery).where(Delivery.state == "failed", Delivery.processed_at >= since)
    return tx.scalars(query.order_by(Delivery.id.desc())).all()


def forget(tx: Transaction, before: int) -> None:
    """Delete what was processed before that time (microseconds)."""
    tx.execute(delete(Delivery).where(Delivery.processed_at < before))


def count_waiting(tx: Transaction) -> int:
    """Return how many deliveries nobody has looked at to the end."""
    return tx.scalar(select(func.count()).select_from(Delivery).where(Delivery.state == "received")) or 0

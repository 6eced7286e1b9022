"""The inbox: webhook deliveries, each stored once, each processed once."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bot.store.database import Transaction
from bot.store.schema import Delivery


def receive(connection: Connection, guid: str, event: str, body: bytes, now: int) -> bool:
    """Store a verified delivery. Return False when its guid is here already: GitHub redelivers under the same."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(Delivery).on_conflict_do_nothing(index_elements=["guid"])
    values = {"guid": guid, "event": event, "body": body, "received_at": now}
    return connection.execute(insert, values).rowcount == 1


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


def forget(tx: Transaction, before: int) -> None:
    """Delete what was processed before that time. GitHub redelivers for three days; we remember for thirty."""
    tx.execute(delete(Delivery).where(Delivery.processed_at < before))


def count_waiting(tx: Transaction) -> int:
    """Return how many deliveries nobody has looked at to the end."""
    return tx.scalar(select(func.count()).select_from(Delivery).where(Delivery.state == "received")) or 0

"""Deliveries that GitHub sent and that never came: remembered until they are here, or until GitHub forgets them too."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, func, select, update

from bot.store.database import Transaction
from bot.store.schema import Delivery, Mark, MissingDelivery

_MARK = "deliveries"


def see(tx: Transaction, found: Iterable[tuple[str, int, int]], now: int) -> None:
    """Remember what is missing, each as guid, GitHub's id and time (microseconds)."""
    have = set(tx.scalars(select(MissingDelivery.guid)))
    for guid, github_id, sent_at in found:
        if guid not in have:
            tx.add(MissingDelivery(guid=guid, github_id=github_id, sent_at=sent_at, tries=0, not_before=now))
    tx.flush()


def find(tx: Transaction, guid: str) -> MissingDelivery | None:
    """Return a delivery that has not come, None where it is not known to be missing."""
    return tx.scalar(select(MissingDelivery).where(MissingDelivery.guid == guid))


def due(tx: Transaction, now: int, limit: int) -> Sequence[MissingDelivery]:
    """Return what is to be asked for now, in the order in which it was sent."""
    query = select(MissingDelivery).where(MissingDelivery.not_before <= now, MissingDelivery.lost.is_(None))
    return tx.scalars(query.order_by(MissingDelivery.sent_at, MissingDelivery.id).limit(limit)).all()


def asked(tx: Transaction, guid: str, until: int) -> None:
    """Remember that it was asked for, and ask again at that time if it has not come."""
    values = {"tries": MissingDelivery.tries + 1, "not_before": until}
    tx.execute(update(MissingDelivery).where(MissingDelivery.guid == guid).values(values))


def fetch_next(tx: Transaction, guid: str, tries: int) -> None:
    """Do not have it sent any more: from the next time on it is fetched."""
    tx.execute(update(MissingDelivery).where(MissingDelivery.guid == guid).values(tries=tries))


def postpone(tx: Transaction, guid: str, until: int) -> None:
    """Ask at that time: now it cannot be."""
    tx.execute(update(MissingDelivery).where(MissingDelivery.guid == guid).values(not_before=until))


def bring(tx: Transaction, guid: str, now: int, tries: int) -> None:
    """Ask for it now, even if it was given up, as if it had been asked for so often."""
    values = {"tries": tries, "not_before": now, "lost": None}
    tx.execute(update(MissingDelivery).where(MissingDelivery.guid == guid).values(values))


def settle(tx: Transaction, before: int) -> None:
    """Forget what has come meanwhile, and what was sent before that time (microseconds): GitHub forgot it as well."""
    is_here = MissingDelivery.guid.in_(select(Delivery.guid))
    tx.execute(delete(MissingDelivery).where(is_here | (MissingDelivery.sent_at < before)))


def give_up(tx: Transaction, guid: str, reason: str) -> None:
    """Ask no more for what nobody can bring back."""
    tx.execute(update(MissingDelivery).where(MissingDelivery.guid == guid).values(lost=reason))


def count(tx: Transaction) -> tuple[int, int]:
    """Return how many are asked for, and how many are lost."""
    query = select(func.count(), func.count(MissingDelivery.lost)).select_from(MissingDelivery)
    every, lost = tx.execute(query).one()
    return every - lost, lost


def lost(tx: Transaction, limit: int) -> Sequence[str]:
    """Return the guids of the newest that are lost."""
    query = select(MissingDelivery.guid).where(MissingDelivery.lost.is_not(None))
    return tx.scalars(query.order_by(MissingDelivery.sent_at.desc()).limit(limit)).all()


def looked_until(tx: Transaction) -> int | None:
    """Return the time (microseconds) up to which GitHub's log has been read; None before the first look."""
    mark = tx.get(Mark, _MARK)
    return None if mark is None else int(mark.value["until"])


def look_until(tx: Transaction, until: int) -> None:
    """Remember how far GitHub's log has been read."""
    value: dict[str, Any] = {"until": until}
    mark = tx.get(Mark, _MARK)
    if mark is None:
        tx.add(Mark(name=_MARK, value=value))
    else:
        mark.value = value

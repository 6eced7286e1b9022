"""Leases: which worker does a station's work. A row is written when a lease is taken or half used, not at each tick."""

from sqlalchemy import select, update

from bot.store.database import Transaction
from bot.store.schema import Lease


def find(tx: Transaction, name: str) -> Lease | None:
    """Return who holds a lease, None when nobody ever did."""
    return tx.scalar(select(Lease).where(Lease.name == name))


def take(tx: Transaction, name: str, holder: str, until: int, previous: Lease | None) -> bool:
    """Take or renew a lease that was seen as `previous`. Return False when somebody else was quicker."""
    if previous is None:
        tx.add(Lease(name=name, holder=holder, until=until))
        tx.flush()
        return True
    seen = (Lease.name == name, Lease.holder == previous.holder, Lease.until == previous.until)
    result = tx.execute(update(Lease).where(*seen).values(holder=holder, until=until))
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]

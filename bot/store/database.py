"""The connection to the database: transactions, durability, and the schema's version.

SQLite runs in WAL mode with `synchronous=FULL`: an answered delivery survives a power cut. A writing
transaction takes SQLite's write lock at its start (BEGIN IMMEDIATE): two workers queue for it instead of failing
when a read turns into a write.
"""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

Transaction = Session
"""What the store's verbs take. The stations pass it on and never look inside."""

Busy = OperationalError
"""Raised by any verb when the database is locked, full, restarting or away: the same may work later."""

Unavailable = DBAPIError
"""Raised by any verb when the database cannot be reached, read or written, whatever its driver calls that."""

PATIENCE = 4.0
"""Seconds to wait for another's lock, once in this process and once in the database.

GitHub gives up on a delivery after ten: the door must have said 503 by then.
"""


class Database:
    """One database. Threads may share it: every transaction has a connection of its own."""

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        self.url = url
        self._reading = _engine(url, patience)
        self._writing = self._reading.execution_options(begin="BEGIN IMMEDIATE")
        self._single = self._reading.execution_options(begin=None)
        # Whoever finds SQLite locked sleeps and looks again, ever longer, while others slip in. A turn for each thread
        # took the door's p99 at 250 deliveries a second from 0.8 s to 0.2 s (median of three). PostgreSQL needs none.
        self._turn, self._patience = threading.Semaphore(1 if url.startswith("sqlite") else 64), patience

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Give a consistent view. What is read stays usable after the block, as plain values."""
        with Session(self._reading, expire_on_commit=False, autoflush=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Give a transaction that commits durably at the end of the block, or leaves nothing if it raises."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give a bare connection for one statement, which commits durably by itself.

        It is the webhook door's, which cannot afford a session, nor the words around a transaction, for each delivery.
        """
        has_turn = self._turn.acquire(timeout=self._patience)
        try:
            with self._single.begin() as connection:
                yield connection
        finally:
            if has_turn:
                self._turn.release()

    def migrate(self, lock: Path) -> None:
        """Bring the schema to this version's. `lock` keeps web and worker, started together, from racing."""
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with self._writing.connect() as connection:
                command.upgrade(_alembic(connection), "head")
                connection.commit()

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's own object, for those who count what is asked of it."""
        return self._reading

    def close(self) -> None:
        self._reading.dispose()


class Rehearsal(Database):
    """A database in which nothing is changed: a transaction sees what it writes, and then all of it is taken back."""

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Give a transaction that leaves nothing. What was read or made in it stays usable after the block."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin() as transaction:
            yield session
            session.flush()
            session.expunge_all()
            transaction.rollback()


def _engine(url: str, patience: float) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    waiting = {"timeout": patience, "check_same_thread": False}
    # Last in, first out: few connections, their caches warm, serve nearly everything.
    engine = create_engine(url, connect_args=waiting, pool_size=20, pool_use_lifo=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own idea of when to begin is replaced by _begin_sqlite
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get("begin", "BEGIN DEFERRED")
    if begin is not None:  # without it SQLite makes each statement a transaction of its own
        connection.exec_driver_sql(begin)


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config

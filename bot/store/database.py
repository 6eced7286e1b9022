"""The connection to the database: transactions, durability, and the schema's version.

SQLite runs in WAL mode with `synchronous=FULL`: an answered delivery survives a power cut. A writing
transaction takes SQLite's write lock at its start (BEGIN IMMEDIATE): two workers queue for it instead of failing
when a read turns into a write.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

Transaction = Session
"""What the store's verbs take. The stations pass it on and never look inside."""

Unavailable = OperationalError
"""Raised by any verb when the database cannot be reached or written."""


class Database:
    """One database. Threads may share it: every transaction has a connection of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._reading = _engine(url)
        self._writing = self._reading.execution_options(begin="IMMEDIATE")

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
        """Give a bare writing connection: the webhook door's, which cannot afford a session for each delivery."""
        with self._writing.begin() as connection:
            yield connection

    def migrate(self, lock: Path) -> None:
        """Bring the schema to this version's. `lock` keeps web and worker, started together, from racing."""
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with self._writing.connect() as connection:
                command.upgrade(_alembic(connection), "head")
                connection.commit()

    def close(self) -> None:
        self._reading.dispose()


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": 20.0, "check_same_thread": False}, pool_size=20)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own idea of when to begin is replaced by _begin_sqlite
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=20000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin', 'DEFERRED')}")


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config

"""The database: its schema, its durability, its transactions."""

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from bot.store import leases
from bot.store.database import Database
from bot.store.schema import Base


def test_the_migrations_make_exactly_the_tables_that_the_code_speaks_of(database: Database) -> None:
    with database.connection() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), Base.metadata)

    assert difference == []


def test_what_is_committed_survives_a_power_cut(database: Database) -> None:
    with database.connection() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1


def test_web_and_worker_may_migrate_at_the_same_time(tmp_path: Path) -> None:
    url, failures = f"sqlite:///{tmp_path / 'new.sqlite3'}", []

    def migrate() -> None:
        try:
            database = Database(url)
            database.migrate(tmp_path / "lock")
            database.close()
        except Exception as error:  # whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=migrate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    def stumble() -> None:
        with database.write() as tx:
            leases.take(tx, "intake", "me", 100, None)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stumble()

    with database.read() as tx:
        assert leases.find(tx, "intake") is None


def test_of_two_who_saw_the_same_lease_one_gets_it(database: Database) -> None:
    with database.write() as tx:
        assert leases.take(tx, "intake", "first", 100, None)
    with database.read() as tx:
        seen = leases.find(tx, "intake")

    with database.write() as tx:
        assert leases.take(tx, "intake", "second", 200, seen)
    with database.write() as tx:
        assert not leases.take(tx, "intake", "third", 200, seen)

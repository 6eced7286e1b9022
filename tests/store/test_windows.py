"""How long GitHub wants silence, kept beyond a process."""

from pathlib import Path

import pytest
from sqlalchemy import select

from bot.clock import ManualClock
from bot.store.database import Database
from bot.store.windows import Windows


def test_a_window_is_there_for_another_connection_and_passes(tmp_path: Path) -> None:
    url, clock = f"sqlite:///{tmp_path}/bot.db", ManualClock()
    database = Database(url)
    database.migrate(tmp_path / "lock")
    Windows(database, clock).keep(7, 90)
    Windows(database, clock).keep(7, 120)
    clock.advance(20)

    windows = Windows(Database(url), clock)
    assert (windows.left(7), windows.left(0)) == (100, 0)
    clock.advance(500)
    assert windows.left(7) == 0


def test_a_locked_database_takes_nothing_from_who_was_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url, clock = f"sqlite:///{tmp_path}/bot.db", ManualClock()
    database = Database(url)
    database.migrate(tmp_path / "lock")
    with database.write() as tx:
        tx.execute(select(1))  # it is locked from its first statement on
        Windows(Database(url, patience=0.01), clock).keep(7, 90)
    assert "could not be kept" in caplog.text

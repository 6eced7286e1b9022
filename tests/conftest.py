"""What plays of several kinds stand on: a clock that is moved by hand, and a database made for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.clock import ManualClock
from bot.store.database import Database

pytest_plugins = ["tests.budget"]


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until the play moves it."""
    return ManualClock()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, made once: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("database") / "empty.sqlite3"
    database = Database(f"sqlite:///{path}")
    database.migrate(path.with_suffix(".lock"))
    database.close()
    return path


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> Iterator[Database]:
    """A database of the test's own, with this version's tables."""
    path = tmp_path / "experiment-ci.sqlite3"
    shutil.copy(empty_database, path)
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()

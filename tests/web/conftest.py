"""A web process for each play, without a socket."""

from pathlib import Path

import pytest

from bot.clock import ManualClock
from bot.store.database import Database
from tests.web.stage import Stage


@pytest.fixture
def stage(database: Database, clock: ManualClock, tmp_path: Path) -> Stage:
    return Stage(database, clock, tmp_path, "http://bot.example")

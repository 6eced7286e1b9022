"""Where the plays of searches take place."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.clock import ManualClock
from tests.search.stage import Stage


@pytest.fixture
def stage(tmp_path: Path, clock: ManualClock) -> Iterator[Stage]:
    """An empty directory of an attempt."""
    stage = Stage(tmp_path, clock)
    yield stage
    stage.die()

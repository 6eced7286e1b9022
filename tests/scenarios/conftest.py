"""A road for each play: devhub without rate limits, a scripted backend, one clock for all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend


@pytest.fixture
def backend(clock: ManualClock) -> ScriptedBackend:
    return ScriptedBackend(clock)


@pytest.fixture
def road(tmp_path: Path, clock: ManualClock, backend: ScriptedBackend) -> Iterator[Road]:
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, backend)
        yield road
        road.close()

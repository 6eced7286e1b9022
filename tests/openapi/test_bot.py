"""What the bot asks of GitHub, held to GitHub's own description: its requests on a road with everything on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub
from tests.openapi import description
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service


@pytest.fixture
def backend(clock: ManualClock) -> ScriptedBackend:
    return ScriptedBackend(clock)


@pytest.fixture
def road(tmp_path: Path, clock: ManualClock, backend: ScriptedBackend) -> Iterator[Road]:
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, backend)
        yield road
        road.close()


def test_every_request_of_a_pull_request_that_fails(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change")
    pull = road.hub.open_pull(repository, head="change")
    road.settle()
    backend.begin(backend.submissions[-1])
    road.wait(61)
    backend.fail(backend.submissions[-1], exit_code=3)
    road.wait(61)
    road.hub.commit_files(repository, {".ps_project/config.yaml": CONFIG + "nonsense: 1\n"}, branch="change")
    road.wait(61)

    assert len(pull.comments) == 1
    assert any(run.annotations for run in repository.runs()), "a config error points at its line"
    methods = {(request.method, request.route) for request in road.hub.requests}
    assert len(methods) >= 4
    assert [error for request in road.hub.requests for error in description.errors_in_exchange(request)] == []

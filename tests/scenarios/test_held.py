"""A commit that waits for somebody's word: nothing that another event says of it makes its checks green."""

import pytest

from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_strangers import HELD, NAMES

pytestmark = pytest.mark.service

ALL_BRANCHES = CONFIG + "    triggers: {branches: {only: '.*'}}\n"


@pytest.mark.parametrize("is_push_first", [True, False])
def test_no_build_of_a_branch_that_is_built_keeps_its_pull_request_shut(
    road: Road, backend: ScriptedBackend, is_push_first: bool
) -> None:
    repository, _ = road.repository({".ps_project/config.yaml": ALL_BRANCHES})
    road.settle()
    if not is_push_first:
        road.hub.courier.delay_next("push", clock_seconds=30)
    sha = road.hub.commit_files(repository, {"notes": "1"}, branch="change", message="Notes [skip ci]")
    if is_push_first:
        road.settle()
        assert set(road.shown(repository, sha).values()) == {("completed", "skipped")}
    road.hub.open_pull(repository, head="change", base="main")
    road.settle()
    road.wait(60)

    assert road.shown(repository, sha) == dict.fromkeys(NAMES, HELD)
    assert len(backend.submissions) == 1
    road.hub.request_action(repository, road.hub.check(repository, sha, "experiments"), "run")
    road.wait(5)
    assert len(backend.submissions) == 2
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)

"""The merge queue: its commits exist nowhere else, every name is asked for there, and nobody waits for what is gone."""

from typing import Literal

import pytest

from bot.devhub import Pull, Repository
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service

FIT, GATE, ROLLUP = "train / fit", "train / fit / tensorflow:loss", "experiments"


def queued(road: Road, backend: ScriptedBackend, config: str = CONFIG) -> tuple[Repository, str, Pull]:
    """A pull request whose checks are done, in the queue; the group's commit runs."""
    repository, _, pull = opened(road, config)
    for attempt in backend.submissions:
        backend.succeed(attempt)
    road.wait(5)
    group = road.hub.request_merge_group(pull)
    road.wait(5)
    backend.begin(backend.submissions[-1])
    road.wait(5)
    return repository, group, pull


def test_every_name_of_the_pull_request_reports_on_the_groups_head(road: Road, backend: ScriptedBackend) -> None:
    skipped = CONFIG.replace("workflows:\n", "") + "    triggers: {paths: {only: 'data/.*'}}\n"
    config = CONFIG + skipped[skipped.index("  train:") :].replace("  train:", "  data:")
    repository, group, pull = queued(road, backend, config)
    asked = set(road.shown(repository, pull.head_sha))
    assert asked == {ROLLUP, FIT, GATE, "data / fit", "data / fit / tensorflow:loss"}
    assert set(road.shown(repository, group)) == asked

    backend.succeed(backend.submissions[-1])
    road.wait(5)
    shown = road.shown(repository, group)
    assert {status for status, _ in shown.values()} == {"completed"}
    assert (shown[FIT], shown["data / fit"]) == (("completed", "success"), ("completed", "skipped"))


@pytest.mark.parametrize("reason", ["dequeued", "invalidated"])
def test_a_group_that_is_destroyed_stops_what_runs_for_it(
    road: Road, backend: ScriptedBackend, reason: Literal["dequeued", "invalidated"]
) -> None:
    repository, group, pull = queued(road, backend)
    road.hub.destroy_merge_group(repository, group, reason)
    road.wait(5)

    assert backend.cancelled == {backend.submissions[-1]: f"the merge queue needs it no more ({reason})"}
    assert set(road.shown(repository, group).values()) == {("completed", "cancelled")}
    assert road.shown(repository, pull.head_sha)[FIT] == ("completed", "success"), "its pull request is as it was"


def test_the_next_group_of_the_same_pull_request_runs(road: Road, backend: ScriptedBackend) -> None:
    repository, group, pull = queued(road, backend)
    road.hub.destroy_merge_group(repository, group, "invalidated")
    road.hub.commit_files(repository, {"notes": "1"}, message="Somebody was faster")
    road.wait(5)
    other = road.hub.request_merge_group(pull)
    road.wait(5)
    assert other != group
    assert road.shown(repository, other)[FIT] == ("queued", None)
    assert road.shown(repository, group)[FIT] == ("completed", "cancelled")


def test_a_group_that_is_merged_runs_on_as_its_branchs_commit(road: Road, backend: ScriptedBackend) -> None:
    repository, group, _ = queued(road, backend)
    road.hub.destroy_merge_group(repository, group, "merged")
    road.wait(5)
    assert backend.cancelled == {}
    assert len(backend.submissions) == 3, "main, the pull request, the group: main's new commit is the group's"

    backend.succeed(backend.submissions[-1])
    road.wait(5)
    assert road.shown(repository, group)[FIT] == ("completed", "success")
    assert [row.name for row in road.check_rows() if row.generation > 1] == []


def test_a_destroyed_group_that_is_told_before_it_is_asked_for_runs_nothing_for_long(
    road: Road, backend: ScriptedBackend
) -> None:
    """GitHub promises no order."""
    repository, _, pull = opened(road)
    road.hub.courier.delay_next("merge_group", clock_seconds=60)
    group = road.hub.request_merge_group(pull)
    road.hub.destroy_merge_group(repository, group, "dequeued")
    road.wait(61)
    road.wait(5)
    assert {attempt for attempt in backend.submissions[2:] if attempt not in backend.cancelled} == set()
    assert {status for status, _ in road.shown(repository, group).values()} <= {"completed"}


def test_a_gate_of_pull_requests_is_asked_of_what_the_queue_makes_of_them(road: Road, backend: ScriptedBackend) -> None:
    """Skipped it would let everything through, whatever the pull request and its base are together."""
    repository, group, _ = queued(road, backend, CONFIG + "            only-pulls: true\n")
    assert road.shown(repository, group)[GATE] == ("queued", None)
    backend.succeed(backend.submissions[-1])
    road.wait(5)
    assert road.shown(repository, group)[GATE] == ("completed", "failure"), "nothing was logged"

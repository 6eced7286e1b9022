"""Many experiments at once: what they cost, and what GitHub is asked."""

import threading

import pytest
from sqlalchemy import event

from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_commands import failed, sticky

pytestmark = pytest.mark.service

STEP = """\
  w{number}:
    steps:
      - name: fit
        command: experiment.run_single_node
        params: {{command: python3 train.py}}
"""


def config(count: int) -> str:
    return "version: 2\nworkflows:\n" + "".join(STEP.format(number=number) for number in range(count))


@pytest.mark.slow
def test_one_worker_watches_two_hundred_without_a_thread_or_a_write_for_those_that_do_not_change(
    road: Road, backend: ScriptedBackend
) -> None:
    for number in range(10):
        road.repository({".ps_project/config.yaml": config(20)}, name=f"r{number}")
    for _ in range(3):
        road.tick("intake", "launch")
    assert len(backend.submissions) == 200
    for attempt in backend.submissions:
        backend.begin(attempt)
    road.tick("watch")

    threads, polls, statements = threading.active_count(), backend.polls, []
    event.listen(road.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for _ in range(5):
        road.tick("watch")

    assert threading.active_count() <= threads
    assert backend.polls == polls + 5
    assert [s for s in statements if s.split()[0] in ("INSERT", "UPDATE", "DELETE")] == []

    backend.succeed(backend.submissions[17])
    road.tick("watch")
    written = [s for s in statements if s.split()[0] in ("INSERT", "UPDATE", "DELETE")]
    assert 0 < len(written) < 15


def test_the_budget_of_a_push_is_one_creation_a_check_and_one_request_a_visible_change(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, sha = road.repository()
    road.settle()
    backend.begin(backend.submissions[0])
    road.wait(2)
    backend.succeed(backend.submissions[0])
    road.wait(2)

    requests = road.hub.requests
    assert requests.count("POST", "/repos/{owner}/{repo}/check-runs") == 3
    # in_progress: the experiment and the roll-up; completed: all three
    assert requests.count("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}") <= 6
    assert requests.count("GET", "") == 0
    assert requests.count("POST", "/app/installations/{installation_id}/access_tokens") == 2  # git's and ours
    assert all(status == "completed" for status, _ in road.shown(repository, sha).values())


def test_a_comment_is_written_every_30_seconds_at_most(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = failed(road, backend)
    road.wait(35)
    edits = "/repos/{owner}/{repo}/issues/comments/{comment_id}"
    before = road.hub.requests.count("PATCH", edits)
    for word in ("one", "two", "three"):
        road.hub.comment(pull, f"/experiment compare {word}")
        road.wait(5)
    assert road.hub.requests.count("PATCH", edits) - before == 1, "the first answer at once, the others wait"
    assert "three" not in sticky(pull)
    road.wait(30)
    assert road.hub.requests.count("PATCH", edits) - before == 2
    assert "three" in sticky(pull)

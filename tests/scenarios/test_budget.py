"""GitHub's limits, all of them enforced by devhub: nothing is refused, nothing is lost, nobody waits for another."""

from pathlib import Path

import pytest
from tensorboardX import SummaryWriter

from bot.clock import SECOND
from bot.devhub import Repository
from bot.store import checks
from bot.store.database import Database
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service

STEP = """\
  w{number}:
    steps:
      - name: fit
        command: experiment.run_single_node
        params: {{command: python3 train.py}}
        checks: {{tensorflow:loss: {{target: ..0.5, aggregate: min}}}}
"""
CREATE = "/repos/{owner}/{repo}/check-runs"


def config(count: int) -> str:
    return "version: 2\nworkflows:\n" + "".join(STEP.format(number=number) for number in range(count))


def tell_everything(road: Road) -> None:
    """Nothing but telling, a second at a time, until there is nothing left to tell."""
    quiet = 0
    while quiet < 3:
        road.tick("report")
        road.clock.advance(1)
        with road.database.read() as tx:
            quiet = 0 if checks.count_pending(tx) else quiet + 1


def obeyed(road: Road) -> None:
    """Nobody was asked inside a window in which GitHub wanted to hear nothing, nor written to twice in a second."""
    assert road.hub.trespasses == []
    assert road.hub.crowding == []


def first_told(road: Road, repository: Repository, sha: str) -> int:
    """When (microseconds) the first check of a commit came to be."""
    return min(run.created_at for run in road.hub.checks(repository, sha))


@pytest.mark.slow
def test_two_hundred_experiments_at_once_reach_their_ends_within_all_limits(
    road: Road, backend: ScriptedBackend
) -> None:
    commits = [road.repository({".ps_project/config.yaml": config(20)}, name=f"r{number}") for number in range(10)]
    for _ in range(4):
        road.tick("intake", "launch")
    assert len(backend.submissions) == 200
    for attempt in backend.submissions:
        backend.begin(attempt)
    road.tick("watch", "collect")
    began = road.clock.now()
    tell_everything(road)
    for attempt in backend.submissions:
        backend.succeed(attempt)
    for _ in range(3):
        road.tick("watch", "collect")
    tell_everything(road)

    hours = (road.clock.now() - began) / SECOND / 3_600
    for repository, sha in commits:
        shown = road.shown(repository, sha)
        assert len(shown) == 41
        assert {status for status, _ in shown.values()} == {"completed"}
    obeyed(road)
    assert [request.status for request in road.hub.requests if request.status in (403, 429)] == []
    written = sum(request.method != "GET" for request in road.hub.requests if request.route.startswith("/repos/"))
    # A beginning and an end for 410 checks, more than an hour takes, and the roll-ups in between.
    assert 820 <= written <= 860
    assert hours < 2


def test_ends_go_before_beginnings(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    road.hub.limit("acme", retry_after=600)
    road.tick("report")
    others = [
        road.hub.commit_files(repository, {"n": str(number)}, branch=f"b{number}", message="More")
        for number in range(5)
    ]
    for number, _ in enumerate(others):
        road.hub.open_pull(repository, head=f"b{number}", base="main", title="More", body="")
    road.wait(2)
    backend.succeed(backend.submissions[0])
    road.wait(2)
    road.wait(620)
    ended = road.hub.check(repository, sha, "train / fit").history[-1].at
    assert all(ended < first_told(road, repository, other) for other in others)
    obeyed(road)


def test_what_a_limit_kept_back_is_told_when_it_is_over(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository({".ps_project/config.yaml": config(4)})
    road.settle()
    road.hub.limit("acme", retry_after=90)
    for attempt in backend.submissions:
        backend.succeed(attempt)
    road.wait(5)
    road.wait(90)
    assert len(road.shown(repository, sha)) == 9
    assert {status for status, _ in road.shown(repository, sha).values()} == {"completed"}
    assert {run.conclusion for run in repository.runs() if run.name.endswith("fit")} == {"success"}
    obeyed(road)


def test_another_installation_is_never_slowed(road: Road, backend: ScriptedBackend) -> None:
    road.repository({".ps_project/config.yaml": config(20)})
    road.hub.limit("acme", retry_after=3_600)
    road.settle()
    pushed = road.clock.now()
    other = road.hub.create_repository("umbrella", "digits", private=False)
    files = {".ps_project/config.yaml": config(1), "train.py": "print(1)"}
    sha = road.hub.commit_files(other, files, message="First")
    road.settle()
    backend.succeed(backend.submissions[-1])
    road.wait(1)

    assert road.shown(other, sha)["w0 / fit"] == ("completed", "success")
    assert first_told(road, other, sha) - pushed <= 5 * SECOND
    obeyed(road)


@pytest.mark.parametrize("named", [90, None], ids=["retry-after", "no header"])
def test_a_secondary_limit_is_waited_out_and_no_longer(road: Road, backend: ScriptedBackend, named: int | None) -> None:
    repository, sha = road.repository()
    road.hub.limit("acme", retry_after=named)
    road.settle()
    assert road.shown(repository, sha) == {}
    began, wait = road.clock.now(), named or 60
    for _ in range(wait + 10):
        road.tick("report")
        road.clock.advance(1)
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)
    obeyed(road)
    assert first_told(road, repository, sha) - began <= (wait + 2) * SECOND


@pytest.mark.parametrize("line", ["acme", "app"])
def test_a_worker_that_is_killed_in_a_window_asks_nothing_when_it_is_back(
    road: Road, backend: ScriptedBackend, line: str
) -> None:
    repository, sha = road.repository()
    road.settle()
    if line == "app":
        road.clock.advance(3_600)  # a new token is needed
    road.hub.limit(line, retry_after=600)
    backend.succeed(backend.submissions[0])
    road.wait(2)
    refused = [request for request in road.hub.requests if request.status in (403, 429)]
    assert len(refused) == 1

    for _ in range(6):
        road.restart_worker(Database(road.settings.database_url))
        road.wait(90)
    assert [request for request in road.hub.requests if request.status in (403, 429)] == refused
    road.wait(120)
    assert road.shown(repository, sha)["train / fit"] == ("completed", "success")
    obeyed(road)


def test_an_hour_that_is_used_up_is_waited_for_to_its_reset(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    road.hub.exhaust("acme")
    backend.succeed(backend.submissions[0])
    for _ in range(70):
        road.wait(60)
    assert road.shown(repository, sha)["train / fit"] == ("completed", "success")
    obeyed(road)


def test_the_app_itself_waits_too(road: Road, backend: ScriptedBackend) -> None:
    """Tokens, and the log of deliveries, are the App's own line."""
    road.hub.limit("app", retry_after=120)
    repository, sha = road.repository()
    for _ in range(10):
        road.wait(30)
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)
    obeyed(road)


def test_progress_leaves_room_for_ends(road: Road, backend: ScriptedBackend) -> None:
    """A thousand epochs are no reason to be late with the verdict."""
    repository, sha = road.repository({".ps_project/config.yaml": config(20)})
    road.settle()
    for attempt in backend.submissions:
        backend.begin(attempt)
    writers = [SummaryWriter(str(Path(spec.run_dir) / "artifacts")) for spec in backend.specs.values()]
    for minute in range(40):
        for writer in writers:
            writer.add_scalar("loss", 1 / (minute + 2), minute)
            writer.flush()
        road.tick("watch", "collect")
        for _ in range(60):
            road.tick("report")
            road.clock.advance(1)
    assert road.hub.requests.count("PATCH") > 200, "progress was told"
    for writer in writers:
        writer.close()
    for attempt in backend.submissions:
        backend.succeed(attempt)
    for _ in range(3):
        road.tick("watch", "collect")
    ended = road.clock.now()
    tell_everything(road)
    last = max(run.history[-1].at for run in road.hub.checks(repository, sha))
    assert {status for status, _ in road.shown(repository, sha).values()} == {"completed"}
    assert last - ended < 120 * SECOND
    obeyed(road)

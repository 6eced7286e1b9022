"""Who we are to GitHub: tokens that end, keys that change, clocks that are off, doors that close and open again."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.clock import SECOND, ManualClock
from bot.devhub import DevHub
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_commands import failed, says, sticky
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service

FIT = "train / fit"
TOKENS = "/app/installations/{installation_id}/access_tokens"


class Skewed:
    """A clock that is off by so many seconds."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    def now(self) -> int:
        return self._clock.now() + round(self._seconds * SECOND)

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)

    def advance(self, seconds: float) -> None:
        self._clock.advance(seconds)


def test_a_run_that_outlives_its_token_is_told_to_its_end(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    backend.begin(backend.submissions[0])
    for _ in range(6):
        road.wait(1_800)
    backend.succeed(backend.submissions[0])
    road.wait(5)

    assert road.shown(repository, sha)[FIT] == ("completed", "success")
    assert road.hub.requests.count("POST", TOKENS) >= 2
    assert road.hub.requests.find(status=401) == []


def test_a_token_that_dies_before_its_hour_is_replaced_and_nothing_is_lost(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, sha = road.repository()
    road.settle()
    road.hub.site.tokens.revoke_all(road.hub.installation("acme"))
    backend.succeed(backend.submissions[0])
    road.wait(5)
    assert road.shown(repository, sha)[FIT] == ("completed", "success")


@pytest.fixture
def keyed(tmp_path: Path, clock: ManualClock, backend: ScriptedBackend) -> Iterator[Road]:
    """A bot whose key lies in a file."""
    with DevHub(tmp_path / "hub", clock) as hub:
        path = tmp_path / "app.pem"
        path.write_text(hub.app.private_key)
        path.chmod(0o600)
        road = Road(tmp_path, hub, clock, backend, GITHUB_PRIVATE_KEY="", GITHUB_PRIVATE_KEY_PATH=str(path))
        yield road
        road.close()


def test_a_new_key_in_its_file_is_used_when_the_old_one_is_deleted(
    keyed: Road, backend: ScriptedBackend, tmp_path: Path
) -> None:
    repository, sha = keyed.repository()
    keyed.settle()
    old = (tmp_path / "app.pem").read_text()
    (tmp_path / "app.pem").write_text(keyed.hub.add_key())
    keyed.hub.delete_key(old)
    backend.begin(backend.submissions[0])
    for _ in range(3):
        keyed.wait(1_800)
    backend.succeed(backend.submissions[0])
    keyed.wait(5)
    assert keyed.shown(repository, sha)[FIT] == ("completed", "success")


def test_a_key_that_was_deleted_too_early_is_waited_for(
    keyed: Road, backend: ScriptedBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    repository, sha = keyed.repository()
    keyed.settle()
    new = keyed.hub.add_key()
    keyed.hub.delete_key((tmp_path / "app.pem").read_text())
    keyed.wait(3_600)
    backend.succeed(backend.submissions[0])
    keyed.wait(60)
    refused = len(keyed.hub.requests.find(status=401))
    for _ in range(10):
        keyed.wait(60)
    assert len(keyed.hub.requests.find(status=401)) - refused <= 40, "GitHub locks out those who keep knocking"
    assert "private key" in caplog.text

    (tmp_path / "app.pem").write_text(new)
    for _ in range(3):
        keyed.wait(60)
    assert keyed.shown(repository, sha)[FIT] == ("completed", "success")


@pytest.mark.parametrize("seconds", [90, -90, 900, -900])
def test_a_clock_that_is_off_costs_nothing_but_a_word(
    tmp_path: Path, clock: ManualClock, seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    off = Skewed(clock, seconds)
    backend = ScriptedBackend(off)
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, off, backend)  # type: ignore[arg-type]
        repository, sha, pull = opened(road)
        backend.fail(backend.submissions[-1])
        road.wait(35)
        says(road, pull, "/experiment rerun failed")
        assert backend.submissions[-1].endswith("-2"), sticky(pull)
        backend.succeed(backend.submissions[-1])
        for _ in range(3):
            road.wait(1_800)
        assert road.shown(repository, sha)[FIT] == ("completed", "success")
        road.close()
    # Ninety seconds behind are within what a token's own times forgive.
    assert bool(re.search(r"clock is off by [+-]\d+ s", caplog.text)) is (seconds != -90)


def test_suspended_in_the_middle_of_a_run_and_back_again(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = opened(road)
    backend.begin(backend.submissions[-1])
    road.wait(2)
    road.hub.suspend("acme")
    road.wait(2)
    backend.succeed(backend.submissions[-1])
    asked = len(road.hub.requests)
    for _ in range(5):
        road.wait(600)
    assert all(request.route.startswith("/app/") for request in list(road.hub.requests)[asked:])
    assert road.shown(repository, sha)[FIT] == ("in_progress", None)

    road.hub.unsuspend("acme")
    road.wait(60)
    assert road.shown(repository, sha)[FIT] == ("completed", "success")
    road.hub.comment(pull, "/experiment status")
    road.wait(60)
    assert "passed" in sticky(pull) or "succeeded" in sticky(pull)


def test_interrupted_while_suspended_it_goes_on_afterwards(road: Road, backend: ScriptedBackend) -> None:
    """Its machine was taken away, and without the App there is no code to begin with on another one."""
    repository, sha, _ = opened(road)
    attempt = backend.submissions[-1]
    backend.begin(attempt)
    road.wait(2)
    road.hub.suspend("acme")
    backend.interrupt(attempt)
    for _ in range(5):
        road.wait(1_800)
    assert backend.submissions.count(attempt) == 1

    road.hub.unsuspend("acme")
    road.wait(60)
    assert backend.submissions.count(attempt) == 2
    backend.succeed(attempt)
    road.wait(60)
    assert road.shown(repository, sha)[FIT] == ("completed", "success")


def test_shut_out_for_a_moment_an_experiment_waits_for_its_code(road: Road, backend: ScriptedBackend) -> None:
    """The word of a suspension, and of its end, is on its way."""
    road.repository()
    road.tick("intake")
    road.hub.faults.fail_next("POST", r"access_tokens$", status=403, times=2)
    road.hub.site.tokens.revoke_all(road.hub.installation("acme"))
    for _ in range(6):
        road.wait(30)
    assert len(backend.submissions) == 1


def test_what_was_asked_right_before_a_suspension_is_done_after_it(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = failed(road, backend)
    road.hub.comment(pull, "/experiment rerun failed")
    road.tick("intake")
    road.hub.suspend("acme")
    asked = len(road.hub.requests)
    for _ in range(10):
        road.wait(3_600)
    assert {request.actor for request in list(road.hub.requests)[asked:]} == {f"app {road.hub.app.id}"}

    road.hub.unsuspend("acme")
    road.wait(60)
    assert backend.submissions[-1].endswith("-2"), sticky(pull)


ROLE = r"^/repos/acme/digits/collaborators/.*/permission"


def test_who_is_shut_out_for_a_moment_does_what_was_asked_a_moment_later(road: Road, backend: ScriptedBackend) -> None:
    """A permission is granted anew, the word of a suspension is on its way: it is too early to refuse."""
    _, _, pull = failed(road, backend)
    road.hub.faults.fail_next("GET", ROLE, status=403, times=3)
    says(road, pull, "/experiment rerun failed")
    for _ in range(3):
        road.wait(10)
    assert backend.submissions[-1].endswith("-2"), sticky(pull)


def test_who_stays_shut_out_is_told_before_long(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = failed(road, backend)
    road.hub.faults.fail_next("GET", ROLE, status=403, times=1_000)
    says(road, pull, "/experiment rerun failed")
    assert "could not be done" not in sticky(pull)
    for _ in range(4):
        road.wait(240)
    assert "could not be done: GitHub answered 403" in sticky(pull)
    assert backend.submissions[-1].endswith("-1")


def test_uninstalled_ends_what_runs_and_installed_again_begins_anew(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    backend.begin(backend.submissions[0])
    road.wait(2)
    road.hub.uninstall("acme")
    road.wait(5)
    assert "taken off" in backend.cancelled[backend.submissions[0]]
    asked = len(road.hub.requests)
    road.wait(300)
    assert all(request.route.startswith("/app/") for request in list(road.hub.requests)[asked:])

    road.hub.install("acme")
    road.wait(5)
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, message="Back")
    road.wait(60)
    assert road.shown(repository, sha)[FIT] == ("queued", None)


def test_a_permission_that_was_taken_back_is_no_endless_knocking(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = opened(road)
    road.wait(5)
    permissions = dict(road.hub.site.world.installation_on(repository).permissions)
    road.hub.grant("acme", permissions | {"pull_requests": "read"})
    backend.fail(backend.submissions[-1])
    for _ in range(12):
        road.wait(3_600)
    refused = road.hub.requests.find("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments", 403)
    assert 1 <= len(refused) <= 14
    assert road.shown(repository, sha)[FIT] == ("completed", "failure"), "what may be told is told"

    road.hub.grant("acme", permissions)
    for _ in range(3):
        road.wait(60)
    assert road.hub.requests.count("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments", 201) == 1

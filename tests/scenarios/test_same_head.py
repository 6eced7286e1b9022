"""One commit in several places at once: what one of them leaves out is not `skipped` for another that asks for it."""

import pytest

from bot.devhub import Pull, Repository
from tests.scenarios import test_strangers as strangers
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_comes_back import move
from tests.scenarios.test_commands import says
from tests.scenarios.test_own_gate import LOOSE, proposed, trained

pytestmark = pytest.mark.service

HELD, PASSED = ("completed", "action_required"), ("completed", "success")
FIT, GUARD, GATE = "train / fit", "guard / fit", "train / fit / tensorflow:loss"
GUARDED = CONFIG + CONFIG.partition("workflows:\n")[2].replace(
    "  train:", "  guard:\n    triggers: {branches: {only: dev}}"
)
"""Whatever goes into `dev` is looked at by `guard` as well."""


def from_outside(road: Road, repository: Repository, sha: str, base: str) -> Pull:
    """The same commit, proposed from a stranger's fork."""
    fork = road.hub.fork(repository, "stranger")
    mine = road.hub.world.find(repository.owner.login, repository.name)
    assert mine is not None
    road.hub.site.git(fork).run("fetch", "--quiet", str(mine.path), sha)
    move(road, fork, "nice", sha)
    return road.hub.open_pull(repository, head="nice", head_repository=fork, base=base, title="Nice", body="")


def guarded(road: Road) -> tuple[Repository, str]:
    """A repository whose branch `dev` asks for more than `main`, and a commit on a branch of its own."""
    repository, _ = road.repository({".ps_project/config.yaml": GUARDED})
    road.hub.commit_files(repository, {"dev.txt": "1"}, branch="dev", message="For dev")
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="mine", message="Mine")
    road.settle()
    return repository, sha


def test_an_approval_that_was_taken_back_lets_it_pass_no_other_base(road: Road, backend: ScriptedBackend) -> None:
    """Approved for main, it ran there; main's pull request went on, and the same commit is proposed for dev."""
    repository, sha, pull = strangers.proposed(road, backend, config=GUARDED)
    says(road, pull, f"/experiment approve {sha}")
    trained(road, backend, 0.1)
    road.hub.commit_files(repository, {"dev.txt": "1"}, branch="dev", message="For dev")
    road.hub.commit_files(pull.head_repository, {"train.py": "worse()"}, branch="nice", message="Nicer")
    road.wait(35)

    fork = pull.head_repository
    move(road, fork, "again", sha)
    other = road.hub.open_pull(repository, head="again", head_repository=fork, base="dev", title="For dev", body="")
    road.wait(35)
    shown = road.shown(repository, sha)
    assert (shown[FIT], shown[GUARD], shown["experiments"]) == (PASSED, HELD, HELD)
    assert "A part of this commit has not run" in (road.hub.check(repository, sha, "experiments").output.summary or "")

    says(road, other, f"/experiment approve {sha}")
    trained(road, backend, 0.1)
    shown = road.shown(repository, sha)
    assert (shown[GUARD], shown["experiments"]) == (PASSED, PASSED)


def test_what_waits_for_an_approval_is_not_skipped_by_another_pull_request(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, sha = guarded(road)
    from_outside(road, repository, sha, "dev")
    road.wait(35)
    road.hub.open_pull(repository, head="mine", base="main", title="Mine", body="")
    road.wait(5)
    trained(road, backend, 0.1)

    shown = road.shown(repository, sha)
    assert (shown[FIT], shown[GUARD], shown["experiments"]) == (PASSED, HELD, HELD)


@pytest.mark.parametrize("how", ["closed", "another head"])
def test_what_a_stranger_proposed_elsewhere_blocks_it_no_longer_than_that_is_open(
    road: Road, backend: ScriptedBackend, how: str
) -> None:
    repository, sha = guarded(road)
    road.hub.open_pull(repository, head="mine", base="main", title="Mine", body="")
    road.wait(5)
    trained(road, backend, 0.1)
    assert road.shown(repository, sha)["experiments"] == PASSED
    pull = from_outside(road, repository, sha, "dev")
    road.wait(35)
    assert road.shown(repository, sha)["experiments"] == HELD

    if how == "closed":
        road.hub.close_pull(pull)
    else:
        road.hub.commit_files(pull.head_repository, {"train.py": "evil()"}, branch="nice", message="Nicer")
    road.wait(35)
    assert road.shown(repository, sha)["experiments"] == PASSED

    if how == "closed":
        road.hub.reopen_pull(pull)
        road.wait(35)
        assert road.shown(repository, sha)["experiments"] == HELD


def test_the_base_that_it_had_before_takes_no_hold_back(road: Road, backend: ScriptedBackend) -> None:
    """GitHub promises no order: that it was opened for main is told after it was turned to dev."""
    repository, sha = guarded(road)
    road.hub.open_pull(repository, head="mine", base="main", title="Mine", body="")
    road.wait(5)
    trained(road, backend, 0.1)

    road.hub.courier.delay_next("pull_request", clock_seconds=60)
    pull = from_outside(road, repository, sha, "main")
    road.clock.advance(2)
    road.hub.edit_base(pull, "dev")
    road.wait(35)
    assert road.shown(repository, sha)[GUARD] == HELD
    road.wait(61)
    road.wait(35)
    assert road.shown(repository, sha)[GUARD] == HELD


def test_a_command_that_names_one_workflow_skips_no_other(road: Road, backend: ScriptedBackend) -> None:
    """The push was skipped, as its message asks; so both workflows have names with nothing behind them."""
    both = CONFIG.replace("  train:\n", "  train:\n    triggers: {branches: {only: '.*'}}\n")
    both += both.partition("workflows:\n")[2].replace("  train:", "  guard:")
    repository, _ = road.repository({".ps_project/config.yaml": both})
    road.settle()
    trained(road, backend, 0.1)
    sha = road.hub.commit_files(repository, {"train.py": "2"}, branch="change", message="Change it [skip ci]")
    pull = road.hub.open_pull(repository, head="change", base="main", title="Change", body="")
    road.wait(35)

    says(road, pull, "/experiment run train")
    trained(road, backend, 0.1)
    shown = road.shown(repository, sha)
    assert (shown[FIT], shown[GUARD], shown["experiments"]) == (PASSED, HELD, HELD)

    says(road, pull, "/experiment rerun train")
    trained(road, backend, 0.1)
    says(road, pull, "/experiment run guard")
    trained(road, backend, 0.1)
    assert set(road.shown(repository, sha).values()) == {PASSED}


def test_of_two_pull_requests_into_one_branch_both_are_asked_for_its_newest_rule(
    road: Road, backend: ScriptedBackend
) -> None:
    """The older of the two is looked at again after the branch got a stricter rule, the newer is not."""
    repository, sha, pull = proposed(road, LOOSE, LOOSE)
    move(road, repository, "beside", sha)
    road.hub.open_pull(repository, head="beside", base="main", title="The same", body="")
    road.settle()
    trained(road, backend, 0.9)
    assert road.shown(repository, sha)[GATE] == PASSED

    road.hub.commit_files(repository, {".ps_project/config.yaml": CONFIG}, branch="main", message="Tighten")
    road.hub.close_pull(pull)
    road.wait(5)
    road.hub.reopen_pull(pull)
    road.wait(35)
    assert road.shown(repository, sha)[GATE] == ("completed", "failure")


def test_what_was_taken_back_from_its_base_is_asked_like_everything_else(road: Road, backend: ScriptedBackend) -> None:
    """Somebody merged it past its gate, somebody else took it out again by force; now it is proposed once more."""
    repository, sha, pull = proposed(road, LOOSE)
    before = road.hub.site.git(repository).refs()["refs/heads/main"]
    trained(road, backend, 0.9)
    move(road, repository, "main", sha)
    road.wait(35)
    assert road.shown(repository, sha)[GATE] == PASSED, "it is what main asks for"

    road.hub.close_pull(pull)
    move(road, repository, "main", before)
    move(road, repository, "again", sha)
    road.hub.open_pull(repository, head="again", base="main", title="Again", body="")
    road.wait(35)
    assert road.shown(repository, sha)[GATE] == ("completed", "failure")

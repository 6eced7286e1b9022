"""Pull requests of people who may not write here: nothing runs until somebody says so, of exactly one commit."""

import pytest

from bot.devhub import Pull, Repository
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_comes_back import move
from tests.scenarios.test_commands import says, sticky

pytestmark = pytest.mark.service

NAMES = {"experiments", "train / fit", "train / fit / tensorflow:loss"}
HELD = ("completed", "action_required")


def proposed(
    road: Road, backend: ScriptedBackend, files: dict[str, str] | None = None, config: str = CONFIG
) -> tuple[Repository, str, Pull]:
    """A stranger's pull request from a fork, onto a default branch whose run has passed."""
    repository, _ = road.repository({".ps_project/config.yaml": config})
    road.settle()
    for attempt in backend.submissions:
        backend.begin(attempt)
    road.clock.advance(90)
    for attempt in backend.submissions:
        backend.succeed(attempt)
    road.wait(1)
    fork = road.hub.fork(repository, "stranger")
    sha = road.hub.commit_files(fork, files or {"train.py": "evil()"}, branch="nice", message="Nice")
    pull = road.hub.open_pull(repository, head="nice", head_repository=fork, base="main", title="Nice", body="")
    road.wait(35)
    return repository, sha, pull


def test_nothing_of_a_fork_runs_and_every_name_says_so(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = proposed(road, backend)

    assert road.shown(repository, sha) == dict.fromkeys(NAMES, HELD)
    assert len(backend.submissions) == 1
    check = road.hub.check(repository, sha, "experiments")
    assert check.output.title == "Needs approval: it comes from a fork"
    summary = check.output.summary or ""
    assert f"/experiment approve {sha}" in summary
    assert "train / fit" in summary
    assert "It takes" in summary
    assert "CPU hours" in summary
    assert "| 1 min 30 s |" in summary, "as long as it last took"
    assert f"/experiment approve {sha}" in sticky(pull)
    assert [action["identifier"] for action in check.actions] == ["approve"]


def test_approved_is_exactly_that_commit_without_secrets_network_or_storage(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, sha, pull = proposed(road, backend)
    says(road, pull, f"/experiment approve {sha}")

    spec = backend.specs[backend.submissions[-1]]
    assert spec.labels["sha"] == sha
    assert (spec.is_trusted, spec.secrets, spec.keeps_storage, spec.cache_dir) == (False, (), False, None)
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)
    backend.succeed(backend.submissions[-1])
    road.wait(35)
    assert road.shown(repository, sha)["train / fit"] == ("completed", "success")
    assert "approved by `acme`" in (road.hub.check(repository, sha, "train / fit").output.summary or "")


def test_the_button_approves_its_own_commit(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = proposed(road, backend)
    road.hub.request_action(repository, road.hub.check(repository, sha, "experiments"), "approve")
    road.wait(5)
    assert backend.specs[backend.submissions[-1]].labels["sha"] == sha


def test_a_stranger_approves_nothing_by_word_or_button(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = proposed(road, backend)
    stranger = road.hub.add_user("stranger")
    says(road, pull, f"/experiment approve {sha}", by=stranger)
    road.hub.request_action(repository, road.hub.check(repository, sha, "experiments"), "approve", by=stranger)
    road.wait(35)

    assert len(backend.submissions) == 1
    assert road.shown(repository, sha) == dict.fromkeys(NAMES, HELD)
    assert "needs the role write" in sticky(pull)


def test_another_push_takes_the_approval_back(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = proposed(road, backend)
    says(road, pull, f"/experiment approve {sha}")
    backend.begin(backend.submissions[-1])
    road.wait(2)

    newer = road.hub.commit_files(pull.head_repository, {"train.py": "worse()"}, branch="nice", message="Nicer")
    road.wait(35)

    assert list(backend.cancelled) == [backend.submissions[-1]]
    assert road.shown(repository, newer) == dict.fromkeys(NAMES, HELD)
    assert len(backend.submissions) == 2


def test_an_approval_that_comes_after_another_push_is_for_nothing(road: Road, backend: ScriptedBackend) -> None:
    """The commit that somebody looked at is not the one that would run (time of check, time of use)."""
    repository, sha, pull = proposed(road, backend)
    road.hub.comment(pull, f"/experiment approve {sha}")
    newer = road.hub.commit_files(pull.head_repository, {"train.py": "worse()"}, branch="nice", message="Nicer")
    road.wait(35)

    assert len(backend.submissions) == 1
    assert road.shown(repository, newer) == dict.fromkeys(NAMES, HELD)
    assert f"the head is `{newer}` by now" in sticky(pull)


def test_a_commit_that_comes_back_after_another_needs_approval_again(road: Road, backend: ScriptedBackend) -> None:
    _, sha, pull = proposed(road, backend)
    says(road, pull, f"/experiment approve {sha}")
    backend.fail(backend.submissions[-1])
    road.wait(5)
    road.hub.commit_files(pull.head_repository, {"train.py": "worse()"}, branch="nice", message="Nicer")
    road.wait(5)
    count = len(backend.submissions)
    move(road, pull.head_repository, "nice", sha)
    road.wait(5)
    says(road, pull, "/experiment rerun")

    assert len(backend.submissions) == count
    assert f"/experiment approve {sha}" in sticky(pull)


def test_run_is_no_way_around_the_approval(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = proposed(road, backend)
    says(road, pull, "/experiment run")
    says(road, pull, "/experiment rerun")
    assert len(backend.submissions) == 1
    assert "comes from outside" in sticky(pull)


def test_a_stranger_chooses_commands_and_nothing_else(road: Road, backend: ScriptedBackend) -> None:
    config = CONFIG.replace("command: python3 train.py", "command: curl evil\n          machineType: default").replace(
        "        checks:", "        timeout: 6d\n        checks:"
    )
    usual = CONFIG.replace("        checks:", "        timeout: 1h\n        checks:")
    repository, sha, pull = proposed(road, backend, {".ps_project/config.yaml": config}, usual)
    assert "no more than 1 h is given" in (road.hub.check(repository, sha, "experiments").output.summary or "")

    says(road, pull, f"/experiment approve {sha}")
    assert len(backend.submissions) == 1
    assert road.shown(repository, sha)["train / fit"] == ("completed", "failure")


def test_a_stranger_gets_no_secret_however_he_asks(road: Road, backend: ScriptedBackend) -> None:
    usual = CONFIG.replace(
        "command: python3 train.py", "command: python3 train.py\n          experimentEnv: {T: 'secret:t'}"
    )
    repository, sha, pull = proposed(road, backend, {"train.py": "print(secret)"}, usual)
    count = len(backend.submissions)
    says(road, pull, f"/experiment approve {sha}")

    assert len(backend.submissions) == count
    assert "is not given to this code" in (road.hub.check(repository, sha, "train / fit").output.summary or "")


def test_a_new_workflow_of_a_stranger_has_no_name_before_it_is_approved(road: Road, backend: ScriptedBackend) -> None:
    more = CONFIG + "".join(
        f"  w{n}:\n    steps:\n      - {{name: s, command: experiment.run_single_node, params: {{command: 'true'}}}}\n"
        for n in range(15)
    )
    repository, sha, _ = proposed(road, backend, {".ps_project/config.yaml": more})
    assert set(road.shown(repository, sha)) == NAMES


def test_an_author_who_lost_his_access_is_a_stranger(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    zoe = road.hub.add_collaborator(repository, "zoe", "read")
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change", message="Change it")
    pull = road.hub.open_pull(repository, head="change", base="main", title="Change", body="", by=zoe)
    road.wait(35)

    assert road.shown(repository, sha)["experiments"] == HELD
    assert "`zoe` has no write access" in sticky(pull)


def test_a_dependency_bot_runs_where_the_default_branch_trusts_it(road: Road, backend: ScriptedBackend) -> None:
    trusting = CONFIG + "permissions: {trusted-bots: dependabot}\n"
    repository, _ = road.repository({".ps_project/config.yaml": trusting})
    road.settle()
    bots = {name: road.hub.world.account(f"{name}[bot]", "Bot") for name in ("dependabot", "renovate")}
    shown = {}
    for name, bot in bots.items():
        sha = road.hub.commit_files(repository, {f"{name}.txt": "1"}, branch=name, message=name)
        road.hub.open_pull(repository, head=name, base="main", title=name, body="", by=bot)
        road.wait(5)
        shown[name] = road.shown(repository, sha)["experiments"]
    assert shown == {"dependabot": ("in_progress", None), "renovate": HELD}


def test_a_bot_that_only_a_branch_trusts_is_not_trusted(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    bot = road.hub.world.account("dependabot[bot]", "Bot")
    config = {".ps_project/config.yaml": CONFIG + "permissions: {trusted-bots: dependabot}\n"}
    sha = road.hub.commit_files(repository, config, branch="change", message="Trust me")
    road.hub.open_pull(repository, head="change", base="main", title="Trust me", body="", by=bot)
    road.wait(5)
    assert road.shown(repository, sha)["experiments"] == HELD


def test_what_a_maintainer_pushes_to_the_repository_itself_is_trusted(road: Road, backend: ScriptedBackend) -> None:
    """The same commit, once somebody who may write has put it on a branch that is built."""
    repository, sha, _ = proposed(road, backend)
    git = road.hub.site.git(repository)
    git.run("fetch", "--quiet", str(road.hub.world.find("stranger", "digits").path), "nice")  # type: ignore[union-attr]
    move(road, repository, "main", sha)
    road.wait(5)
    spec = backend.specs[backend.submissions[-1]]
    assert (spec.labels["sha"], spec.is_trusted, spec.keeps_storage) == (sha, True, True)
    assert road.shown(repository, sha)["experiments"] == ("in_progress", None)


def test_approved_in_one_pull_request_it_is_approved_in_the_other_of_the_same_head(
    road: Road, backend: ScriptedBackend
) -> None:
    """Each base selects its own: what is approved is the commit."""
    guard = CONFIG.partition("workflows:\n")[2].replace("  train:", "  guard:\n    triggers: {branches: {only: dev}}")
    repository, sha, pull = proposed(road, backend, config=CONFIG + guard)
    road.hub.commit_files(repository, {"dev.txt": "1"}, branch="dev", message="For dev")
    other = road.hub.open_pull(
        repository, head="nice", head_repository=pull.head_repository, base="dev", title="For dev", body=""
    )
    road.wait(35)
    assert road.shown(repository, sha)["guard / fit"] == HELD
    says(road, pull, f"/experiment approve {sha}")

    assert road.shown(repository, sha)["train / fit"] == ("queued", None)
    assert road.shown(repository, sha)["guard / fit"] == ("queued", None)
    assert "runs without secrets and without network" in sticky(other)

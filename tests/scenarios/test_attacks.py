"""What people try who want more than they may have: each play is one try, and what came of it."""

import pytest
from sqlalchemy import func, select

from bot.devhub import Pull, Repository
from bot.devhub.pushes import emit_pull
from bot.store.schema import Run
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_commands import says, sticky
from tests.scenarios.test_pull_request import opened
from tests.scenarios.test_strangers import HELD, NAMES, proposed

pytestmark = pytest.mark.service

CONFIG_PATH = ".ps_project/config.yaml"
WIDE = CONFIG + "permissions: {commands: read}\n"


# Who may have something done


def test_variables_are_for_those_who_may_write_however_far_commands_are_open(
    road: Road, backend: ScriptedBackend
) -> None:
    _, _, pull = opened(road, WIDE)
    reader = road.hub.add_user("reader")
    backend.fail(backend.submissions[-1])
    road.wait(35)
    count = len(backend.submissions)

    says(road, pull, "/experiment run HF_ENDPOINT=https://evil.example", by=reader)
    assert len(backend.submissions) == count
    assert "that needs the role write, and `reader` has read" in sticky(pull)

    says(road, pull, "/experiment run", by=reader)
    assert len(backend.submissions) == count + 1
    assert "HF_ENDPOINT" not in backend.specs[backend.submissions[-1]].env


def test_approving_is_for_those_who_may_write_however_far_commands_are_open(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, sha, pull = proposed(road, backend, config=WIDE)
    says(road, pull, f"/experiment approve {sha}", by=road.hub.add_user("stranger"))
    assert len(backend.submissions) == 1
    assert road.shown(repository, sha) == dict.fromkeys(NAMES, HELD)


def test_a_pull_request_does_not_open_commands_to_its_author(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    road.hub.commit_files(repository, {CONFIG_PATH: WIDE}, branch="change", message="Open it")
    pull = road.hub.open_pull(repository, head="change", base="main")
    road.settle()
    count = len(backend.submissions)
    says(road, pull, "/experiment cancel", by=road.hub.add_user("stranger"))
    assert backend.cancelled == {}
    assert len(backend.submissions) == count
    assert "needs the role write" in sticky(pull)


@pytest.mark.parametrize("who", ["acme", "stranger"])
def test_nobody_launches_what_is_held_by_running_it_again(road: Road, backend: ScriptedBackend, who: str) -> None:
    """Not by the button of a check, not by that of all checks, not by a word; not even somebody who may approve."""
    repository, sha, pull = proposed(road, backend)
    by = road.hub.world.account(who)
    for name in sorted(NAMES):
        road.hub.rerequest_check_run(repository, road.hub.check(repository, sha, name), by)
    road.wait(11)
    road.hub.rerequest_check_suite(repository, repository.suites[sha], by)
    says(road, pull, "/experiment rerun", by)
    says(road, pull, "/experiment rerun failed", by)

    assert len(backend.submissions) == 1
    assert road.shown(repository, sha) == dict.fromkeys(NAMES, HELD)


def test_who_is_refused_again_and_again_is_answered_no_more_and_costs_nothing(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, _, pull = opened(road)
    stranger = road.hub.add_user("stranger")
    for _ in range(5):
        says(road, pull, "/experiment cancel\n" * 5, by=stranger)
    reactions = [len(comment.reactions) for comment in pull.comments if comment.author is stranger]
    assert reactions == [1, 1, 0, 0, 0]
    before = len(road.hub.requests)
    says(road, pull, "/experiment cancel", by=stranger)
    assert [request.path for request in list(road.hub.requests)[before:] if request.method != "GET"] == []
    assert backend.cancelled == {}

    says(road, pull, "/experiment cancel")
    assert len(backend.cancelled) == 1, "others are heard"
    road.hub.add_collaborator(repository, "stranger", "write")
    road.wait(3600)
    says(road, pull, "/experiment rerun", by=stranger)
    assert "1 experiment begun" in sticky(pull), "an hour later everything is asked anew"


def test_who_may_not_click_cannot_click_first(road: Road, backend: ScriptedBackend) -> None:
    """Two clicks in a moment are one: that of a stranger is not the one that counts."""
    repository, sha, _ = proposed(road, backend)
    check = road.hub.check(repository, sha, "experiments")
    road.hub.request_action(repository, check, "approve", road.hub.add_user("stranger"))
    road.hub.request_action(repository, check, "approve")
    road.wait(5)
    assert backend.specs[backend.submissions[-1]].labels["sha"] == sha


@pytest.mark.parametrize("by", ["word", "button"])
def test_of_a_closed_pull_request_nothing_is_approved(road: Road, backend: ScriptedBackend, by: str) -> None:
    repository, sha, pull = proposed(road, backend)
    road.hub.close_pull(pull)
    road.wait(5)
    if by == "word":
        road.hub.comment(pull, f"/experiment approve {sha}")
    else:
        road.hub.request_action(repository, road.hub.check(repository, sha, "experiments"), "approve")
    road.wait(35)
    assert len(backend.submissions) == 1


def test_the_button_of_an_older_head_approves_nothing(road: Road, backend: ScriptedBackend) -> None:
    """The check that somebody looked at is that of a commit which is not proposed any more."""
    repository, sha, pull = proposed(road, backend)
    check = road.hub.check(repository, sha, "experiments")
    road.hub.commit_files(pull.head_repository, {"train.py": "worse()"}, branch="nice", message="Nicer")
    road.hub.request_action(repository, check, "approve")
    road.wait(35)
    assert len(backend.submissions) == 1


def test_a_title_or_a_text_that_changes_after_the_approval_changes_nothing(
    road: Road, backend: ScriptedBackend
) -> None:
    _, sha, pull = proposed(road, backend)
    says(road, pull, f"/experiment approve {sha}")
    count = len(backend.submissions)
    pull.title, pull.body = "/experiment run", f"/experiment approve {sha}\n/experiment run EVIL=1"
    pull.updated_at = road.clock.now()
    emit_pull(road.hub.site, pull, pull.author, "edited", changes={"title": {"from": "Nice"}, "body": {"from": ""}})
    road.wait(35)
    assert len(backend.submissions) == count
    assert backend.cancelled == {}


def test_a_bot_commands_nothing_whatever_its_role(road: Road, backend: ScriptedBackend) -> None:
    repository, _, pull = opened(road)
    bot = road.hub.world.account("helper[bot]", "Bot")
    repository.collaborators[bot.login.lower()] = "admin"
    road.hub.comment(pull, "/experiment cancel", bot)
    road.wait(35)
    assert backend.cancelled == {}


# What a pull request writes into its own config


def proposed_by_us(road: Road, repository: Repository) -> Pull:
    """A pull request of the repository itself, whose head runs."""
    road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Change")
    pull = road.hub.open_pull(repository, head="change", base="main")
    road.settle()
    return pull


def config(params: str = "machineType: small", step: str = "timeout: 30m", top: str = "") -> str:
    wanted = CONFIG.replace("          command:", f"          {params}\n          command:")
    return wanted.replace("        checks:", f"        {step}\n        checks:") + top


@pytest.mark.parametrize(
    ("usual", "wanted", "why"),
    [
        pytest.param(
            config(top="limits: {machine-types: [small]}\n"),
            config("machineType: huge", top="limits: {machine-types: [huge]}\n"),
            "the machine type `huge` is not given",
            id="machine",
        ),
        pytest.param(
            config(top="limits: {images: ['python:.*']}\n"),
            config("container: python:3.11\n          registryUrl: https://evil.example"),
            "the image `evil.example/python:3.11` is not given",
            id="image",
        ),
        pytest.param(
            config(top="limits: {timeout: 1h}\n"),
            config(step="timeout: 6d", top="limits: {timeout: 7d}\n"),
            "no more than 1 h is given",
            id="time",
        ),
        pytest.param(
            config(top="limits: {runs: 2}\n"),
            config(step="matrix: {seed: [1, 2, 3]}", top="limits: {runs: 100}\n"),
            "no more than 2 are given",
            id="number",
        ),
        pytest.param(
            config(),
            config("experimentEnv: {TOKEN: 'secret:deploy'}"),
            "`deploy` is not given to this code",
            id="secret",
        ),
    ],
)
def test_a_pull_request_gives_itself_nothing(
    road: Road, backend: ScriptedBackend, usual: str, wanted: str, why: str
) -> None:
    repository, _ = road.repository({CONFIG_PATH: usual})
    road.settle()
    sha = road.hub.commit_files(repository, {CONFIG_PATH: wanted}, branch="change", message="More")
    road.hub.open_pull(repository, head="change", base="main")
    road.wait(35)

    assert len(backend.submissions) == 1
    assert why in (road.hub.check(repository, sha, "train / fit").output.summary or "")


def test_what_the_default_branch_took_back_an_older_commit_of_it_does_not_give_again(
    road: Road, backend: ScriptedBackend
) -> None:
    """Run again, it is that commit's code under today's rules; and its rules do not come back for others."""
    greedy = WIDE.replace("command: python3", "experimentEnv: {TOKEN: 'secret:deploy'}\n          command: python3")
    repository, first = road.repository({CONFIG_PATH: greedy})
    road.settle()
    road.hub.commit_files(repository, {CONFIG_PATH: CONFIG}, message="Take it back")
    road.settle()
    pull = proposed_by_us(road, repository)
    count = len(backend.submissions)

    road.hub.rerequest_check_run(repository, road.hub.check(repository, first, "train / fit"))
    road.wait(35)
    assert len(backend.submissions) == count
    assert "`deploy` is not given" in (road.hub.check(repository, first, "train / fit").output.summary or "")

    says(road, pull, "/experiment cancel", by=road.hub.add_user("reader"))
    assert backend.cancelled == {}


def test_a_push_that_is_told_late_gives_nothing_back_either(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    pull = proposed_by_us(road, repository)
    road.hub.courier.delay_next("push", clock_seconds=120)
    road.hub.commit_files(repository, {CONFIG_PATH: WIDE}, message="Open it")
    road.wait(60)
    road.hub.commit_files(repository, {CONFIG_PATH: CONFIG}, message="Close it again")
    road.wait(90)
    assert len(backend.submissions) == 4, "it was told after all"

    says(road, pull, "/experiment cancel", by=road.hub.add_user("reader"))
    assert backend.cancelled == {}


def test_code_from_outside_keeps_nobody_waiting(road: Road, backend: ScriptedBackend) -> None:
    """Approved, it names the group in which the default branch takes turns."""
    turns = CONFIG + "    concurrency: {group: gpu}\n"
    repository, sha, pull = proposed(road, backend, {CONFIG_PATH: turns}, turns)
    says(road, pull, f"/experiment approve {sha}")
    backend.begin(backend.submissions[-1])
    road.wait(2)

    newer = road.hub.commit_files(repository, {"train.py": "print(3)"}, message="Ours")
    road.wait(2)
    assert backend.specs[backend.submissions[-1]].labels["sha"] == newer


# Words


def test_names_that_mean_something_elsewhere_are_names_here(road: Road, backend: ScriptedBackend) -> None:
    name = "x'); DROP TABLE runs; -- <b>@acme</b> ![](https://evil.example/p.png)"
    named = CONFIG.replace("  train:", f'  "{name}":')
    repository, _ = road.repository({CONFIG_PATH: named})
    road.settle()
    branch = "a'$(touch${IFS}owned);drop`id`"
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, branch=branch, message="$(touch owned)")
    pull = road.hub.open_pull(repository, head=branch, base="main", title="'; DROP TABLE pulls; --", body="")
    road.settle()
    for attempt in backend.submissions:
        backend.fail(attempt)
    road.wait(35)

    assert road.shown(repository, sha)["experiments"] == ("completed", "failure")
    assert _count(road) == 2
    assert "<b>" not in sticky(pull)
    assert "@acme" not in sticky(pull)
    assert "![](" not in sticky(pull)
    assert {spec.groups[0].command for spec in backend.specs.values()} == {"python3 train.py"}


def _count(road: Road) -> int:
    with road.database.read() as tx:
        return tx.scalar(select(func.count()).select_from(Run)) or 0

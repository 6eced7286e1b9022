"""What people ask for in comments, and what comes of it: one answer each, in a reaction and in the comment."""

import pytest
from sqlalchemy import select

from bot.devhub import Account, Pull, Repository
from bot.store.schema import Request
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_pull_request import opened

pytestmark = pytest.mark.service

TWO = (
    CONFIG
    + """\
  bench:
    triggers: {events: [command]}
    steps:
      - name: speed
        command: experiment.run_single_node
        params: {command: python3 bench.py}
"""
)


def says(road: Road, pull: Pull, body: str, by: Account | None = None) -> None:
    """Somebody comments, and everybody gets time to answer."""
    road.hub.comment(pull, body, by)
    road.wait(35)


def sticky(pull: Pull) -> str:
    """The bot's one comment."""
    [comment] = [comment for comment in pull.comments if comment.author.kind == "Bot"]
    return comment.body


def failed(road: Road, backend: ScriptedBackend) -> tuple[Repository, str, Pull]:
    """A pull request whose run has failed."""
    repository, sha, pull = opened(road)
    backend.fail(backend.submissions[-1])
    road.wait(35)
    return repository, sha, pull


def test_rerun_makes_a_new_attempt_and_new_checks_of_the_same_names(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = failed(road, backend)
    before = {run.id for run in road.hub.checks(repository, sha)}

    says(road, pull, "/experiment rerun failed")

    assert backend.submissions[-1].endswith("-2")
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)
    assert road.shown(repository, sha)["experiments"] == ("in_progress", None)
    assert before.isdisjoint({run.id for run in road.hub.checks(repository, sha)})
    assert "`/experiment rerun failed`" in sticky(pull)
    assert "1 experiment begun: `train / fit`" in sticky(pull)

    backend.succeed(backend.submissions[-1])
    road.wait(35)
    assert road.shown(repository, sha)["train / fit"] == ("completed", "success")


def test_what_runs_is_not_run_twice(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = opened(road)
    count = len(backend.submissions)

    says(road, pull, "/experiment rerun")

    assert len(backend.submissions) == count
    assert "running already" in sticky(pull)


def test_run_starts_a_workflow_that_waits_for_commands_with_settings_that_are_shown(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, sha, pull = opened(road, TWO)
    assert "bench / speed" not in road.shown(repository, sha)

    says(road, pull, "Let us see.\n\n/experiment run bench LR=0.1 NOTE='a; rm -rf /'")

    spec = backend.specs[backend.submissions[-1]]
    assert (spec.env["LR"], spec.env["NOTE"]) == ("0.1", "a; rm -rf /")
    assert spec.groups[0].command == "python3 bench.py"
    backend.succeed(backend.submissions[-1])
    road.wait(35)
    check = road.hub.check(repository, sha, "bench / speed")
    assert "with LR=0.1" in (check.output.title or "")
    assert "`LR=0.1`" in (check.output.summary or "")


def test_run_by_an_unknown_name_says_which_there_are(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = opened(road, TWO)
    says(road, pull, "/experiment run benhc")
    assert "there is no workflow `benhc`; there are `train`, `bench`" in sticky(pull)


def test_cancel_stops_what_runs_and_keeps_it_stopped(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = opened(road)
    backend.begin(backend.submissions[-1])
    road.wait(2)

    says(road, pull, "/experiment cancel train / fit")
    assert backend.cancelled == {backend.submissions[-1]: "cancelled by acme"}
    assert road.shown(repository, sha)["train / fit"] == ("completed", "cancelled")

    road.hub.close_pull(pull)
    road.wait(2)
    road.hub.reopen_pull(pull)
    road.wait(35)
    assert road.shown(repository, sha)["train / fit"] == ("completed", "cancelled"), "a person stopped it"

    says(road, pull, "/experiment rerun train / fit")
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)


def test_a_stranger_is_refused_with_the_reason_and_nothing_happens(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = failed(road, backend)
    count = len(backend.submissions)

    says(road, pull, "/experiment rerun failed", by=road.hub.add_user("mallory"))

    assert len(backend.submissions) == count
    assert "that needs the role write, and `mallory` has read" in sticky(pull)


def test_the_permission_counts_that_one_has_when_it_is_done(road: Road, backend: ScriptedBackend) -> None:
    repository, _, pull = failed(road, backend)
    zoe = road.hub.add_collaborator(repository, "zoe", "write")
    road.hub.comment(pull, "/experiment rerun failed", by=zoe)
    road.hub.wait_delivered()
    road.hub.add_collaborator(repository, "zoe", "read")
    count = len(backend.submissions)
    road.wait(35)

    assert len(backend.submissions) == count
    assert "`zoe` has read" in sticky(pull)


@pytest.mark.parametrize("body", ["> /experiment rerun failed", "`/experiment rerun failed`", "say /experiment help"])
def test_what_is_only_mentioned_is_no_command(road: Road, backend: ScriptedBackend, body: str) -> None:
    _, _, pull = failed(road, backend)
    count, before = len(backend.submissions), sticky(pull)
    says(road, pull, body)
    assert (len(backend.submissions), sticky(pull)) == (count, before)


def test_an_edited_comment_is_no_command(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = failed(road, backend)
    count = len(backend.submissions)
    comment = road.hub.comment(pull, "Hello")
    road.hub.edit_comment(pull, comment, "/experiment rerun failed")
    road.wait(35)
    assert len(backend.submissions) == count


def test_help_and_status_and_mistakes_are_answered_in_the_comment(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = opened(road)
    assert pull.comments == []

    says(road, pull, "/experiment help")
    assert "What can be asked for" in sticky(pull)
    says(road, pull, "/experiment status")
    assert "What can be asked for" not in sticky(pull)
    assert "0 of 1 experiment finished" in sticky(pull)
    says(road, pull, "/experiment rurun")
    assert "Did you mean `rerun`?" in sticky(pull)


def test_a_command_that_is_delivered_twice_is_carried_out_once(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = failed(road, backend)
    road.hub.courier.duplicate_next("issue_comment", new_guid=True)
    says(road, pull, "/experiment rerun failed")
    assert backend.submissions[-1].endswith("-2")
    backend.fail(backend.submissions[-1])
    road.wait(35)
    assert backend.submissions[-1].endswith("-2")
    assert sticky(pull).count("/experiment rerun failed") == 1


def test_a_later_step_that_was_kept_back_comes_along(road: Road, backend: ScriptedBackend) -> None:
    second = "      - {name: evaluate, command: experiment.run_single_node, params: {command: python3 evaluate.py}}\n"
    repository, sha, pull = opened(road, CONFIG + second)
    backend.fail(backend.submissions[-1])
    road.wait(35)
    assert road.shown(repository, sha)["train / evaluate"] == ("completed", "cancelled")

    says(road, pull, "/experiment rerun train / fit")
    backend.succeed(backend.submissions[-1])
    road.wait(5)
    backend.succeed(backend.submissions[-1])
    road.wait(35)
    assert road.shown(repository, sha)["train / evaluate"] == ("completed", "success")


def test_what_was_refused_at_a_pull_request_is_told_in_its_comment_and_at_no_commit(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, sha, pull = failed(road, backend)
    says(road, pull, "/experiment rerun", by=road.hub.add_user("stranger"))
    assert "needs the role write" in sticky(pull)
    says(road, pull, "/experiment status")
    assert "needs the role write" not in (road.hub.check(repository, sha, "experiments").output.summary or "")


def test_a_command_that_waits_has_a_reaction_of_its_own_when_it_is_answered(
    road: Road, backend: ScriptedBackend
) -> None:
    _, _, pull = failed(road, backend)
    road.hub.faults.fail_next("GET", r"/commits/nowhere$", status=500, times=3)
    says(road, pull, "/experiment status\n/experiment compare nowhere")
    for _ in range(12):
        road.wait(2)
    assert "there is no branch, tag or commit `nowhere`" in sticky(pull)
    said = {reaction.content for comment in pull.comments for reaction in comment.reactions}
    assert said == {"+1", "-1"}


def test_what_we_cannot_answer_by_our_own_fault_is_answered_with_that(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = failed(road, backend)
    road.hub.comment(pull, "/experiment status")
    road.tick("intake")
    with road.database.write() as tx:  # as a newer version might have written it
        tx.scalars(select(Request)).one().verb = "approve"
    for _ in range(12):
        road.wait(60)
    assert "it could not be done: a fault of the bot: IndexError" in sticky(pull)

"""A pull request that is turned to another base: from then on that one's rules count, and nobody else's."""

import pytest

from bot.devhub import Pull, Repository
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_commands import sticky
from tests.scenarios.test_own_gate import LOOSE, trained

pytestmark = pytest.mark.service

GATE = "train / fit / tensorflow:loss"
MORE = (
    CONFIG + "      - {name: evaluate, command: experiment.run_single_node, params: {command: python3 evaluate.py}}\n"
)


def aimed(road: Road, backend: ScriptedBackend, base: str, other: str) -> tuple[Repository, str, Pull]:
    """A pull request into `next`, of this base's config, whose run has logged 0.9; `main` has the other config."""
    repository, _ = road.repository({".ps_project/config.yaml": other})
    road.hub.commit_files(repository, {".ps_project/config.yaml": base}, branch="next", message="Another rule")
    files = {".ps_project/config.yaml": LOOSE, "train.py": "print(2)"}
    sha = road.hub.commit_files(repository, files, branch="change", message="Change it")
    pull = road.hub.open_pull(repository, head="change", base="next", title="Change", body="")
    road.settle()
    trained(road, backend, loss=0.9)
    return repository, sha, pull


def test_the_stricter_rule_of_a_new_base_counts_without_another_run(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = aimed(road, backend, base=LOOSE, other=CONFIG)
    assert road.shown(repository, sha)[GATE] == ("completed", "success")
    count = len(backend.submissions)

    road.hub.edit_base(pull, "main")
    road.wait(35)

    assert road.shown(repository, sha)[GATE] == ("completed", "failure")
    assert road.hub.check(repository, sha, GATE).output.title == "0.90, wanted < 0.5 by main"
    assert len(backend.submissions) == count
    assert "Gates that this pull request changes" in sticky(pull)


def test_a_name_that_only_the_new_base_asks_for_fails_as_removed(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = aimed(road, backend, base=LOOSE, other=MORE)
    assert "train / evaluate" not in road.shown(repository, sha)

    road.hub.edit_base(pull, "main")
    road.wait(35)
    assert road.shown(repository, sha)["train / evaluate"] == ("completed", "failure")
    assert (
        "removed by this pull request"
        in (road.hub.check(repository, sha, "train / evaluate").output.title or "").lower()
    )

    road.hub.edit_base(pull, "next")
    road.wait(35)
    assert road.shown(repository, sha)["experiments"] == ("completed", "success"), "nobody asks for it any more"


def test_an_older_word_about_the_base_changes_nothing(road: Road, backend: ScriptedBackend) -> None:
    """GitHub promises no order: of two turns the first is told last."""
    repository, sha, pull = aimed(road, backend, base=LOOSE, other=CONFIG)
    road.hub.courier.delay_next("pull_request", clock_seconds=60)
    road.hub.edit_base(pull, "main")
    road.clock.advance(2)
    road.hub.edit_base(pull, "next")
    road.wait(61)
    road.wait(35)
    assert road.shown(repository, sha)[GATE] == ("completed", "success")


def test_another_title_is_no_other_base(road: Road, backend: ScriptedBackend) -> None:
    _, _, pull = aimed(road, backend, base=LOOSE, other=CONFIG)
    road.hub.edit_pull(pull, "Another title")
    road.wait(2)
    assert road.answers("pull_request")[-1] == "pull_request action 'edited' changes no commit"


def test_what_the_base_has_taken_back_meanwhile_is_a_change_again(road: Road, backend: ScriptedBackend) -> None:
    """The event still names the commit of the base that had the same data; a merge would bring them back."""
    config = CONFIG + "    triggers: {paths: {only: 'data.txt'}}\n"
    repository, _ = road.repository({".ps_project/config.yaml": config, "data.txt": "old"})
    road.settle()
    sha = road.hub.commit_files(repository, {"data.txt": "new"}, branch="change", message="New data")
    road.hub.commit_files(repository, {"data.txt": "new"}, message="The same data")
    road.settle()
    road.hub.courier.delay_next("pull_request", clock_seconds=60)
    road.hub.open_pull(repository, head="change", base="main", title="Change", body="")
    road.hub.commit_files(repository, {"data.txt": "old"}, message="Not these data")
    road.wait(61)
    road.wait(5)
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)

"""A pull request cannot loosen its own gate: what its base asks for applies too, and the stricter wins."""

from pathlib import Path

import pytest
from tensorboardX import SummaryWriter

from bot.devhub import Pull, Repository
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_comes_back import move
from tests.scenarios.test_commands import sticky

pytestmark = pytest.mark.service

GATE = "train / fit / tensorflow:loss"
LOOSE = CONFIG.replace("..0.5", "..5")


def trained(road: Road, backend: ScriptedBackend, loss: float) -> None:
    """Every run that is under way logs this loss and ends well."""
    for attempt in backend.submissions:
        with SummaryWriter(str(Path(backend.specs[attempt].run_dir) / "artifacts")) as writer:
            writer.add_scalar("loss", loss, 1)
        backend.succeed(attempt)
    road.wait(35)


def proposed(road: Road, config: str | None, base: str = CONFIG) -> tuple[Repository, str, Pull]:
    """A pull request that changes the config of its base; None takes it away."""
    repository, _ = road.repository({".ps_project/config.yaml": base})
    road.settle()
    files = {".ps_project/config.yaml": config, "train.py": "print(2)"}
    sha = road.hub.commit_files(repository, files, branch="change", message="Change it")  # type: ignore[arg-type]
    pull = road.hub.open_pull(repository, head="change", base="main", title="Change", body="")
    road.settle()
    return repository, sha, pull


def test_a_loosened_gate_is_still_the_bases(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, pull = proposed(road, LOOSE)
    trained(road, backend, loss=0.9)

    check = road.hub.check(repository, sha, GATE)
    assert (check.status, check.conclusion) == ("completed", "failure")
    assert check.output.title == "0.90, wanted < 0.5 by main"
    assert road.shown(repository, sha)["experiments"] == ("completed", "failure")
    assert "Gates that this pull request changes" in sticky(pull)
    assert "`min` < 0.5" in sticky(pull)
    assert "`min` < 5" in sticky(pull)


def test_a_tightened_gate_is_its_own(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = proposed(road, CONFIG.replace("..0.5", "..0.1"))
    trained(road, backend, loss=0.3)
    assert road.shown(repository, sha)[GATE] == ("completed", "failure")


def test_a_loosened_gate_that_would_have_passed_passes(road: Road, backend: ScriptedBackend) -> None:
    repository, sha, _ = proposed(road, LOOSE)
    trained(road, backend, loss=0.3)
    assert road.shown(repository, sha)[GATE] == ("completed", "success")


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(CONFIG[: CONFIG.index("        checks:")], id="its gate"),
        pytest.param(CONFIG.replace("- name: fit", "- name: other"), id="its step"),
        pytest.param(CONFIG.replace("  train:", "  other:"), id="its workflow"),
        pytest.param(CONFIG.replace("tensorflow:loss", "tensorflow:lost"), id="its gate by another name"),
        pytest.param(None, id="the whole config"),
    ],
)
def test_a_name_that_is_removed_fails(road: Road, backend: ScriptedBackend, config: str | None) -> None:
    repository, sha, _ = proposed(road, config)
    trained(road, backend, loss=0.3)

    assert road.shown(repository, sha)[GATE] == ("completed", "failure")
    assert "removed by this pull request" in (road.hub.check(repository, sha, GATE).output.title or "").lower()
    assert road.shown(repository, sha)["experiments"] == ("completed", "failure")


@pytest.mark.parametrize(
    "triggers",
    ["{branches: {only: nothing}}", "{paths: {only: 'docs/.*'}}", "{events: pushes}", "{events: command}"],
)
def test_a_filter_that_would_leave_it_out_does_not(road: Road, backend: ScriptedBackend, triggers: str) -> None:
    repository, sha, _ = proposed(road, CONFIG + f"    triggers: {triggers}\n")
    assert len(backend.submissions) == 2
    trained(road, backend, loss=0.9)
    assert road.shown(repository, sha)[GATE] == ("completed", "failure")


def test_a_gate_for_pull_requests_only_is_no_way_out(road: Road, backend: ScriptedBackend) -> None:
    lenient = CONFIG + "            if-not-found: success\n"
    repository, sha, _ = proposed(road, lenient)
    for attempt in backend.submissions:
        backend.succeed(attempt)
    road.wait(5)
    assert road.shown(repository, sha)[GATE] == ("completed", "failure"), "nothing was logged"


def test_the_merge_queue_asks_the_same(road: Road, backend: ScriptedBackend) -> None:
    repository, _, pull = proposed(road, LOOSE)
    group = road.hub.request_merge_group(pull)
    road.settle()
    trained(road, backend, loss=0.9)
    assert road.shown(repository, group)[GATE] == ("completed", "failure")


def test_once_it_is_merged_the_new_rule_is_the_bases(road: Road, backend: ScriptedBackend) -> None:
    """Somebody who may do so merged it without the check: the commit is what main is now."""
    repository, sha, _ = proposed(road, LOOSE)
    trained(road, backend, loss=0.9)
    assert road.shown(repository, sha)[GATE] == ("completed", "failure")

    move(road, repository, "main", sha)
    road.wait(35)
    assert road.shown(repository, sha)[GATE] == ("completed", "success")


def test_a_new_gate_is_listed_and_asks_nothing_of_the_base(road: Road, backend: ScriptedBackend) -> None:
    more = CONFIG + "          tensorflow:accuracy: {target: 0.9.., aggregate: max, if-not-found: success}\n"
    repository, sha, pull = proposed(road, more)
    trained(road, backend, loss=0.3)
    assert road.shown(repository, sha)["experiments"] == ("completed", "success")
    assert "`tensorflow:accuracy` | `main` | none" in sticky(pull)


def test_one_head_of_two_pull_requests_has_the_worse_verdict_and_names_both(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, sha, pull = proposed(road, LOOSE)
    road.hub.commit_files(repository, {".ps_project/config.yaml": LOOSE}, branch="next", message="Loosen")
    other = road.hub.open_pull(repository, head="change", base="next", title="Into next", body="")
    road.settle()
    trained(road, backend, loss=0.9)

    assert len(backend.submissions) == 2, "one commit, one run"
    assert road.shown(repository, sha)[GATE] == ("completed", "failure")
    for one in (pull, other):
        assert "into `main`" in sticky(one)
        assert "into `next`" in sticky(one)

    road.hub.close_pull(pull)
    road.wait(35)
    assert road.shown(repository, sha)[GATE] == ("completed", "failure"), "it may be opened again"


def test_turned_to_another_base_it_is_that_ones_rule_that_counts(road: Road, backend: ScriptedBackend) -> None:
    from bot.devhub.pushes import emit_pull

    repository, sha, pull = proposed(road, LOOSE)
    trained(road, backend, loss=0.9)
    road.hub.commit_files(repository, {".ps_project/config.yaml": LOOSE}, branch="next", message="Loosen")
    pull.base_ref, pull.updated_at = "next", road.clock.now()
    emit_pull(road.hub.site, pull, pull.author, "edited", changes={"base": {"ref": {"from": "main"}}})
    road.wait(35)

    assert road.shown(repository, sha)[GATE] == ("completed", "success")
    assert len(backend.submissions) == 2


def test_a_step_that_takes_the_name_of_another_does_not_get_its_check(road: Road, backend: ScriptedBackend) -> None:
    """A cell of a matrix and a step may read the same; the base's is the one that is required."""
    base = CONFIG.replace("        checks:", "        matrix: {lr: [1, 2]}\n        report: each\n        checks:")
    cell = "train / fit (lr=1)"
    like = "{name: fit (lr=1), command: experiment.run_single_node, params: {command: 'true'}}"
    repository, sha, _ = proposed(road, base.replace("    steps:\n", f"    steps:\n      - {like}\n"), base)
    shown = road.shown(repository, sha)
    (other,) = (name for name in shown if name.startswith(f"{cell} ~"))

    backend.succeed(backend.submissions[-1])
    road.wait(5)
    assert road.hub.check(repository, sha, other).conclusion == "success"
    assert road.hub.check(repository, sha, cell).conclusion is None


def test_cells_that_are_added_take_no_verdict_out_of_sight(road: Road, backend: ScriptedBackend) -> None:
    """With the one that is missing they are too many for checks of their own; but these were told, and passed."""
    each = "        matrix: {{lr: [{}]}}\n        report: each\n        checks:"
    base = CONFIG.replace("        checks:", each.format("0, 1"))
    own = LOOSE.replace("        checks:", each.format(", ".join(map(str, range(1, 21)))))
    own = own.replace("  train:\n", "  train:\n    triggers: {branches: {only: '.*'}}\n")
    repository, _ = road.repository({".ps_project/config.yaml": base})
    road.settle()
    sha = road.hub.commit_files(repository, {".ps_project/config.yaml": own}, branch="change", message="Change it")
    road.wait(30)
    trained(road, backend, loss=0.9)
    road.wait(30)
    cell = "train / fit (lr=1) / tensorflow:loss"
    assert road.shown(repository, sha)[cell] == ("completed", "success"), "nobody asks for more yet"

    road.hub.open_pull(repository, head="change", base="main", title="Change", body="")
    road.wait(60)
    shown = road.shown(repository, sha)
    assert (shown[cell], shown["train / fit (lr=0)"]) == (("completed", "failure"), ("completed", "failure"))


def test_the_whole_config_is_not_taken_away_while_its_bases_cannot_be_read(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, sha, _ = proposed(road, None, CONFIG.replace("version: 2", "version: 7"))
    assert road.shown(repository, sha) == {"experiments": ("completed", "failure")}
    summary = road.hub.check(repository, sha, "experiments").output.summary or ""
    assert "what main asks for cannot be read" in summary

    road.hub.commit_files(repository, {".ps_project/config.yaml": CONFIG}, branch="main", message="Mend it")
    sha = road.hub.commit_files(repository, {"train.py": "print(3)"}, branch="change", message="Go on")
    road.settle()
    assert road.shown(repository, sha)[GATE] == ("completed", "failure"), "main asks for it"

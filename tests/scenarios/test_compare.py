"""A pull request beside its base, and beside what somebody names: figures, parameters and curves."""

from pathlib import Path

import pytest
from tensorboardX import SummaryWriter

from bot.devhub import Pull, Repository
from bot.store.schema import Comparison
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.test_commands import says, sticky

pytestmark = pytest.mark.service

TABLE = "| metric | this commit | `main` | change | gate | result |"


def trains(road: Road, backend: ScriptedBackend, *losses: float) -> None:
    """The newest run logs these losses and ends well."""
    attempt = backend.submissions[-1]
    with SummaryWriter(str(Path(backend.specs[attempt].run_dir) / "artifacts")) as writer:
        for step, loss in enumerate(losses):
            writer.add_scalar("loss", loss, step)
            writer.add_scalar("speed", 10 + step, step)
    backend.succeed(attempt)
    road.wait(5)


def change(road: Road, repository: Repository, config: str = CONFIG) -> tuple[str, Pull]:
    """Somebody proposes a change."""
    files = {".ps_project/config.yaml": config, "train.py": "print(2)"}
    sha = road.hub.commit_files(repository, files, branch="change", message="Train longer")
    pull = road.hub.open_pull(repository, head="change", base="main", title="Change", body="")
    road.settle()
    return sha, pull


def on_main(road: Road, backend: ScriptedBackend, *losses: float) -> tuple[Repository, str]:
    """The default branch was run."""
    repository, sha = road.repository()
    road.settle()
    trains(road, backend, *losses)
    return repository, sha


def test_every_metric_stands_beside_its_value_where_the_branches_part(road: Road, backend: ScriptedBackend) -> None:
    repository, main = on_main(road, backend, 0.9, 0.48)
    sha, pull = change(road, repository)
    trains(road, backend, 0.9, 0.45)
    road.wait(35)

    assert TABLE in sticky(pull)
    assert "| `tensorflow:loss` | 0.45 | 0.48 | ▼ 0.03 better | < 0.5 |" in sticky(pull)
    assert "| `tensorflow:speed` | 11 | 11 | = |" in sticky(pull), "no gate says which way is good"
    assert main[:7] in sticky(pull)
    assert "where this commit parts from `main`" in sticky(pull)
    assert "No parameter of the config differs." in sticky(pull)
    assert TABLE in (road.hub.check(repository, sha, "experiments").output.summary or "")


def test_a_worse_value_says_so(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = on_main(road, backend, 0.9, 0.40)
    _, pull = change(road, repository)
    trains(road, backend, 0.9, 0.45)
    road.wait(35)
    assert "| `tensorflow:loss` | 0.45 | 0.40 | ▲ 0.05 worse | < 0.5 |" in sticky(pull)


def test_where_the_branches_part_nothing_was_run_the_newest_that_finished_stands_in(
    road: Road, backend: ScriptedBackend
) -> None:
    repository, first = on_main(road, backend, 0.9, 0.48)
    # Nobody runs what does not select the workflow; the base has moved on.
    road.hub.commit_files(repository, {"README.md": "hello"}, message="Say hello [skip ci]")
    road.settle()
    _, pull = change(road, repository)
    trains(road, backend, 0.9, 0.45)
    road.wait(35)

    assert "| `tensorflow:loss` | 0.45 | 0.48 | ▼ 0.03 better |" in sticky(pull)
    assert first[:7] in sticky(pull)
    assert "nothing was run where this commit parts from it" in sticky(pull)


def test_a_base_that_is_still_being_run_is_waited_for(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    running = backend.submissions[-1]
    _, pull = change(road, repository)
    trains(road, backend, 0.9, 0.45)
    road.wait(35)
    assert TABLE not in sticky(pull)

    backend.submissions.append(running)
    trains(road, backend, 0.9, 0.48)
    road.wait(70)
    road.wait(35)
    assert "| `tensorflow:loss` | 0.45 | 0.48 | ▼ 0.03 better |" in sticky(pull)


def test_what_was_named_while_it_still_ran_is_waited_for_too(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = on_main(road, backend, 0.9, 0.48)
    other = road.hub.commit_files(repository, {"train.py": "print(3)"}, message="Another")
    road.settle()
    running = backend.submissions[-1]
    _, pull = change(road, repository)
    trains(road, backend, 0.9, 0.45)
    road.wait(35)
    says(road, pull, f"/experiment compare {other[:12]}")
    assert "no experiment of both commits has ended well" in sticky(pull)

    backend.submissions.append(running)
    trains(road, backend, 0.9, 0.30)
    road.wait(70)
    road.wait(35)
    assert "| train / fit `tensorflow:loss` | 0.45 | 0.30 | ▲ 0.15 worse |" in sticky(pull)


def test_what_stands_beside_it_may_be_run_again(road: Road, backend: ScriptedBackend) -> None:
    """Its figures stay as they were until it has new ones."""
    repository, base = on_main(road, backend, 0.9, 0.48)
    _, pull = change(road, repository)
    trains(road, backend, 0.9, 0.45)
    road.wait(35)
    road.hub.rerequest_check_run(repository, road.hub.check(repository, base, "train / fit"))
    road.wait(15)
    again = backend.submissions[-1]
    assert again.endswith("-2")
    says(road, pull, "/experiment status")
    road.wait(70)
    assert "| `tensorflow:loss` | 0.45 | 0.48 | ▼ 0.03 better |" in sticky(pull)

    trains(road, backend, 0.9, 0.30)
    road.wait(70)
    assert "| `tensorflow:loss` | 0.45 | 0.30 | ▲ 0.15 worse |" in sticky(pull)


def test_what_is_done_with_an_old_commit_is_seen_within_a_minute(road: Road, backend: ScriptedBackend) -> None:
    repository, first = on_main(road, backend, 0.9, 0.48)
    sha, pull = change(road, repository)
    trains(road, backend, 0.9, 0.45)
    for _ in range(3):
        road.wait(86_400)
    road.hub.rerequest_check_run(repository, road.hub.check(repository, sha, "train / fit"))
    road.wait(15)
    trains(road, backend, 0.9, 0.40)
    road.wait(60)
    road.wait(5)
    assert "| `tensorflow:loss` | 0.40 | 0.48 | ▼ 0.08 better |" in sticky(pull)

    for _ in range(3):
        road.wait(86_400)
    says(road, pull, f"/experiment compare {first[:12]}")
    assert f"Compared with {first[:12]}" in sticky(pull)


def test_parameters_that_differ_are_listed(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = on_main(road, backend, 0.9, 0.48)
    _, pull = change(road, repository, CONFIG.replace("train.py", "train.py --epochs 20"))
    trains(road, backend, 0.9, 0.45)
    road.wait(35)
    assert "| train / fit `command` | `python3 train.py --epochs 20` | `python3 train.py` |" in sticky(pull)


def test_a_commit_may_be_put_beside_any_other_that_was_run(road: Road, backend: ScriptedBackend) -> None:
    repository, first = on_main(road, backend, 0.9, 0.30)
    road.hub.commit_files(repository, {"train.py": "print(3)"}, message="Second")
    road.settle()
    trains(road, backend, 0.9, 0.48)
    _, pull = change(road, repository)
    trains(road, backend, 0.9, 0.45)
    road.wait(35)

    says(road, pull, f"/experiment compare {first[:12]}")

    assert "| `tensorflow:loss` | 0.45 | 0.48 | ▼ 0.03 better |" in sticky(pull), "the base stays where it was"
    assert f"Compared with {first[:12]}" in sticky(pull)
    assert "| train / fit `tensorflow:loss` | 0.45 | 0.30 | ▲ 0.15 worse |" in sticky(pull)


@pytest.mark.parametrize(
    ("ref", "answer"),
    [("no-such-branch", "there is no branch, tag or commit `no-such-branch`"), ("quiet", "nothing was run at `quiet`")],
)
def test_what_cannot_be_compared_with_is_refused_with_the_reason(
    road: Road, backend: ScriptedBackend, ref: str, answer: str
) -> None:
    repository, _ = road.repository()
    road.settle()
    _, pull = change(road, repository)
    trains(road, backend, 0.9, 0.45)
    road.hub.commit_files(repository, {".ps_project/config.yaml": None}, branch="quiet", message="Nothing to run")  # type: ignore[dict-item]
    road.settle()

    says(road, pull, f"/experiment compare {ref}")
    assert answer in sticky(pull)


def test_the_button_puts_a_branch_beside_the_default_one(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository({".ps_project/config.yaml": CONFIG + "    triggers: {branches: {only: '.*'}}\n"})
    road.settle()
    trains(road, backend, 0.9, 0.48)
    sha = road.hub.commit_files(repository, {"train.py": "print(4)"}, branch="lone", message="No pull request")
    road.settle()
    trains(road, backend, 0.9, 0.45)
    check = road.hub.check(repository, sha, "experiments")
    assert "compare" in [action["identifier"] for action in check.actions]
    assert "change" not in (check.output.summary or "")

    road.hub.request_action(repository, check, "compare")
    road.wait(5)
    assert TABLE in (road.hub.check(repository, sha, "experiments").output.summary or "")


def test_one_picture_holds_both_curves(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = on_main(road, backend, 0.9, 0.48)
    change(road, repository)
    trains(road, backend, 0.9, 0.45)
    road.wait(35)

    with road.database.read() as tx:
        [row] = tx.query(Comparison).all()
    assert row.how == "merge base"
    picture = road.settings.data_dir / "images" / f"{row.picture}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_settled_comparison_costs_nothing(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = on_main(road, backend, 0.9, 0.48)
    change(road, repository)
    trains(road, backend, 0.9, 0.45)
    road.wait(35)
    asked = road.hub.requests.count("GET", "/repos/{owner}/{repo}/compare/{basehead}")
    for _ in range(20):
        road.wait(60)
    road.restart_worker(road.database)
    road.wait(60)
    assert road.hub.requests.count("GET", "/repos/{owner}/{repo}/compare/{basehead}") == asked == 1

"""What of a checkout is run, or why nothing is: told before anything begins."""

from pathlib import Path

import pytest

from tests.run.person import Person
from tests.run.repository import Repository

pytestmark = pytest.mark.service

CONFIG = """\
version: 2
workflows:
  train:
    steps:
      - name: fit
        command: experiment.run_single_node
        matrix: {seed: [1, 2]}
        params: {command: "true"}
  bench:
    triggers: {events: [command]}
    steps: [{name: speed, command: experiment.run_single_node, params: {command: "true"}}]
  release:
    triggers: {branches: {only: [release/.*]}}
    steps: [{name: check, command: experiment.run_single_node, params: {command: "true"}}]
"""


@pytest.fixture
def person(tmp_path: Path) -> Person:
    repository = Repository(tmp_path / "digits", {".ps_project/config.yaml": CONFIG, "sub/x": "1"})
    return Person(repository, tmp_path / "state")


def listed(person: Person, *arguments: str) -> list[str]:
    """What `--list` says would run, without the steps."""
    done = person.run(*arguments, "--list")
    assert done.status == 0, done.complained
    return [line.strip() for line in done.said.splitlines() if line.startswith("  workflow")]


def test_what_would_run_is_listed_and_nothing_runs(person: Person) -> None:
    done = person.run("--list")
    assert done.status == 0
    assert done.said.splitlines() == [
        f"{person.repository.head[:7]} “First”: 1 of 3 workflows run",
        "  workflow train: run",
        "    step fit: single node, 2 experiments",
    ]
    assert not list(person.homes[0].glob("runs/*"))


def test_a_push_to_the_branch_that_it_is_on_decides_unless_another_is_named(person: Person) -> None:
    person.repository.git("switch", "--quiet", "--create", "release/2")
    assert listed(person) == ["workflow release: run"]
    assert listed(person, "--branch", "main") == ["workflow train: run"]
    assert listed(person, "--pull", "main") == [
        "workflow train: run",
        "workflow release: skip (its branch filter does not select main)",
    ]


def test_names_choose_whatever_filters_say(person: Person) -> None:
    assert listed(person, ".", "bench", "release") == ["workflow bench: run", "workflow release: run"]
    assert listed(person, "--branch", "main", ".", "bench") == ["workflow bench: run"]
    assert listed(person, ".", "--branch", "main", "bench") == ["workflow bench: run"], "in whatever order"


def test_where_a_push_would_run_nothing_it_is_said_why(person: Person) -> None:
    person.repository.git("switch", "--quiet", "--create", "idea")
    done = person.run(".")
    assert (done.status, done.said) == (2, "")
    assert done.complained == (
        "experiment-ci: a push to idea would run nothing (`train`: only the default branch and pull requests are built"
        " unless a filter selects more; `bench`: waiting for a command; `release`: its branch filter does not select"
        " idea). Name a workflow, or say --branch or --pull\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([".", "trian"], "there is no workflow `trian`; there are `train`, `bench`, `release`"),
        (["train"], "train is no directory; a workflow of this checkout: experiment-ci run . train"),
        (["no/where"], "no/where is no directory"),
        ([".", "--branch", "a", "--pull", "b"], "--branch and --pull exclude each other"),
        ([".", "TOKEN=secret:x"], "a secret cannot be given in a command: name it in the config"),
        ([".", f"LONG={'x' * 501}"], "`LONG` is longer than 500 characters"),
        ([".", "--environment", "/nonexistent"], "/nonexistent is not the absolute path of an environment"),
    ],
)
def test_what_cannot_be_meant_is_said_with_status_2(person: Person, arguments: list[str], says: str) -> None:
    done = person.run(*arguments)
    assert (done.status, done.said, done.complained) == (2, "", f"experiment-ci: {says}\n")


def test_a_config_with_errors_is_told_as_check_config_tells_it(person: Person) -> None:
    person.repository.write({".ps_project/config.yaml": CONFIG.replace("matrix:", "matirx:")})
    done = person.run(".")
    assert done.status == 2
    assert ".ps_project/config.yaml:7:9: error:" in done.said
    assert "  hint: " in done.said
    assert done.complained == "experiment-ci: .ps_project/config.yaml has errors\n"


def test_warnings_are_told_too(person: Person) -> None:
    person.repository.write({".ps_project/config.yaml": CONFIG.replace("release/.*", "release/*")})
    done = person.run("--list")
    assert (done.status, "warning:" in done.said) == (0, True)


def test_where_there_is_no_config_it_is_said_where_one_is_or_could_be(person: Person, tmp_path: Path) -> None:
    root = person.repository.root
    assert person.run("sub").complained == (
        f"experiment-ci: {root}/sub has no config of its own; that of {root} is run by: experiment-ci run {root}\n"
    )
    (tmp_path / "empty").mkdir()
    assert person.run(str(tmp_path / "empty")).complained == (
        f"experiment-ci: {tmp_path}/empty has no .ps_project/config.yaml or config.yaml of ours; `experiment-ci init`"
        " proposes one\n"
    )
    person.repository.git("rm", "--quiet", "--cached", "-r", ".ps_project")
    person.repository.write({".gitignore": ".ps_project\n"})
    assert "is ignored by git: a bot would not see it either" in person.run(".").complained


def test_a_setting_that_is_malformed_is_named(person: Person) -> None:
    person.environ = {"NETWORK": "wide"}
    done = person.run(".")
    assert (done.status, done.complained) == (
        2,
        "experiment-ci: NETWORK must be one of auto, private, shared, not 'wide'.\n",
    )


def test_without_a_home_it_is_said_how_to_give_one(person: Person) -> None:
    person.environ = {"XDG_STATE_HOME": "", "HOME": "/proc/nothing"}
    done = person.run(".")
    assert done.status == 2
    assert done.complained.startswith("experiment-ci: /proc/nothing/.local/state/experiment-ci/digits-")
    assert done.complained.endswith("; --dir names another place\n")

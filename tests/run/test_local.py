"""`experiment-ci run` in a checkout, as a person types it: everything is real but the person."""

import json
import re
import signal
import time
from pathlib import Path

import pytest

from tests.backends.lab import eventually, processes_with
from tests.run.person import Person
from tests.run.repository import Repository

pytestmark = [pytest.mark.service, pytest.mark.slow]

CONFIG = """\
version: 2
workflows:
  train:
    steps:
      - name: fit
        command: experiment.run_single_node
        params: {{command: {command}}}
"""
GATE = """\
        checks:
          custom:accuracy: {target: 0.9.., aggregate: /accuracy}
"""
TRAIN = """\
import json, os, sys
accuracy = float(os.environ.get("ACCURACY", "0.95"))
print("the accuracy is", accuracy)
if accuracy < 0:
    raise ValueError("the loss is nan")
with open(os.environ["ARTIFACTS_DIR"] + "/gradient-model-metadata.json", "w") as file:
    json.dump({"accuracy": accuracy}, file)
"""
FOREVER = "sleep {word} & trap '' TERM; echo ready; wait; sleep {word}"


def config(command: str = "python3 train.py") -> str:
    return CONFIG.format(command=json.dumps(command))


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """Somebody with a training that has a gate."""
    files = {".ps_project/config.yaml": config() + GATE, "train.py": TRAIN}
    return Person(Repository(tmp_path / "digits", files), tmp_path / "state")


def runs(person: Person, command: str) -> None:
    """Let the checkout run a command instead, without a gate; nothing is committed."""
    person.repository.write({".ps_project/config.yaml": config(command)})


def test_a_checkout_runs_to_its_verdict(person: Person) -> None:
    before = person.repository.everything()

    done = person.run(".")

    assert (done.status, done.complained) == (0, "")
    said = done.said.splitlines()
    assert said[0] == f"digits: main at {person.repository.head[:7]}"
    assert any(line.startswith("✓ train / fit  Succeeded in ") for line in said)
    assert any(re.fullmatch(r"  ✓  custom:accuracy +0\.95  > 0\.9", line) for line in said)
    assert said[-1] == "✓ 1 of 1 gate passed"
    [log] = re.findall(r"^  log +(/\S+)$", done.said, re.M)
    assert Path(log).read_text() == "the accuracy is 0.95\n"
    [artifacts] = re.findall(r"^  artifacts +(/\S+)$", done.said, re.M)
    assert (Path(artifacts) / "gradient-model-metadata.json").exists()
    assert person.repository.everything() == before
    assert person.homes[0].stat().st_mode & 0o777 == 0o700


def test_what_is_not_committed_runs_and_a_gate_that_fails_is_status_1(person: Person) -> None:
    person.repository.write({"train.py": TRAIN.replace("0.95", "0.5")})

    done = person.run()

    assert done.status == 1
    assert f"digits: main at {person.repository.head[:7]}, and what is not committed\n" in done.said
    assert done.said.endswith("✗ 0 of 1 gate passed; custom:accuracy 0.50, wanted > 0.9\n")


def test_settings_are_variables_of_the_run_and_the_same_commit_can_be_run_again(person: Person) -> None:
    assert person.run(".", "train", "ACCURACY=0.99").status == 0
    done = person.run(".", "train", "ACCURACY=0.1")
    assert done.status == 1
    assert "with ACCURACY=0.1" in done.said
    assert "/2/worker-0/log" in done.said


def test_a_failure_is_told_with_its_line_and_the_end_of_its_log(person: Person) -> None:
    done = person.run(".", "ACCURACY=-1")
    assert done.status == 1
    assert "✗ train / fit  The loss is NaN at train.py:5" in done.said
    assert "    │ ValueError: the loss is nan\n" in done.said
    assert "not evaluated" not in done.said, "the failed experiment speaks for its gates"


def test_a_secret_comes_from_the_environment_by_its_own_name_only(person: Person) -> None:
    secret = "        params: {command: python3 train.py, experimentEnv: {TOKEN: 'secret:api-token'}}\n"
    leaking = 'import os\nprint("token:", os.environ["TOKEN"])\n'
    plain = config()
    person.repository.write(
        {".ps_project/config.yaml": plain[: plain.index("        params:")] + secret, "train.py": leaking}
    )
    person.environ = {"api-token": "wrong", "API_TOKEN": "wrong"}
    done = person.run(".")
    assert done.status == 1
    assert "the secret api-token is not given: set SECRET_API_TOKEN in the environment\n" in done.said
    assert "could not be launched: not given by the environment: the secrets api-token (SECRET_API_TOKEN)" in done.said

    person.environ = {"SECRET_API_TOKEN": "hunter22"}
    done = person.run(".")
    assert done.status == 0
    [log] = re.findall(r"^  log +(/\S+)$", done.said, re.M)
    assert Path(log).read_text() == "token: ***\n"
    kept = [path.read_bytes() for home in person.homes for path in home.rglob("*") if path.is_file()]
    assert not any(b"hunter22" in content for content in kept)


def test_as_a_pull_request_its_own_gates_are_asked(person: Person) -> None:
    only = "          custom:accuracy: {target: 0.99.., aggregate: /accuracy, only-pulls: true}\n"
    person.repository.write({".ps_project/config.yaml": config() + "        checks:\n" + only})
    assert person.run(".").status == 0
    person.repository.git("switch", "--quiet", "--create", "better")
    done = person.run("--pull", "main")
    assert done.status == 1
    assert "custom:accuracy 0.95, wanted > 0.99" in done.said


def test_a_later_step_runs_when_the_one_before_it_succeeded(person: Person) -> None:
    second = "      - {name: evaluate, command: experiment.run_single_node, params: {command: echo good}}\n"
    person.repository.write({".ps_project/config.yaml": config("true") + second})
    said = person.run(".").said
    assert said.index("✓ train / fit") < said.index("✓ train / evaluate")
    person.repository.write({".ps_project/config.yaml": config("false") + second})
    assert "■ train / evaluate  Cancelled: not started: the step fit did not succeed" in person.run(".").said


def test_a_directory_without_git_runs_too(person: Person, tmp_path: Path) -> None:
    place = tmp_path / "plain"
    (place / ".ps_project").mkdir(parents=True)
    (place / ".ps_project" / "config.yaml").write_text(config("echo here"))
    done = person.run(str(place))
    assert done.status == 0
    assert f"plain: what lies in {place}\n" in done.said


# At a terminal


def test_at_a_terminal_it_is_drawn_and_in_the_end_only_what_counts_is_left(person: Person) -> None:
    runs(person, "sleep 1")
    with person.at_a_terminal(".") as terminal:
        terminal.wait_for(lambda shown: "▸ train / fit" in shown and "0 of 1 finished" in shown)
        assert terminal.end() == 0
    assert sum("train / fit" in line for line in terminal.shown) == 2, "once when it ended, once above its log"
    assert not any("Ctrl-C" in line for line in terminal.shown)
    assert terminal.shown[-1] == "✓ 1 experiment succeeded"


def test_a_log_and_a_metric_do_not_command_the_terminal(person: Person) -> None:
    """The emulator refuses whatever is none of ours."""
    weapon = "\\x1b]0;owned\\x07\\x1b[2J\\x1b[1A\\r\\x08\\u202e"
    hostile = (
        "import os, sys, json\n"
        f"weapon = '{weapon}'\n"
        "path = os.environ['ARTIFACTS_DIR'] + '/gradient-model-metadata.json'\n"
        "json.dump({'accuracy': weapon, weapon: 1}, open(path, 'w'))\n"
        "print(weapon * 3, 'epoch 1')\n"
        "raise ValueError(weapon + 'of the log')\n"
    )
    person.repository.write({"train.py": hostile})
    with person.at_a_terminal(".", "train", f"NAME=\x1b[2J{'x' * 20}") as terminal:
        assert terminal.end() == 1
    assert any("of the log" in line for line in terminal.shown)


def test_ctrl_c_stops_everything_and_says_so(person: Person) -> None:
    runs(person, "sleep 7301 & echo ready; wait")
    with person.at_a_terminal(".") as terminal:
        terminal.wait_for(lambda shown: "Running" in shown)
        terminal.press_ctrl_c()
        assert terminal.end() == 130
    assert processes_with("7301") == []
    assert terminal.shown[-1] == "■ train / fit was cancelled: stopped at the terminal"


def test_ctrl_c_twice_leaves_at_once_and_still_nobody_is_left(person: Person) -> None:
    runs(person, FOREVER.format(word=7302))
    with person.at_a_terminal(".") as terminal:
        terminal.wait_for(lambda shown: "Running" in shown)
        begin = time.monotonic()
        terminal.press_ctrl_c()
        terminal.wait_for(lambda shown: "stopping" in shown)
        terminal.press_ctrl_c()
        assert terminal.end() == 130
        assert time.monotonic() - begin < 10, "what will not go has ten seconds"
    eventually(lambda: processes_with("7302") == [])
    eventually(lambda: processes_with(str(person.state)) == [])


def test_a_terminal_that_is_closed_is_like_ctrl_c(person: Person) -> None:
    runs(person, "sleep 7303")
    with person.at_a_terminal(".") as terminal:
        terminal.wait_for(lambda shown: "Running" in shown)
        terminal.hang_up()
        eventually(lambda: processes_with("7303") == [])


def test_whoever_kills_it_kills_its_runs_and_the_next_one_tells(person: Person) -> None:
    runs(person, FOREVER.format(word=7304))
    with person.begun(".") as process:
        assert process.stdout is not None
        assert any("Running" in line for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    eventually(lambda: processes_with("7304") == [])
    eventually(lambda: processes_with(str(person.state)) == [])

    runs(person, "true")
    done = person.run(".")
    assert done.status == 0
    assert done.said.startswith("The run before this one was cut off; what was left of it is called off.\n")
    assert not person.run(".").said.startswith("The run before")


def test_one_run_at_a_time_unless_it_has_a_directory_of_its_own(person: Person, tmp_path: Path) -> None:
    runs(person, "sleep 7305")
    with person.begun(".") as process:
        assert process.stdout is not None
        assert any("Running" in line for line in process.stdout)
        refused = person.run(".")
        assert refused.status == 2
        assert refused.complained.startswith(f"experiment-ci: another run works in {person.homes[0]}; ")
        runs(person, "true")
        assert person.run(".", "--dir", str(tmp_path / "elsewhere")).status == 0
    eventually(lambda: processes_with("7305") == [])

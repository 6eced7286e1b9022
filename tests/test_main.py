"""The command line, as somebody at a terminal meets it: what it prints, where, and with which status it ends."""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from bot import __version__
from bot.__main__ import main
from bot.clock import SystemClock
from bot.devhub.auth import key_pair
from bot.worker_sign import WorkerSign

COMMANDS = (
    *("up", "serve", "work", "setup", "doctor", "demo", "secret", "check-config", "init", "run", "cancel"),
    *("replay", "simulate"),
    "config-schema",
)
STARTING = ("up", "serve", "work")
CONFIG = """\
version: 2
workflows:
  train:
    steps:
      - name: fit
        command: experiment.run_single_node
        params: {command: python3 train.py}
        checks:
          tensorflow:loss: {target: ..0.5, aggregate: min}
"""


@pytest.fixture(scope="module")
def private_key() -> str:
    return key_pair()[0]


@pytest.fixture
def environ(tmp_path: Path, private_key: str) -> dict[str, str]:
    """Good settings on a free port, and nothing else of this machine but its programs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return {
        "PATH": os.environ["PATH"],
        "GITHUB_APP_ID": "7",
        "GITHUB_PRIVATE_KEY": private_key,
        "GITHUB_WEBHOOK_SECRET": "one",
        "GITHUB_API_URL": "http://127.0.0.1:9",
        "DATA_DIR": str(tmp_path / "data"),
        "PORT": str(port),
        "ENV_FILE": "none",
    }


@pytest.fixture
def settings(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the good settings this process's own, with changes; None takes one away."""

    def use(**changes: str | None) -> None:
        for name, value in {**environ, **changes}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return use


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a config, and the working directory in it."""
    place = tmp_path / "repository"
    (place / ".ps_project").mkdir(parents=True)
    (place / ".ps_project" / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(place)
    return place


# Usage


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: experiment-ci {command} ")
    assert re.search(r"\n\n[A-Z].+\.\n", said), "a sentence says what it does"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert tuple(re.findall(r"^    ([a-z-]+)\b", capsys.readouterr().out, re.M)) == COMMANDS


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"{__version__}\n")


@pytest.mark.parametrize(("arguments", "says"), [([], "required: command"), (["launch"], "invalid choice: 'launch'")])
def test_wrong_usage_ends_with_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert says in said.err
    assert said.out == ""


# Settings


@pytest.mark.parametrize("command", STARTING)
def test_all_that_is_missing_is_said_at_once(
    command: str, settings: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    settings(GITHUB_APP_ID=None, GITHUB_PRIVATE_KEY=None, GITHUB_PRIVATE_KEY_PATH=None, GITHUB_WEBHOOK_SECRET=None)

    assert main([command]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "experiment-ci: GITHUB_APP_ID is missing: it is the number called “App ID” on your GitHub App's settings page.",
        "experiment-ci: GITHUB_PRIVATE_KEY_PATH (or GITHUB_PRIVATE_KEY) is missing: generate one on your GitHub App's"
        " settings page under “Private keys” and give the .pem file's path.",
        "experiment-ci: GITHUB_WEBHOOK_SECRET is missing: choose one (`openssl rand -hex 32`) and give it here and on"
        " your GitHub App's settings page; two, separated by a comma, are both accepted while you rotate.",
        "experiment-ci: `experiment-ci setup` writes these into experiment-ci.env, which is read in the directory that"
        " it lies in; ENV_FILE names one elsewhere",
    ]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("GITHUB_APP_ID", "Iv23abc", "GITHUB_APP_ID must be a number"),
        ("PORT", "http", "PORT must be a number from 1 to 65535"),
        ("ALLOW_UNISOLATED_TRUSTED_CODE", "1", "ALLOW_UNISOLATED_TRUSTED_CODE must be yes or no"),
    ],
)
def test_a_malformed_setting_is_named(
    name: str, value: str, says: str, settings: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    settings(**{name: value})

    assert main(["work"]) == 2

    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"experiment-ci: {says}")


def test_an_address_that_is_taken_is_told_before_anything_starts(
    settings: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings(PORT=str(port), ALLOW_UNISOLATED_TRUSTED_CODE="yes")
        assert main(["up"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1] == (
        f"experiment-ci: nothing can listen on 127.0.0.1, port {port}: another program does already;"
        " HOST and PORT choose another address"
    )


# check-config


def test_a_good_config(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(".ps_project/config.yaml, version 2: no problems\n")
    assert "gate tensorflow:loss: min in ..0.5 (2 decimals, rounded down)" in said


def test_the_same_config_from_elsewhere(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository / ".ps_project")
    for path in (str(repository), str(repository / ".ps_project" / "config.yaml"), "config.yaml", "."):
        assert main(["check-config", path]) == 0
        assert "no problems" in capsys.readouterr().out


def test_a_bad_config_is_told_with_line_and_hint(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / ".ps_project" / "config.yaml").write_text(CONFIG.replace("aggregate: min", "aggregat: min"))
    assert main(["check-config"]) == 1
    said = capsys.readouterr().out
    assert ".ps_project/config.yaml:9:" in said
    assert "hint: " in said
    assert "Traceback" not in said


@pytest.mark.parametrize("content", ["version: [", "a: &a [*a]", "\0", "[" * 5000])
def test_rubbish_is_told_too(content: str, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / ".ps_project" / "config.yaml").write_text(content)
    assert main(["check-config"]) == 1
    assert "error" in capsys.readouterr().out


def test_a_config_of_the_root_is_read_when_it_is_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text("version: 3\nservices: {}\n")
    assert main(["check-config", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"experiment-ci: no .ps_project/config.yaml or config.yaml of ours in {tmp_path}\n"
    ), "somebody else's config.yaml is left alone, as the bot does"

    (tmp_path / "config.yaml").write_text(CONFIG)
    assert main(["check-config", str(tmp_path)]) == 0


def test_a_config_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", str(tmp_path / "none.yaml")]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"experiment-ci: {tmp_path / 'none.yaml'} cannot be read: No such file or directory\n"


def test_what_is_no_regular_file_is_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "/dev/zero"]) == 1
    assert capsys.readouterr().err == "experiment-ci: /dev/zero cannot be read: it is no regular file\n"


def test_a_large_file_is_told_to_be_too_large(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / ".ps_project" / "config.yaml").write_text(CONFIG + "#" * 10_000_000)
    assert main(["check-config"]) == 1
    assert "64 KiB" in capsys.readouterr().out


LINK = "it is a link, or lies behind one; the bot reads regular files only"


def test_a_config_that_is_a_link_is_refused_as_the_bot_does(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = repository / ".ps_project" / "config.yaml"
    ours.rename(repository / "elsewhere.yaml")
    ours.symlink_to(repository / "elsewhere.yaml")
    assert main(["check-config"]) == 1
    assert capsys.readouterr().err == f"experiment-ci: .ps_project/config.yaml cannot be read: {LINK}\n"

    ours.unlink()
    ours.symlink_to("nowhere")
    assert main(["check-config"]) == 1, "a link to nothing is no absent config"
    assert LINK in capsys.readouterr().err


def test_a_config_behind_a_link_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / ".ps_project").rename(repository / "elsewhere")
    (repository / ".ps_project").symlink_to("elsewhere")
    assert main(["check-config"]) == 1
    assert LINK in capsys.readouterr().err


def with_params_file(repository: Path, name: str) -> None:
    text = CONFIG.replace("params: {command: python3 train.py}", f"paramsFile: {name}")
    (repository / ".ps_project" / "config.yaml").write_text(text)


def test_a_params_file_is_counted_from_the_repository(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_params_file(repository, "options/fit.yaml")
    (repository / "options").mkdir()
    (repository / "options" / "fit.yaml").write_text("command: python3 train.py\n")
    assert main(["check-config"]) == 0
    assert "step fit: single node" in capsys.readouterr().out

    (repository / "options" / "fit.yaml").write_text("comand: python3 train.py\n")
    assert main(["check-config"]) == 1
    assert "options/fit.yaml:1:1: error:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("absent.yaml", "No such file or directory"),
        ("linked.yaml", LINK),
        ("linked/outside.yaml", LINK),
        ("directory", "it is no regular file"),
    ],
)
def test_a_params_file_that_the_bot_would_not_read(
    name: str, why: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_params_file(repository, name)
    (repository.parent / "outside.yaml").write_text("command: python3 train.py\n")
    (repository / "linked.yaml").symlink_to(repository.parent / "outside.yaml")
    (repository / "linked").symlink_to(repository.parent)
    (repository / "directory").mkdir()
    assert main(["check-config"]) == 1
    said = capsys.readouterr().out
    assert f"error: `{name}` cannot be read: {why}\n" in said


@pytest.mark.parametrize("name", ["../outside.yaml", "/etc/passwd", "options/../../outside.yaml"])
def test_a_params_file_outside_the_repository_is_not_even_looked_for(
    name: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_params_file(repository, name)
    (repository.parent / "outside.yaml").write_text("command: python3 train.py\n")
    assert main(["check-config"]) == 1
    said = capsys.readouterr().out
    assert ".ps_project/config.yaml:7:21: error: " in said
    assert "outside.yaml:" not in said


def test_a_terminal_obeys_nothing_that_a_config_says(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / ".ps_project" / "config.yaml").write_text(CONFIG.replace("fit", "fit\x1b[2J"))
    assert main(["check-config"]) == 1
    assert "\x1b" not in capsys.readouterr().out


# config-schema


def test_the_schema_is_the_one_of_the_manual(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config-schema"]) == 0
    manual = Path(__file__).parents[1] / "docs" / "config.schema.json"
    assert json.loads(capsys.readouterr().out) == json.loads(manual.read_text())


# Starting: what stands in the way is a sentence


def only_git(tmp_path: Path) -> str:
    """A PATH with git and nothing else on it: no bubblewrap."""
    programs = tmp_path / "programs"
    programs.mkdir()
    git = shutil.which("git")
    assert git is not None
    (programs / "git").symlink_to(git)
    return str(programs)


def refused(command: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """How a start was refused: the status, and the one line that was said."""
    try:
        status = main([command])
    except SystemExit as ended:
        status = int(str(ended.code))
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    return status, line


@pytest.mark.service
@pytest.mark.parametrize("command", STARTING)
class TestStart:
    """Nothing starts half: each of these is said before anything listens or works."""

    def test_without_isolation(
        self, command: str, tmp_path: Path, settings: Callable[..., None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings(PATH=only_git(tmp_path))
        status, line = refused(command, capsys)
        assert status == 2
        assert "bubblewrap is missing" in line
        assert "apt-get install bubblewrap" in line
        assert "ALLOW_UNISOLATED_TRUSTED_CODE=yes" in line

    def test_with_a_wrong_machines_file(
        self, command: str, tmp_path: Path, settings: Callable[..., None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        machines = tmp_path / "machines.yaml"
        machines.write_text("types: {small: {cpus: 1, memory: much}}\n")
        settings(MACHINES_FILE=str(machines))
        status, line = refused(command, capsys)
        assert status == 2
        assert line == (
            f"experiment-ci: the machines file {machines}: `small`: `memory` must be a size such as 512MB or 4GB,"
            " not 'much'"
        )

    def test_with_a_file_in_the_place_of_data_dir(
        self, command: str, tmp_path: Path, settings: Callable[..., None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "data").write_text("in the way")
        settings()
        assert refused(command, capsys) == (
            1,
            f"experiment-ci: DATA_DIR cannot be used: {tmp_path / 'data'}: File exists",
        )

    @pytest.mark.parametrize(
        ("url", "says"),
        [
            ("sqlite:////proc/nowhere/x.sqlite3", "unable to open database file"),
            ("postgresql+nosuchdriver://bot:hunter2@127.0.0.1:9/x", "Can't load plugin"),
            ("hunter2", "Could not parse SQLAlchemy URL"),
        ],
    )
    def test_with_a_database_that_cannot_be_opened(
        self, command: str, url: str, says: str, settings: Callable[..., None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings(DATABASE_URL=url)
        status, line = refused(command, capsys)
        assert status == 1
        assert line.startswith(f"experiment-ci: the database cannot be used: {says}")
        assert "hunter2" not in line, "a database's URL may hold a password"

    def test_with_a_newer_versions_tables(
        self,
        command: str,
        tmp_path: Path,
        empty_database: Path,
        settings: Callable[..., None],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "data").mkdir()
        shutil.copy(empty_database, tmp_path / "data" / "experiment-ci.sqlite3")
        with sqlite3.connect(tmp_path / "data" / "experiment-ci.sqlite3") as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.close()
        settings()
        assert refused(command, capsys) == (
            1,
            "experiment-ci: the database cannot be used: its tables are not this version's;"
            " a newer version may have made them",
        )

    def test_with_an_empty_login_token(
        self, command: str, tmp_path: Path, settings: Callable[..., None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "login-token").touch()
        settings()
        status, line = refused(command, capsys)
        assert status == 1
        assert line.endswith("login-token is empty (was the disk full?); delete it, start again")


@pytest.mark.service
@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("work", "another worker is running on {data}"),
        ("up", "another worker is running on {data}; end it first, or use it"),
    ],
)
def test_a_second_worker_is_refused(
    command: str, says: str, tmp_path: Path, settings: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    settings()
    sign = WorkerSign(tmp_path / "data", SystemClock())
    assert sign.hold()
    try:
        assert refused(command, capsys) == (1, "experiment-ci: " + says.format(data=tmp_path / "data"))
    finally:
        sign.release()


# Running


@pytest.fixture
def start(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start a command as a process of its own; it is ended after the test, whatever happened."""
    started = []

    def run(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "bot", *arguments],
            env=environ,
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def await_answer(url: str) -> requests.Response:
    """Ask until the answer is 200, for at most half a minute."""
    end = time.monotonic() + 30
    while True:
        try:
            answer = requests.get(url, timeout=5)
        except requests.ConnectionError:
            answer = None
        if answer is not None and answer.status_code == 200:
            return answer
        assert time.monotonic() < end, f"{url} never said 200"
        time.sleep(0.1)


def asked_to_end(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.service
@pytest.mark.slow
def test_serve_says_where_it_is_and_how_to_log_in(
    start: Callable[..., "subprocess.Popen[str]"], environ: dict[str, str], tmp_path: Path
) -> None:
    process, address = start("serve"), f"http://127.0.0.1:{environ['PORT']}"
    assert await_answer(f"{address}/healthz").json() == {"status": "ok"}
    ready = requests.get(f"{address}/readyz", timeout=5)
    assert (ready.status_code, ready.json()["worker"]) == (503, "no worker was ever started on this DATA_DIR")

    status, out, err = asked_to_end(process)

    assert (status, err) == (0, "")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700, "nobody else of this machine reads what lies there"
    token = (tmp_path / "data" / "login-token").read_text().strip()
    assert out.splitlines() == [
        f"experiment-ci listens on {address}; GitHub's webhook URL is {address}/webhook",
        f"log in: {address}/login?token={token}",
    ]


@pytest.mark.service
@pytest.mark.slow
def test_serve_on_a_port_that_is_taken_ends_with_a_sentence(
    start: Callable[..., "subprocess.Popen[str]"], environ: dict[str, str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(environ["PORT"])))
        taken.listen()
        process = start("serve")
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == (
        f"experiment-ci: nothing can listen on 127.0.0.1, port {environ['PORT']}: another program does already;"
        " HOST and PORT choose another address\n"
    )


@pytest.mark.service
@pytest.mark.slow
def test_up_runs_both_and_ends_both(
    start: Callable[..., "subprocess.Popen[str]"], environ: dict[str, str], tmp_path: Path
) -> None:
    process, address = start("up"), f"http://127.0.0.1:{environ['PORT']}"
    ready = await_answer(f"{address}/readyz").json()
    assert (ready["status"], ready["worker"]) == ("ready", "alive")

    status, out, err = asked_to_end(process)

    assert status == 0
    assert "Traceback" not in err
    assert f"log in: {address}/login?token=" in out
    assert WorkerSign(tmp_path / "data", SystemClock()).read().sentence == "no worker runs"
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{address}/healthz", timeout=5)


@pytest.mark.service
@pytest.mark.parametrize("arguments", [["config-schema"], ["--help"]])
def test_a_reader_that_goes_away_is_no_accident(
    arguments: list[str], start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = start(*arguments)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.wait(30)
    process.stdout = None
    assert "Traceback" not in said

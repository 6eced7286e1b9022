"""`experiment-ci setup` as a process at a terminal, and the bot that reads what it wrote."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot import envfile
from bot.devhub import DevHub
from tests.scenarios.processes import eventually
from tests.setup.visitor import Visitor

pytestmark = pytest.mark.service
ROOT = Path(__file__).parents[2]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The working directory."""
    place = tmp_path / "here"
    place.mkdir()
    return place


@pytest.fixture
def start(here: Path, hub: DevHub) -> Iterator[Start]:
    """Start a command in `here`; it is ended after the test, whatever happened."""
    started = []

    def run(*arguments: str, **more: str) -> "subprocess.Popen[str]":
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **more}
        process = subprocess.Popen(
            [sys.executable, "-m", "bot", *arguments],
            env=environ,
            cwd=here,
            stdin=subprocess.DEVNULL,
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


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    # Not `communicate`: it loses what was read ahead when the address was looked for.
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    return process.wait(60), out, err


def address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://127\S+", line)
        if found:
            return found[0]
    raise AssertionError(f"no address was printed, but {ended(process)}")


def test_the_manual_names_no_option_that_is_not_there(start: Start) -> None:
    _, known, _ = ended(start("setup", "--help"))
    told = set(re.findall(r"--[a-z][a-z-]+", (ROOT / "docs" / "setup.md").read_text()))
    assert {"--by-hand", "--poll"} <= told
    assert [option for option in told if f"{option} " not in known and f"{option}]" not in known] == []


def test_from_nothing_to_a_doctor_who_knows_the_app(start: Start, hub: DevHub, here: Path) -> None:
    setup = start("setup", "--api-url", f"{hub.url}/api/v3", "--name", "Digits CI", "--no-wait")
    visitor = Visitor(hub)
    visitor.get(address(setup))
    visitor.press("Continue")
    visitor.press("Create the App on GitHub")
    visitor.press("Create GitHub App")
    assert "The App is there" in visitor.words
    status, out, err = ended(setup)
    assert (status, err) == (0, "")
    assert "1. experiment-ci up        in this directory" in out
    hub.install("devhub")

    status, out, _ = ended(start("doctor"))
    assert f"✓ credentials: GitHub knows us as the App “digits-ci” ({hub.app.id})." in out
    assert "✓ installation devhub" in out
    assert "✓ webhook: GitHub sends to http://127.0.0.1:8080/webhook, as JSON." in out

    (here / "experiment-ci.env").chmod(0o644)
    status, out, err = ended(start("doctor"))
    assert (status, out) == (2, "")
    assert err.endswith("holds secrets, and others may read or change it (mode 644): chmod 600 it.\n")
    assert ended(start("doctor", ENV_FILE="none"))[0] == 1


def test_no_secret_in_the_command_line_or_on_the_terminal(start: Start, hub: DevHub) -> None:
    setup = start("setup", "--api-url", f"{hub.url}/api/v3", "--no-wait")
    url = address(setup)
    visitor = Visitor(hub)
    visitor.get(url)
    visitor.press("Continue", name="Digits CI")
    visitor.press("Create the App on GitHub")
    visitor.press("Create GitHub App")
    words = Path(f"/proc/{setup.pid}/cmdline").read_text()
    said = "".join(ended(setup)[1:])
    for secret in (hub.app.webhook_secret, hub.app.client_secret, "PRIVATE KEY"):
        assert secret not in words + said
    assert "code=" not in said


def test_what_is_there_already_is_said_at_once(start: Start, here: Path) -> None:
    (here / "experiment-ci.env").write_text("A=1\n")
    status, out, err = ended(start("setup"))
    assert (status, out) == (1, "")
    assert err.startswith(f"experiment-ci: {here}/experiment-ci.env is there already. --force puts")


def test_another_file_is_another_place(start: Start, here: Path) -> None:
    (here / "experiment-ci.env").touch()
    setup = start("setup", "--env-file", "etc/bot.env")
    address(setup)
    setup.send_signal(signal.SIGINT)
    status, out, err = ended(setup)
    assert (status, err) == (130, "")
    assert str(here / "etc" / "bot.env") in out
    assert (here / "etc").stat().st_mode & 0o777 == 0o700
    assert [*(here / "etc").iterdir()] == [], "nothing is written before there is something"


def test_whoever_ends_it_too_early_is_told_how_to_get_another_key(start: Start, hub: DevHub, here: Path) -> None:
    place = here / "bot"
    setup = start("setup", "--api-url", f"{hub.url}/api/v3", "--env-file", str(place / "x.env"))
    visitor = Visitor(hub)
    visitor.get(address(setup))
    place.rmdir()
    place.touch()
    visitor.press("Continue", name="Digits CI")
    visitor.press("Create the App on GitHub")
    visitor.press("Create GitHub App")
    assert "not written down yet" in visitor.words
    setup.send_signal(signal.SIGINT)
    status, out, _ = ended(setup)
    assert status == 130
    assert f"App {hub.app.id} is made, but its key was not written down" in out
    assert f"open {hub.url}/settings/apps/digits-ci, “Private keys”" in out


def test_a_port_that_is_taken(start: Start, hub: DevHub) -> None:
    status, _, err = ended(start("setup", "--port", hub.url.rsplit(":", 1)[1]))
    assert (status, err.startswith("experiment-ci: Port ")) == (1, True)
    assert "Address already in use; --port names another." in err
    assert ended(start("setup", "--port", "70000"))[0] == 1


@pytest.mark.parametrize("url", ["github.example.com", "https://user:pw@ghe.example/api/v3", "ftp://x"])
def test_an_address_that_is_none(start: Start, url: str) -> None:
    status, _, err = ended(start("setup", "--api-url", url))
    assert (status, "must be plain URLs" in err) == (1, True)
    assert "pw" not in err


def test_an_api_that_does_not_tell_where_the_pages_are_wants_to_be_told(start: Start) -> None:
    status, _, err = ended(start("setup", "--api-url", "https://api.acme.ghe.com"))
    assert (status, err) == (
        1,
        "experiment-ci: Where are the pages of the GitHub whose API is https://api.acme.ghe.com? --web-url says it.\n",
    )


def test_by_hand_without_anybody_to_answer(start: Start, here: Path) -> None:
    status, _, err = ended(start("setup", "--by-hand"))
    assert (status, err) == (1, "experiment-ci: There is no answer, so nothing more was done.\n")
    assert [*here.iterdir()] == []


def test_what_the_environment_says_otherwise_is_told(start: Start, hub: DevHub, here: Path) -> None:
    """It goes before the file: the bot would start as another App."""
    setup = start("setup", "--api-url", f"{hub.url}/api/v3", "--no-wait", GITHUB_APP_ID="1", PUBLIC_URL="http://a.test")
    visitor = Visitor(hub)
    visitor.get(address(setup))
    visitor.press("Continue", name="Digits CI")
    visitor.press("Create the App on GitHub")
    visitor.press("Create GitHub App")
    status, out, _ = ended(setup)
    assert status == 0
    assert f"✗ The environment has GITHUB_APP_ID, and goes before {here}/experiment-ci.env" in out
    assert envfile.read(here / "experiment-ci.env")["PUBLIC_URL"] == "http://a.test"


@pytest.mark.slow
def test_up_reads_the_settings_from_the_file(start: Start, hub: DevHub, here: Path, tmp_path: Path) -> None:
    """The parts that it starts have them, too."""
    key = tmp_path / "key.pem"
    key.write_text(hub.app.private_key)
    values = {
        "GITHUB_APP_ID": str(hub.app.id),
        "GITHUB_PRIVATE_KEY_PATH": str(key),
        "GITHUB_WEBHOOK_SECRET": "s3cret",
        "GITHUB_API_URL": hub.url,
        "DATA_DIR": "data of the bot",
        "ALLOW_UNISOLATED_TRUSTED_CODE": "yes",
        "PORT": "0",
    }
    (here / "experiment-ci.env").write_text(envfile.render(values))
    (here / "experiment-ci.env").chmod(0o600)
    status, _, err = ended(start("up"))
    assert f"settings are read from {here}/experiment-ci.env\n" in err
    assert (status, err.count("\n")) == (2, 2)
    assert err.endswith("experiment-ci: PORT must be a number from 1 to 65535, not '0'.\n")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    process = start("up", PORT=str(port))
    sign = here / "data of the bot" / "worker.alive"
    assert eventually(sign.exists, 90)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == 0

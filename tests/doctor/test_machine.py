"""`experiment-ci doctor`: all is well, and each thing of this machine that is not, with its cure."""

import os
import shutil
from base64 import b64encode
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.backends.base import Capacity, Machine
from bot.backends.machines import Machines
from bot.clock import DAY, SystemClock
from bot.devhub import DevHub
from bot.doctor import line
from bot.doctor.machine import mpi
from bot.store import deliveries, secrets
from bot.store.database import Database
from bot.vault import Vault
from bot.worker_sign import WorkerSign
from tests.doctor.conftest import Ask, environ_of, ill

pytestmark = pytest.mark.service


def test_all_is_well(ask: Ask, worker: WorkerSign) -> None:
    findings = ask()
    assert ill(findings) == []
    assert list(findings) == [
        "settings",
        "clock",
        "credentials",
        "permissions",
        "events",
        "installation acme",
        "webhook",
        "data",
        "database",
        "secrets",
        "inbox",
        "deliveries",
        "missing",
        "backend",
        "isolation",
        "limits",
        "mpi",
        "worker",
        "images",
        "branch rule acme/digits",
        "to set a branch rule",
    ]


def test_what_was_given_up_of_the_past_day_can_be_looked_at_again(ask: Ask, tmp_path: Path, worker: WorkerSign) -> None:
    ask()
    now = SystemClock().now()
    database = Database(f"sqlite:///{tmp_path}/data/experiment-ci.sqlite3")
    for number, (state, at) in enumerate([("failed", now - 2 * DAY), ("done", now), ("failed", now), ("failed", now)]):
        with database.connection() as connection:
            deliveries.receive(connection, f"guid-{number}", "push", b"{}", at)
        with database.write() as tx:
            deliveries.conclude(tx, number + 1, state, f"reason {number}", at)
    database.close()

    findings = ask()

    assert ill(findings) == ["inbox"]
    assert findings["inbox"].sentence == "2 deliveries were given up within a day; the newest (push): reason 3"
    assert "`experiment-ci replay guid-3 guid-2`" in findings["inbox"].cure


def test_a_missing_setting_is_all_there_is_to_say(ask: Ask) -> None:
    findings = ask(GITHUB_APP_ID="")
    assert ill(findings) == ["settings"]
    assert findings["settings"].sentence.startswith("GITHUB_APP_ID is missing")
    assert "README.md" in findings["settings"].cure


def test_a_key_that_everybody_can_read(ask: Ask, hub: DevHub, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text(hub.app.private_key)
    key.chmod(0o644)
    findings = ask(GITHUB_PRIVATE_KEY="", GITHUB_PRIVATE_KEY_PATH=str(key))
    assert "private key" in ill(findings)
    assert findings["private key"].cure == f"chmod o= {key}"

    key.chmod(0o640)
    assert "private key" not in ask(GITHUB_PRIVATE_KEY="", GITHUB_PRIVATE_KEY_PATH=str(key))


def test_a_file_in_the_place_of_data_dir(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    findings = ask()
    assert ill(findings) == ["data"]
    assert findings["data"].sentence == f"{tmp_path / 'data'} cannot be written: File exists"
    assert "DATA_DIR" in findings["data"].cure
    assert "worker" not in findings, "what lies in it need not be looked for"


def test_a_database_that_cannot_be_opened(ask: Ask, worker: WorkerSign) -> None:
    findings = ask(DATABASE_URL="sqlite:////proc/nowhere/x.sqlite3")
    assert ill(findings) == ["database"]
    assert "unable to open database file" in findings["database"].sentence
    assert "DATABASE_URL" in findings["database"].cure


def test_a_database_whose_driver_is_not_there(ask: Ask, worker: WorkerSign) -> None:
    findings = ask(DATABASE_URL="postgresql+nosuchdriver://bot:hunter2@127.0.0.1:9/x")
    assert ill(findings) == ["database"]
    assert "hunter2" not in line(findings["database"])


def test_secrets_and_their_key(ask: Ask, worker: WorkerSign, tmp_path: Path) -> None:
    key, another = (b64encode(bytes([n]) * 32).decode() for n in (1, 2))
    assert ask()["secrets"].sentence == "SECRETS_KEY is not set: experiments cannot have any"

    database = Database(f"sqlite:///{tmp_path}/data/experiment-ci.sqlite3")
    with database.write() as tx:
        secrets.put(tx, "acme", "token", Vault([key]).lock("acme", "token", "hunter2"), 1000)
    database.close()
    findings = ask(SECRETS_KEY=f"{another},{key}")
    assert ill(findings) == []
    assert findings["secrets"].sentence == "SECRETS_KEY is set and opens every stored one (1)"

    findings = ask(SECRETS_KEY=another)
    assert ill(findings) == ["secrets"]
    assert findings["secrets"].sentence == "SECRETS_KEY does not open `token` of acme"
    findings = ask()
    assert ill(findings) == ["secrets"]
    assert findings["secrets"].sentence == "SECRETS_KEY is not set: stored ones cannot be read (1)"
    assert "hunter2" not in line(findings["secrets"])


def test_no_isolation(ask: Ask, worker: WorkerSign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs, git = tmp_path / "programs", shutil.which("git")
    assert git is not None
    programs.mkdir()
    (programs / "git").symlink_to(git)
    monkeypatch.setenv("PATH", str(programs))

    findings = ask()
    assert ill(findings) == ["backend"]
    assert "bubblewrap is missing" in findings["backend"].sentence
    assert "apt-get install bubblewrap" in findings["backend"].sentence

    findings = ask(ALLOW_UNISOLATED_TRUSTED_CODE="yes")
    assert ill(findings) == ["isolation"], "what is allowed for its danger is still told"
    assert "all the rights of the bot" in findings["isolation"].sentence
    assert "ALLOW_UNISOLATED_TRUSTED_CODE" in findings["isolation"].cure


def test_a_container_engine_that_does_not_work(ask: Ask, worker: WorkerSign) -> None:
    findings = ask(CONTAINERS="/bin/true")
    assert ill(findings) == ["backend"]
    assert findings["backend"].sentence == (
        "CONTAINERS=/bin/true does not work here: it does not say that it is podman or docker."
        " Start or install it, or set CONTAINERS=none: images are then not used"
    )


def test_a_wrong_machines_file(ask: Ask, worker: WorkerSign, tmp_path: Path) -> None:
    (tmp_path / "machines.yaml").write_text("types: {small: {cpus: 0}}\n")
    findings = ask(MACHINES_FILE=str(tmp_path / "machines.yaml"))
    assert ill(findings) == ["machines"]
    assert "`cpus` must be a number above 0" in findings["machines"].sentence
    assert "docs/settings.md" in findings["machines"].cure


def test_mpirun_is_looked_for_as_a_run_would_find_it(tmp_path: Path) -> None:
    room = Capacity(cpus=2, memory_mb=1024, gpus=0)
    plain, equipped = Machine("plain", 1, 512), Machine("equipped", 1, 512, environment=str(tmp_path))
    machines = Machines({"plain": plain, "equipped": equipped}, "plain", room)
    assert mpi(machines, programs="/nowhere").sentence.startswith("no mpirun for plain, equipped; MPI experiments")

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "mpirun").touch(mode=0o755)
    missing = mpi(machines, programs="/nowhere")
    assert missing.sentence.startswith("no mpirun for plain; ")
    assert missing.ok, "who needs no MPI is well"
    assert mpi(machines, programs=str(tmp_path / "bin")).sentence == "mpirun is there"


def test_no_worker(ask: Ask, tmp_path: Path) -> None:
    findings = ask()
    assert ill(findings) == ["worker"]
    assert findings["worker"].sentence == "no worker was ever started on this DATA_DIR"
    assert "experiment-ci up" in findings["worker"].cure

    sign = WorkerSign(tmp_path / "data", SystemClock())
    assert sign.hold()
    sign.release()
    assert ask()["worker"].sentence == "no worker runs"


def test_a_worker_that_is_stuck(ask: Ask, worker: WorkerSign, tmp_path: Path) -> None:
    an_hour_ago = SystemClock().now() / 1_000_000 - 3600
    os.utime(tmp_path / "data" / "worker.alive", (an_hour_ago, an_hour_ago))
    assert "has not gone round for 36" in ask()["worker"].sentence


def test_pictures_that_github_could_not_fetch(ask: Ask, worker: WorkerSign) -> None:
    findings = ask(IMAGES="public")
    assert ill(findings) == ["images"]
    assert "IMAGES=off" in findings["images"].cure


def test_the_terminal(
    hub: DevHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each finding, the cure below what is not well; the status says whether there was any."""
    for name, value in environ_of(hub, tmp_path / "data").items():
        monkeypatch.setenv(name, value)

    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert f"✓ settings: App {hub.app.id}, data in {tmp_path / 'data'}\n" in said
    assert (
        "✗ worker: no worker was ever started on this DATA_DIR\n"
        "    → Start it: `experiment-ci up`, or `experiment-ci work`.\n"
    ) in said
    assert hub.app.webhook_secret not in said

    sign = WorkerSign(tmp_path / "data", SystemClock())
    assert sign.hold()
    assert main(["doctor"]) == 0
    sign.release()
    said = capsys.readouterr().out
    assert "✗" not in said
    assert "→" not in said

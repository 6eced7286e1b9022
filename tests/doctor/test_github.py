"""`experiment-ci doctor` against devhub: what is between the bot and GitHub, and each thing that is not well there."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bot.clock import SystemClock
from bot.devhub import DevHub
from bot.doctor import examine, line
from bot.forge.diagnosis import Finding
from bot.resources import MANIFEST
from bot.store import missing
from bot.store.database import Database
from bot.store.schema import Delivery
from bot.worker_sign import WorkerSign
from tests.devhub.receiver import Receiver
from tests.doctor.conftest import Ask, environ_of, ill

pytestmark = pytest.mark.service


def test_the_wrong_key(ask: Ask, hub: DevHub, worker: WorkerSign) -> None:
    another = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = another.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    findings = ask(GITHUB_PRIVATE_KEY=pem)
    assert ill(findings) == ["credentials"]
    assert findings["credentials"].cure == (
        f"The private key does not belong to App {hub.app.id}, or it was deleted on the App's settings page."
    )


def test_the_wrong_app(ask: Ask, hub: DevHub, worker: WorkerSign) -> None:
    findings = ask(GITHUB_APP_ID=str(hub.app.id + 1))
    assert ill(findings) == ["credentials"]
    assert findings["credentials"].sentence.endswith(f"to App {hub.app.id + 1}.")
    assert "GITHUB_APP_ID" in findings["credentials"].cure


def test_a_github_that_does_not_answer(ask: Ask, worker: WorkerSign) -> None:
    findings = ask(GITHUB_API_URL="http://127.0.0.1:9")
    assert ill(findings) == ["GitHub"]
    assert "GITHUB_API_URL" in findings["GitHub"].cure


def test_a_permission_and_an_event_that_the_app_lacks(tmp_path: Path, worker: WorkerSign, door: Receiver) -> None:
    manifest = tmp_path / "app.yaml"
    text = MANIFEST.read_text().replace("checks: write", "checks: read").replace("  - merge_group\n", "")
    manifest.write_text(text)
    with DevHub(tmp_path / "hub", SystemClock(), manifest=manifest) as hub:
        hub.set_webhook(door.url)
        hub.create_repository("acme", "digits")
        hub.wait_delivered()
        found = examine(environ_of(hub, tmp_path / "data"), SystemClock())
        findings = {finding.name: finding for finding in found}

    assert ill(findings) == ["permissions", "events", "installation acme"]
    assert findings["permissions"].sentence == "Lacking checks: write."
    assert "“Permissions & events”" in findings["permissions"].cure
    assert findings["events"].sentence == "Not subscribed to merge_group."
    assert findings["installation acme"].sentence == "Lacking checks: write."
    assert "acme accepts the App's new permissions" in findings["installation acme"].cure


def test_an_app_that_is_installed_nowhere(tmp_path: Path, worker: WorkerSign, door: Receiver) -> None:
    with DevHub(tmp_path / "hub", SystemClock()) as hub:
        hub.set_webhook(door.url)
        found = examine(environ_of(hub, tmp_path / "data"), SystemClock())
        findings = {finding.name: finding for finding in found}
    assert ill(findings) == ["installations"]
    assert "selected repositories" in findings["installations"].cure


def test_a_webhook_that_goes_elsewhere(ask: Ask, hub: DevHub, worker: WorkerSign) -> None:
    findings = ask(PUBLIC_URL="https://ci.example.com")
    assert ill(findings) == ["webhook"]
    assert findings["webhook"].sentence == (
        f"GitHub sends to {hub.courier.url}, but the bot listens at https://ci.example.com/webhook."
    )
    assert ill(ask(PUBLIC_URL="https://ci.example.com", INTAKE="poll")) == []


def test_deliveries_that_failed_and_those_that_are_here_nevertheless(
    ask: Ask, hub: DevHub, door: Receiver, worker: WorkerSign, tmp_path: Path
) -> None:
    door.status = 401
    pushed = hub.repository("acme/digits")
    hub.commit_files(pushed, {"a": "a"})
    hub.wait_delivered()
    findings = ask()
    assert ill(findings) == ["deliveries"]
    # GitHub opens a check suite on every push, and tells that too.
    assert "2 of the last 3 failed; missing here: 2." in findings["deliveries"].sentence
    assert "GITHUB_WEBHOOK_SECRET" in findings["deliveries"].cure

    database = Database(f"sqlite:///{tmp_path}/data/experiment-ci.sqlite3")
    with database.write() as tx:
        for number, lost in enumerate(hub.deliveries[-2:]):
            values = {"guid": lost.guid, "event": lost.event, "body": lost.body, "origin": "fetched"}
            tx.add(Delivery(**values, received_at=number, state="received"))
    database.close()
    assert "2 of the last 3 failed; missing here: 0." in ask()["deliveries"].sentence
    assert ill(ask(INTAKE="poll")) == []
    door.status = 202
    hub.commit_files(pushed, {"b": "b"})
    hub.wait_delivered()
    assert ill(ask()) == []


def test_what_is_missing_and_what_is_lost(ask: Ask, tmp_path: Path, worker: WorkerSign) -> None:
    assert ask()["missing"].sentence == "nothing that GitHub sent is known to be missing"
    database = Database(f"sqlite:///{tmp_path}/data/experiment-ci.sqlite3")
    with database.write() as tx:
        missing.see(tx, [(f"guid-{number}", number, number) for number in range(1, 8)], now=0)
    assert ask()["missing"] == Finding("missing", True, "7 deliveries are missing; the worker is bringing what it can")

    with database.write() as tx:
        missing.give_up(tx, "guid-3", "GitHub has forgotten it")
    findings = ask()
    assert ill(findings) == ["missing"]
    assert findings["missing"].sentence == "1 delivery is lost (guid-3), 6 more asked for"
    assert "`experiment-ci replay guid-3`" in findings["missing"].cure
    with database.write() as tx:
        for number in range(1, 8):
            missing.give_up(tx, f"guid-{number}", "GitHub has forgotten it")
    database.close()
    assert "lost (guid-7, guid-6, guid-5, guid-4, guid-3 …)" in ask()["missing"].sentence


def test_branch_rules_as_devhub_has_them(ask: Ask, hub: DevHub, worker: WorkerSign) -> None:
    def rule() -> Finding:
        return ask()["branch rule acme/digits"]

    repository = hub.repository("acme/digits")
    hub.commit_files(repository, {"a": "a"})
    hub.wait_delivered()
    assert rule().sentence.startswith("Not set")
    hub.require_check(repository, "experiments", classic=True)
    assert "from anybody" in rule().sentence
    hub.require_check(repository, "experiments", hub.app.id)
    assert rule() == Finding("branch rule acme/digits", True, "`main` requires `experiments` of this App.")
    assert "to set a branch rule" not in ask()


def test_a_terminal_obeys_nothing_that_github_says(ask: Ask, hub: DevHub, worker: WorkerSign) -> None:
    hub.app.name = "Digits\x1b[2J"
    assert "\x1b" not in "".join(map(line, ask().values()))

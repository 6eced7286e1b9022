"""A GitHub, a bot's environment that knows it, and what the doctor finds there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.devhub import DevHub
from bot.doctor import examine
from bot.forge.diagnosis import Finding
from bot.worker_sign import WorkerSign
from tests.devhub.receiver import Receiver


@pytest.fixture
def door() -> Iterator[Receiver]:
    """What stands in the web process's place: it takes all that comes."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def hub(tmp_path: Path, door: Receiver) -> Iterator[DevHub]:
    with DevHub(tmp_path / "hub", SystemClock()) as hub:
        hub.set_webhook(door.url)
        hub.create_repository("acme", "digits")
        hub.wait_delivered()
        yield hub


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerSign]:
    """A worker that is alive."""
    sign = WorkerSign(tmp_path / "data", SystemClock())
    assert sign.hold()
    yield sign
    sign.release()


Findings = dict[str, Finding]
Ask = Callable[..., Findings]


def environ_of(hub: DevHub, data_dir: Path) -> dict[str, str]:
    return {
        "GITHUB_APP_ID": str(hub.app.id),
        "GITHUB_PRIVATE_KEY": hub.app.private_key,
        "GITHUB_WEBHOOK_SECRET": hub.app.webhook_secret,
        "GITHUB_API_URL": hub.url,
        "GITHUB_WEB_URL": hub.url,
        "PUBLIC_URL": str(hub.courier.url).removesuffix("/webhook"),
        "DATA_DIR": str(data_dir),
    }


@pytest.fixture
def ask(hub: DevHub, tmp_path: Path) -> Ask:
    """What the doctor finds with good settings, but for what the play changes."""

    def examined(**changes: str) -> Findings:
        environ = {**environ_of(hub, tmp_path / "data"), **changes}
        return {finding.name: finding for finding in examine(environ, SystemClock())}

    return examined


def ill(findings: Findings) -> list[str]:
    for finding in findings.values():
        assert finding.ok or finding.cure, f"{finding.name} has no cure"
    return [finding.name for finding in findings.values() if not finding.ok]

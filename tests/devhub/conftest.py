"""devhub with one private repository of one commit, and the App's client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub, Pull, Repository
from tests.devhub.client import Client
from tests.devhub.receiver import Receiver


@pytest.fixture
def hub(tmp_path: Path, clock: ManualClock) -> Iterator[DevHub]:
    with DevHub(tmp_path / "hub", clock) as hub:
        yield hub


@pytest.fixture
def repository(hub: DevHub) -> Repository:
    repository = hub.create_repository("acme", "digits", private=True)
    hub.commit_files(repository, {"train.py": "print(1)\n"}, message="Train")
    return repository


@pytest.fixture
def sha(hub: DevHub, repository: Repository) -> str:
    """The commit on the default branch."""
    tip = hub.site.git(repository).tip("main")
    assert tip is not None
    return tip


@pytest.fixture
def pull(hub: DevHub, repository: Repository) -> Pull:
    hub.commit_files(repository, {"train.py": "print(2)\n"}, branch="better", message="Train better")
    return hub.open_pull(repository, head="better", title="Better", body="Because.")


@pytest.fixture
def client(hub: DevHub, repository: Repository, clock: ManualClock) -> Client:
    return Client(hub, clock).login()


@pytest.fixture
def receiver(hub: DevHub) -> Iterator[Receiver]:
    """Ask for it last: it hears what happens from now on."""
    hub.wait_delivered()
    with Receiver() as receiver:
        hub.set_webhook(receiver.url)
        yield receiver
        hub.wait_delivered()

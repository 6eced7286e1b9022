"""Attempts of several tasks on the local backend: what all modes have in common."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.backends.base import Backend, BackendUnavailable, Capacity, Mode
from bot.backends.local import LocalBackend
from bot.clock import SystemClock
from tests.backends.contract import EveryModeContract
from tests.backends.lab import Lab, commit, powers
from tests.backends.modes import SEVERAL

pytestmark = [pytest.mark.service, pytest.mark.slow]


def walled(data_dir: Path) -> Backend:
    return LocalBackend(data_dir, Capacity(2, 4096, 0), SystemClock(), grace=0.6, powers=powers())


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A laboratory with walls: without them there are single nodes only."""
    data_dir = tmp_path / "data"
    try:
        walled(data_dir)
    except BackendUnavailable as error:
        pytest.skip(str(error))
    lab = Lab(data_dir, lambda: walled(data_dir), commit(tmp_path / "code"))
    yield lab
    lab.close()


class TestEveryMode(EveryModeContract):
    @pytest.fixture(params=SEVERAL)
    def mode(self, request: pytest.FixtureRequest) -> Mode:
        found: Mode = request.param
        return found

"""Attempts of several tasks on the local backend: what all modes have in common."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.backends.base import Mode
from tests.backends.contract import EveryModeContract
from tests.backends.lab import Lab
from tests.backends.modes import SEVERAL, laboratory

pytestmark = [pytest.mark.service, pytest.mark.slow]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with laboratory(tmp_path) as lab:
        yield lab


class TestEveryMode(EveryModeContract):
    @pytest.fixture(params=SEVERAL)
    def mode(self, request: pytest.FixtureRequest) -> Mode:
        found: Mode = request.param
        return found

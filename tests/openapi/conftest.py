"""Every test here needs GitHub's description; without it they are skipped, and say how to get it."""

import pytest

from tests.openapi import description


@pytest.fixture(scope="session", autouse=True)
def npm_parts() -> None:
    description.skip_without_npm_parts()

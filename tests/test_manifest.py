"""The App's manifest, held against what the code reads and against what people are told to tick."""

import re
from pathlib import Path

import pytest
import yaml

from bot.core import events, payloads
from bot.devhub import manifest as github
from bot.resources import MANIFEST

README = Path(__file__).parents[1] / "README.md"
CONTENT = yaml.safe_load(MANIFEST.read_text())
PERMISSIONS = {
    "metadata": "read",
    "contents": "read",
    "checks": "write",
    "pull_requests": "write",
    "issues": "read",
    "merge_queues": "read",
}
EVENTS = ["push", "pull_request", "issue_comment", "merge_group", "repository"]

BY_THEMSELVES = {"check_run", "check_suite", "installation", "installation_repositories"}
"""What GitHub sends to every App without being asked."""


def test_it_asks_for_exactly_this() -> None:
    """Each widening needs the consent of every installation: whoever changes this list must mean it."""
    assert CONTENT["default_permissions"] == PERMISSIONS
    assert CONTENT["default_events"] == EVENTS


def test_github_would_take_it() -> None:
    assert github.read(MANIFEST).permissions == PERMISSIONS


def test_an_app_of_ones_own_is_not_public() -> None:
    assert CONTENT["public"] is False
    assert CONTENT["hook_attributes"]["url"].endswith("/webhook")


def test_what_is_read_is_subscribed() -> None:
    assert set(payloads._PARSERS) - BY_THEMSELVES <= set(EVENTS)


def test_what_is_not_subscribed_is_not_read() -> None:
    for kind in set(github.EVENT_NEEDS) - set(EVENTS) - BY_THEMSELVES:
        assert isinstance(payloads.parse(kind, b"{}"), events.Ignored), kind


@pytest.mark.parametrize(("permission", "level"), PERMISSIONS.items())
def test_the_readme_tells_people_to_grant_it(permission: str, level: str) -> None:
    words = {"read": "Read-only", "write": "Read and write"}[level]
    row = rf"\|\s*{permission.replace('_', ' ').capitalize()}\s*\|\s*{words}\s*\|"
    assert re.search(row, README.read_text()), f"the README's table has no row for {permission}: {words}"


def test_the_readme_tells_people_to_tick_the_events() -> None:
    [line] = [line for line in README.read_text().splitlines() if "“Subscribe to events”" in line]
    assert re.findall(r"\*\*(.+?)\*\*", line) == [event.replace("_", " ").capitalize() for event in EVENTS]

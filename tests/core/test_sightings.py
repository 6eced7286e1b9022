"""What was seen on GitHub reads like the webhook that would have told it."""

import pytest

from bot.core import events, sightings
from bot.core.payloads import parse

HERE = events.Repository(7, "acme", "digits", True, "main", 5)
SHA, OTHER = "a" * 40, "b" * 40

SEEN = [
    events.PushReceived(HERE, "refs/heads/main", OTHER, SHA, "", 1_782_993_785),
    events.PushReceived(HERE, "refs/heads/new", None, SHA, "", 1_782_993_785),
    events.RefDeleted(HERE, "refs/heads/gone", 1_782_993_785),
    events.PullRequestChanged(
        HERE, "synchronize", 9, SHA, "change", "main", OTHER, "2026-07-02T12:00:00Z", False, "zoe", True, True
    ),
    events.PullRequestChanged(
        HERE, "closed", 9, SHA, "change", "main", OTHER, "2026-07-02T12:00:00Z", True, "", False, False
    ),
    events.RepositoryClosed(HERE, "archived"),
    events.InstallationChanged(5, "acme", "suspend"),
    events.InstallationChanged(5, "", "unsuspend"),
]


@pytest.mark.parametrize("seen", SEEN, ids=lambda seen: type(seen).__name__)
def test_it_is_read_as_what_was_seen(seen: sightings.Seen) -> None:
    sighting = sightings.of(seen)
    assert parse(sighting.event, sighting.body) == seen


def test_what_is_seen_twice_is_one_delivery_and_what_differs_is_another() -> None:
    guids = [sightings.of(seen).guid for seen in SEEN]
    assert guids == [sightings.of(seen).guid for seen in SEEN]
    assert len(set(guids)) == len(guids)
    assert all(len(guid) <= 64 for guid in guids)
    assert sightings.of(SEEN[0]).guid != sightings.of(SEEN[0], since="it was elsewhere before").guid

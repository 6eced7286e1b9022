"""What people decide, and what GitHub is asked for then."""

from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from bot.devhub import manifest as theirs
from bot.setup import reasons
from bot.setup.answers import NOWHERE, Answers, GitHub
from bot.setup.manifest import form_link, manifest, ours

DOTCOM = GitHub()
ENTERPRISE = GitHub("https://ghe.corp.internal/api/v3", "https://ghe.corp.internal")


def answers(public_url: str = "https://ci.example.com", *, reachable: bool = True, at: GitHub = DOTCOM) -> Answers:
    return Answers(at, "Digits CI", None, public_url, reachable)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8080", "http://bot.local", "http://10.0.0.5", "http://bot", "http://[::1]:8080"]
)
def test_github_com_cannot_reach_a_private_address(address: str) -> None:
    assert "cannot reach" in answers(address).problems()["public_url"]
    assert answers(address).polling().problems() == {}
    assert answers(address).polling().hook_url == NOWHERE, "GitHub would refuse the true one"
    assert answers(address, at=ENTERPRISE).problems() == {}, "a GitHub in the same network may"


def test_where_webhooks_go() -> None:
    assert answers().hook_url == "https://ci.example.com/webhook"
    assert answers().polling().hook_url == "https://ci.example.com/webhook", "nobody else's, where there is one"
    assert answers("http://10.0.0.5", at=ENTERPRISE).polling().hook_url == "http://10.0.0.5/webhook"


@pytest.mark.parametrize("given", [answers(), answers("http://10.0.0.5").polling()])
def test_the_manifest_is_ours_with_their_answers(given: Answers) -> None:
    content = manifest(given, "http://127.0.0.1:1/x/created")
    read = theirs.parse(content)
    assert (read.name, read.is_public, read.hook_url) == ("Digits CI", False, given.hook_url)
    assert (read.permissions, list(read.events)) == (ours()["default_permissions"], ours()["default_events"])
    assert content["hook_attributes"]["active"] is True
    assert manifest(given, "http://x")["url"] == given.public_url
    assert ours()["name"] == "experiment-ci", "nothing of it stays behind"


def test_the_form_is_filled_in_by_its_address() -> None:
    """GitHub: "Registering a GitHub App using URL parameters"."""
    link = urlsplit(form_link(Answers(ENTERPRISE, "R&D CI", "umbrella", "https://ci.example.com", True)))
    assert link._replace(query="").geturl() == ("https://ghe.corp.internal/organizations/umbrella/settings/apps/new")
    said = parse_qs(link.query)
    assert said["name"] == ["R&D CI"]
    assert said["events[]"] == ours()["default_events"]
    assert (said["checks"], said["public"], said["webhook_active"]) == (["write"], ["false"], ["true"])
    assert "webhook_secret" not in dict(parse_qsl(link.query)), "GitHub takes none from there, and browsers remember"


def test_there_is_a_reason_for_everything_that_is_asked_for() -> None:
    assert set(reasons.PERMISSIONS) == set(ours()["default_permissions"])
    assert set(reasons.EVENTS) == set(ours()["default_events"])


def test_names_as_githubs_pages_have_them() -> None:
    assert (reasons.shown("pull_requests"), reasons.access("write")) == ("Pull requests", "Read and write")

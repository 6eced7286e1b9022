"""What the doctor says about GitHub: each sentence, each cure."""

from typing import Any

import pytest

from bot.clock import ManualClock
from bot.forge.credentials import Credentials
from bot.forge.diagnosis import Finding, diagnose
from tests.forge.conftest import APP_ID
from tests.forge.standin import Reply, Standin

WANTED = {"metadata": "read", "contents": "read", "checks": "write"}
EVENTS = ["push", "pull_request"]
APP = {"slug": "ci", "permissions": WANTED, "events": EVENTS, "html_url": "https://github.com/apps/ci"}
INSTALLATION = {
    "id": 7,
    "account": {"login": "octo"},
    "permissions": WANTED,
    "suspended_at": None,
    "repository_selection": "selected",
    "html_url": "https://github.com/settings/installations/7",
}
LIMIT = {"resources": {"core": {"limit": 5000, "remaining": 4321, "reset": 1_700_000_000, "used": 679}}}


def ask(credentials: Credentials) -> dict[str, Finding]:
    return {finding.name: finding for finding in diagnose(credentials, WANTED, EVENTS)}


def test_all_is_well(credentials: Credentials, github: Standin) -> None:
    github.will(Reply(200, APP), Reply(200, [INSTALLATION]), Reply(200, LIMIT))

    assert diagnose(credentials, WANTED, EVENTS) == [
        Finding("clock", True, "This machine's clock is +0 s from GitHub's."),
        Finding("credentials", True, "GitHub knows us as the App “ci” (4242)."),
        Finding("permissions", True, "All that the manifest asks for."),
        Finding("events", True, "Subscribed to all that the manifest asks for."),
        Finding(
            "installation octo", True, "Reachable (id 7, selected repositories), 4321 of 5000 requests left this hour."
        ),
    ]
    assert github.lines == ["GET /app", "GET /app/installations?per_page=30", "GET /rate_limit"]
    assert github.asked[-1].headers["authorization"] == "Bearer ghs_1", "each installation has a limit of its own"


def test_a_clock_that_is_off_is_the_first_thing_said(credentials: Credentials, github: Standin) -> None:
    github.date_ahead = -3600
    refusal = Reply(401, {"message": "'Issued at' claim ('iat') must be an Integer representing the time"})
    github.will(refusal, refusal)

    findings = ask(credentials)

    assert findings["clock"].sentence == "This machine's clock is +3600 s from GitHub's."
    assert not findings["clock"].ok
    assert "off by +3600 s" in findings["credentials"].cure
    assert list(findings) == ["clock", "credentials"], "without credentials there is no more to see"


def test_a_wrong_key_is_said(credentials: Credentials, github: Standin) -> None:
    github.will(Reply(401, {"message": "A JSON web token could not be decoded"}))

    findings = ask(credentials)

    assert findings["clock"].ok
    assert not findings["credentials"].ok
    assert findings["credentials"].cure == (
        "The private key does not belong to App 4242, or it was deleted on the App's settings page."
    )


@pytest.mark.parametrize("reply", [Reply(404, {}), Reply(502, "<html>"), Reply(200, "<html>a portal</html>")])
def test_something_that_is_not_githubs_api_is_said(credentials: Credentials, github: Standin, reply: Reply) -> None:
    github.will(reply)

    finding = ask(credentials)["credentials"]

    assert not finding.ok
    assert "GITHUB_API_URL" in finding.cure


def test_a_github_that_cannot_be_reached_is_said(app_key: str, clock: ManualClock) -> None:
    credentials = Credentials(APP_ID, app_key, "http://127.0.0.1:9", clock)

    [finding] = diagnose(credentials, WANTED, EVENTS)
    credentials.close()

    assert not finding.ok
    assert finding.sentence == "http://127.0.0.1:9: GitHub was not reached (ConnectionError)."
    assert "GITHUB_API_URL" in finding.cure


def test_what_the_app_may_not_do_is_named(credentials: Credentials, github: Standin) -> None:
    poor = {**APP, "permissions": {"metadata": "read", "checks": "read", "issues": "write"}, "events": ["push"]}
    github.will(Reply(200, poor), Reply(200, [INSTALLATION]))

    findings = ask(credentials)

    assert findings["permissions"].sentence == "Lacking checks: write, contents: read."
    assert findings["events"].sentence == "Not subscribed to pull_request."
    assert "Permissions & events" in findings["permissions"].cure
    assert "Permissions & events" in findings["events"].cure


def test_more_than_needed_is_no_fault_but_said(credentials: Credentials, github: Standin) -> None:
    rich = {**APP, "permissions": {**WANTED, "contents": "write", "actions": "read"}}
    github.will(Reply(200, rich), Reply(200, [INSTALLATION]))

    finding = ask(credentials)["permissions"]

    assert finding.ok
    assert finding.sentence.endswith("More than the bot ever uses: actions: read, contents: write.")


@pytest.mark.parametrize(
    ("changes", "mint", "sentence", "cure"),
    [
        ({"suspended_at": "2026-01-01T00:00:00Z"}, None, "It is suspended.", "octo lifts that"),
        ({"permissions": {"metadata": "read", "contents": "read"}}, None, "Lacking checks: write.", "octo accepts"),
        ({}, Reply(404, {"message": "Not Found"}), "no token for it: GitHub answered 404: Not Found", "Look at"),
        ({"account": None}, Reply(500), "no token for it: GitHub answered 500", "Look at"),
    ],
)
def test_an_installation_that_does_not_work_is_told_with_its_page(
    credentials: Credentials, github: Standin, changes: dict[str, Any], mint: Reply | None, sentence: str, cure: str
) -> None:
    github.will(Reply(200, APP), Reply(200, [{**INSTALLATION, **changes}]))
    github.mints.extend([mint] if mint else [])

    finding = diagnose(credentials, WANTED, EVENTS)[-1]

    assert not finding.ok
    assert sentence in finding.sentence
    assert cure in finding.cure
    assert "https://github.com/settings/installations/7" in finding.cure


def test_more_events_than_needed_are_said(credentials: Credentials, github: Standin) -> None:
    github.will(Reply(200, {**APP, "events": [*EVENTS, "star"]}), Reply(200, [INSTALLATION]))

    finding = ask(credentials)["events"]

    assert finding.ok
    assert finding.sentence.endswith("More than the bot ever reads: star.")


@pytest.mark.parametrize(
    ("reply", "ok", "says"),
    [
        (Reply(200, {"resources": {"core": {"limit": 5000, "remaining": 12}}}), False, "12 of 5000 requests left"),
        (Reply(404, {"message": "Rate limiting is not enabled."}), True, "selected repositories)."),
        (Reply(200, "<html>"), True, "selected repositories)."),
    ],
)
def test_what_is_left_of_an_installations_limit(
    credentials: Credentials, github: Standin, reply: Reply, ok: bool, says: str
) -> None:
    github.will(Reply(200, APP), Reply(200, [INSTALLATION]), reply)

    finding = ask(credentials)["installation octo"]

    assert finding.ok is ok
    assert says in finding.sentence
    assert bool(finding.cure) is not ok


def test_an_app_that_is_installed_nowhere(credentials: Credentials, github: Standin) -> None:
    github.will(Reply(200, APP), Reply(200, []))

    assert ask(credentials)["installations"].cure == (
        "Install it on selected repositories: https://github.com/apps/ci/installations/new"
    )


def test_installations_that_cannot_be_listed(credentials: Credentials, github: Standin) -> None:
    github.will(Reply(200, APP), Reply(503, {"message": "Unavailable"}))

    assert ask(credentials)["installations"].sentence == "GitHub answered 503: Unavailable"

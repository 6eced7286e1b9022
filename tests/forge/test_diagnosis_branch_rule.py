"""What the doctor says of the rules that hold for a default branch, whatever GitHub answers."""

from typing import Any

import pytest

from bot.forge.credentials import Credentials
from bot.forge.diagnosis import Finding, branch_rules
from tests.forge.conftest import APP_ID
from tests.forge.standin import Reply, Standin

APP, INSTALLED = Reply(200, {"name": "Digits CI"}), Reply(200, [{"id": 7, "suspended_at": None}])
PAGE = "https://github.com/acme/digits/settings/rules"
ANOTHER = 99


def repository(name: str = "acme/digits", **more: Any) -> dict[str, Any]:
    return {"full_name": name, "default_branch": "main", "html_url": f"https://github.com/{name}", **more}


def rule(*checks: dict[str, Any]) -> Reply:
    other = {"type": "pull_request", "parameters": {}}
    return Reply(200, [other, {"type": "required_status_checks", "parameters": {"required_status_checks": [*checks]}}])


def protection(*checks: dict[str, Any]) -> Reply:
    return Reply(200, {"protected": True, "protection": {"required_status_checks": {"checks": [*checks]}}})


NO_RULES, UNPROTECTED = Reply(200, []), Reply(200, {"protected": False})


def ask(credentials: Credentials, github: Standin, *replies: Reply) -> dict[str, Finding]:
    github.will(APP, INSTALLED, *replies)
    return {finding.name: finding for finding in branch_rules(credentials, "experiments")}


def one(credentials: Credentials, github: Standin, rules: Reply, branch: Reply) -> Finding:
    found = ask(credentials, github, Reply(200, {"repositories": [repository()]}), rules, branch)
    return found["branch rule acme/digits"]


def test_a_branch_that_nothing_keeps(credentials: Credentials, github: Standin) -> None:
    found = ask(credentials, github, Reply(200, {"repositories": [repository()]}), NO_RULES, UNPROTECTED)
    assert found["branch rule acme/digits"] == Finding(
        "branch rule acme/digits", True, f"Not set: a red `experiments` stops no merge into `main`. {PAGE}"
    )
    how = found["to set a branch rule"].sentence
    assert "`experiments`, and choose “Digits CI” as its source" in how
    assert github.lines == [
        "GET /app",
        "GET /app/installations?per_page=30",
        "GET /installation/repositories?per_page=21",
        "GET /repos/acme/digits/rules/branches/main?per_page=100",
        "GET /repos/acme/digits/branches/main",
    ]
    assert {asked.headers["authorization"] for asked in github.asked[2:]} == {"Bearer ghs_1"}


OURS = {"context": "experiments", "integration_id": APP_ID}
ANYBODY = {"context": "experiments"}
LINT = {"context": "lint", "integration_id": APP_ID}


@pytest.mark.parametrize(
    ("rules", "branch"),
    [
        (rule(LINT, OURS), UNPROTECTED),
        (rule(LINT), protection({"context": "experiments", "app_id": APP_ID})),
        (Reply(404), protection({"context": "experiments", "app_id": APP_ID})),
        (rule(OURS), Reply(404, {"message": "Branch not found"})),
        (rule(OURS), protection({"context": "experiments", "app_id": None})),
    ],
)
def test_a_branch_that_requires_our_check_of_us(
    credentials: Credentials, github: Standin, rules: Reply, branch: Reply
) -> None:
    finding = one(credentials, github, rules, branch)
    assert finding == Finding("branch rule acme/digits", True, "`main` requires `experiments` of this App.")


@pytest.mark.parametrize(
    ("rules", "branch"),
    [
        (rule(ANYBODY), UNPROTECTED),
        (NO_RULES, protection({"context": "experiments", "app_id": None})),
        (NO_RULES, protection({"context": "experiments", "app_id": -1})),
    ],
)
def test_a_check_that_anybody_may_report(
    credentials: Credentials, github: Standin, rules: Reply, branch: Reply
) -> None:
    finding = one(credentials, github, rules, branch)
    assert not finding.ok
    assert "takes `experiments` from anybody" in finding.sentence
    assert finding.cure == f"Choose “Digits CI” as the source of `experiments`: {PAGE}"


def test_a_check_of_another_app(credentials: Credentials, github: Standin) -> None:
    finding = one(credentials, github, rule(OURS | {"integration_id": ANOTHER}), UNPROTECTED)
    assert not finding.ok
    assert "another App (99): nothing can be merged" in finding.sentence


@pytest.mark.parametrize(
    ("rules", "branch"),
    [
        (Reply(403), Reply(404)),
        (Reply(200, [{"type": "required_status_checks"}]), UNPROTECTED),
        (Reply(200, {"message": "x"}), UNPROTECTED),
        (Reply(200, "<html>"), UNPROTECTED),
    ],
)
def test_where_github_does_not_say_nothing_is_said(
    credentials: Credentials, github: Standin, rules: Reply, branch: Reply
) -> None:
    assert ask(credentials, github, Reply(200, {"repositories": [repository()]}), rules, branch) == {}


def test_a_branch_with_a_slash(credentials: Credentials, github: Standin) -> None:
    listed = Reply(200, {"repositories": [repository(default_branch="release/1.0")]})
    ask(credentials, github, listed, NO_RULES, UNPROTECTED)
    assert github.lines[-1] == "GET /repos/acme/digits/branches/release%2F1.0"


def test_not_more_than_twenty_are_looked_at_and_no_archived_one(credentials: Credentials, github: Standin) -> None:
    names = [f"acme/r{number}" for number in range(21)]
    listed = [repository("acme/old", archived=True), *map(repository, names)]
    found = ask(credentials, github, Reply(200, {"repositories": listed}), *[NO_RULES, UNPROTECTED] * 20)
    assert [*found] == [*(f"branch rule {name}" for name in names[:20]), "branch rules", "to set a branch rule"]


@pytest.mark.parametrize("reply", [Reply(403), Reply(200, "<html>"), Reply(200, {"repositories": [{}]})])
def test_an_installation_that_does_not_answer_is_told_elsewhere(
    credentials: Credentials, github: Standin, reply: Reply
) -> None:
    assert ask(credentials, github, reply) == {}


def test_a_suspended_installation_is_not_asked(credentials: Credentials, github: Standin) -> None:
    github.will(APP, Reply(200, [{"id": 7, "suspended_at": "2026-01-01T00:00:00Z"}]))
    assert branch_rules(credentials, "experiments") == []
    assert github.minted == []


def test_a_github_that_fails(credentials: Credentials, github: Standin) -> None:
    github.will(Reply(502))
    [finding] = branch_rules(credentials, "experiments")
    assert not finding.ok

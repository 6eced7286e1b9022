"""Repositories that are renamed, put away, given away, shown or hidden; and who may do what in them."""

import pytest

from bot.devhub import DevHub, Pull, Repository
from tests.devhub.client import Client

pytestmark = pytest.mark.service
REPO = "/repos/acme/digits"
ARCHIVED = "Repository was archived so is read-only."


def told(hub: DevHub, since: int) -> list[tuple[str, str | None]]:
    return [(d.event, d.action) for d in hub.deliveries[since:]]


def test_a_renamed_repository_redirects(hub: DevHub, client: Client, repository: Repository, pull: Pull) -> None:
    hub.rename_repository(repository, "numbers")
    moved = client.get(f"{REPO}/pulls/1")
    assert moved.status_code == 301
    there = client.get(moved.headers["Location"])
    assert there.json()["base"]["repo"]["full_name"] == "acme/numbers"
    assert hub.deliveries[-1].payload["changes"] == {"repository": {"name": {"from": "digits"}}}


def test_a_new_repository_takes_over_an_old_name(hub: DevHub, client: Client, repository: Repository) -> None:
    hub.rename_repository(repository, "numbers")
    fresh = hub.create_repository("acme", "digits")
    assert client.get(REPO).json()["id"] == fresh.id
    with pytest.raises(ValueError, match="exists already"):
        hub.rename_repository(fresh, "Numbers")


def test_what_is_archived_is_read_only(hub: DevHub, client: Client, repository: Repository, pull: Pull) -> None:
    comment = hub.comment(pull, "hello")
    run = client.post(f"{REPO}/check-runs", {"name": "x", "head_sha": pull.head_sha}).json()
    hub.archive_repository(repository)

    assert (hub.deliveries[-1].event, hub.deliveries[-1].action) == ("repository", "archived")
    assert hub.deliveries[-1].payload["repository"]["archived"] is True
    for answer in (
        client.post(f"{REPO}/check-runs", {"name": "y", "head_sha": pull.head_sha}),
        client.patch(run["url"], {"conclusion": "success"}),
        client.post(f"{REPO}/issues/1/comments", {"body": "late"}),
        client.delete(f"{REPO}/issues/comments/{comment.id}"),
    ):
        assert (answer.status_code, answer.json()["message"]) == (403, ARCHIVED)
    assert client.get(REPO).json()["archived"] is True

    hub.unarchive_repository(repository)
    assert hub.deliveries[-1].action == "unarchived"
    assert client.post(f"{REPO}/issues/1/comments", {"body": "again"}).status_code == 201


def test_what_is_deleted_is_nowhere(hub: DevHub, client: Client, repository: Repository, pull: Pull) -> None:
    hub.rename_repository(repository, "numbers")
    before = len(hub.deliveries)
    hub.delete_repository(repository)

    assert told(hub, before) == [("installation_repositories", "removed"), ("repository", "deleted")]
    assert hub.deliveries[-2].payload["repositories_removed"][0]["full_name"] == "acme/numbers"
    for path in ("/repos/acme/numbers", f"{REPO}/pulls/1", f"/repositories/{repository.id}"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["message"]) == (404, "Not Found"), path
    git = client.send("GET", "/acme/numbers.git/info/refs?service=git-upload-pack", None)
    assert git.status_code == 401, "a stranger is told nothing"
    assert not repository.path.exists()
    assert hub.create_repository("acme", "numbers").id != repository.id


def test_githubs_reference_says_that_apps_do_not_hear_of_a_deletion(hub: DevHub, repository: Repository) -> None:
    before = len(hub.deliveries)
    hub.delete_repository(repository, told=False)
    assert told(hub, before) == [("installation_repositories", "removed")]


def test_a_repository_that_is_given_to_somebody_with_the_app(
    hub: DevHub, client: Client, repository: Repository, pull: Pull
) -> None:
    old, before = hub.installation("acme"), len(hub.deliveries)
    hub.transfer_repository(repository, "zoe", installed=True)

    assert told(hub, before) == [("installation_repositories", "removed"), ("repository", "transferred")]
    removed, transferred = hub.deliveries[-2:]
    assert removed.installation_id == old.id
    assert transferred.installation_id == hub.installation("zoe").id != old.id
    assert transferred.payload["changes"]["owner"]["from"]["user"]["login"] == "acme"
    assert transferred.payload["repository"]["full_name"] == "zoe/digits"
    assert client.get(f"{REPO}/pulls/1").status_code == 404, "the old installation is out"
    theirs = Client(hub, client.clock, "zoe").login()
    moved = theirs.get(f"{REPO}/pulls/1")
    assert moved.status_code == 301
    assert theirs.get(moved.headers["Location"]).json()["base"]["repo"]["full_name"] == "zoe/digits"
    assert repository.role_of(hub.add_user("acme")) == "write", "who gave it away stays as a collaborator"


def test_a_repository_that_is_given_to_somebody_without_the_app(
    hub: DevHub, client: Client, repository: Repository
) -> None:
    hub.add_organization("umbrella")
    before = len(hub.deliveries)
    hub.transfer_repository(repository, "umbrella", installed=False)
    assert told(hub, before) == [("installation_repositories", "removed")]
    assert client.as_app("GET", "/repos/umbrella/digits/installation").status_code == 404

    hub.create_repository("umbrella", "other")
    with pytest.raises(ValueError, match="installed on all repositories of umbrella"):
        hub.transfer_repository(hub.create_repository("acme", "more"), "umbrella", installed=False)


def test_a_repository_is_shown_and_hidden(hub: DevHub, client: Client, repository: Repository) -> None:
    hub.set_visibility(repository, private=False)
    assert (hub.deliveries[-1].event, hub.deliveries[-1].action) == ("repository", "publicized")
    assert client.send("GET", REPO, None).json()["visibility"] == "public"
    hub.set_visibility(repository, private=True)
    assert hub.deliveries[-1].action == "privatized"
    assert hub.deliveries[-1].payload["repository"]["private"] is True
    assert client.send("GET", REPO, None).status_code == 404


def test_roles_are_given_and_taken_away(hub: DevHub, client: Client, repository: Repository) -> None:
    def role(login: str) -> tuple[str, str]:
        answer = client.get(f"{REPO}/collaborators/{login}/permission").json()
        return answer["permission"], answer["role_name"]

    hub.add_user("zoe")
    assert role("zoe") == ("none", "none")
    hub.set_role(repository, "zoe", "maintain")
    assert role("zoe") == ("write", "maintain")
    hub.set_role(repository, "Zoe", "triage")
    assert role("zoe") == ("read", "triage")
    hub.set_role(repository, "zoe", "none")
    assert role("zoe") == ("none", "none")
    hub.set_visibility(repository, private=False)
    assert role("zoe") == ("read", "read"), "what is public is read by everybody"
    for nobody in ("nobody", "experiment-ci[bot]"):
        assert client.get(f"{REPO}/collaborators/{nobody}/permission").status_code == 404


def test_a_check_is_required_by_a_ruleset_or_by_the_older_protection(
    hub: DevHub, client: Client, repository: Repository, pull: Pull
) -> None:
    hub.require_check(repository, "experiments", hub.app.id)
    hub.require_check(repository, "lint")
    [rule] = client.get(f"{REPO}/rules/branches/main").json()
    assert (rule["type"], rule["ruleset_source"]) == ("required_status_checks", "acme/digits")
    assert rule["parameters"]["required_status_checks"] == [
        {"context": "experiments", "integration_id": hub.app.id},
        {"context": "lint"},
    ]
    assert client.get(f"{REPO}/rules/branches/better").json() == []

    hub.require_check(repository, "experiments", branch="better", classic=True)
    assert client.get(f"{REPO}/rules/branches/better").json() == [], "rulesets only"
    shown = client.get(f"{REPO}/branches/better").json()
    assert shown["protection"]["required_status_checks"]["checks"] == [{"context": "experiments", "app_id": None}]
    assert [one["name"] for one in client.get(f"{REPO}/branches?protected=true").json()] == ["better", "main"]
    assert client.get(f"{REPO}/branches?protected=false").json() == []

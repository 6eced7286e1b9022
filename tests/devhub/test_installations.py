"""The App comes to an account, is let into repositories and out of them, sleeps for a while, and goes."""

import pytest

from bot.devhub import DevHub, Pull, Repository
from tests.devhub.client import Client

pytestmark = pytest.mark.service
REPO = "/repos/acme/digits"
SUSPENDED = "This installation has been suspended"


def names(shapes: list[dict[str, str]]) -> list[str]:
    return [shape["full_name"] for shape in shapes]


def test_somebody_installs_it_on_all_repositories(hub: DevHub, repository: Repository, client: Client) -> None:
    hub.create_repository("zoe", "one", installed=False)
    installation = hub.install("zoe")
    told = hub.deliveries[-1]
    assert (told.event, told.action, told.installation_id) == ("installation", "created", installation.id)
    assert names(told.payload["repositories"]) == ["zoe/one"]
    assert told.payload["installation"]["repository_selection"] == "all"
    assert told.payload["sender"]["login"] == "zoe"
    assert client.as_app("GET", "/users/zoe/installation").json()["id"] == installation.id
    assert client.as_app("GET", "/orgs/zoe/installation").status_code == 404, "zoe is a person"
    with pytest.raises(ValueError, match="already"):
        hub.install("zoe")


def test_somebody_installs_it_on_some_repositories(hub: DevHub, repository: Repository, client: Client) -> None:
    hub.add_organization("umbrella")
    one, two = (hub.create_repository("umbrella", name, private=True, installed=False) for name in ("one", "two"))
    hub.install("umbrella", [one])
    theirs = Client(hub, client.clock, "umbrella").login()
    assert theirs.get("/repos/umbrella/one").status_code == 200
    assert theirs.get("/repos/umbrella/two").status_code == 404
    assert client.as_app("GET", "/orgs/umbrella/installation").json()["repository_selection"] == "selected"

    hub.add_repositories("umbrella", [one, two])
    added = hub.deliveries[-1]
    assert (added.event, added.action) == ("installation_repositories", "added")
    assert names(added.payload["repositories_added"]) == ["umbrella/two"], "one was there already"
    assert theirs.get("/repos/umbrella/two").status_code == 200, "a token in use reaches what is added"

    hub.remove_repositories("umbrella", ["one"])
    removed = hub.deliveries[-1]
    assert (removed.action, names(removed.payload["repositories_removed"])) == ("removed", ["umbrella/one"])
    assert theirs.get("/repos/umbrella/one").status_code == 404
    before = len(hub.deliveries)
    hub.commit_files(one, {"a": "b"})
    assert len(hub.deliveries) == before, "of what it was shut out of it hears nothing"


def test_all_without_one_is_some(hub: DevHub, repository: Repository) -> None:
    hub.create_repository("acme", "other")
    with pytest.raises(ValueError, match="all repositories of acme"):
        hub.add_repositories("acme", [repository])
    hub.remove_repositories("acme", [repository])
    assert hub.deliveries[-1].payload["repository_selection"] == "selected"
    later = hub.create_repository("acme", "later")
    assert not hub.installation("acme").covers(later)
    with pytest.raises(ValueError, match="has no repository"):
        hub.add_repositories("acme", ["nothing"])


def test_somebody_uninstalls_it(hub: DevHub, client: Client, repository: Repository) -> None:
    number = hub.installation("acme").id
    hub.uninstall("acme")
    told = hub.deliveries[-1]
    assert (told.event, told.action, told.installation_id) == ("installation", "deleted", number)
    assert names(told.payload["repositories"]) == ["acme/digits"]
    assert client.get(REPO).status_code == 401
    assert client.as_app("GET", f"{REPO}/installation").status_code == 404
    assert client.as_app("POST", f"/app/installations/{number}/access_tokens").status_code == 404


def test_while_it_is_suspended_it_is_deaf_and_shut_out(
    hub: DevHub, client: Client, repository: Repository, pull: Pull
) -> None:
    hub.suspend("acme", by=hub.add_user("zoe"))
    told = hub.deliveries[-1]
    assert (told.event, told.action) == ("installation", "suspend")
    assert told.payload["installation"]["suspended_by"]["login"] == "zoe"
    assert told.payload["installation"]["suspended_at"] == "2023-11-14T22:13:20Z"

    git = client.send(
        "GET", "/acme/digits.git/info/refs?service=git-upload-pack", None, auth=("x-access-token", client.token)
    )
    assert (git.status_code, git.text) == (403, SUSPENDED + "\n")
    for answer in (client.get(REPO), client.mint(), client.post(f"{REPO}/issues/1/comments", {"body": "x"})):
        assert (answer.status_code, answer.json()["message"]) == (403, SUSPENDED)
    shown = client.as_app("GET", f"/app/installations/{hub.installation('acme').id}").json()
    assert shown["suspended_by"]["login"] == "zoe"
    before = len(hub.deliveries)
    hub.comment(pull, "/run")
    hub.commit_files(repository, {"a": "b"}, branch="better")
    assert len(hub.deliveries) == before

    hub.unsuspend("acme")
    assert hub.deliveries[-1].action == "unsuspend"
    assert hub.deliveries[-1].payload["installation"]["suspended_at"] is None
    assert client.get(REPO).status_code == 200
    hub.comment(pull, "/run")
    assert hub.deliveries[-1].event == "issue_comment"


def test_an_installation_that_grants_less_than_the_app_asks_for(
    hub: DevHub, client: Client, repository: Repository, pull: Pull
) -> None:
    before = len(hub.deliveries)
    hub.grant("acme", {"contents": "read", "checks": "read", "pull_requests": "read"})
    assert len(hub.deliveries) == before, "nobody tells an App that it may do less"
    body = {"name": "x", "head_sha": pull.head_sha}
    for token in (client, Client(hub, client.clock).login()):
        refused = token.post(f"{REPO}/check-runs", body)
        assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")
        assert token.get(f"{REPO}/pulls/1").status_code == 200
    assert client.mint(permissions={"checks": "write"}).status_code == 422
    assert client.mint().json()["permissions"]["checks"] == "read"
    assert client.as_app("GET", "/app").json()["permissions"]["checks"] == "write", "that is what it asks for"
    hub.comment(pull, "/run")
    assert hub.deliveries[-1].event != "issue_comment", "what it may not read it does not hear of"

    hub.grant("acme", hub.app.permissions)
    told = hub.deliveries[-1]
    assert (told.event, told.action) == ("installation", "new_permissions_accepted")
    assert told.payload["installation"]["permissions"]["checks"] == "write"
    assert client.post(f"{REPO}/check-runs", body).status_code == 201


def test_nobody_suspends_what_is_not_there(hub: DevHub) -> None:
    with pytest.raises(ValueError, match="not installed on zoe"):
        hub.suspend("zoe")

"""What all calls have in common: pages, ETags, redirects, errors, limits, the record; and the rest of single ones."""

import base64
import json

import pytest

from bot.devhub import DevHub, Link, Pull, Repository
from tests.devhub.client import Client

pytestmark = pytest.mark.service
REPO = "/repos/acme/digits"


def test_an_unchanged_answer_is_not_sent_again_and_costs_nothing(client: Client, pull: Pull) -> None:
    first = client.get(f"{REPO}/pulls/1")
    known = {"If-None-Match": first.headers["ETag"]}
    again = client.get(f"{REPO}/pulls/1", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["X-RateLimit-Remaining"] == first.headers["X-RateLimit-Remaining"]
    client.hub.edit_pull(pull, "Another title")
    assert client.get(f"{REPO}/pulls/1", headers=known).status_code == 200


def test_lists_come_in_pages_that_lead_to_each_other(hub: DevHub, client: Client, pull: Pull) -> None:
    for number in range(7):
        hub.comment(pull, f"comment {number}")
    page = client.get(f"{REPO}/issues/1/comments?per_page=3")
    seen = [comment["body"] for comment in page.json()]
    assert "prev" not in page.links
    while "next" in page.links:
        page = client.get(page.links["next"]["url"])
        seen += [comment["body"] for comment in page.json()]
    assert seen == [f"comment {number}" for number in range(7)]
    assert page.links["prev"]["url"].endswith("page=2")
    assert len(client.get(f"{REPO}/issues/1/comments?per_page=1000").json()) == 7


def test_pulls_are_found_by_head_base_and_state(hub: DevHub, client: Client, pull: Pull) -> None:
    def numbers(query: str) -> list[int]:
        return [each["number"] for each in client.get(f"{REPO}/pulls?{query}").json()]

    assert numbers("head=acme:better") == [1]
    assert numbers("head=zoe:better") == []
    assert numbers("base=other") == []
    hub.close_pull(pull)
    assert numbers("") == []
    assert numbers("state=closed") == [1]
    assert numbers("state=all") == [1]
    of_commit = client.get(f"{REPO}/commits/{pull.head_sha}/pulls").json()
    assert [each["number"] for each in of_commit] == [1]


def test_a_pull_counts_what_it_changes(client: Client, pull: Pull) -> None:
    answer = client.get(f"{REPO}/pulls/1").json()
    assert [answer[name] for name in ("commits", "additions", "deletions", "changed_files")] == [1, 1, 1, 1]


def test_the_prefix_of_github_enterprise_works_and_stays(client: Client, pull: Pull) -> None:
    answer = client.get(f"/api/v3{REPO}/pulls/1").json()
    assert answer["url"] == f"{client.hub.url}/api/v3{REPO}/pulls/1"
    assert answer["html_url"] == f"{client.hub.url}/acme/digits/pull/1"
    assert client.get(answer["url"]).status_code == 200


def test_errors_have_githubs_shape(client: Client, sha: str) -> None:
    missing = client.get(f"{REPO}/pulls/9")
    assert missing.status_code == 404
    assert missing.json() == {
        "message": "Not Found",
        "documentation_url": "https://docs.github.com/rest",
        "status": "404",
    }
    bad = client.send("POST", f"{REPO}/check-runs", f"Bearer {client.token}", data=b"{")
    assert (bad.status_code, bad.json()["message"]) == (400, "Problems parsing JSON")
    for listed in (b"[]", b"null"):
        bad = client.send("POST", f"{REPO}/check-runs", f"Bearer {client.token}", data=listed)
        assert (bad.status_code, bad.json()["message"]) == (400, "Body should be a JSON object")
    assert client.get(REPO, headers={"User-Agent": ""}).status_code == 403


def test_trees_show_links_for_what_they_are(hub: DevHub, client: Client, repository: Repository) -> None:
    sha = hub.commit_files(repository, {".ps_project/config.yaml": Link("/etc/hostname")})
    tree = client.get(f"{REPO}/git/trees/{sha}?recursive=1").json()["tree"]
    entry = next(each for each in tree if each["path"] == ".ps_project/config.yaml")
    assert entry["mode"] == "120000"
    blob = client.get(entry["url"]).json()
    assert base64.b64decode(blob["content"]) == b"/etc/hostname"
    assert client.get(f"{REPO}/git/trees/{'f' * 40}").status_code == 404
    assert client.get(f"{REPO}/git/blobs/--help").status_code == 404


def test_every_request_is_written_down_with_its_bodies(hub: DevHub, client: Client, sha: str) -> None:
    hub.requests.clear()
    client.post(f"{REPO}/check-runs", {"name": "x", "head_sha": sha})
    client.get(f"/api/v3{REPO}")
    client.get(f"{REPO}/pulls/9")
    first, second, third = hub.requests
    assert (first.method, first.route, first.status) == ("POST", "/repos/{owner}/{repo}/check-runs", 201)
    assert json.loads(first.body) == {"name": "x", "head_sha": sha}
    assert json.loads(first.answer)["name"] == "x"
    assert second.route == "/repos/{owner}/{repo}"
    assert third.status == 404
    assert hub.requests.count("GET") == 2
    assert hub.requests.count(route="/repos/{owner}/{repo}/pulls/{pull_number}", status=404) == 1
    assert first.actor == f"installation {hub.installation('acme').id}"


def test_devhub_can_be_down_for_a_while_and_remembers(hub: DevHub, client: Client, repository: Repository) -> None:
    url = hub.url
    hub.close()
    with pytest.raises(OSError, match="refused"):
        client.get(REPO)
    hub.start()
    assert hub.url == url
    assert client.get(REPO).status_code == 200


def test_names_that_cannot_be(hub: DevHub, repository: Repository) -> None:
    for owner, name in (("acme", "digits"), ("repos", "x"), ("a/b", "x"), ("acme", ".."), ("acme", "x.git"), ("", "x")):
        with pytest.raises(ValueError, match=r"cannot be the name|exists already"):
            hub.create_repository(owner, name)

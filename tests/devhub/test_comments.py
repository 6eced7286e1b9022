"""Comments: the App writes one, people write others, everybody hears."""

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub, Pull
from tests.devhub.client import Client

pytestmark = pytest.mark.service
COMMENTS = "/repos/acme/digits/issues/1/comments"


def test_the_app_comments_and_edits(hub: DevHub, client: Client, pull: Pull, clock: ManualClock) -> None:
    made = client.post(COMMENTS, {"body": "accuracy: 0.9"})
    assert made.status_code == 201
    assert made.json()["user"]["login"] == "experiment-ci[bot]"
    assert made.json()["user"]["type"] == "Bot"
    clock.advance(60)
    edited = client.patch(made.json()["url"], {"body": "accuracy: 0.95"}).json()
    assert edited["updated_at"] > edited["created_at"]
    assert [comment.body for comment in pull.comments] == ["accuracy: 0.95"]
    assert client.get(COMMENTS).json() == [edited]
    told = [(d.event, d.action) for d in hub.deliveries[-2:]]
    assert told == [("issue_comment", "created"), ("issue_comment", "edited")], "GitHub tells an App of its own too"
    assert hub.deliveries[-1].payload["changes"] == {"body": {"from": "accuracy: 0.9"}}


def test_a_comment_of_a_person_carries_no_commit(hub: DevHub, pull: Pull) -> None:
    hub.comment(pull, "/run", by=hub.add_user("zoe"))
    payload = hub.deliveries[-1].payload
    assert payload["comment"]["author_association"] == "NONE"
    assert payload["issue"]["pull_request"]["url"].endswith("/pulls/1")
    assert pull.head_sha not in str(payload), "GitHub's trap: whoever acts on it must ask for the head"


def test_a_comment_on_a_commit(hub: DevHub, pull: Pull) -> None:
    hub.comment_on_commit(pull.repository, pull.head_sha, "/run")
    assert hub.deliveries[-1].event == "pull_request", "ours does not subscribe to these"
    hub.app.events += ("commit_comment",)
    hub.comment_on_commit(pull.repository, pull.head_sha, "/run")
    assert hub.deliveries[-1].event == "commit_comment"
    assert hub.deliveries[-1].payload["comment"]["commit_id"] == pull.head_sha


def test_sizes_are_in_characters(client: Client, pull: Pull) -> None:
    assert client.post(COMMENTS, {"body": "é" * 65_536}).status_code == 201
    for bad in ("x" * 65_537, "", "  \n"):
        answer = client.post(COMMENTS, {"body": bad})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["resource"] == "IssueComment"
    assert len(pull.comments) == 1


def test_there_must_be_something_to_comment_on(client: Client, pull: Pull) -> None:
    assert client.post("/repos/acme/digits/issues/2/comments", {"body": "x"}).status_code == 404
    assert client.patch("/repos/acme/digits/issues/comments/1", {"body": "x"}).status_code == 404
    made = client.post(COMMENTS, {"body": "x"}).json()
    assert client.delete(made["url"]).status_code == 204
    assert client.get(made["url"]).status_code == 404


def test_reactions_are_one_of_each_for_everybody(hub: DevHub, client: Client, pull: Pull) -> None:
    comment = hub.comment(pull, "/run", by=hub.add_user("zoe"))
    reactions = f"/repos/acme/digits/issues/comments/{comment.id}/reactions"
    before = len(hub.deliveries)
    first, again = client.post(reactions, {"content": "eyes"}), client.post(reactions, {"content": "eyes"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    hub.react(comment, "eyes", by=hub.add_user("zoe"))
    client.post(reactions, {"content": "+1"})

    listed = client.get(reactions).json()
    assert [(each["user"]["login"], each["content"]) for each in listed] == [
        ("experiment-ci[bot]", "eyes"),
        ("zoe", "eyes"),
        ("experiment-ci[bot]", "+1"),
    ]
    assert [each["content"] for each in client.get(f"{reactions}?content=%2B1").json()] == ["+1"]
    counted = client.get(COMMENTS).json()[0]["reactions"]
    assert (counted["total_count"], counted["eyes"], counted["+1"], counted["heart"]) == (3, 2, 1, 0)
    assert len(hub.deliveries) == before, "nobody hears of a reaction"


def test_reactions_that_github_does_not_take(hub: DevHub, client: Client, pull: Pull) -> None:
    comment = hub.comment(pull, "/run")
    reactions = f"/repos/acme/digits/issues/comments/{comment.id}/reactions"
    for bad in ({}, {"content": "thumbs"}, {"content": 1}):
        assert client.post(reactions, bad).status_code == 422, bad
    assert client.post("/repos/acme/digits/issues/comments/1/reactions", {"content": "eyes"}).status_code == 404
    client.login(permissions={"pull_requests": "read"})
    assert client.post(reactions, {"content": "eyes"}).status_code == 403
    assert client.get(reactions).status_code == 200
    with pytest.raises(ValueError, match="none of"):
        hub.react(comment, "thumbs", by=comment.author)


def test_comments_of_the_whole_repository_since_a_time(
    hub: DevHub, client: Client, pull: Pull, clock: ManualClock
) -> None:
    hub.commit_files(pull.repository, {"c": "c"}, branch="other")
    other = hub.open_pull(pull.repository, head="other")
    first = hub.comment(pull, "first")
    clock.advance(60)
    hub.comment(other, "second")
    clock.advance(60)
    hub.edit_comment(pull, first, "first, edited")

    def bodies(query: str = "") -> list[str]:
        return [each["body"] for each in client.get(f"/repos/acme/digits/issues/comments?{query}").json()]

    assert bodies() == ["first, edited", "second"]
    assert bodies("sort=created") == ["second", "first, edited"]
    assert bodies("sort=updated&direction=asc") == ["second", "first, edited"]
    assert bodies("since=2023-11-14T22:15:20Z") == ["first, edited"]
    assert bodies("direction=desc") == ["first, edited", "second"], "without a sort it does not count"
    assert bodies("per_page=1&page=2") == ["second"]
    assert client.get("/repos/acme/digits/issues/comments?since=yesterday").status_code == 422

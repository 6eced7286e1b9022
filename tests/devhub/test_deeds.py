"""Buttons and boxes on the pages: each is an act, for those whom GitHub lets, from no other site."""

from typing import Any

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub, Pull, Repository
from tests.devhub.browser import Browser
from tests.devhub.client import Client

pytestmark = pytest.mark.service
PULL = "/acme/digits/pull/1"
RUNS = "/repos/acme/digits/check-runs"
STOP = {"label": "Stop", "description": "Stop the experiment", "identifier": "stop"}


@pytest.fixture
def check(client: Client, pull: Pull) -> dict[str, Any]:
    """A completed check with a button of its own."""
    body = {"name": "train / fit", "head_sha": pull.head_sha, "conclusion": "failure", "actions": [STOP]}
    return dict(client.post(RUNS, body).json())


@pytest.fixture
def people(hub: DevHub, repository: Repository) -> None:
    for login, role in (("wendy", "write"), ("trish", "triage"), ("rita", "read")):
        hub.set_role(repository, login, role)  # type: ignore[arg-type]
    hub.add_user("nobody")


def last(hub: DevHub) -> tuple[str, str | None, str]:
    told = hub.deliveries[-1]
    return told.event, told.action, told.payload["sender"]["login"]


def test_somebody_comments_edits_and_deletes(hub: DevHub, pull: Pull, people: None, clock: ManualClock) -> None:
    rita = Browser(hub, "rita")
    rita.get(PULL)
    rita.press("Comment", body="/run\r\nplease")
    assert last(hub) == ("issue_comment", "created", "rita")
    [comment] = pull.comments
    assert (comment.body, comment.author.login) == ("/run\r\nplease", "rita")
    assert "/run please" in rita.words
    assert rita.form("Update comment").fields["body"].split() == ["/run", "please"]  # type: ignore[union-attr]
    assert "· edited" not in rita.words

    rita.press("Update comment", body="/run again")
    assert last(hub) == ("issue_comment", "edited", "rita")
    assert "· edited now" in rita.words

    Browser(hub, "wendy").post(f"{PULL}/comments/{comment.id}/edit", {"body": "/stop"})
    rita.get(PULL)
    assert "· edited now by wendy" in rita.words, "who may write may edit what others wrote: GitHub's trap"

    rita.press("Delete")
    assert last(hub) == ("issue_comment", "deleted", "rita")
    assert pull.comments == []


def test_a_comment_must_say_something(hub: DevHub, pull: Pull) -> None:
    owner = Browser(hub)
    for body in ("", " \n", "x" * 65_537):
        owner.post(f"{PULL}/comments", {"body": body})
        assert owner.status == 422
    assert pull.comments == []


def test_reactions_are_shown(hub: DevHub, pull: Pull) -> None:
    comment = hub.comment(pull, "/run")
    hub.react(comment, "eyes", by=hub.app.bot)
    hub.react(comment, "eyes", by=hub.add_user("zoe"))
    browser = Browser(hub)
    browser.get(PULL)
    assert "👀 2" in browser.words
    assert 'title="experiment-ci[bot], zoe"' in browser.html


def test_the_life_of_a_pull_request_by_buttons(hub: DevHub, pull: Pull) -> None:
    owner = Browser(hub)
    owner.get(PULL)
    for words, action, state in (
        ("Convert to draft", "converted_to_draft", "Draft"),
        ("Ready for review", "ready_for_review", "Open"),
        ("Close pull request", "closed", "Closed"),
        ("Reopen pull request", "reopened", "Open"),
        ("Merge pull request", "closed", "Merged"),
    ):
        owner.press(words)
        assert last(hub) == ("pull_request", action, "acme")
        assert f"Better #1 {state}" in owner.words
    assert pull.merged_at is not None
    with pytest.raises(LookupError):
        owner.form("Reopen pull request")


def test_what_cannot_be_done_now_says_so(hub: DevHub, repository: Repository, pull: Pull) -> None:
    owner = Browser(hub)
    hub.convert_to_draft(pull)
    for deed in ("reopen", "merge", "draft"):
        owner.post(f"{PULL}/{deed}", {})
        assert owner.status == 409, deed
    hub.mark_ready(pull)
    hub.commit_files(repository, {"train.py": "print(3)\n"})
    owner.post(f"{PULL}/merge", {})
    assert (owner.status, pull.is_open) == (409, True)
    assert "git refuses" in owner.words


def test_checks_are_run_again(hub: DevHub, pull: Pull, check: dict[str, Any]) -> None:
    owner = Browser(hub)
    owner.get(PULL)
    owner.press("Re-run")
    assert last(hub) == ("check_run", "rerequested", "acme")
    assert hub.deliveries[-1].payload["check_run"]["id"] == check["id"]
    assert owner.url == hub.url + PULL, "one comes back to where one was"
    owner.press("Stop")
    assert last(hub) == ("check_run", "requested_action", "acme")
    assert hub.deliveries[-1].payload["requested_action"] == {"identifier": "stop"}
    owner.press("Re-run all checks")
    assert last(hub) == ("check_suite", "rerequested", "acme")

    owner.get(f"/acme/digits/runs/{check['id']}")
    for words in ("Stop", "Re-run all checks", "Re-run"):
        owner.press(words)
        assert owner.url.endswith(f"/runs/{check['id']}")


def test_what_runs_still_has_no_buttons(hub: DevHub, client: Client, pull: Pull) -> None:
    made = client.post(
        RUNS, {"name": "x", "head_sha": pull.head_sha, "status": "in_progress", "actions": [STOP]}
    ).json()
    owner = Browser(hub)
    owner.get(PULL)
    with pytest.raises(LookupError):
        owner.form("Stop")
    for deed in ("rerequest", "action"):
        owner.post(f"/acme/digits/runs/{made['id']}/{deed}", {"identifier": "stop"})
        assert owner.status == 409
    client.patch(made["url"], {"conclusion": "success"})
    owner.post(f"/acme/digits/runs/{made['id']}/action", {"identifier": "other"})
    assert owner.status == 422


NOT_THEIRS = [
    ("rita", ["close", "reopen", "merge", "draft", "ready"]),
    ("trish", ["merge", "draft", "ready"]),
    ("nobody", ["comments", "close", "reopen", "merge", "draft", "ready"]),
]


@pytest.mark.parametrize(("login", "deeds"), NOT_THEIRS)
def test_who_lacks_the_role_gets_a_page_that_says_so(
    hub: DevHub, pull: Pull, people: None, check: dict[str, Any], login: str, deeds: list[str]
) -> None:
    comment = hub.comment(pull, "mine")
    before = len(hub.deliveries)
    somebody = Browser(hub, login)
    runs = f"/acme/digits/runs/{check['id']}"
    paths = [f"{PULL}/{deed}" for deed in deeds] + [
        f"{PULL}/comments/{comment.id}/{deed}" for deed in ("edit", "delete")
    ]
    for path in [*paths, f"{runs}/rerequest", f"{runs}/action", f"/acme/digits/commits/{pull.head_sha}/rerequest"]:
        somebody.post(path, {"body": "x", "identifier": "stop"})
        assert (somebody.status, f"{login} has the role" in somebody.words) == (403, True), path
    assert len(hub.deliveries) == before
    somebody.get(PULL)
    shown = {form.action for form in somebody.forms()}
    assert not shown & set(paths), "what they may not do is not offered"


def test_triage_may_close_and_an_author_may_do_with_their_own(
    hub: DevHub, repository: Repository, people: None
) -> None:
    hub.commit_files(repository, {"c": "c"}, branch="ritas")
    pull = hub.open_pull(repository, head="ritas", by=hub.add_user("rita"))
    Browser(hub, "trish").post(f"/acme/digits/pull/{pull.number}/close", {})
    assert not pull.is_open, "triage may close what others opened"
    rita = Browser(hub, "rita")
    for deed in ("reopen", "draft", "ready", "close"):
        rita.post(f"/acme/digits/pull/{pull.number}/{deed}", {})
        assert rita.status == 200, deed


def test_nothing_is_done_to_what_is_archived(hub: DevHub, repository: Repository, pull: Pull) -> None:
    hub.archive_repository(repository)
    owner = Browser(hub)
    owner.post(f"{PULL}/comments", {"body": "late"})
    assert (owner.status, "archived so is read-only" in owner.words) == (403, True)
    owner.get(PULL)
    assert [form.action for form in owner.forms()] == ["/acting-as"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "http://evil.example:8080", "Host": "evil.example:8080"},
    ],
)
def test_other_sites_press_no_button(hub: DevHub, pull: Pull, headers: dict[str, str]) -> None:
    owner = Browser(hub)
    for path in (f"{PULL}/comments", f"{PULL}/close", "/acting-as"):
        owner.post(path, {"body": "/run", "login": "acme"}, **headers)
        assert owner.status == 403, path
    assert (pull.comments, pull.is_open) == ([], True)


def test_programs_say_nothing_of_where_they_are(hub: DevHub, client: Client, pull: Pull) -> None:
    answer = client.send("POST", f"{PULL}/comments", None, data={"body": "hi"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PULL}#issuecomment-{pull.comments[0].id}")


def test_a_forms_way_back_leads_nowhere_else(hub: DevHub, client: Client, pull: Pull) -> None:
    for back in ("//evil.example/", "https://evil.example/", "/\\evil.example", "\t/", ""):
        answer = client.send("POST", "/acting-as", None, data={"login": "acme", "back": back})
        assert answer.headers["Location"] == "/", back
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_nobody_acts_as_a_bot_or_as_nobody(hub: DevHub, pull: Pull) -> None:
    browser = Browser(hub, "experiment-ci[bot]")
    browser.get(PULL)
    browser.press("Comment", body="hi")
    assert pull.comments[0].author.login == "acme", "the owner, as where nobody was chosen"
    browser.post("/acting-as", {"login": "ghost"})
    assert browser.status == 422


def test_what_is_not_there(hub: DevHub, pull: Pull) -> None:
    browser = Browser(hub)
    for path in (
        "/acme/nothing/pull/1/close",
        "/acme/digits/pull/9/close",
        f"{PULL}/comments/1/edit",
        "/acme/digits/runs/1/rerequest",
        f"/acme/digits/commits/{'f' * 40}/rerequest",
    ):
        browser.post(path, {"body": "x"})
        assert browser.status == 404, path


def test_the_page_with_a_box_does_not_look_again_by_itself(hub: DevHub, client: Client, pull: Pull) -> None:
    client.post(RUNS, {"name": "x", "head_sha": pull.head_sha, "status": "in_progress"})
    browser = Browser(hub)
    assert 'http-equiv="refresh"' not in browser.get(PULL), "a comment that is being written would be lost"
    assert f'<a href="{PULL}">Refresh</a>' in browser.html
    assert 'http-equiv="refresh"' in browser.get("/acme/digits/commits/better")


def test_what_people_write_is_text(hub: DevHub, pull: Pull) -> None:
    evil = "</textarea><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    hub.comment(pull, evil)
    browser = Browser(hub)
    browser.get(PULL)
    assert "<script" not in browser.html
    assert "<img src=x onerror" not in browser.html
    assert browser.form("Update comment").fields["body"] == evil
    policy = browser.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert policy.endswith("form-action 'self'")

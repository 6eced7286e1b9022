"""What GitHub tells becomes a fact, or a reason: whatever the bytes, never an exception."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import events
from bot.core.events import (
    Ignored,
    MergeGroupRequested,
    PullRequestChanged,
    PushReceived,
    RefDeleted,
    Unreadable,
)
from bot.core.payloads import parse

SHA, BEFORE, NOTHING = "a" * 40, "b" * 40, "0" * 40
REPOSITORY = {
    "id": 1296269,
    "name": "Hello-World",
    "owner": {"login": "octocat"},
    "private": False,
    "default_branch": "main",
}


def payload(**members: Any) -> dict[str, Any]:
    sender = {"login": "octocat", "type": "User"}
    return {"repository": REPOSITORY, "installation": {"id": 7}, "sender": sender, **members}


def push(**changed: Any) -> dict[str, Any]:
    members = {
        "ref": "refs/heads/main",
        "before": BEFORE,
        "after": SHA,
        "created": False,
        "deleted": False,
        "head_commit": {"id": SHA},
    }
    return payload(**members | changed)


def pull(action: str = "opened", head_repository: Any = REPOSITORY, **changed: Any) -> dict[str, Any]:
    described = {
        "number": 5,
        "head": {"sha": SHA, "ref": "better", "repo": head_repository},
        "base": {"sha": BEFORE, "ref": "main", "repo": REPOSITORY},
        "updated_at": "2026-01-31T12:00:00Z",
        "user": {"login": "octocat"},
        "state": "open",
    }
    return payload(action=action, number=5, pull_request=described | changed)


def merge_group(action: str = "checks_requested") -> dict[str, Any]:
    group = {
        "head_sha": SHA,
        "head_ref": "refs/heads/gh-readonly-queue/main/pr-5-" + BEFORE,
        "base_sha": BEFORE,
        "base_ref": "refs/heads/main",
    }
    return payload(action=action, merge_group=group)


def told(kind: str, value: Any) -> Any:
    return parse(kind, json.dumps(value).encode())


# Pushes


def test_a_push_tells_what_moved_from_where_to_where() -> None:
    event = told("push", push())

    assert event == PushReceived(
        events.Repository(1296269, "octocat", "Hello-World", False, "main", 7),
        "refs/heads/main",
        BEFORE,
        SHA,
        sender="octocat",
    )
    assert event.repository.full_name == "octocat/Hello-World"


def test_a_new_branch_came_from_nowhere() -> None:
    assert told("push", push(before=NOTHING, created=True)).before is None


@pytest.mark.parametrize("ref", ["refs/heads/old", "refs/tags/v1"])
def test_a_deleted_ref_is_told_as_such(ref: str) -> None:
    event = told("push", push(ref=ref, after=NOTHING, deleted=True, head_commit=None))

    assert isinstance(event, RefDeleted)
    assert event.ref == ref


def test_an_annotated_tag_stands_for_the_commit_it_points_at() -> None:
    event = told("push", push(ref="refs/tags/v1", before=NOTHING, after="c" * 40))

    assert event.sha == SHA


def test_a_plain_tag_stands_for_its_commit() -> None:
    assert told("push", push(ref="refs/tags/v1", head_commit=None)).sha == SHA


def test_the_merge_queues_own_branches_are_left_to_their_own_event() -> None:
    event = told("push", push(ref="refs/heads/gh-readonly-queue/main/pr-5-" + BEFORE))

    assert isinstance(event, Ignored)
    assert "merge_group" in event.reason


def test_notes_and_other_refs_are_nothing_to_build() -> None:
    assert isinstance(told("push", push(ref="refs/notes/commits")), Ignored)


# Pull requests


@pytest.mark.parametrize("action", ["opened", "reopened", "synchronize", "ready_for_review", "closed"])
def test_a_pull_request_of_the_same_repository_is_told_with_its_head_and_base(action: str) -> None:
    event = told("pull_request", pull(action))

    assert isinstance(event, PullRequestChanged)
    assert (event.action, event.number, event.is_fork) == (action, 5, False)
    assert (event.sha, event.head_branch, event.base_sha, event.base_branch) == (SHA, "better", BEFORE, "main")
    assert event.updated_at == "2026-01-31T12:00:00Z"


def test_a_fork_is_told_apart_by_its_id_not_by_its_name() -> None:
    fork = REPOSITORY | {"id": 99}

    assert told("pull_request", pull(head_repository=fork)).is_fork


def test_a_deleted_fork_is_a_fork_still() -> None:
    assert told("pull_request", pull(head_repository=None)).is_fork


def test_a_pull_request_turned_to_another_base_is_told() -> None:
    event = told("pull_request", pull("edited") | {"changes": {"base": {"ref": {"from": "old"}}}})

    assert isinstance(event, PullRequestChanged)
    assert event.base_branch == "main"


@pytest.mark.parametrize("changes", [{"title": {"from": "old"}}, {}, None, 7, [], "base"])
def test_another_edit_of_a_pull_request_is_never_one_of_its_base(changes: Any) -> None:
    assert not isinstance(told("pull_request", pull("edited") | {"changes": changes}), PullRequestChanged)


@pytest.mark.parametrize("action", ["labeled", "assigned", "edited", "an action of next year"])
def test_what_changes_no_commit_is_ignored_with_its_name(action: str) -> None:
    event = told("pull_request", pull(action))

    assert isinstance(event, Ignored)
    assert action in event.reason


# Merge groups


def test_a_merge_group_asks_for_checks_on_its_own_commit() -> None:
    event = told("merge_group", merge_group())

    assert isinstance(event, MergeGroupRequested)
    assert (event.sha, event.base_sha, event.base_branch) == (SHA, BEFORE, "main")
    assert event.ref.startswith("refs/heads/gh-readonly-queue/")


@pytest.mark.parametrize("reason", ["merged", "invalidated", "dequeued", None])
def test_a_destroyed_merge_group_says_why(reason: str | None) -> None:
    event = told("merge_group", merge_group("destroyed") | {"reason": reason})
    assert isinstance(event, events.MergeGroupDestroyed)
    assert (event.sha, event.reason) == (SHA, reason or "dequeued")


# What is none of ours, and what nobody should send


@pytest.mark.parametrize("kind", ["ping", "star", "an event of next year", "x" * 1000])
def test_other_events_are_ignored_without_a_look_at_their_bodies(kind: str) -> None:
    event = parse(kind, b"not even JSON")

    assert isinstance(event, Ignored)
    assert len(event.reason) < 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"push"',
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"ref": "\\ud800"}',
        b"1" + b"0" * 5_000,
        b"payload=%7B%7D",
    ],
    ids=lambda body: str(body[:12]),
)
@pytest.mark.parametrize("kind", ["push", "pull_request", "merge_group"])
def test_a_body_that_cannot_be_understood_is_unreadable_with_a_reason(kind: str, body: bytes) -> None:
    event = parse(kind, body)

    assert isinstance(event, Unreadable)
    assert 0 < len(event.reason) <= 300


@pytest.mark.parametrize(
    "broken",
    [
        push(after="a" * 39),
        push(after="A" * 40),
        push(after=SHA + "\n"),
        push(after=["a"] * 40),
        push(before="--upload-pack=evil"),
        push(ref=None),
        push(ref="refs/heads/a\0b"),
        push(head_commit="a text", ref="refs/tags/v1"),
        push(installation=None),
        push(installation={"id": True}),
        push(installation={"id": -1}),
        push(installation={"id": 2**63}),
        push(repository=REPOSITORY | {"id": "1"}),
        push(repository=REPOSITORY | {"name": "../../etc"}),
        push(repository=REPOSITORY | {"name": ".."}),
        push(repository=REPOSITORY | {"owner": {"login": "a/b"}}),
        push(repository=REPOSITORY | {"owner": None}),
        push(repository=REPOSITORY | {"name": "x" * 101}),
    ],
    ids=repr,
)
def test_what_could_become_a_path_or_an_option_must_look_as_github_makes_it(broken: Any) -> None:
    assert isinstance(told("push", broken), Unreadable)


def test_a_missing_installation_is_named() -> None:
    """A webhook of a repository instead of the App's has none: whoever set it up should learn so."""
    without = {name: value for name, value in push().items() if name != "installation"}

    assert "installation" in told("push", without).reason


# What people ask for


def comment(action: str = "created", body: str = "/experiment run", **changed: Any) -> dict[str, Any]:
    user = {"login": "octocat", "type": "User"}
    described = {"id": 99, "body": body, "user": user, "created_at": "2026-01-31T12:00:00Z"}
    issue = {"number": 5, "pull_request": {"url": "https://api.github.com/repos/octocat/Hello-World/pulls/5"}}
    return payload(action=action, issue=issue, comment=described | changed)


def check_run(action: str, **more: Any) -> dict[str, Any]:
    run = {"id": 77, "head_sha": SHA, "name": "train / fit", "check_suite": {"head_branch": "better"}}
    return payload(action=action, check_run=run, **more)


def installation(action: str, **more: Any) -> dict[str, Any]:
    return {"action": action, "installation": {"id": 7, "account": {"login": "octocat"}}, **more}


def test_a_comment_on_a_pull_request_is_told_with_who_wrote_it_and_when() -> None:
    event = told("issue_comment", comment())
    assert isinstance(event, events.CommentMade)
    assert (event.number, event.comment_id, event.sender) == (5, 99, "octocat")
    assert (event.body, event.created_at) == ("/experiment run", "2026-01-31T12:00:00Z")


@pytest.mark.parametrize("action", ["edited", "deleted"])
def test_an_edited_or_deleted_comment_is_only_that(action: str) -> None:
    assert isinstance(told("issue_comment", comment(action)), events.CommentTouched)


def test_comments_on_issues_and_those_of_bots_are_ignored() -> None:
    on_an_issue = comment()
    del on_an_issue["issue"]["pull_request"]
    by_a_bot = comment(user={"login": "dependabot[bot]", "type": "Bot"})
    sent_by_a_bot = comment() | {"sender": {"login": "ci[bot]", "type": "Bot"}}
    for value in (on_an_issue, by_a_bot, sent_by_a_bot):
        assert isinstance(told("issue_comment", value), Ignored)


def test_a_click_on_rerun_names_its_check_or_the_whole_commit() -> None:
    one = told("check_run", check_run("rerequested"))
    assert (one.check_id, one.sha, one.branch, one.sender) == (77, SHA, "better", "octocat")
    suite = payload(action="rerequested", check_suite={"head_sha": SHA, "head_branch": None})
    every = told("check_suite", suite)
    assert (every.check_id, every.sha, every.branch) == (None, SHA, None)


def test_a_click_on_a_button_says_which() -> None:
    event = told("check_run", check_run("requested_action", requested_action={"identifier": "approve"}))
    assert (event.identifier, event.check_id, event.sha) == ("approve", 77, SHA)


@pytest.mark.parametrize("kind", ["check_run", "check_suite"])
def test_what_we_did_ourselves_asks_for_nothing(kind: str) -> None:
    for action in ("created", "completed", "requested"):
        value = payload(action=action, check_run={}, check_suite={})
        assert isinstance(told(kind, value), Ignored)


def test_an_installation_says_whose_it_is_and_what_it_reaches() -> None:
    created = told("installation", installation("created", repositories=[{"id": 3}, {"id": 4}]))
    assert (created.installation_id, created.account, created.added, created.removed) == (7, "octocat", (3, 4), ())
    deleted = told("installation", installation("deleted", repositories=[{"id": 3}]))
    assert (deleted.added, deleted.removed) == ((), (3,))
    moved = {"repositories_added": [{"id": 5}], "repositories_removed": [{"id": 6}]}
    changed = told("installation_repositories", installation("added", **moved))
    assert (changed.action, changed.added, changed.removed) == ("repositories added", (5,), (6,))


# The two forms in which GitHub sends a body


def test_a_form_holds_the_same_json() -> None:
    text = json.dumps(push(ref="refs/heads/ä&b=c+d%"), ensure_ascii=False)
    assert parse("push", urlencode({"payload": text}).encode()) == parse("push", text.encode())


@pytest.mark.parametrize(
    "body",
    [
        b"payload=",
        b"payload",
        b"payload=%7B%7D&payload=1",
        b"payload=%7B%7D&payload=%7B%7D",
        b"payload=%7B%7D&x=1",
        b"x=1&payload=%7B%7D",
        b"x=1",
        b"PAYLOAD=%7B%7D",
        b"payload=\xff",
        b"payload=%ff",
        b"payload=%7B%22a%22",
        b"payload=%22%5Cud800%22",
        b"payload=" + b"%5B" * 100_000,
        b"payload=%7B%7D" + b"&x=1" * 100_000,
        b'payload={"ref": "refs/heads/a&payload=b"}',
    ],
    ids=lambda body: str(body[:30]),
)
def test_a_form_of_another_kind_is_unreadable(body: bytes) -> None:
    assert isinstance(parse("push", body), Unreadable)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
KNOWN = {
    "push": push(),
    "pull_request": pull(),
    "merge_group": merge_group(),
    "issue_comment": comment(),
    "check_run": check_run("requested_action", requested_action={"identifier": "approve"}),
    "check_suite": payload(action="rerequested", check_suite={"head_sha": SHA, "head_branch": None}),
    "installation": installation("created", repositories=[{"id": 3}]),
    "installation_repositories": installation("added", repositories_added=[{"id": 3}], repositories_removed=[]),
}


def _paths(value: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    children = value.items() if isinstance(value, dict) else ()
    return [above, *(path for name, child in children for path in _paths(child, (*above, name)))]


def _replaced(value: Any, path: tuple[str, ...], by: Any) -> Any:
    return {**value, path[0]: _replaced(value[path[0]], path[1:], by)} if path else by


@given(st.sampled_from(sorted(KNOWN)), st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_the_place_of_a_member_nothing_is_raised(kind: str, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(_paths(KNOWN[kind])))
    body = json.dumps(_replaced(KNOWN[kind], path, data.draw(ANYTHING))).encode()

    event = parse(kind, body)

    assert isinstance(event, events.Event | Ignored | Unreadable)


@given(st.sampled_from([*sorted(KNOWN), "ping"]), st.binary(max_size=200))
@settings(deadline=None)
def test_whatever_the_bytes_nothing_is_raised(kind: str, body: bytes) -> None:
    assert isinstance(parse(kind, body), Ignored | Unreadable)


# Repositories


@pytest.mark.parametrize("action", ["renamed", "transferred", "edited", "privatized", "publicized"])
def test_a_repository_that_changed_is_told_as_it_is_now(action: str) -> None:
    event = told("repository", payload(action=action))

    assert isinstance(event, events.RepositoryChanged)
    assert event.repository.full_name == "octocat/Hello-World"


@pytest.mark.parametrize("action", ["deleted", "archived"])
def test_a_repository_that_is_closed_is_told(action: str) -> None:
    event = told("repository", payload(action=action))
    assert isinstance(event, events.RepositoryClosed)
    assert event.action == action


@pytest.mark.parametrize("action", ["created", "an action of next year"])
def test_a_repository_whose_name_stays_tells_nothing(action: str) -> None:
    assert isinstance(told("repository", payload(action=action)), Ignored)

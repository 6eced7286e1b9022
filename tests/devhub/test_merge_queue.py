"""The merge queue, from its asking for checks to its being done with a group."""

import pytest

from bot.devhub import DevHub, Pull, Repository
from bot.devhub.model import NO_SHA
from tests.devhub.client import Client

pytestmark = pytest.mark.service


def told(hub: DevHub, since: int) -> list[tuple[str, str | None]]:
    return [(d.event, d.action) for d in hub.deliveries[since:] if d.event != "check_suite"]


def test_it_asks_for_a_commit_of_its_own(hub: DevHub, pull: Pull) -> None:
    before = len(hub.deliveries)
    sha = hub.request_merge_group(pull)
    assert told(hub, before) == [("pull_request", "enqueued"), ("push", None), ("merge_group", "checks_requested")]
    group, push = hub.deliveries[-1], next(d for d in reversed(hub.deliveries) if d.event == "push")
    assert group.payload["merge_group"]["head_sha"] == sha != pull.head_sha
    assert push.payload["ref"] == group.payload["merge_group"]["head_ref"]
    assert push.payload["ref"].startswith("refs/heads/gh-readonly-queue/main/pr-1-")
    assert push.payload["sender"]["login"] == "github-merge-queue[bot]"


def test_a_group_that_passed_is_what_the_base_becomes(
    hub: DevHub, client: Client, repository: Repository, pull: Pull, sha: str
) -> None:
    group = hub.request_merge_group(pull)
    before = len(hub.deliveries)
    hub.destroy_merge_group(repository, group, "merged")

    assert told(hub, before) == [
        ("push", None),
        ("pull_request", "closed"),
        ("pull_request", "dequeued"),
        ("merge_group", "destroyed"),
        ("push", None),
    ], "a pull request leaves the queue by its merge too"
    merged, closed, left, destroyed, gone = (d.payload for d in hub.deliveries[before:])
    assert (merged["ref"], merged["before"], merged["after"]) == ("refs/heads/main", sha, group)
    assert (closed["pull_request"]["merged"], closed["pull_request"]["merge_commit_sha"]) == (True, group)
    assert left["reason"] == "MERGE"
    assert (destroyed["reason"], destroyed["merge_group"]["head_sha"]) == ("merged", group)
    assert (gone["ref"], gone["deleted"], gone["after"]) == (destroyed["merge_group"]["head_ref"], True, NO_SHA)
    assert hub.site.git(repository).tip("main") == group
    assert client.get("/repos/acme/digits/pulls/1").json()["state"] == "closed"


@pytest.mark.parametrize(("reason", "leaves"), [("invalidated", []), ("dequeued", [("pull_request", "dequeued")])])
def test_a_group_that_is_dropped_changes_nothing(
    hub: DevHub, repository: Repository, pull: Pull, sha: str, reason: str, leaves: list[tuple[str, str]]
) -> None:
    group = hub.request_merge_group(pull)
    before = len(hub.deliveries)
    hub.destroy_merge_group(repository, group, reason)  # type: ignore[arg-type]

    assert told(hub, before) == [*leaves, ("merge_group", "destroyed"), ("push", None)]
    assert hub.deliveries[-2].payload["reason"] == reason
    assert hub.deliveries[-1].payload["deleted"] is True
    assert (pull.is_open, hub.site.git(repository).tip("main")) == (True, sha)
    before = len(hub.deliveries)
    hub.request_merge_group(pull)
    assert (("pull_request", "enqueued") in told(hub, before)) is bool(leaves), "of a rebuilt group it never left"
    hub.destroy_merge_group(repository, group, "dequeued")
    with pytest.raises(KeyError):
        hub.destroy_merge_group(repository, group, "dequeued")


def test_only_what_checks_have_seen_is_merged(hub: DevHub, repository: Repository, pull: Pull) -> None:
    group = hub.request_merge_group(pull)
    hub.commit_files(repository, {"other": "1"})
    with pytest.raises(ValueError, match="any more"):
        hub.destroy_merge_group(repository, group, "merged")
    assert pull.is_open

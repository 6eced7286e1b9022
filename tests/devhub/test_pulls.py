"""What is done with a pull request besides pushing to it."""

import pytest

from bot.devhub import DevHub, Pull, Repository
from tests.devhub.client import Client

pytestmark = pytest.mark.service


def test_another_base_is_an_edit_that_names_the_old_one(
    hub: DevHub, client: Client, repository: Repository, pull: Pull, sha: str
) -> None:
    release = hub.commit_files(repository, {"notes": "1.0"}, branch="release")
    hub.edit_base(pull, "release", by=hub.add_user("zoe"))

    told = hub.deliveries[-1]
    assert (told.event, told.action, told.payload["sender"]["login"]) == ("pull_request", "edited", "zoe")
    assert told.payload["changes"] == {"base": {"ref": {"from": "main"}, "sha": {"from": sha}}}
    base = client.get("/repos/acme/digits/pulls/1").json()["base"]
    assert (base["ref"], base["sha"]) == ("release", release)
    assert told.payload["pull_request"]["head"]["sha"] == pull.head_sha
    assert told.payload["pull_request"]["commits"] == 1


def test_a_base_that_is_not_there(hub: DevHub, pull: Pull) -> None:
    with pytest.raises(ValueError, match="there is no branch nowhere"):
        hub.edit_base(pull, "nowhere")
    assert pull.base_ref == "main"


def test_a_pull_request_goes_back_to_being_a_draft(hub: DevHub, client: Client, pull: Pull) -> None:
    hub.convert_to_draft(pull)
    assert (hub.deliveries[-1].event, hub.deliveries[-1].action) == ("pull_request", "converted_to_draft")
    assert client.get("/repos/acme/digits/pulls/1").json()["draft"] is True
    hub.mark_ready(pull)
    assert client.get("/repos/acme/digits/pulls/1").json()["draft"] is False


def test_a_pull_request_outlives_the_fork_that_it_came_from(
    hub: DevHub, client: Client, repository: Repository, sha: str
) -> None:
    fork = hub.fork(repository, "zoe")
    hub.commit_files(fork, {"better": "yes"}, branch="better")
    pull = hub.open_pull(repository, head="better", head_repository=fork)
    hub.delete_repository(fork)

    answer = client.get(f"/repos/acme/digits/pulls/{pull.number}").json()
    assert (answer["state"], answer["head"]["repo"], answer["head"]["sha"]) == ("open", None, pull.head_sha)
    assert hub.site.has_commit(repository, pull.head_sha), "its commits are in the repository: refs/pull"

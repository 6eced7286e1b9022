"""Real git against devhub: who may fetch and push, and what a push sets in motion."""

import base64
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bot.clock import ManualClock
from bot.devhub import Account, DevHub, Link, Pull, Repository
from tests.devhub.client import Client

pytestmark = pytest.mark.service
ZEROS = "0" * 40


class Clone:
    """A working copy on somebody's machine."""

    def __init__(self, path: Path, hub: DevHub, repository: Repository, user: Account) -> None:
        self.path = path
        self._env = {"PATH": os.environ["PATH"], "HOME": str(path), "GIT_CONFIG_NOSYSTEM": "1"} | hub.git_env(user)
        path.mkdir()
        self.git("clone", "--quiet", hub.clone_url(repository), ".")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.path, env=self._env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise PermissionError(done.stderr)
        return done.stdout.strip()

    def commit(self, text: str) -> str:
        (self.path / "train.py").write_text(text)
        self.git("commit", "--quiet", "-am", f"Write {text}")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def clone(hub: DevHub, repository: Repository, tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone", hub, repository, repository.owner)


def fetch(hub: DevHub, path: Path, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
    """Fetch into an empty repository, with a token as the bot would, or as a stranger."""
    url = f"{hub.url}/acme/digits.git"
    subprocess.run(["git", "init", "--quiet", path], check=True)
    header = ["-c", f"http.extraHeader=Authorization: Basic {basic(token)}"] if token else []
    return subprocess.run(
        ["git", *header, "fetch", "--quiet", *arguments[:-1], url, arguments[-1]],
        cwd=path,
        env={"PATH": os.environ["PATH"], "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def basic(token: str) -> str:
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()


def pushes(hub: DevHub) -> list[dict[str, object]]:
    return [d.payload for d in hub.deliveries if d.event == "push"]


def test_a_push_by_real_git_is_an_event_with_its_commits(hub: DevHub, clone: Clone, sha: str) -> None:
    first, second = clone.commit("one"), clone.commit("two")
    clone.git("push", "--quiet", "origin", "main")
    payload = hub.deliveries[-2].payload
    assert hub.deliveries[-2].event == "push"
    assert (payload["ref"], payload["before"], payload["after"]) == ("refs/heads/main", sha, second)
    assert [commit["id"] for commit in payload["commits"]] == [first, second]
    assert payload["head_commit"]["modified"] == ["train.py"]
    assert (payload["created"], payload["deleted"], payload["forced"]) == (False, False, False)
    assert payload["pusher"]["name"] == "acme"
    # GitHub opens a suite for every App that may write checks.
    assert (hub.deliveries[-1].event, hub.deliveries[-1].action) == ("check_suite", "requested")


def test_a_forced_push_a_new_branch_and_its_end_say_so(hub: DevHub, clone: Clone) -> None:
    clone.git("checkout", "--quiet", "-b", "side")
    clone.commit("one")
    clone.git("push", "--quiet", "origin", "side")
    clone.git("commit", "--quiet", "--amend", "-m", "Another")
    clone.git("push", "--quiet", "--force", "origin", "side")
    clone.git("push", "--quiet", "--delete", "origin", "side")
    created, forced, deleted = pushes(hub)[-3:]
    assert created["created"]
    assert created["before"] == ZEROS
    assert forced["forced"]
    assert deleted["deleted"]
    assert (deleted["after"], deleted["head_commit"], deleted["commits"]) == (ZEROS, None, [])


def test_tags_are_told_up_to_three_at_once(hub: DevHub, clone: Clone, sha: str) -> None:
    clone.git("tag", "-a", "-m", "annotated", "v1")
    clone.git("push", "--quiet", "origin", "v1")
    payload = pushes(hub)[-1]
    assert payload["ref"] == "refs/tags/v1"
    assert payload["after"] != sha, "an annotated tag is an object of its own"
    assert payload["head_commit"]["id"] == sha
    assert payload["base_ref"] == "refs/heads/main"
    clone.git("tag", "a-tree", "main^{tree}")
    clone.git("push", "--quiet", "origin", "a-tree")
    assert pushes(hub)[-1]["head_commit"] is None
    told = len(pushes(hub))
    for number in range(4):
        clone.git("tag", f"many-{number}")
    clone.git("push", "--quiet", "origin", "--tags")
    assert len(pushes(hub)) == told, "GitHub tells nothing of more than three tags pushed at once"


def test_a_pull_request_follows_its_branch_and_ends_with_it(hub: DevHub, clone: Clone, pull: Pull) -> None:
    old = pull.head_sha
    clone.git("fetch", "--quiet")
    clone.git("checkout", "--quiet", "better")
    new = clone.commit("three")
    clone.git("push", "--quiet", "origin", "better")
    synchronize = hub.deliveries[-1]
    assert (synchronize.event, synchronize.action) == ("pull_request", "synchronize")
    assert (synchronize.payload["before"], synchronize.payload["after"]) == (old, new)
    assert synchronize.payload["pull_request"]["head"]["sha"] == new == pull.head_sha
    assert clone.git("ls-remote", "origin", "refs/pull/1/head").split()[0] == new
    clone.git("push", "--quiet", "--delete", "origin", "better")
    assert (hub.deliveries[-1].event, hub.deliveries[-1].action) == ("pull_request", "closed")


def test_a_private_repository_is_fetched_with_a_live_token_only(
    hub: DevHub, repository: Repository, sha: str, client: Client, clock: ManualClock, tmp_path: Path
) -> None:
    assert fetch(hub, tmp_path / "a", "main", token=client.token).returncode == 0
    assert "could not read Username" in fetch(hub, tmp_path / "b", "main").stderr
    assert fetch(hub, tmp_path / "c", "main", token="ghs_wrong").returncode != 0
    clock.advance(3600)
    assert fetch(hub, tmp_path / "d", "main", token=client.token).returncode != 0


def test_a_token_for_another_repository_finds_nothing(
    hub: DevHub, repository: Repository, clock: ManualClock, tmp_path: Path
) -> None:
    other = hub.create_repository("acme", "other")
    narrow = Client(hub, clock).login(repository_ids=[other.id])
    assert "not found" in fetch(hub, tmp_path / "a", "main", token=narrow.token).stderr


def test_any_commit_can_be_fetched_shallow_and_without_blobs(
    hub: DevHub, repository: Repository, sha: str, client: Client, tmp_path: Path
) -> None:
    hub.commit_files(repository, {"train.py": "print(3)\n"}, parent=None)
    hub.commit_files(repository, {"a": "b"}, parent=sha, message="Rewrite, so that no ref names the second")
    done = fetch(hub, tmp_path / "a", "--depth=1", "--filter=blob:none", sha, token=client.token)
    assert done.returncode == 0, done.stderr


def test_refusing_unnamed_commits_and_filters_on_order(
    hub: DevHub, repository: Repository, sha: str, client: Client, tmp_path: Path
) -> None:
    hub.commit_files(repository, {"train.py": "print(3)\n"})
    hub.set_fetch_rules(repository, any_sha=False, filters=False)
    refused = fetch(hub, tmp_path / "a", "--depth=1", sha, token=client.token)
    assert "unadvertised object" in refused.stderr
    unfiltered = fetch(hub, tmp_path / "b", "--filter=blob:none", "main", token=client.token)
    assert "filtering not recognized" in unfiltered.stderr
    hub.set_fetch_rules(repository)
    assert fetch(hub, tmp_path / "c", "--depth=1", sha, token=client.token).returncode == 0


def test_only_people_with_write_access_push(hub: DevHub, repository: Repository, sha: str, tmp_path: Path) -> None:
    reader = hub.add_collaborator(repository, "reader", "read")
    clone = Clone(tmp_path / "reader", hub, repository, reader)
    clone.commit("mine")
    with pytest.raises(PermissionError, match="403"):
        clone.git("push", "--quiet", "origin", "main")
    hub.add_collaborator(repository, "reader", "write")
    clone.git("push", "--quiet", "origin", "main")
    assert pushes(hub)[-1]["pusher"]["name"] == "reader"


def test_the_app_itself_cannot_push_with_contents_read(
    hub: DevHub, repository: Repository, sha: str, client: Client, tmp_path: Path
) -> None:
    clone = Clone(tmp_path / "clone", hub, repository, repository.owner)
    url = f"http://x-access-token:{client.token}@{hub.url.removeprefix('http://')}/acme/digits.git"
    clone.commit("bot")
    with pytest.raises(PermissionError, match="403"):
        clone.git("push", "--quiet", url, "main")


def test_nobody_pushes_the_references_of_pull_requests(clone: Clone, pull: Pull) -> None:
    clone.commit("evil")
    with pytest.raises(PermissionError, match="deny updating a hidden ref"):
        clone.git("push", "--quiet", "--force", "origin", "HEAD:refs/pull/1/head")


def test_a_large_push_and_a_compressed_request_arrive(hub: DevHub, clone: Clone) -> None:
    (clone.path / "big.bin").write_bytes(os.urandom(3_000_000))
    clone.git("add", "big.bin")
    clone.git("commit", "--quiet", "-m", "Big")
    # More than http.postBuffer: git sends it in chunks, without a length.
    clone.git("push", "--quiet", "origin", "main")
    assert pushes(hub)[-1]["head_commit"]["added"] == ["big.bin"]


def test_committing_without_a_clone_can_do_what_tests_need(hub: DevHub, repository: Repository, sha: str) -> None:
    files = {".ps_project/config.yaml": Link("/etc/hostname"), 'odd "name"\\ü': b"\0\xff", "train.py": None}
    new = hub.commit_files(repository, files, branch="odd")
    listing = hub.site.git(repository).run("ls-tree", "-r", "-z", new).decode()
    assert "120000" in listing
    assert 'odd "name"\\ü' in listing
    assert "train.py" not in listing
    forced = hub.commit_files(repository, {"b": "b"}, branch="odd", parent=sha)
    assert hub.site.git(repository).commit(forced).parents == (sha,)
    assert pushes(hub)[-1]["forced"]


def test_a_commit_to_a_pulls_head_without_a_clone_synchronizes_it(hub: DevHub, pull: Pull) -> None:
    hub.commit_files(pull.repository, {"a": "b"}, branch="better")
    assert [d.action for d in hub.deliveries if d.event == "pull_request"] == ["opened", "synchronize"]


def test_many_at_once(hub: DevHub, repository: Repository, client: Client, tmp_path: Path) -> None:
    clones = [Clone(tmp_path / f"clone-{n}", hub, repository, repository.owner) for n in range(4)]

    def work(number: int) -> None:
        clone = clones[number]
        clone.git("checkout", "--quiet", "-b", f"branch-{number}")
        for text in ("one", "two"):
            clone.commit(f"{number} {text}")
            clone.git("push", "--quiet", "origin", f"branch-{number}")
            body = {"name": "experiments", "head_sha": clone.git("rev-parse", "HEAD")}
            assert client.post("/repos/acme/digits/check-runs", body).status_code == 201

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    told = [(payload["ref"], payload["before"] == ZEROS) for payload in pushes(hub)[1:]]
    assert sorted(told) == sorted((f"refs/heads/branch-{n}", new) for n in range(4) for new in (True, False))
    assert len(list(repository.runs())) == 8
    assert len({run.id for run in repository.runs()}) == 8


def test_nothing_is_pushed_to_what_is_archived(hub: DevHub, clone: Clone, repository: Repository) -> None:
    hub.archive_repository(repository)
    clone.commit("late")
    with pytest.raises(PermissionError, match=r"archived so it is read-only(.|\n)*403"):
        clone.git("push", "--quiet", "origin", "main")
    clone.git("fetch", "--quiet")

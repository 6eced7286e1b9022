"""Branches, and what lies between two commits: as real git sees it."""

from typing import Any

import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub, Repository
from tests.devhub.client import Client

pytestmark = pytest.mark.service
REPO = "/repos/acme/digits"


def compare(client: Client, basehead: str) -> dict[str, Any]:
    answer = client.get(f"{REPO}/compare/{basehead}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_two_branches_that_went_apart(hub: DevHub, client: Client, repository: Repository, sha: str) -> None:
    first = hub.commit_files(repository, {"a.py": "1\n2\n"}, branch="feature/a")
    second = hub.commit_files(repository, {"a.py": "1\n3\n4\n"}, branch="feature/a")
    main = hub.commit_files(repository, {"b.py": "1\n"})

    found = compare(client, "main...feature/a")
    assert (found["status"], found["ahead_by"], found["behind_by"], found["total_commits"]) == ("diverged", 2, 1, 2)
    assert found["merge_base_commit"]["sha"] == sha
    assert found["base_commit"]["sha"] == main
    assert [commit["sha"] for commit in found["commits"]] == [first, second], "the oldest first"
    [file] = found["files"]
    assert (file["filename"], file["status"], file["additions"], file["deletions"]) == ("a.py", "added", 3, 0)
    assert file["patch"] == "@@ -0,0 +1,3 @@\n+1\n+3\n+4"

    assert compare(client, f"{sha}...feature/a")["status"] == "ahead"
    assert compare(client, f"feature/a...{sha}")["status"] == "behind"
    assert compare(client, "main...main")["status"] == "identical"
    assert compare(client, "main...main")["files"] == []


def test_each_way_for_a_file_to_differ(hub: DevHub, client: Client, repository: Repository, sha: str) -> None:
    lines = "".join(f"line {number}\n" for number in range(20))
    base = hub.commit_files(repository, {"old name.py": lines, "gone.py": "1\n", "data.bin": b"\0\1", "same": "same"})
    changed = {"old name.py": None, "ü/new.py": lines + "more\n", "gone.py": None, "data.bin": b"\0\2"}
    hub.commit_files(repository, {**changed, "train.py": "diff --git a/x b/x\n@@ -1 +1 @@\n"})

    files = {file["filename"]: file for file in compare(client, f"{base}...main")["files"]}
    assert {name: file["status"] for name, file in files.items()} == {
        "data.bin": "modified",
        "gone.py": "removed",
        "train.py": "modified",
        "ü/new.py": "renamed",
    }
    assert files["ü/new.py"]["previous_filename"] == "old name.py"
    assert files["ü/new.py"]["patch"].endswith(" line 19\n+more")
    assert "patch" not in files["data.bin"]
    assert files["train.py"]["patch"] == "@@ -1 +1,2 @@\n-print(1)\n+diff --git a/x b/x\n+@@ -1 +1 @@"
    assert files["gone.py"]["sha"] == client.get(f"{REPO}/git/trees/{base}").json()["tree"][1]["sha"]


def test_long_ones_come_in_pages(hub: DevHub, client: Client, repository: Repository, clock: ManualClock) -> None:
    shas = []
    for number in range(7):
        clock.advance(1)
        shas.append(hub.commit_files(repository, {f"{number}": "x"}, branch="long"))
    page = client.get(f"{REPO}/compare/main...long?per_page=3")
    seen = [commit["sha"] for commit in page.json()["commits"]]
    assert len(page.json()["files"]) == 7
    while "next" in page.links:
        page = client.get(page.links["next"]["url"])
        seen += [commit["sha"] for commit in page.json()["commits"]]
        assert "files" not in page.json(), "they are on the first page only"
        assert page.json()["total_commits"] == 7
    assert seen == shas


def test_no_more_than_300_files(hub: DevHub, client: Client, repository: Repository) -> None:
    hub.commit_files(repository, {f"{number:03}": f"{number}" for number in range(301)}, branch="many")
    assert len(compare(client, "main...many")["files"]) == 300


@pytest.mark.parametrize(
    "basehead", ["main...nothing", "nothing...main", "main", "main..main", "main...", "...main", f"main...{'f' * 40}"]
)
def test_what_cannot_be_compared(client: Client, repository: Repository, basehead: str) -> None:
    assert client.get(f"{REPO}/compare/{basehead}").status_code == 404


def test_histories_that_have_nothing_in_common(hub: DevHub, client: Client, repository: Repository) -> None:
    hub.site.git(repository).write("orphan", None, {"a": "b"}, hub._signature(repository.owner), "Elsewhere")
    answer = client.get(f"{REPO}/compare/main...orphan")
    assert (answer.status_code, answer.json()["message"]) == (404, "No common ancestor between main and orphan.")


def test_comparing_needs_the_right_to_read(client: Client) -> None:
    client.login(permissions={"checks": "read"})
    for path in ("/compare/main...main", "/branches", "/branches/main"):
        assert client.get(REPO + path).status_code == 403, path


def test_branches_are_listed_in_pages_and_found_by_name(
    hub: DevHub, client: Client, repository: Repository, sha: str
) -> None:
    tip = hub.commit_files(repository, {"a": "b"}, branch="feature/a")
    page = client.get(f"{REPO}/branches?per_page=1")
    assert [(each["name"], each["commit"]["sha"]) for each in page.json()] == [("feature/a", tip)]
    second = client.get(page.links["next"]["url"]).json()
    assert [(each["name"], each["commit"]["sha"], each["protected"]) for each in second] == [("main", sha, False)]
    assert client.get(f"{REPO}/branches?protected=true").json() == []
    assert client.get(f"{REPO}/branches/feature/a").json()["commit"]["sha"] == tip
    missing = client.get(f"{REPO}/branches/nothing")
    assert (missing.status_code, missing.json()["message"]) == (404, "Branch not found")

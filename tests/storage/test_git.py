"""Workspaces from other repositories: their files at one commit, nothing of git, no way to reach what is not public."""

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.storage.remote import Remote
from bot.storage.request import Fetch
from tests.forge.git_server import Author, GitServer, serve
from tests.storage.lab import MB, Lab, files

pytestmark = pytest.mark.service

PASSWORD = "ghp_a+secret/of=ada"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with serve(tmp_path / "server") as running:
        yield running


@pytest.fixture
def author(server: GitServer) -> Author:
    return server.author("ada", "digits")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def workspace(server: GitServer, **values: str) -> dict[str, Any]:
    return {"uri": f"{server.url}/ada/digits.git", "name": "", **values}


def test_the_files_of_the_default_branch_come_without_anything_of_git(
    lab: Lab, server: GitServer, author: Author
) -> None:
    sha = author.commit({"train.py": "print(1)", "a/b.txt": "b", ".gitattributes": "*.py filter=evil"})
    said = lab.fetch(workspace(server), allow_private=True)
    assert said.done == [
        {
            "name": "",
            "uri": f"{server.url}/ada/digits.git",
            "path": str(lab.workspace),
            "lock": None,
            "etag": None,
            "version_id": sha,
            "bytes": None,
        }
    ]
    assert files(lab.workspace) == {"train.py": b"print(1)", "a/b.txt": b"b", ".gitattributes": b"*.py filter=evil"}
    assert list(lab.cache.iterdir()) == []


def test_a_branch_a_tag_and_a_commit_are_all_refs(lab: Lab, server: GitServer, author: Author) -> None:
    first = author.commit({"x": "1"}, ref="refs/heads/feature/a")
    author.git("tag", "-a", "v1", "-m", "One")
    author.git("push", "--quiet", str(author.bare), "v1")
    author.commit({"x": "2"})
    for ref in ("feature/a", "refs/heads/feature/a", "v1", first):
        (done,) = lab.outcome(workspace(server, ref=ref), allow_private=True).done
        assert done["version_id"] == first
        assert files(lab.workspace) == {"x": b"1"}


def test_a_password_opens_the_repository_and_is_nowhere_afterwards(lab: Lab, server: GitServer, author: Author) -> None:
    author.commit({"x": "1"})
    server.token = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
    said = lab.fetch(workspace(server, username="ada", password=PASSWORD), allow_private=True)
    assert files(lab.workspace) == {"x": b"1"}
    wrong = lab.fetch(workspace(server, username="ada", password="wrong+/=secret"), allow_private=True)
    assert wrong.failed == "workspace: there is no such repository on 127.0.0.1, or the credentials do not open it"
    in_url = lab.fetch(
        {"uri": server.url.replace("//", "//ada:ghp_a%2Bsecret%2Fof%3Dada@") + "/ada/digits", "name": ""},
        allow_private=True,
    )
    assert in_url.done[0]["uri"] == f"{server.url}/ada/digits"
    everything = said.raw + wrong.raw + in_url.raw + repr([path.read_bytes() for path in lab.workspace.rglob("*")])
    for secret in (PASSWORD, server.token, "ghp_a", "secret"):
        assert secret not in everything


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"ref": "nothing"}, "its repository has no nothing"),
        ({"ref": "1234567890" * 4}, "its repository has no 1234567890"),
        ({"ref": "--upload-pack=/bin/sh"}, "is not a branch, a tag or a commit"),
        ({"ref": "main:refs/heads/x"}, "is not a branch, a tag or a commit"),
        ({"uri": "ext::sh -c id"}, "its URL cannot be read"),
        ({"uri": "file:///etc"}, "a workspace comes by https://"),
        ({"uri": "git@127.0.0.1:x", "password": "no key"}, "a private key"),
    ],
)
def test_the_users_faults_are_sentences(
    values: dict[str, str], sentence: str, lab: Lab, server: GitServer, author: Author
) -> None:
    author.commit({"x": "1"})
    assert sentence in lab.outcome({**workspace(server), **values}, allow_private=True).failed


def test_this_machine_and_its_networks_are_out_of_reach(lab: Lab, server: GitServer, author: Author) -> None:
    author.commit({"x": "1"})
    private = f"https://127.0.0.1:{server.url.rpartition(':')[2]}/ada/digits"
    for uri in (private, "https://localhost/x", "ssh://git@10.0.0.1/x", "git@169.254.169.254:x", "https://[::1]/x"):
        assert "of this machine or its networks" in lab.outcome({"uri": uri, "name": ""}).failed
    assert "a workspace comes by https://" in lab.outcome(workspace(server)).failed
    assert server.requests == []


def test_a_redirect_is_not_followed(lab: Lab, server: GitServer, author: Author) -> None:
    author.commit({"x": "1"})
    server.status = 301
    assert "has moved" in lab.outcome(workspace(server), allow_private=True).failed


def test_a_repository_that_is_too_large_is_stopped(lab: Lab, server: GitServer, author: Author) -> None:
    author.commit({"noise": os.urandom(3 * MB)})
    assert "larger than the 1.0 MB" in lab.outcome(workspace(server), allow_private=True, max_bytes=MB).failed
    assert files(lab.workspace) == {}


def test_a_small_repository_that_unfolds_to_much_is_not_written(lab: Lab, server: GitServer, author: Author) -> None:
    # Ten folders, each with ten times the one below: 10^10 files in eleven objects.
    def write(command: str, content: str) -> str:
        git = ["git", "-C", str(author.work), *command.split()]
        return subprocess.run(git, input=content, capture_output=True, check=True, text=True).stdout.strip()

    kind, name = "100644 blob", write("hash-object -w --stdin", "x" * 10_000)
    for _ in range(10):
        name = write("mktree", "".join(f"{kind} {name}\t{number}\n" for number in range(10)))
        kind = "040000 tree"
    sha = author.git("commit-tree", name, "-m", "Bomb")
    author.git("push", "--quiet", str(author.bare), f"{sha}:refs/heads/main")
    assert "more than the 1.0 MB" in lab.outcome(workspace(server), allow_private=True, max_bytes=MB).failed
    assert files(lab.workspace) == {}


def test_hooks_submodules_and_large_files_stay_what_they_are_in_the_commit(
    lab: Lab, server: GitServer, author: Author
) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"
    author.commit(
        {
            "model.bin": pointer,
            ".gitattributes": "*.bin filter=lfs",
            ".gitmodules": '[submodule "s"]\n\tpath = s\n\turl = ../s\n',
        }
    )
    author.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},s")
    author.git("commit", "--quiet", "-m", "Submodule")
    author.git("push", "--quiet", str(author.bare), "HEAD:refs/heads/main")
    assert lab.outcome(workspace(server), allow_private=True).done
    assert files(lab.workspace)["model.bin"] == pointer.encode()
    assert not any((lab.workspace / "s").glob("*"))


def test_git_goes_to_the_address_that_was_looked_up_whatever_the_name_means_by_then(
    server: GitServer, author: Author
) -> None:
    sha = author.commit({"x": "1"})
    port = server.url.rpartition(":")[2]
    remote = Remote.parse(Fetch(f"http://nowhere.invalid:{port}/ada/digits.git", ""), allow_private=True)
    with remote.access(["127.0.0.1"]) as environment:
        command = ["git", "ls-remote", "origin", "HEAD"]
        everything = {**environment, "PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        done = subprocess.run(command, env=everything, cwd="/", capture_output=True, check=True, text=True)
    assert done.stdout == f"{sha}\tHEAD\n"

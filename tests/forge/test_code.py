"""Submodules and files of Git LFS, from git's own server: what comes, with whose credential, and what is refused."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.forge.code import WholeCode, fetch_whole
from bot.forge.git import Denied, GitCache, GitError, RepositoryId, basic
from bot.forge.submodules import DEEPEST, PartUnavailable
from tests.forge.git_server import Author, GitServer, serve

pytestmark = pytest.mark.service

REPOSITORY = RepositoryId(42, "ada", "digits")
TOKEN = "ghs_a-secret-of-an-hour"
WEIGHTS = bytes(range(256)) * 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with serve(tmp_path / "server") as running:
        running.token = basic(TOKEN)  # of ada/digits alone
        running.public = {"ada/lib", "ada/inner"}
        yield running


@pytest.fixture
def author(server: GitServer) -> Author:
    return server.author("ada", "digits")


@pytest.fixture
def cache(tmp_path: Path, server: GitServer) -> GitCache:
    return GitCache(tmp_path / "cache", server.url)


def fetch(cache: GitCache, sha: str, *, submodules: bool = True, lfs: bool = False) -> WholeCode:
    return fetch_whole(cache, REPOSITORY, sha, TOKEN, submodules=submodules, lfs=lfs)


def unavailable(cache: GitCache, sha: str, *, lfs: bool = False) -> str:
    """The sentence that says what cannot be had."""
    with pytest.raises(PartUnavailable) as raised:
        fetch(cache, sha, lfs=lfs)
    assert not raised.value.is_retryable
    assert TOKEN not in str(raised.value)
    return str(raised.value)


def test_submodules_come_with_theirs_and_without_the_token(cache: GitCache, author: Author, server: GitServer) -> None:
    inner = server.author("ada", "inner").commit({"deep.py": "1"})
    lib = server.author("ada", "lib")
    lib.commit({"lib.py": "1"})
    lib.link("vendor/inner", "../inner", inner)
    author.link("third/lib", "../lib.git", lib.commit_links())

    whole = fetch(cache, author.commit_links())

    assert [(one.path, one.sha) for one in whole.submodules] == [
        ("third/lib", lib.git("rev-parse", "HEAD")),
        ("third/lib/vendor/inner", inner),
    ]
    assert whole.submodules[1].bare.git.run("cat-file", "blob", f"{inner}:deep.py") == b"1"
    assert not [path for path in server.authorized if not path.startswith("/ada/digits.git/")]


def test_what_is_here_is_not_asked_for_again(cache: GitCache, author: Author, server: GitServer) -> None:
    author.link("lib", "../lib", server.author("ada", "lib").commit({"lib.py": "1"}))
    sha = author.commit_links()
    [first] = fetch(cache, sha).submodules
    server.requests.clear()
    [again] = fetch(cache, sha).submodules
    assert (again.path, again.sha, again.bare.directory) == (first.path, first.sha, first.bare.directory)
    assert server.requests == []


def test_nobody_who_did_not_ask_gets_submodules(cache: GitCache, author: Author) -> None:
    author.link("lib", "http://127.0.0.1:1/none", "1" * 40)
    assert fetch(cache, author.commit_links(), submodules=False) == WholeCode()


def test_a_private_repository_of_the_same_owner_is_not_read(cache: GitCache, author: Author, server: GitServer) -> None:
    """The author of a pull request may not read it; the installation could."""
    author.link("lib", "../secret", server.author("ada", "secret").commit({"plans.md": "1"}))
    sentence = unavailable(cache, author.commit_links())
    assert sentence.startswith(f"the submodule `lib` ({server.url}/ada/secret.git) is private or not there")
    assert not [path for path in server.authorized if "secret" in path]


def test_the_repository_itself_is_read_with_its_token(cache: GitCache, author: Author, server: GitServer) -> None:
    older = author.commit({"train.py": "1"})
    author.link("baseline", f"{server.url}/Ada/Digits", older)
    [module] = fetch(cache, author.commit_links()).submodules
    assert module.bare.directory == cache.directory(REPOSITORY)
    server.token = basic("ghs_another")
    author.link("other", "./../digits.git", author.commit({"train.py": "2"}))
    with pytest.raises(Denied):  # it may be replaced
        fetch(cache, author.commit_links())


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://127.0.0.1/acme/lib", "127.0.0.1 is an address of the bot's machine or its networks"),
        ("https://169.254.169.254/latest", "169.254.169.254 is an address of the bot's machine or its networks"),
        ("http://git.example/lib", "only submodules at https:// URLs are fetched"),
        ("file:///etc", "only submodules at https:// URLs are fetched"),
        ("https://x:y@git.example/lib", "its URL must have no credentials, query or fragment"),
    ],
)
def test_where_nobody_should_be_sent_nobody_goes(cache: GitCache, author: Author, url: str, why: str) -> None:
    author.link("lib", url, "1" * 40)
    assert unavailable(cache, author.commit_links()) == f"the submodule `lib` cannot be fetched: {why}"


def test_a_commit_that_was_not_pushed_is_named(cache: GitCache, author: Author, server: GitServer) -> None:
    server.author("ada", "lib").commit({"lib.py": "1"})
    author.link("lib", "../lib", "1" * 40)
    assert f"`lib` ({server.url}/ada/lib.git) has no commit {'1' * 40}" in unavailable(cache, author.commit_links())


def test_a_submodule_without_an_address_is_named(cache: GitCache, author: Author) -> None:
    author.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib")
    assert unavailable(cache, author.commit_links()) == "the submodule `lib` has no url in .gitmodules"


def test_a_submodule_that_its_repository_does_not_update_stays_empty(cache: GitCache, author: Author) -> None:
    author.link("lib", "https://127.0.0.1/lib", "1" * 40, "update = none")
    assert fetch(cache, author.commit_links()).submodules == ()


@pytest.mark.parametrize("content", ["[submodule", '[submodule "x"]\n\tpath', "x" * (1 << 19)])
def test_a_list_that_cannot_be_read_is_said_to_be(cache: GitCache, author: Author, content: str) -> None:
    (author.work / ".gitmodules").write_text(content)
    author.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib")
    assert ".gitmodules" in unavailable(cache, author.commit_links())


def test_a_list_includes_no_file_of_this_machine(cache: GitCache, author: Author, tmp_path: Path) -> None:
    (tmp_path / "config").write_text('[submodule "lib"]\npath = lib\nurl = https://127.0.0.1/lib\n')
    (author.work / ".gitmodules").write_text(f"[include]\npath = {tmp_path / 'config'}\n")
    author.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib")
    assert unavailable(cache, author.commit_links()) == "the submodule `lib` has no url in .gitmodules"


def test_depth_and_number_are_bounded(cache: GitCache, author: Author) -> None:
    sha = author.commit({"train.py": "1"})
    for _ in range(DEEPEST + 2):
        author.git("rm", "--quiet", "-r", "--cached", "--ignore-unmatch", "again")
        (author.work / ".gitmodules").unlink(missing_ok=True)
        author.link("again", "../digits", sha)
        sha = author.commit_links()
    assert "lie too deep in each other" in unavailable(cache, sha)


def test_a_server_in_trouble_is_asked_again_later(cache: GitCache, author: Author, server: GitServer) -> None:
    author.link("lib", "../lib", server.author("ada", "lib").commit({"lib.py": "1"}))
    sha = author.commit_links()
    cache.fetch_code(REPOSITORY, sha, TOKEN)
    server.status = 503
    with pytest.raises(GitError, match="the submodule `lib`") as raised:
        fetch(cache, sha)
    assert raised.value.is_retryable


# Git LFS


def pointer(content: bytes, size: int | None = None) -> str:
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size or len(content)}\n"


def keep(server: GitServer, content: bytes, under: bytes | None = None) -> str:
    oid = hashlib.sha256(content if under is None else under).hexdigest()
    server.lfs[oid] = content
    return oid


def test_files_of_lfs_come_by_the_token_which_goes_to_nobody_else(
    cache: GitCache, author: Author, server: GitServer
) -> None:
    oid = keep(server, WEIGHTS)
    sha = author.commit({"weights.bin": pointer(WEIGHTS), "copy/of.bin": pointer(WEIGHTS), "small.txt": "x" * 200})
    whole = fetch(cache, sha, submodules=False, lfs=True)
    assert whole.objects is not None
    assert [path.name for path in whole.objects.iterdir()] == [oid]
    assert (whole.objects / oid).read_bytes() == WEIGHTS
    assert "/ada/digits.git/info/lfs/objects/batch" in server.authorized
    assert f"/lfs-files/{oid}" not in server.authorized
    server.requests.clear()
    assert fetch(cache, sha, submodules=False, lfs=True) == whole
    assert server.requests == []
    kept = b"".join(path.read_bytes() for path in cache.root.rglob("*") if path.is_file())
    assert TOKEN.encode() not in kept
    assert basic(TOKEN).encode() not in kept


def test_who_does_not_ask_for_lfs_keeps_the_pointers(cache: GitCache, author: Author, server: GitServer) -> None:
    assert fetch(cache, author.commit({"weights.bin": pointer(WEIGHTS)})).objects is None
    assert not [request for request in server.requests if "lfs" in request]


def test_a_submodules_files_of_lfs_come_without_the_token(cache: GitCache, author: Author, server: GitServer) -> None:
    oid = keep(server, WEIGHTS)
    author.link("lib", "../lib", server.author("ada", "lib").commit({"weights.bin": pointer(WEIGHTS)}))
    whole = fetch(cache, author.commit_links(), lfs=True)
    assert whole.objects is not None
    assert (whole.objects / oid).is_file()
    assert not [path for path in server.authorized if "lfs" in path]


def test_a_file_that_was_not_pushed_is_named(cache: GitCache, author: Author) -> None:
    sha = author.commit({"data/weights.bin": pointer(WEIGHTS)})
    assert "the LFS file `data/weights.bin` is not on the server" in unavailable(cache, sha, lfs=True)


@pytest.mark.parametrize("sent", [WEIGHTS[:-1], WEIGHTS + b"x", WEIGHTS[:-1] + b"x"])
def test_what_is_not_the_file_that_was_meant_is_thrown_away(
    cache: GitCache, author: Author, server: GitServer, sent: bytes
) -> None:
    keep(server, sent, under=WEIGHTS)
    sha = author.commit({"weights.bin": pointer(WEIGHTS)})
    with pytest.raises(GitError, match="arrived damaged") as raised:
        fetch(cache, sha, lfs=True)
    assert raised.value.is_retryable
    assert list((cache.directory(REPOSITORY) / "lfs").iterdir()) == []


@pytest.mark.parametrize("href", ["http://127.0.0.1:1/{oid}", "file:///etc/passwd", "", "ftp://git.example/{oid}"])
def test_only_https_is_followed(cache: GitCache, author: Author, server: GitServer, href: str) -> None:
    keep(server, WEIGHTS)
    server.href = href
    sha = author.commit({"weights.bin": pointer(WEIGHTS)})
    assert "not https://" in unavailable(cache, sha, lfs=True)


def test_a_commit_that_asks_for_too_much_is_refused_before_anything_comes(
    cache: GitCache, author: Author, server: GitServer
) -> None:
    """One pointer, five times in the tree: five gigabytes in the workspace."""
    sha = author.commit({f"copy-{n}": pointer(WEIGHTS, 1 << 30) for n in range(5)})
    assert "more in LFS than a bot takes: 1 files of 5120 MB" in unavailable(cache, sha, lfs=True)
    assert not [request for request in server.requests if "lfs" in request]


def test_a_token_that_is_dead_may_be_replaced(cache: GitCache, author: Author, server: GitServer) -> None:
    sha = author.commit({"weights.bin": pointer(WEIGHTS)})
    cache.fetch_code(REPOSITORY, sha, TOKEN)
    server.token = basic("ghs_another")
    with pytest.raises(Denied):
        fetch(cache, sha, lfs=True)

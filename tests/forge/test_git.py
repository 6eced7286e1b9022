"""The git cache against git's own server: exact commits, files without links, secrets that stay secret."""

import base64
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.forge.git import (
    CodeTooLarge,
    CommitAbsent,
    FileAbsent,
    FileTooLarge,
    GitCache,
    GitError,
    NotARegularFile,
    RepositoryId,
    read_local,
)
from tests.forge.git_server import Author, GitServer, serve

pytestmark = pytest.mark.service

REPOSITORY = RepositoryId(42, "ada", "digits")
TOKEN = "ghs_a-secret-of-an-hour"
UNKNOWN = "1234567890" * 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with serve(tmp_path / "server") as running:
        yield running


@pytest.fixture
def author(server: GitServer) -> Author:
    return server.author("ada", "digits")


@pytest.fixture
def cache(tmp_path: Path, server: GitServer) -> GitCache:
    return GitCache(tmp_path / "cache", server.url)


def test_a_commit_comes_without_history_and_without_contents(cache: GitCache, author: Author) -> None:
    first = author.commit({"train.py": "print(1)"})
    second = author.commit({"train.py": "print(2)"})
    cache.fetch_commit(REPOSITORY, second, None)
    assert objects(cache) == {("commit", 1), ("tree", 1)}
    assert first not in listing(cache)


def test_a_commit_that_is_here_costs_no_request(cache: GitCache, author: Author, server: GitServer) -> None:
    sha = author.commit({"train.py": "print(1)"})
    cache.fetch_commit(REPOSITORY, sha, None)
    server.requests.clear()
    cache.fetch_commit(REPOSITORY, sha, None)
    assert server.requests == []


def test_a_commit_that_no_branch_names_any_more_is_still_found(cache: GitCache, author: Author) -> None:
    orphan = author.commit({"train.py": "print(1)"})
    author.git("commit", "--quiet", "--amend", "-m", "Other")
    author.commit_tree("Force-pushed over it")
    cache.fetch_commit(REPOSITORY, orphan, None)
    assert cache.commit_info(REPOSITORY, orphan).subject == "Work"


def test_an_unknown_commit_is_absent_and_may_come_later(cache: GitCache, author: Author) -> None:
    author.commit({"train.py": "print(1)"})
    with pytest.raises(CommitAbsent) as raised:
        cache.fetch_commit(REPOSITORY, UNKNOWN, None)
    assert raised.value.is_retryable
    with pytest.raises(CommitAbsent, match="not among the newest"):
        cache.fetch_commit(REPOSITORY, UNKNOWN, None, ref="refs/heads/main")


def test_a_server_that_refuses_bare_shas_is_asked_for_the_ref(
    cache: GitCache, author: Author, server: GitServer
) -> None:
    server.serves_bare_shas = False
    sha = author.commit({"config.yaml": "version: 2"})
    author.commit({"config.yaml": "version: 3"}, "The branch went on meanwhile")
    with pytest.raises(CommitAbsent):
        cache.fetch_commit(REPOSITORY, sha, None)
    cache.fetch_commit(REPOSITORY, sha, None, ref="refs/heads/main")
    assert cache.read_file(REPOSITORY, sha, "config.yaml", 100, None) == b"version: 2"
    cache.fetch_code(REPOSITORY, sha, None)


@pytest.mark.parametrize("sha", ["main", "--upload-pack=touch /tmp/x", "A" * 40, "", "0" * 39])
def test_only_a_full_sha_is_a_sha(cache: GitCache, sha: str) -> None:
    with pytest.raises(GitError, match="not a full commit SHA"):
        cache.fetch_commit(REPOSITORY, sha, None)


@pytest.mark.parametrize("name", ["..", "a/b", "-x;y", "", "a b"])
def test_a_name_cannot_leave_the_server(cache: GitCache, name: str) -> None:
    with pytest.raises(GitError, match="not a repository's name"):
        cache.fetch_commit(RepositoryId(42, "ada", name), UNKNOWN, None)


def test_a_renamed_repository_keeps_its_cache(cache: GitCache, author: Author, server: GitServer) -> None:
    sha = author.commit({"train.py": "print(1)"})
    cache.fetch_commit(REPOSITORY, sha, None)
    author.bare.rename(author.bare.with_name("numbers.git"))
    renamed = RepositoryId(42, "ada", "numbers")
    cache.fetch_code(renamed, sha, None)
    assert cache.directory(renamed) == cache.directory(REPOSITORY)


def test_the_token_opens_the_door_and_is_written_nowhere(
    cache: GitCache, author: Author, server: GitServer, tmp_path: Path
) -> None:
    basic = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    server.token = basic
    sha = author.commit({"train.py": "print(1)"})
    with pytest.raises(GitError) as refused:
        cache.fetch_commit(REPOSITORY, sha, "ghs_wrong")
    assert not refused.value.is_retryable
    assert "ghs_wrong" not in str(refused.value)
    cache.fetch_code(REPOSITORY, sha, TOKEN)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert TOKEN.encode() not in kept
    assert basic.encode() not in kept
    assert server.url.encode() not in kept


def test_a_public_repository_is_asked_without_a_credential(cache: GitCache, author: Author, server: GitServer) -> None:
    cache.fetch_code(REPOSITORY, author.commit({"train.py": "print(1)"}), None)
    assert server.credentials == {None}


@pytest.mark.parametrize(
    ("status", "is_retryable"), [(500, True), (503, True), (429, True), (404, False), (403, False)]
)
def test_what_is_worth_another_try(
    cache: GitCache, author: Author, server: GitServer, status: int, is_retryable: bool
) -> None:
    sha = author.commit({"train.py": "print(1)"})
    server.status = status
    with pytest.raises(GitError) as raised:
        cache.fetch_commit(REPOSITORY, sha, None)
    assert raised.value.is_retryable is is_retryable


def test_an_unreachable_server_is_worth_another_try(tmp_path: Path) -> None:
    cache = GitCache(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(GitError) as raised:
        cache.fetch_commit(REPOSITORY, UNKNOWN, None)
    assert raised.value.is_retryable


def test_only_http_is_spoken() -> None:
    with pytest.raises(ValueError, match="over http"):
        GitCache(Path("unused"), "file:///etc")


def test_a_file_is_read_at_its_commit(cache: GitCache, author: Author, server: GitServer) -> None:
    old = author.commit({".ps_project/config.yaml": "version: 1", "train.py": "x"})
    new = author.commit({".ps_project/config.yaml": "version: 2"})
    assert cache.read_file(REPOSITORY, old, ".ps_project/config.yaml", 100, None) == b"version: 1"
    assert cache.read_file(REPOSITORY, new, ".ps_project/config.yaml", 100, None) == b"version: 2"
    assert ("blob", 2) in objects(cache)  # train.py was never fetched
    server.requests.clear()
    cache.read_file(REPOSITORY, old, ".ps_project/config.yaml", 100, None)
    assert server.requests == []


@pytest.mark.parametrize("path", ["none.yaml", "none/config.yaml", "train.py/x", "../train.py", "/train.py", "", ":/x"])
def test_an_absent_file_says_so(cache: GitCache, author: Author, path: str) -> None:
    sha = author.commit({"train.py": "x"})
    with pytest.raises(FileAbsent):
        cache.read_file(REPOSITORY, sha, path, 100, None)


def test_links_submodules_and_directories_are_never_followed(cache: GitCache, author: Author) -> None:
    author.commit({"real/config.yaml": "version: 2"})
    (author.work / "link.yaml").symlink_to("/etc/hostname")
    (author.work / "linked").symlink_to("real")
    author.git("add", "--all")
    author.git("update-index", "--add", "--cacheinfo", f"160000,{UNKNOWN},module")
    author.git("commit", "--quiet", "-m", "Links")
    author.git("push", "--quiet", str(author.bare), "HEAD:refs/heads/main")
    sha = author.git("rev-parse", "HEAD")
    for path, what in [
        ("link.yaml", "link.yaml is a symbolic link"),
        ("linked/config.yaml", "linked is a symbolic link"),
        ("module", "module is a submodule"),
        ("module/config.yaml", "module is a submodule"),
        ("real", "real is a directory"),
    ]:
        with pytest.raises(NotARegularFile, match=what):
            cache.read_file(REPOSITORY, sha, path, 100, None)


def test_a_file_larger_than_asked_for_is_refused(cache: GitCache, author: Author) -> None:
    sha = author.commit({"small": "x" * 101, "noise": os.urandom(4 << 20), "exact": "x" * 100})
    assert len(cache.read_file(REPOSITORY, sha, "exact", 100, None)) == 100
    with pytest.raises(FileTooLarge, match="101 bytes"):
        cache.read_file(REPOSITORY, sha, "small", 100, None)
    with pytest.raises(FileTooLarge):
        cache.read_file(REPOSITORY, sha, "noise", 100, None)
    packs = [path.stat().st_size for path in cache.directory(REPOSITORY).rglob("*.pack")]
    assert sum(packs) < 2 << 20, "the download was to be cut off, not thrown away afterwards"


def test_what_changed_between_two_commits(cache: GitCache, author: Author) -> None:
    base = author.commit({"train.py": "1", "docs/a.md": "1", "old.py": "same"})
    (author.work / "old.py").rename(author.work / "new.py")
    head = author.commit({"docs/a.md": "2", "päth\nwith line": "1"})
    assert cache.changed_paths(REPOSITORY, base, head, None) == ["docs/a.md", "new.py", "old.py", "päth\nwith line"]
    assert cache.changed_paths(REPOSITORY, head, head, None) == []
    assert not any(kind == "blob" for kind, _ in objects(cache))


def test_what_changed_since_something_gone_cannot_be_told(cache: GitCache, author: Author, server: GitServer) -> None:
    head = author.commit({"train.py": "1"})
    assert cache.changed_paths(REPOSITORY, "0" * 40, head, None) is None
    assert cache.changed_paths(REPOSITORY, UNKNOWN, head, None) is None
    server.status = 502
    with pytest.raises(GitError):  # a server in trouble is no answer
        cache.changed_paths(REPOSITORY, UNKNOWN, head, None)


def test_the_code_is_whole_and_needs_no_server_any_more(cache: GitCache, author: Author, server: GitServer) -> None:
    files: dict[str, str | bytes] = {f"pkg{n % 7}/file{n}.py": f"print({n})" for n in range(300)}
    sha = author.commit(files)
    cache.fetch_commit(REPOSITORY, sha, None)
    server.requests.clear()
    directory = cache.fetch_code(REPOSITORY, sha, None)
    assert len(server.requests) <= 2, "all contents come in one request, not one by one"
    server.status = 500
    assert cache.fetch_code(REPOSITORY, sha, None) == directory
    archive = subprocess.run(["git", f"--git-dir={directory}", "archive", sha], check=True, capture_output=True).stdout
    assert b"print(299)" in archive


def test_a_file_of_whole_code_is_read_where_it_lies(cache: GitCache, author: Author, server: GitServer) -> None:
    sha = author.commit({"train.py": "print(1)", "big.bin": "x" * 100})
    cache.fetch_code(REPOSITORY, sha, None)
    server.requests.clear()
    directory = cache.directory(REPOSITORY)
    assert read_local(directory, sha, "train.py", 100) == b"print(1)"
    with pytest.raises(FileTooLarge):
        read_local(directory, sha, "big.bin", 99)
    with pytest.raises(FileAbsent):
        read_local(directory, sha, "absent.py", 100)
    assert server.requests == []


def test_what_is_not_here_is_not_fetched_for_a_look(cache: GitCache, author: Author, server: GitServer) -> None:
    sha = author.commit({"train.py": "print(1)"})
    cache.fetch_commit(REPOSITORY, sha, None)
    server.requests.clear()
    with pytest.raises(GitError, match="not here"):
        read_local(cache.directory(REPOSITORY), sha, "train.py", 100)
    with pytest.raises(GitError):
        read_local(cache.directory(REPOSITORY), UNKNOWN, "train.py", 100)
    assert server.requests == []


def test_code_of_a_second_commit_brings_only_what_is_new(cache: GitCache, author: Author) -> None:
    first = author.commit({"a": "1", "b": "2"})
    second = author.commit({"b": "3"})
    cache.fetch_code(REPOSITORY, first, None)
    cache.fetch_code(REPOSITORY, second, None)
    assert ("blob", 3) in objects(cache)


def test_code_beyond_the_limit_is_refused(cache: GitCache, author: Author) -> None:
    dense = author.commit({"noise": os.urandom(3 << 20)})
    with pytest.raises(CodeTooLarge, match="download"):
        cache.fetch_code(REPOSITORY, dense, None, max_bytes=1 << 20)
    (author.work / "noise").unlink()
    bomb = author.commit({"zeros": bytes(3 << 20)})
    with pytest.raises(CodeTooLarge, match="more than 1 MB"):
        cache.fetch_code(REPOSITORY, bomb, None, max_bytes=1 << 20)
    cache.fetch_code(REPOSITORY, bomb, None)


@pytest.mark.parametrize(
    ("content", "reason"), [("x" * 1000, "more than 1 MB"), ("", "more than 500000 files and folders")]
)
def test_a_tree_that_unfolds_for_ever_is_not_unfolded(
    cache: GitCache, author: Author, content: str, reason: str
) -> None:
    """Nine folders deep, each sixteen times the same one: 69 billion files in a pack of some hundred bytes."""
    (author.work / "seed").write_text(content)
    inner = f"100644 blob {author.git('hash-object', '-w', 'seed')}"
    for _ in range(9):
        tree = author.make_tree("".join(f"{inner}\tname-{n}\n" for n in range(16)))
        inner = f"040000 tree {tree}"
    sha = author.git("commit-tree", tree, "-m", "Bomb")
    author.git("push", "--quiet", str(author.bare), f"{sha}:refs/heads/main")
    with pytest.raises(CodeTooLarge, match=reason):
        cache.fetch_code(REPOSITORY, sha, None, max_bytes=1 << 20)


def test_an_empty_commit_has_whole_code_too(cache: GitCache, author: Author) -> None:
    sha = author.commit_tree()
    assert cache.fetch_code(REPOSITORY, sha, None).is_dir()


def test_who_wrote_it_and_when(cache: GitCache, author: Author) -> None:
    sha = author.commit({"train.py": "1"}, "Train longer\n\nBecause it helps.")
    info = cache.commit_info(REPOSITORY, sha)
    assert (info.subject, info.author, info.committed_at) == ("Train longer", "Ada", 1_714_564_800_000_000)


@pytest.mark.parametrize("date", ["", "yesterday +0000", "-5 +0000", "99999999999999999999 +0000"])
def test_a_date_that_is_none_is_told_as_none(cache: GitCache, author: Author, date: str) -> None:
    author.commit({"train.py": "1"})
    tree = author.git("rev-parse", "HEAD^{tree}")
    text = f"tree {tree}\nauthor Ada <ada@example.org> 1 +0000\ncommitter Ada <ada@example.org> {date}\n\nOdd\n"
    sha = author.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", data=text)
    author.git("update-ref", "HEAD", sha)
    author.git("push", "--quiet", "--force", str(author.bare), "HEAD:refs/heads/main")
    info = cache.commit_info(REPOSITORY, sha)
    assert (info.subject, info.author, info.committed_at) == ("Odd", "Ada", 0)


def test_many_at_once_fetch_once(cache: GitCache, author: Author, server: GitServer) -> None:
    sha = author.commit({"train.py": "1"})
    failures: list[BaseException] = []

    def fetch() -> None:
        try:
            cache.fetch_code(REPOSITORY, sha, None)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len([r for r in server.requests if r.startswith("POST")]) <= 4  # two round trips each for trees and contents


def test_what_a_killed_fetch_left_behind_does_not_block(cache: GitCache, author: Author) -> None:
    cache.fetch_commit(REPOSITORY, author.commit({"train.py": "1"}), None)
    (cache.directory(REPOSITORY) / "shallow.lock").touch()
    (cache.directory(REPOSITORY).with_suffix(".new") / "refs").mkdir(parents=True)
    cache.fetch_commit(REPOSITORY, author.commit({"train.py": "2"}), None)
    other = RepositoryId(43, "ada", "digits")
    (cache.directory(other).with_suffix(".new") / "refs").mkdir(parents=True)
    cache.fetch_commit(other, author.git("rev-parse", "HEAD"), None)


def test_git_keeps_the_lock_of_a_killed_bot(cache: GitCache, author: Author, server: GitServer, tmp_path: Path) -> None:
    """Else a second git would write into the repository beside the orphan of the first."""
    held = tmp_path / "held"
    os.mkfifo(held)
    script = (
        "import sys; from pathlib import Path; from bot.forge.git import *\n"
        "cache = GitCache(Path(sys.argv[1]), sys.argv[2]); where = RepositoryId(42, 'ada', 'digits')\n"
        "with cache.bare(where, None).locked() as git:\n"
        "    import subprocess\n"
        "    orphan = subprocess.Popen(['cat', sys.argv[3]], pass_fds=(git._lock,))\n"
        "    print(orphan.pid, flush=True); orphan.wait()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "cache"), server.url, str(held)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as bot:
        assert bot.stdout is not None
        assert bot.stdout.readline()
        bot.kill()
    sha = author.commit({"train.py": "1"})
    fetch = threading.Thread(target=cache.fetch_commit, args=(REPOSITORY, sha, None))
    fetch.start()
    fetch.join(0.3)
    assert fetch.is_alive()
    held.write_text("")  # the orphan reads its end and goes
    fetch.join(20)
    assert not fetch.is_alive()


def listing(cache: GitCache) -> str:
    command = ["git", f"--git-dir={cache.directory(REPOSITORY)}", "cat-file", "--batch-all-objects"]
    return subprocess.run(
        [*command, "--batch-check=%(objecttype) %(objectname)"], check=True, capture_output=True, text=True
    ).stdout


def objects(cache: GitCache) -> set[tuple[str, int]]:
    """Return how many objects of each type the cache holds."""
    kinds = [line.split()[0] for line in listing(cache).splitlines()]
    return {(kind, kinds.count(kind)) for kind in kinds}

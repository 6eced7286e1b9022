"""Code from GitHub by git itself: one bare cache per repository, exact commits, no checkout, no API request.

A cache holds single commits (`--depth=1`) without their files' contents (filter `blob:none`) until somebody asks for
them. Neither an address nor a credential is ever written into it, so git cannot fetch anything behind our back: what is
missing is fetched here, on purpose, or not at all.
"""

import base64
import contextlib
import itertools
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from bot.clock import SECOND
from bot.forge.bare import MOST_ENTRIES, Bare
from bot.forge.git_command import MIB, QUICK, CodeTooLarge, CommitAbsent, Denied, Git, GitError, Origin

__all__ = [
    "CodeTooLarge",
    "CommitAbsent",
    "CommitInfo",
    "Denied",
    "FileAbsent",
    "FileError",
    "FileTooLarge",
    "GitCache",
    "GitError",
    "NotARegularFile",
    "RepositoryId",
    "read_local",
]

LARGEST_CODE = 2048 * MIB
"""Bytes that one commit's files may have together, and that one download may take."""
_LAST_SECOND = 253_402_300_799
"""Of the year 9999, where calendars end."""
_LONGEST_MESSAGE = 1 << 16
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]+")


class FileError(Exception):
    """A file of a commit that is not to be read; the message says why."""


class FileAbsent(FileError, LookupError):
    """The commit has no such file."""


class NotARegularFile(FileError):
    """A link, a submodule or a directory stands at the path or on the way to it."""


class FileTooLarge(FileError):
    """The file has more bytes than asked for."""


@dataclass(frozen=True)
class RepositoryId:
    """A repository: GitHub's number, which stays, and its owner and name, which may change."""

    github_id: int
    owner: str
    name: str


@dataclass(frozen=True)
class CommitInfo:
    """What a report says of a commit. `committed_at` is in microseconds, and only what the committer claims.

    `message` is all of it, its first line (`subject`) included.
    """

    subject: str
    author: str
    committed_at: int
    message: str = ""


class GitCache:
    """The bare caches below `root`. Any thread and any process may use them: each repository has a lock."""

    def __init__(self, root: Path, web_url: str) -> None:
        if urlsplit(web_url).scheme not in ("http", "https"):
            raise ValueError(f"git is fetched over http(s) only, not from {web_url!r}")
        self.root, self.web_url = root, web_url.rstrip("/")

    def directory(self, repository: RepositoryId) -> Path:
        """Return where the bare cache lies, whether it is there yet or not."""
        return self.root / f"{repository.github_id:d}.git"

    def fetch_commit(self, repository: RepositoryId, sha: str, token: str | None, ref: str | None = None) -> None:
        """Make the commit and its trees local, without the contents of its files. Quick when they are.

        `ref` (`refs/heads/main`, `refs/pull/1/head`) is fetched instead where the server refuses bare SHAs.
        Raises CommitAbsent when the server does not have it, GitError for all else.
        """
        self.bare(repository, token).fetch_commit(sha, ref)

    def branch_head(self, repository: RepositoryId, branch: str, token: str | None) -> str:
        """Return the SHA of the newest commit of a branch, which is local then, as `fetch_commit` would make it.

        Raises CommitAbsent when there is no such branch.
        """
        return self.bare(repository, token).fetch_newest(f"refs/heads/{branch}")

    def read_file(self, repository: RepositoryId, sha: str, path: str, max_bytes: int, token: str | None) -> bytes:
        """Return a regular file's content at that commit, links never followed.

        Raises FileAbsent, NotARegularFile, FileTooLarge; GitError when the content could not be fetched.
        """
        bare = self.bare(repository, token)
        bare.fetch_commit(sha)
        blob = find(bare.git, sha, path)
        size = bare.git.size(blob)
        if size is None:
            try:
                with bare.locked() as git:
                    git.fetch_objects([blob], 2 * max_bytes + MIB, QUICK)
            except CodeTooLarge:
                raise FileTooLarge(f"{path} is larger than {max_bytes} bytes") from None
            size = bare.git.size(blob)
        if size is None:
            raise GitError(f"the content of {path} was not sent by the server", is_retryable=True)
        if size > max_bytes:
            raise FileTooLarge(f"{path} has {size} bytes, more than {max_bytes}")
        return bare.git.run("cat-file", "blob", blob)

    def changed_paths(
        self, repository: RepositoryId, base_sha: str, head_sha: str, token: str | None
    ) -> list[str] | None:
        """Return the paths that differ between two commits (both sides of a rename); None when that cannot be told.

        None is for a base that is gone or was never there (a new branch), and for more changes than a commit may have
        files: all may have changed then.
        """
        if not base_sha.strip("0"):
            return None
        bare = self.bare(repository, token)
        try:
            bare.fetch_commit(base_sha)
            bare.fetch_commit(head_sha)
        except GitError as error:
            if error.is_retryable and not isinstance(error, CommitAbsent):
                raise
            return None
        arguments = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", base_sha, head_sha)
        with contextlib.closing(bare.git.parts(*arguments)) as changes:
            names = [_text(name) for name in itertools.islice(changes, MOST_ENTRIES + 1)]
        return names if len(names) <= MOST_ENTRIES else None

    def fetch_code(self, repository: RepositoryId, sha: str, token: str | None, max_bytes: int = LARGEST_CODE) -> Path:
        """Make every file of the commit local, so that a checkout needs neither network nor credential.

        Return the bare directory. Raises CodeTooLarge beyond `max_bytes`, else as `fetch_commit`.
        """
        bare = self.bare(repository, token)
        bare.fetch_code(sha, max_bytes)
        return bare.directory

    def commit_info(self, repository: RepositoryId, sha: str, token: str | None = None) -> CommitInfo:
        """Return the commit's subject, author and time (0 where it claims none); fetches it when it is not there."""
        bare = self.bare(repository, token)
        bare.fetch_commit(sha)
        form = "--format=%ct%x00%an%x00%s%x00%B"
        output = bare.git.run("log", "-1", "--no-show-signature", "--encoding=UTF-8", form, sha)
        seconds, author, subject, message = output.removesuffix(b"\n").split(b"\0", 3)
        is_date = seconds.isdigit() and int(seconds) <= _LAST_SECOND
        committed_at = int(seconds) * SECOND if is_date else 0
        return CommitInfo(_text(subject), _text(author), committed_at, _text(message[:_LONGEST_MESSAGE]))

    def url(self, repository: RepositoryId) -> str:
        """Return what git fetches from. Raises GitError for a name that GitHub would not give."""
        if not _NAME.fullmatch(repository.owner) or not _NAME.fullmatch(repository.name):
            raise GitError(f"{repository.owner}/{repository.name} is not a repository's name")
        return f"{self.web_url}/{repository.owner}/{repository.name}.git"

    def bare(self, repository: RepositoryId, token: str | None) -> Bare:
        """Return a repository's own cache, filled by `token` where it is needed."""
        name = f"{repository.owner}/{repository.name}"
        return Bare(self.directory(repository), self._origin(self.url(repository), token), name)

    def _origin(self, url: str, token: str | None) -> Origin:
        if token is None:
            return Origin(url)
        # Scoped to our server: no redirect takes it elsewhere.
        key = f"http.{self.web_url}/.extraHeader"
        return Origin(url, {key: f"Authorization: Basic {basic(token)}"}, (token, basic(token)))


def read_local(directory: Path, sha: str, path: str, max_bytes: int) -> bytes:
    """Return a regular file's content of a commit that lies whole in a bare repository here. No network, no lock.

    Raises FileAbsent, NotARegularFile, FileTooLarge; GitError when it is not here (any more).
    """
    git = Git(directory, Origin(""))
    blob = find(git, sha, path)
    size = git.size(blob)
    if size is None:
        raise GitError(f"the content of {path} is not here")
    if size > max_bytes:
        raise FileTooLarge(f"{path} has {size} bytes, more than {max_bytes}")
    return git.run("cat-file", "blob", blob)


def basic(token: str) -> str:
    """GitHub takes an installation token as the password of this user."""
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()


def find(git: Git, sha: str, path: str) -> str:
    """Return the name of the blob at `path`, walking from the commit's tree down, one directory at a time.

    Raises FileAbsent, NotARegularFile.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        raise FileAbsent(f"{path!r} is not a path inside a repository")
    tree = f"{sha}^{{tree}}"
    for depth, part in enumerate(parts, start=1):
        mode, kind, name = _entry(git, tree, part, path)
        is_last = depth == len(parts)
        if mode == "120000" or kind == "commit":
            here = "/".join(parts[:depth])
            raise NotARegularFile(f"{here} is a {'symbolic link' if mode == '120000' else 'submodule'}")
        if is_last and kind != "blob":
            raise NotARegularFile(f"{path} is a directory")
        if not is_last and kind != "tree":
            raise FileAbsent(f"{path} is not in this commit")
        tree = name
    return tree


def _entry(git: Git, tree: str, part: str, path: str) -> tuple[str, str, str]:
    """Return mode, kind and name of one entry of a tree."""
    if output := git.run("ls-tree", "-z", "--full-tree", tree, "--", part):
        fields = output.split(b"\t", 1)[0].decode().split()
        return fields[0], fields[1], fields[2]
    raise FileAbsent(f"{path} is not in this commit")


def _text(name: bytes) -> str:
    return name.decode(errors="replace")

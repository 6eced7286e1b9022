"""Code from GitHub by git itself: one bare cache per repository, exact commits, no checkout, no API request.

A cache holds single commits (`--depth=1`) without their files' contents (filter `blob:none`) until somebody asks for
them. Neither an address nor a credential is ever written into it, so git cannot fetch anything behind our back: what is
missing is fetched here, on purpose, or not at all. Works with git 2.34 and newer.
"""

import base64
import contextlib
import fcntl
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from bot.clock import SECOND, Clock, SystemClock

MIB = 1 << 20
LARGEST_CODE = 2048 * MIB
"""Bytes that one commit's files may have together, and that one download may take."""
_LARGEST_HISTORY = 512 * MIB
_LOCAL, _QUICK, _LONG = 60.0, 120.0, 900.0
"""Seconds that a command may take: on our disk, for a commit, for its files."""
_FALLBACK_DEPTH = 50
"""How far back from a branch's head a commit is looked for when the server does not serve bare SHAs."""
_LONGEST_REASON = 400

_SHA = re.compile(r"[0-9a-f]{40}")
_REF = re.compile(r"refs/[^\x00-\x20\x7f~^:?*\[\\]+")
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]+")
_GONE = re.compile(r"not our ref|unadvertised object|couldn't find remote ref|no such remote ref", re.I)
_DENIED = re.compile(
    r"authentication failed|could not read (username|password)|repository not found|returned error: 4(?!08|29)\d\d"
    r"|repository '.*' not found",
    re.I,
)
_TOO_LARGE = re.compile(r"file too large|signal 25|file size limit", re.I)

_PASSED = (
    *("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"),
    *("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"),
)
_ENVIRONMENT = {
    "LC_ALL": "C",
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "http:https",
}
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "credential.helper": "",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "protocol.version": "2",
    # A git whose bot was killed ends by itself when the other side falls silent.
    "http.lowSpeedLimit": "100",
    "http.lowSpeedTime": "60",
}


class GitError(Exception):
    """git could not do it. The message is a sentence without secrets; `is_retryable` says whether later may differ."""

    def __init__(self, message: str, is_retryable: bool = False) -> None:
        super().__init__(message)
        self.is_retryable = is_retryable


class CommitAbsent(GitError):
    """The server has no such commit: not yet (GitHub may be seconds behind its webhooks), or no more."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class Denied(GitError):
    """The server does not let us in: the credential is dead, or the repository is none of ours."""


class CodeTooLarge(GitError):
    """The commit is larger than this bot takes."""


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
    """What a report says of a commit. `committed_at` is in microseconds, and only what the committer claims."""

    subject: str
    author: str
    committed_at: int


class GitCache:
    """The bare caches below `root`. Any thread and any process may use them: each repository has a lock."""

    def __init__(self, root: Path, web_url: str) -> None:
        if urlsplit(web_url).scheme not in ("http", "https"):
            raise ValueError(f"git is fetched over http(s) only, not from {web_url!r}")
        self._root, self._web_url = root, web_url.rstrip("/")
        # Waiting for another process's lock is real waiting, whatever clock the rest of the program has.
        self._clock: Clock = SystemClock()

    def directory(self, repository: RepositoryId) -> Path:
        """Return where the bare cache lies, whether it is there yet or not."""
        return self._root / f"{repository.github_id:d}.git"

    def fetch_commit(self, repository: RepositoryId, sha: str, token: str | None, ref: str | None = None) -> None:
        """Make the commit and its trees local, without the contents of its files. Quick when they are.

        `ref` (`refs/heads/main`, `refs/pull/1/head`) is fetched instead where the server refuses bare SHAs.
        Raises CommitAbsent when the server does not have it, GitError for all else.
        """
        if not self._is_marked(repository, "commits", sha):
            with self._locked(repository) as lock:
                self._fetch_commit(_Git(self, repository, token, lock), sha, ref)

    def branch_head(self, repository: RepositoryId, branch: str, token: str | None) -> str:
        """Return the SHA of the newest commit of a branch, which is local then, as `fetch_commit` would make it.

        Raises CommitAbsent when there is no such branch.
        """
        ref = f"refs/heads/{branch}"
        if not _REF.fullmatch(ref):
            raise GitError(f"{branch!r} is not a branch's name")
        with self._locked(repository) as lock:
            git = _Git(self, repository, token, lock)
            git.fetch(f"+{ref}:refs/newest", depth=1, is_filtered=True)
            sha = git.run("rev-parse", "refs/newest^{commit}").decode().strip()
            git.run("update-ref", f"refs/commits/{sha}", sha)
        return sha

    def read_file(self, repository: RepositoryId, sha: str, path: str, max_bytes: int, token: str | None) -> bytes:
        """Return a regular file's content at that commit, links never followed.

        Raises FileAbsent, NotARegularFile, FileTooLarge; GitError when the content could not be fetched.
        """
        self.fetch_commit(repository, sha, token)
        git = _Git(self, repository, token)
        blob = _find(git, sha, path)
        size = git.size(blob)
        if size is None:
            with self._locked(repository) as lock:
                limit = 2 * max_bytes + MIB
                try:
                    _Git(self, repository, token, lock).fetch_objects([blob], limit, _QUICK)
                except CodeTooLarge:
                    raise FileTooLarge(f"{path} is larger than {max_bytes} bytes") from None
            size = git.size(blob)
        if size is None:
            raise GitError(f"the content of {path} was not sent by the server", is_retryable=True)
        if size > max_bytes:
            raise FileTooLarge(f"{path} has {size} bytes, more than {max_bytes}")
        return git.run("cat-file", "blob", blob)

    def changed_paths(
        self, repository: RepositoryId, base_sha: str, head_sha: str, token: str | None
    ) -> list[str] | None:
        """Return the paths that differ between two commits (both sides of a rename); None when that cannot be told.

        None is for a base that is gone or was never there (a new branch): all may have changed then.
        """
        if not base_sha.strip("0"):
            return None
        try:
            self.fetch_commit(repository, base_sha, token)
            self.fetch_commit(repository, head_sha, token)
        except GitError as error:
            if error.is_retryable and not isinstance(error, CommitAbsent):
                raise
            return None
        output = _Git(self, repository, token).run(
            "diff-tree", "-r", "-z", "--name-only", "--no-renames", base_sha, head_sha
        )
        return [_text(name) for name in output.split(b"\0") if name]

    def fetch_code(self, repository: RepositoryId, sha: str, token: str | None, max_bytes: int = LARGEST_CODE) -> Path:
        """Make every file of the commit local, so that a checkout needs neither network nor credential.

        Return the bare directory. Raises CodeTooLarge beyond `max_bytes`, else as `fetch_commit`.
        """
        if not self._is_marked(repository, "code", sha):
            with self._locked(repository) as lock:
                git = _Git(self, repository, token, lock)
                self._fetch_commit(git, sha, None)
                git.fetch_objects(git.missing(sha), max_bytes, _LONG)
                if git.missing(sha):
                    raise GitError(f"the server did not send all files of {sha}", is_retryable=True)
                _check_size(git, sha, max_bytes)
                git.run("update-ref", f"refs/code/{sha}", sha)
        return self.directory(repository)

    def commit_info(self, repository: RepositoryId, sha: str, token: str | None = None) -> CommitInfo:
        """Return the commit's subject, author and time; fetches it when it is not there."""
        self.fetch_commit(repository, sha, token)
        output = _Git(self, repository, token).run(
            "log", "-1", "--no-show-signature", "--encoding=UTF-8", "--format=%s%x00%an%x00%ct", sha
        )
        subject, author, seconds = output.rstrip(b"\n").split(b"\0")
        at = min(max(int(seconds), 0), 1 << 40) * SECOND
        return CommitInfo(_text(subject), _text(author), at)

    def url(self, repository: RepositoryId) -> str:
        """Return what git fetches from. Raises GitError for a name that GitHub would not give."""
        if not _NAME.fullmatch(repository.owner) or not _NAME.fullmatch(repository.name):
            raise GitError(f"{repository.owner}/{repository.name} is not a repository's name")
        return f"{self._web_url}/{repository.owner}/{repository.name}.git"

    def environment(self, token: str | None) -> dict[str, str]:
        """Return git's whole environment. The token goes this way: argv is public, a config file stays."""
        environment = {name: os.environ[name] for name in _PASSED if name in os.environ} | _ENVIRONMENT
        if token is not None:
            # Scoped to our server: no redirect takes it elsewhere.
            environment["GIT_CONFIG_COUNT"] = "1"
            environment["GIT_CONFIG_KEY_0"] = f"http.{self._web_url}/.extraHeader"
            environment["GIT_CONFIG_VALUE_0"] = f"Authorization: Basic {_basic(token)}"
        return environment

    def _fetch_commit(self, git: "_Git", sha: str, ref: str | None) -> None:
        if self._is_marked(git.repository, "commits", sha):
            return
        try:
            git.fetch(f"+{sha}:refs/commits/{sha}", depth=1, is_filtered=True)
        except CommitAbsent as error:
            if ref is None:
                raise
            self._fetch_by_ref(git, sha, ref, is_filtered="unadvertised" not in str(error))

    def _fetch_by_ref(self, git: "_Git", sha: str, ref: str, is_filtered: bool) -> None:
        """Fetch `ref`, with all contents where the server would not serve those by SHA either."""
        if not _REF.fullmatch(ref):
            raise GitError(f"{ref!r} is not a full ref name")
        git.fetch(f"+{ref}:refs/newest", depth=_FALLBACK_DEPTH, is_filtered=is_filtered)
        if git.size(sha) is None:
            raise CommitAbsent(f"commit {sha} is not among the newest {_FALLBACK_DEPTH} of {ref}")
        git.run("update-ref", f"refs/commits/{sha}", sha)

    def _is_marked(self, repository: RepositoryId, kind: str, sha: str) -> bool:
        """Tell by our own ref whether the commit is here. The ref is the last thing that a fetch writes."""
        if not _SHA.fullmatch(sha):
            raise GitError(f"{sha!r} is not a full commit SHA")
        return (self.directory(repository) / "refs" / kind / sha).is_file()

    @contextlib.contextmanager
    def _locked(self, repository: RepositoryId) -> Iterator[int]:
        """Hold the repository's lock; yield its descriptor, for git to hold too (see `_Git`)."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self._root / f"{repository.github_id:d}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._wait_for(lock, repository)
            directory = self.directory(repository)
            if not directory.is_dir():
                _make(directory, self.environment(None))
            # Whoever left this is dead, or we would not have the lock; git would refuse to fetch for ever.
            (directory / "shallow.lock").unlink(missing_ok=True)
            yield lock
        finally:
            os.close(lock)

    def _wait_for(self, lock: int, repository: RepositoryId) -> None:
        give_up = self._clock.monotonic() + _LONG
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._clock.monotonic() > give_up:
                    message = f"another fetch of {repository.owner}/{repository.name} does not end"
                    raise GitError(message, is_retryable=True) from None
                self._clock.sleep(0.02)


class _Git:
    """git on one cache. `lock` is inherited by it: a git that outlives a killed bot keeps the repository locked."""

    def __init__(self, cache: GitCache, repository: RepositoryId, token: str | None, lock: int | None = None) -> None:
        self.repository = repository
        self._cache, self._token, self._lock = cache, token, lock

    def run(self, *arguments: str) -> bytes:
        """Run a command that needs no network; return its output."""
        return self._call(_CONFIG, arguments, b"", _LOCAL, None, self._cache.environment(None))

    def size(self, name: str) -> int | None:
        """Return the size in bytes of an object; None when it is not here."""
        output = self._call(
            _CONFIG, ["cat-file", "--batch-check=%(objectsize)"], f"{name}\n".encode(), _LOCAL, None,
            self._cache.environment(None),
        )  # fmt: skip
        return None if output.endswith(b" missing\n") else int(output)

    def missing(self, sha: str) -> list[str]:
        """Return the objects of the commit's files that are not here."""
        output = self.run("rev-list", "--objects", "--missing=print", f"{sha}^{{tree}}")
        return [line[1:].decode() for line in output.splitlines() if line.startswith(b"?")]

    def fetch(self, refspec: str, depth: int, is_filtered: bool) -> None:
        """Fetch one refspec."""
        unfiltered = [] if is_filtered else ["--no-filter"]
        self._fetch([f"--depth={depth}", *unfiltered, "origin", refspec], b"", _QUICK, _LARGEST_HISTORY)

    def fetch_objects(self, names: Sequence[str], max_bytes: int, timeout: float) -> None:
        """Fetch single objects by name, in one request, as git's own promisor fetch does."""
        if names:
            wanted = "".join(f"{name}\n" for name in names).encode()
            self._fetch(["--stdin", "origin"], wanted, timeout, max_bytes)

    def _fetch(self, arguments: list[str], data: bytes, timeout: float, max_bytes: int) -> None:
        config = _CONFIG | {
            "remote.origin.url": self._cache.url(self.repository),
            # Only while fetching: a cache whose config names a promisor would be completed silently. For the same
            # reason the filter stands here; fetch writes a `--filter` of its command line into the config.
            "remote.origin.promisor": "true",
            "remote.origin.partialclonefilter": "blob:none",
            "fetch.negotiationAlgorithm": "noop",
        }
        always = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"]
        environment = self._cache.environment(self._token)
        self._call(config, [*always, *arguments], data, timeout, max_bytes, environment, is_remote=True)

    def _call(
        self,
        config: dict[str, str],
        arguments: Sequence[str],
        data: bytes,
        timeout: float,
        max_bytes: int | None,
        environment: dict[str, str],
        is_remote: bool = False,
    ) -> bytes:
        settings = [part for key, value in config.items() for part in ("-c", f"{key}={value}")]
        command = ["git", f"--git-dir={self._cache.directory(self.repository)}", *settings, *arguments]
        if max_bytes is not None:
            # The only way to stop a download by its size; sh counts in blocks of 512 bytes.
            command = ["/bin/sh", "-c", 'ulimit -f "$0" && exec "$@"', str(max_bytes // 512 + 1), *command]
        status, output, errors = _execute(command, environment, data, timeout, self._lock)
        if status == 0:
            return output
        raise _error(arguments[0], status, _scrub(errors, self._token), is_remote)


def _execute(
    command: list[str], environment: dict[str, str], data: bytes, timeout: float, lock: int | None
) -> tuple[int | None, bytes, bytes]:
    """Run to the end; return status (None: it took too long and was killed), output and errors."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        pass_fds=() if lock is None else (lock,),
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            return None, b"", b""
        finally:
            # git's helpers too, which would keep the pipes and the lock; gone already when all went well.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, output, errors


def _error(verb: str, status: int | None, reason: str, is_remote: bool) -> GitError:
    if status is None:
        return GitError(f"git {verb} took too long", is_retryable=True)
    if is_remote and (_TOO_LARGE.search(reason) or status in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)):
        return CodeTooLarge("the download is larger than this bot takes")
    message = f"git {verb} failed: {reason or f'status {status}'}"
    if is_remote and _GONE.search(reason):
        return CommitAbsent(message)
    if is_remote and _DENIED.search(reason):
        return Denied(message)
    return GitError(message, is_retryable=is_remote)


def _scrub(errors: bytes, token: str | None) -> str:
    """Return git's complaint on one line, without anything secret."""
    text = " ".join(errors.decode(errors="replace").split())
    for secret in () if token is None else (token, _basic(token)):
        text = text.replace(secret, "***")
    return "".join(c if c.isprintable() else "?" for c in text)[-_LONGEST_REASON:]


def _basic(token: str) -> str:
    """GitHub takes an installation token as the password of this user."""
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()


def _make(directory: Path, environment: dict[str, str]) -> None:
    """Make an empty cache, whole or not at all: a crash in between leaves only what the next try overwrites."""
    unfinished = directory.with_suffix(".new")
    command = ["git", "init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(unfinished)]
    status, _, errors = _execute(command, environment, b"", _LOCAL, None)
    if status != 0:
        raise _error("init", status, _scrub(errors, None), is_remote=False)
    unfinished.rename(directory)


def _find(git: _Git, sha: str, path: str) -> str:
    """Return the name of the blob at `path`, walking from the commit's tree down, one directory at a time."""
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


def _entry(git: _Git, tree: str, part: str, path: str) -> tuple[str, str, str]:
    """Return mode, kind and name of one entry of a tree."""
    if output := git.run("ls-tree", "-z", "--full-tree", tree, "--", part):
        fields = output.split(b"\t", 1)[0].decode().split()
        return fields[0], fields[1], fields[2]
    raise FileAbsent(f"{path} is not in this commit")


def _check_size(git: _Git, sha: str, max_bytes: int) -> None:
    """A small download can unpack to very much."""
    listing = git.run("ls-tree", "-r", "-l", "-z", "--full-tree", sha).split(b"\0")
    sizes = (entry.split(b"\t", 1)[0].split()[-1] for entry in listing if entry)
    total = sum(int(size) for size in sizes if size != b"-")
    if total > max_bytes:
        raise CodeTooLarge(f"the files of this commit have {total / MIB:.0f} MB, more than {max_bytes / MIB:.0f} MB")


def _text(name: bytes) -> str:
    return name.decode(errors="replace")

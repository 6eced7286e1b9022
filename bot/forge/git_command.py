"""git itself, on one bare repository: what it is told, what it may take, and what its complaints mean.

Nobody's configuration but ours has a say. Neither an address nor a credential is ever written down.
"""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

MIB = 1 << 20
LOCAL, QUICK, LONG = 60.0, 120.0, 900.0
"""Seconds that a command may take: on our disk, for a commit, for its files."""
_LARGEST_HISTORY = 512 * MIB
_LONGEST_REASON = 400
_CHUNK = 1 << 16

_GONE = re.compile(r"not our ref|unadvertised object|couldn't find remote ref|no such remote ref", re.I)
_DENIED = re.compile(
    r"authentication failed|could not read (username|password)|repository not found|returned error: 4(?!08|29)\d\d"
    r"|repository '.*' not found|returned error: 3\d\d",
    re.I,
)
_TOO_LARGE = re.compile(r"file too large|signal 25|file size limit", re.I)

_PASSED = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH")
_PROXIES = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
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
    """git could not do it. The message is a sentence without secrets.

    `is_retryable` and `is_shut_out` mean what they mean of a `ForgeError`.
    """

    is_shut_out = False

    def __init__(self, message: str, is_retryable: bool = False) -> None:
        super().__init__(message)
        self.is_retryable = is_retryable


class CommitAbsent(GitError):
    """The server has no such commit: not yet (GitHub may be seconds behind its webhooks), or no more."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class Denied(GitError):
    """The server does not let us in: the credential is dead, or the repository is none of ours."""

    is_shut_out = True


class CodeTooLarge(GitError):
    """The commit is larger than this bot takes."""


@dataclass(frozen=True)
class Origin:
    """Where a repository is filled from: `config` are git's settings for that, `secrets` what it must not repeat.

    Both go through the environment of one process: argv is public, and a config file stays.
    """

    url: str
    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    uses_proxy: bool = True

    def environment(self) -> dict[str, str]:
        """Return git's whole environment while it speaks to the server."""
        names = (*_PASSED, *_PROXIES) if self.uses_proxy else _PASSED
        environment = {name: os.environ[name] for name in names if name in os.environ} | _ENVIRONMENT
        environment["GIT_CONFIG_COUNT"] = str(len(self.config))
        for number, (key, value) in enumerate(self.config.items()):
            environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return environment


@dataclass(frozen=True)
class Entry:
    """A file (`size` in bytes), a submodule or a folder (both of size 0) of a commit, at its path."""

    mode: str
    kind: str
    name: str
    size: int
    path: bytes


class Git:
    """git on one directory. `lock` is inherited by it: a git that outlives a killed bot keeps the repository locked."""

    def __init__(self, directory: Path, origin: Origin, lock: int | None = None) -> None:
        self.directory = directory
        self._origin, self._lock = origin, lock

    def run(self, *arguments: str, data: bytes = b"") -> bytes:
        """Run a command that needs no network; return its output."""
        return self._call({}, arguments, data, LOCAL, None, _quiet())

    def parts(self, *arguments: str) -> Generator[bytes, None, None]:
        """Run a command that needs no network; yield its output cut at zero bytes, as it comes: it may be endless."""
        command = self._command({}, arguments)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_quiet(), start_new_session=True
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            limit = threading.Timer(LOCAL, process.kill)
            limit.start()
            try:
                yield from _cut(process.stdout)
            except BaseException:
                process.kill()
                raise
            finally:
                limit.cancel()
        if process.returncode != 0:
            took_too_long = process.returncode < 0
            raise GitError(f"git {arguments[0]} {'took too long' if took_too_long else 'failed'}")

    def entries(self, sha: str) -> Generator[Entry, None, None]:
        """Yield all that a commit has, folders too: trees can be made to unfold for ever."""
        for part in self.parts("ls-tree", "-r", "-t", "-l", "-z", "--full-tree", sha):
            head, _, path = part.partition(b"\t")
            mode, kind, name, size = head.decode().split()
            yield Entry(mode, kind, name, 0 if size == "-" else int(size), path)

    def size(self, name: str) -> int | None:
        """Return the size in bytes of an object; None when it is not here."""
        output = self.run("cat-file", "--batch-check=%(objectsize)", data=f"{name}\n".encode())
        return None if output.endswith(b" missing\n") else int(output)

    def missing(self, sha: str) -> list[str]:
        """Return the objects of the commit's files that are not here."""
        output = self.run("rev-list", "--objects", "--missing=print", f"{sha}^{{tree}}")
        return [line[1:].decode() for line in output.splitlines() if line.startswith(b"?")]

    def fetch(self, refspec: str, depth: int, is_filtered: bool) -> None:
        """Fetch one refspec."""
        unfiltered = [] if is_filtered else ["--no-filter"]
        self._fetch([f"--depth={depth}", *unfiltered, "origin", refspec], b"", QUICK, _LARGEST_HISTORY)

    def fetch_objects(self, names: Sequence[str], max_bytes: int, timeout: float) -> None:
        """Fetch single objects by name, in one request, as git's own promisor fetch does."""
        if names:
            wanted = "".join(f"{name}\n" for name in names).encode()
            self._fetch(["--stdin", "origin"], wanted, timeout, max_bytes)

    def _fetch(self, arguments: list[str], data: bytes, timeout: float, max_bytes: int) -> None:
        config = {
            "remote.origin.url": self._origin.url,
            # Only while fetching: a cache whose config names a promisor would be completed silently. For the same
            # reason the filter stands here; fetch writes a `--filter` of its command line into the config.
            "remote.origin.promisor": "true",
            "remote.origin.partialclonefilter": "blob:none",
            "fetch.negotiationAlgorithm": "noop",
        }
        always = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"]
        environment = self._origin.environment()
        self._call(config, [*always, *arguments], data, timeout, max_bytes, environment, is_remote=True)

    def _command(self, config: dict[str, str], arguments: Sequence[str]) -> list[str]:
        settings = [part for key, value in (_CONFIG | config).items() for part in ("-c", f"{key}={value}")]
        return ["git", f"--git-dir={self.directory}", *settings, *arguments]

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
        command = self._command(config, arguments)
        if max_bytes is not None:
            # The only way to stop a download by its size; sh counts in blocks of 512 bytes.
            command = ["/bin/sh", "-c", 'ulimit -f "$0" && exec "$@"', str(max_bytes // 512 + 1), *command]
        status, output, errors = _execute(command, environment, data, timeout, self._lock)
        if status == 0:
            return output
        raise _error(arguments[0], status, _scrub(errors, self._origin.secrets), is_remote)


def make(directory: Path) -> None:
    """Make an empty repository, whole or not at all: a crash in between leaves only what the next try overwrites."""
    unfinished = directory.with_suffix(".new")
    command = ["git", "init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(unfinished)]
    status, _, errors = _execute(command, _quiet(), b"", LOCAL, None)
    if status != 0:
        raise _error("init", status, _scrub(errors, ()), is_remote=False)
    unfinished.rename(directory)


def version() -> tuple[int, ...]:
    """Return git's version, major and minor."""
    _, output, _ = _execute(["git", "version"], _quiet(), b"", LOCAL, None)
    return tuple(int(number) for number in re.findall(r"\d+", output.decode())[:2])


def _quiet() -> dict[str, str]:
    return Origin("").environment()


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


def _cut(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole


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


def _scrub(errors: bytes, secrets: Sequence[str]) -> str:
    """Return git's complaint on one line, without anything secret."""
    text = " ".join(errors.decode(errors="replace").split())
    for secret in secrets:
        text = text.replace(secret, "***")
    return "".join(c if c.isprintable() else "?" for c in text)[-_LONGEST_REASON:]
